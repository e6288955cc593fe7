# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Accuracy, training and benchmarks: what a robot never imports.

May import: all but ros, node and tools.
"""
