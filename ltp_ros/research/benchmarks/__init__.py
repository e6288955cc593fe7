# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What the sub-commands of `ltp_benchmark` measure; nothing here knows ROS."""


class BenchmarkError(RuntimeError):
    """A run that is no measurement; the message says why."""
