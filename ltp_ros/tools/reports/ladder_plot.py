# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The plot of `ltp_profile IMAGES`: what was tried, and the ladder, as score over time."""
from typing import TYPE_CHECKING, Dict, List, Mapping

from ltp_ros.files import plain
from ltp_ros.research.ladder_search.found import Found
from ltp_ros.research.ladder_search.front import score_of
from ltp_ros.research.ladder_search.words import LOOKS, described, family
from ltp_ros.tuner.ladder_file import Level

if TYPE_CHECKING:
    from matplotlib.axes import Axes  # optional
    from matplotlib.figure import Figure


def draw(figure: 'Figure', found: Found, about: Mapping[str, object]) -> None:
    """Draw the finalists with their intervals, the ladder as a line, and faintly the others.

    Args:
        figure: an empty matplotlib Figure.
        found: what the search found.
        about: how it was done; see the ladder's file.
    """
    axes = figure.subplots()
    reference = found.reference
    by_family: Dict[str, List[Level]] = {}
    for each in found.finalists:
        by_family.setdefault(family(each.level, reference), []).append(each.level)
    # Before the times of the search, which are rougher
    axes.scatter([each.time_ms for each in found.dropped], [each.score for each in found.dropped],
                 s=8, color='0.8', label='dropped on the way', zorder=0)
    for name, members in by_family.items():
        _points(axes, members, *LOOKS[name])
    ladder = found.levels
    axes.plot([level.p50_ms for level in ladder], [score_of(level) for level in ladder], '-',
              color='0.4', linewidth=1, zorder=1, label='the ladder')
    axes.plot(reference.p50_ms, score_of(reference), '*', markersize=13, color='black',
              label=f'unpruned, {reference.backend} {reference.precision}')
    for place, level in enumerate(ladder):
        axes.annotate(described(level, reference), (level.p50_ms, score_of(level)),
                      xytext=(6, -12 - 9 * (place % 2)), textcoords='offset points',
                      fontsize='x-small')
    lowest = min(score_of(each.level) for each in found.finalists)
    axes.set_ylim(bottom=max(0.0, lowest - 12.0))
    axes.set(xlabel='median time per image [ms]', ylabel=f'{about["metric"]} [%]', xscale='log')
    axes.xaxis.set_major_formatter('{x:g}')
    axes.xaxis.set_minor_formatter('{x:g}')
    axes.tick_params(which='both', labelsize='small')
    machine = found.ladder.machine
    axes.set_title(plain(f'{reference.model} on {about["number"]} images')
                   + (f'\n{plain(machine.hardware)}' if machine else ''), fontsize='medium')
    axes.grid(alpha=0.3)
    axes.legend(fontsize='small', loc='lower right')
    figure.tight_layout()


def _points(axes: 'Axes', levels: List[Level], label: str, colour: str) -> None:
    worths = [level.worth for level in levels if level.worth]
    errors = [[max(0.0, worth.score - worth.low) for worth in worths],
              [max(0.0, worth.high - worth.score) for worth in worths]]
    axes.errorbar([level.p50_ms for level in levels], [worth.score for worth in worths],
                  yerr=errors, fmt='o', markersize=4, elinewidth=0.5, color=colour, label=label)
    zoomed = [level for level in levels if level.zoom]
    axes.plot([level.p50_ms for level in zoomed], [score_of(level) for level in zoomed], 'o',
              markersize=8, fillstyle='none', color=colour, linestyle='')
