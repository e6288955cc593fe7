# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Accuracy, training and benchmarks; the node never imports this room.

May import: every room except ros, node and tools.
"""
