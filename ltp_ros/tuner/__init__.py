# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Costs and measured times in, ladder level out: pure numbers, no clock, no torch, no ROS.

May import: config.
"""
