# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The picture of `ltp_profile`: time, and agreement if measured, over the tokens kept."""
from typing import Any

from ltp_ros.tuner.ladder_profile import ALL_TOKENS, Profile


def draw(figure: Any, profile: Profile, num_patches: int) -> None:
    """Draw the median, the p99 and the unpruned model's median into an empty matplotlib Figure."""
    ratios = [level.keep_ratio for level in profile.levels]
    axes = figure.subplots()
    axes.plot(ratios, [level.p50_ms for level in profile.levels], 'o-', label='p50')
    axes.plot(ratios, [level.p99_ms for level in profile.levels], '.:', color='tab:blue',
              label='p99')
    unpruned = next(level for level in profile.levels if level.keep_ratio == ALL_TOKENS)
    axes.axhline(unpruned.p50_ms, color='0.5', linestyle='--', label='unpruned p50')
    if profile.break_even is not None:
        axes.axvline(profile.break_even, color='tab:green', linestyle='--',
                     label=f'break-even {profile.break_even:g}')
    axes.set(xlabel='keep ratio', ylabel='time of one image [ms]', xlim=(0, 1.05),
             title=f'{profile.setup.model} on {profile.setup.hardware}, '
                   f'{profile.setup.backend} {profile.setup.precision}')
    axes.set_ylim(bottom=0)
    axes.secondary_xaxis('top', functions=(
        lambda ratio: ratio * num_patches, lambda tokens: tokens / num_patches)).set_xlabel(
        'patch tokens kept')
    axes.grid(alpha=0.3)
    lines = axes.get_lines()
    if all(level.agreement is not None for level in profile.levels):
        right = axes.twinx()
        lines = lines + right.plot(
            ratios, [level.agreement for level in profile.levels], 's-', color='tab:orange',
            label='agreement')
        right.set(ylabel='same label as unpruned [%]', ylim=(0, 102))
    axes.legend(lines, [line.get_label() for line in lines], loc='lower right')
    figure.tight_layout()
