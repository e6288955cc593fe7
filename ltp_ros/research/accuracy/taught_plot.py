# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The plot of `ltp_evaluate --classes`: calibration, and what a head of another level costs."""
from typing import TYPE_CHECKING, Any, Dict, Mapping, Sequence

import numpy as np

from ltp_ros.research.accuracy.sample import counted
from ltp_ros.research.accuracy.taught import BINS, Bin

if TYPE_CHECKING:
    from matplotlib.axes import Axes  # optional
    from matplotlib.figure import Figure

LARGEST = 150.0  # points ** 2: the area of a bin of all images
DARK = 0.55  # of the range of the heat map; numbers are white below it


def draw(figure: 'Figure', result: Mapping[str, Any], bins: Mapping[float, Sequence[Bin]]) -> None:
    """Draw a reliability diagram with the counts below it, and a heat map beside it.

    Args:
        figure: an empty matplotlib Figure.
        result: the JSON of `ltp_evaluate --classes` or `--calibrate`; the latter has no heat map.
        bins: of the reliability diagram, by keep ratio, taught and asked at the same one.
    """
    crossed = 'taught_keep_ratio' in result['rows'][0]  # not of a model's own classes
    grid = figure.add_gridspec(2, 1 + crossed, height_ratios=(3, 1))
    lines = figure.add_subplot(grid[0, 0])
    colours = dict(zip(bins, _colours(len(bins))))
    _draw_reliability(lines, result, bins, colours)
    _draw_counts(figure.add_subplot(grid[1, 0], sharex=lines), bins, colours)
    if crossed:
        _draw_crossed(figure.add_subplot(grid[:, 1]), result['rows'])
    taught = f'{result["num_classes"]} classes taught to ' if crossed else ''
    figure.suptitle(f'{taught}{result["model"]}, {counted(result)}', fontsize='medium')
    figure.tight_layout()


def _colours(count: int) -> Sequence[Any]:
    from matplotlib import colormaps  # noqa: PLC0415
    return list(colormaps['viridis'](np.linspace(0.0, 0.85, count)))


def _draw_reliability(axes: 'Axes', result: Mapping[str, Any], bins: Mapping[float, Sequence[Bin]],
                      colours: Mapping[float, Any]) -> None:
    errors = {row['keep_ratio']: row['ece'] for row in result['rows']
              if row['keep_ratio'] == row.get('taught_keep_ratio', row['keep_ratio'])}
    axes.plot((0, 1), (0, 1), color='0.6', linestyle='--', label='calibrated')
    for ratio, members in bins.items():
        points = [each.probability for each in members], [each.accuracy for each in members]
        axes.plot(*points, linewidth=0.8, color=colours[ratio],
                  label=f'keep {ratio:g}: ECE {errors[ratio]:.1f} %')
        # Bins of few images are noise, and look small
        axes.scatter(*points, s=[LARGEST * each.n / result['n'] for each in members],
                     color=colours[ratio], zorder=3)
    axes.set(ylabel='share that is right', xlim=(0, 1), ylim=(0, 1.02))
    axes.tick_params(labelbottom=False)
    # Beside the axes, where it hides no point
    axes.legend(fontsize='x-small', loc='upper left', bbox_to_anchor=(1, 1), frameon=False)
    axes.grid(alpha=0.3)


def _draw_counts(axes: 'Axes', bins: Mapping[float, Sequence[Bin]],
                 colours: Mapping[float, Any]) -> None:
    edges = np.linspace(0.0, 1.0, BINS + 1)
    for ratio, members in bins.items():
        counts = np.zeros(BINS)
        for each in members:
            counts[each.place] = each.n
        axes.stairs(counts, edges, color=colours[ratio])
    axes.set(xlabel='probability of the answer', ylabel='images')
    axes.grid(alpha=0.3)


def _draw_crossed(axes: 'Axes', rows: Sequence[Mapping[str, Any]]) -> None:
    ratios = list(dict.fromkeys(row['keep_ratio'] for row in rows))
    found: Dict[Any, float] = {(row['taught_keep_ratio'], row['keep_ratio']): row['top1']
                               for row in rows}
    table = np.array([[found[taught, asked] for asked in ratios] for taught in ratios])
    axes.imshow(table, cmap='viridis')
    limit = table.min() + DARK * (table.max() - table.min())
    for (taught, asked), value in np.ndenumerate(table):
        axes.text(asked, taught, f'{value:.1f}', ha='center', va='center', fontsize='small',
                  color='white' if value <= limit else 'black')
    names = [f'{ratio:g}' for ratio in ratios]
    axes.set_xticks(range(len(ratios)), names)
    axes.set_yticks(range(len(ratios)), names)
    axes.set(xlabel='asked at keep ratio', ylabel='taught at keep ratio',
             title='top-1 accuracy [%]')
