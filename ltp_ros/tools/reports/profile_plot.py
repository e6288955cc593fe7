# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The plot of `ltp_profile`: time per image over the keep ratio."""
from typing import TYPE_CHECKING

import numpy as np

from ltp_ros.tuner.ladder_profile import ALL_TOKENS, Profile

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(figure: 'Figure', profile: Profile, num_patches: int) -> None:
    """Draw p50 and p99 of every level and the break-even keep ratio into an empty figure."""
    setup = profile.setup
    ratios = [level.keep_ratio for level in profile.levels]
    axes = figure.subplots()
    axes.plot(ratios, [level.p50_ms for level in profile.levels], 'o-', label='p50')
    axes.plot(ratios, [level.p99_ms for level in profile.levels], '.:', color='tab:blue',
              label='p99')
    unpruned = next(level for level in profile.levels if level.keep_ratio == ALL_TOKENS)
    axes.axhline(unpruned.p50_ms, color='0.5', linestyle='--', label='p50 of the unpruned model')
    if profile.break_even is not None:
        axes.axvline(profile.break_even, color='tab:green', linestyle='--',
                     label=f'break-even {profile.break_even:g}: highest keep ratio '
                     'faster than the unpruned model')
    axes.set(xlabel='keep ratio', ylabel='time per image [ms]', xlim=(0, 1.05))
    axes.set_title(f'{setup.model}\n{setup.hardware}, {setup.backend} {setup.precision}',
                   fontsize='medium')
    axes.set_ylim(bottom=0)
    axes.secondary_xaxis('top', functions=(
        lambda ratio: np.multiply(ratio, num_patches),
        lambda tokens: np.divide(tokens, num_patches))).set_xlabel('patch tokens kept')
    axes.grid(alpha=0.3)
    # Below the axes, where it hides no line
    figure.legend(handles=axes.get_lines(), loc='lower center', ncol=2, frameon=False,
                  fontsize='small')
    figure.tight_layout(rect=(0, 0.13, 1, 1))
