# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A bag through the node's own pipeline, and what becomes of each of its images."""
