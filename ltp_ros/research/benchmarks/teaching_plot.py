# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The plot of `ltp_benchmark teaching`: accuracy over the number of photos."""
from typing import TYPE_CHECKING, Any, Mapping, Sequence

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes  # optional
    from matplotlib.figure import Figure


def draw(figure: 'Figure', result: Mapping[str, Any]) -> None:
    """Draw a panel for each method, with a line for each level; the full head is dashed.

    Args:
        figure: an empty matplotlib Figure.
        result: the JSON of `ltp_benchmark teaching`.
    """
    rows = result['known']
    methods = list(dict.fromkeys(row['method'] for row in rows))
    panels = figure.subplots(1, len(methods), sharey=True, squeeze=False)[0]
    for axes, method in zip(panels, methods):
        _draw_method(axes, method, [row for row in rows if row['method'] == method])
    panels[0].set_ylabel('top-1 accuracy [%]')
    # Beside the axes, where it hides no line
    panels[-1].legend(fontsize='small', loc='upper left', bbox_to_anchor=(1, 1), frameon=False)
    figure.suptitle('{num_classes} classes taught to {model}: mean of {draws} draws'.format(
        num_classes=len(result['classes']), **result), fontsize='medium')
    figure.tight_layout()


def _draw_method(axes: 'Axes', method: str, rows: Sequence[Mapping[str, Any]]) -> None:
    from matplotlib import colormaps  # noqa: PLC0415
    ratios = sorted({row['keep_ratio'] for row in rows}, reverse=True)
    counts = sorted({row['count'] for row in rows})
    for ratio, colour in zip(ratios, colormaps['viridis'](np.linspace(0.0, 0.85, len(ratios)))):
        level = sorted((row for row in rows if row['keep_ratio'] == ratio),
                       key=lambda row: row['count'])
        axes.plot(counts, [row['top1'] for row in level], color=colour, marker='o', markersize=4,
                  linewidth=1.2, label=f'keep {ratio:g}')
        if ratio != ratios[0]:  # whose head is the full one
            axes.plot(counts, [row['top1_full_head'] for row in level], color=colour,
                      linestyle='--', linewidth=1.0)
    if len(ratios) > 1:  # an empty line, for the legend only
        axes.plot([], [], color='black', linestyle='--', linewidth=1.0,
                  label=f'taught at {ratios[0]:g} alone')
    axes.set(title=method, xlabel='photos a class', xscale='log')
    axes.set_xticks(counts)
    axes.set_xticklabels(list(map(str, counts)))
    axes.minorticks_off()
    axes.grid(alpha=0.3)
