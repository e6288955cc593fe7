# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Measurements and statistics of `ltp_benchmark`. No ROS."""


class BenchmarkError(RuntimeError):
    """A run that is not a valid measurement; the message gives the reason."""
