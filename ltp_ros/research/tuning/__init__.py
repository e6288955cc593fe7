# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The tuner against simpler rules, on images and machines that are simulated or recorded."""
