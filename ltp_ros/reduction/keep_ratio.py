# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What a keep ratio may be, and how many tokens it leaves; without torch."""


def check_keep_ratio(keep_ratio: float) -> float:
    """Return `keep_ratio` as a float; raise ValueError unless it lies in (0, 1]."""
    if not 0.0 < keep_ratio <= 1.0:  # NaN fails both comparisons
        raise ValueError(f'keep_ratio {keep_ratio} is not allowed; it must lie in (0, 1]')
    return float(keep_ratio)


def num_keep_tokens(num_patches: int, keep_ratio: float) -> int:
    """Return K = max(1, round(keep_ratio * N)); ValueError unless 0 < keep_ratio <= 1."""
    return max(1, round(check_keep_ratio(keep_ratio) * num_patches))
