# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Look where something is: find the part of a picture that holds its detail.

In numpy and OpenCV, on the host, for every model and every backend alike.
"""
