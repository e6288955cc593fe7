# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The only room that knows rclpy and message packages.

May import: all below it, which is everything but research and tools.
"""
