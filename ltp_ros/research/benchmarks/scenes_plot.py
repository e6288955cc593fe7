# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The plot of `ltp_benchmark scenes`: score over time, a panel a scene."""
from typing import TYPE_CHECKING, Any, Mapping, Sequence

from ltp_ros.research.ladder_search.words import LOOKS

if TYPE_CHECKING:
    from matplotlib.figure import Figure  # optional

MARKERS = {'': '*', 'zoomed': '*', 'smaller': 'o', 'dropped': 's', 'merged': '^', 'closer': 'D',
           'shaped': 'v'}
WHOLE = ''  # zoomed or not: the markers tell
COLUMNS = 3  # of panels, at most


def draw(figure: 'Figure', result: Mapping[str, Any]) -> None:
    """Draw score over time; filled: as the picture is, hollow: through the zoom.

    Args:
        figure: an empty matplotlib Figure.
        result: the JSON file.
    """
    scenes = list(dict.fromkeys(row['scene'] for row in result['rows']))
    columns = min(len(scenes), COLUMNS)
    panels = figure.subplots(-(-len(scenes) // columns), columns, squeeze=False)
    for axes in panels.flat[len(scenes):]:
        axes.set_axis_off()
    for axes, scene in zip(panels.flat, scenes):
        rows = [row for row in result['rows'] if row['scene'] == scene]
        _panel(axes, rows)
        axes.set_title(f'{scene}, {rows[0]["n"]} images', fontsize='medium')
    for axes in panels[:, 0]:
        axes.set_ylabel('top-1 [%]')
    for axes in panels[-1]:
        axes.set_xlabel('time, of unpruned torch float32')
    panels[0, 0].plot([], [], 'o', fillstyle='none', color='black', label='hollow: zoomed')
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='lower center', ncol=len(labels), fontsize='small')
    figure.tight_layout(rect=(0, 0.04 if len(panels) > 1 else 0.08, 1, 1))


def _panel(axes: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    for family, marker in MARKERS.items():
        label, colour = LOOKS[WHOLE if family == 'zoomed' else family]
        for zoom in (False, True):
            found = [row for row in rows if row['family'] == family and row['zoom'] == zoom]
            axes.plot([row['time_share'] for row in found], [row['score'] for row in found],
                      marker, markersize=5, color=colour, linestyle='',
                      fillstyle='none' if zoom else 'full',
                      label=f'{label}{", zoomed" if zoom else ""}' if found and (
                          label not in _labels(axes)) else None)
    ladder = [row for row in rows if row['on_ladder']]
    axes.plot([row['time_share'] for row in ladder], [row['score'] for row in ladder], '-',
              color='0.3', linewidth=1.2, zorder=0, label='the ladder')
    axes.set(xscale='log')
    axes.xaxis.set_major_formatter('{x:g}')
    axes.xaxis.set_minor_formatter('{x:g}')
    axes.tick_params(which='both', labelsize='small')
    axes.grid(alpha=0.3)


def _labels(axes: Any) -> Sequence[str]:
    return axes.get_legend_handles_labels()[1]
