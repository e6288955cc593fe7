# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Accuracy of a reduced model, and its agreement with the unreduced one."""
