# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What a spawned process runs in tests; nothing is imported here that takes seconds."""
import os


def die_at_two(seed, most, seconds, at, reports):
    """End the process in the middle of image 2."""
    at.value = 2
    os._exit(3)
