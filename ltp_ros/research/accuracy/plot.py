# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The plot of `ltp_evaluate`: accuracy over GMACs, time and alpha."""
import itertools
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ltp_ros.research.accuracy.sample import counted
from ltp_ros.research.benchmarks.methods_plot import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes  # optional
    from matplotlib.figure import Figure
    from matplotlib.text import Text

SCORE_STYLES = {'srb': '-', 'redundancy': '--', 'spatial': ':', 'random': '-.'}
ZOOM_STYLE = '--'
MARKERS = 'osDv^P'  # of the lines of one method
LABEL_OFFSET = (5, -9)  # points, to the lower right of the marker: accuracy rises to the right


class Point(NamedTuple):
    """One variant as drawn: its accuracy or agreement in percent, with the 95 % interval."""

    method: str
    score: Optional[str]
    alpha: Optional[float]
    zoom: bool
    keep_ratio: float
    gmacs: float
    p50_ms: Optional[float]
    value: float
    low: float
    high: float


def draw(figure: 'Figure', result: Mapping[str, Any]) -> None:
    """Draw a panel for GMACs, one for the time if measured, and one for alpha if it varies.

    One line per method, score and alpha over the keep ratios, with 95 % intervals; each ends in
    the unpruned model. What is seen through the zoom is dashed, with hollow markers, and is not
    drawn over time and alpha. Without labels the agreement is drawn instead of top-1.

    Args:
        figure: an empty matplotlib Figure.
        result: the JSON of `ltp_evaluate`.
    """
    rows = result['rows']
    measure, ylabel = (('top1', 'top-1 accuracy [%]') if rows[0]['top1'] is not None else
                       ('agreement', 'agreement with the unpruned model [%]'))
    points = [Point(row['method'], row['score'], row['alpha'], row['zoom'], row['keep_ratio'],
                    row['gmacs'], row['p50_ms'], row[measure], row[f'{measure}_low'],
                    row[f'{measure}_high']) for row in rows]
    times_ms = {point: point.p50_ms for point in points if point.p50_ms is not None}
    costs = [('GMACs per image', {point: point.gmacs for point in points})]
    if times_ms:
        costs.append(('median time per image [ms]\n{backend} {precision}, {hardware}'.format(
            **result), times_ms))
    several_alphas = len({point.alpha for point in points} - {None}) > 1
    panels = figure.subplots(1, len(costs) + several_alphas, squeeze=False, sharey=True)[0]
    labels = [_draw_cost(axes, cost, xlabel) for axes, (xlabel, cost) in zip(panels, costs)]
    if several_alphas:
        _draw_alphas(panels[-1], [point for point in points if not point.zoom])
    for axes in panels:
        axes.grid(alpha=0.3)
    panels[0].set(ylabel=ylabel)
    figure.suptitle(f'{result["model"]} on {counted(result)}' +
                    '\nbars: 95 % Wilson intervals; numbers at the markers: keep ratio',
                    fontsize='medium')
    figure.tight_layout()
    for axes, of_lines in zip(panels, labels):
        _hide_crowded(axes, of_lines)


def _draw_cost(axes: 'Axes', cost: Mapping[Point, float], xlabel: str) -> 'List[List[Text]]':
    """Draw a line for each method, score, alpha and zoom; return the labels of its markers."""
    unpruned = {point.zoom: point for point in cost if point.method == 'none'}
    lines: Dict[Tuple[str, Optional[str], Optional[float], bool], List[Point]] = {}
    for point in cost:
        if point.method != 'none':
            lines.setdefault(point[:4], []).append(point)
    markers = {(method, zoom): itertools.cycle(MARKERS) for method, _, _, zoom in lines}
    labels: List[List[Text]] = []
    for (method, score, alpha, zoom), members in lines.items():
        name = ' '.join(filter(None, (method, score if score != 'srb' else '')))
        several = len({other[2] for other in lines if other[:2] == (method, score)}) > 1
        line = sorted([unpruned[zoom], *members], key=lambda point: point.keep_ratio)
        _line(axes, [cost[point] for point in line], line,
              (f'{name}, alpha {alpha:g}' if several else name) + ' + zoom' * zoom,
              COLOURS[method], ZOOM_STYLE if zoom else SCORE_STYLES.get(score or '', '-'),
              next(markers[method, zoom]), 'none' if zoom else 'full')
        labels.append([axes.annotate(f'{point.keep_ratio:g}', (cost[point], point.value),
                                     xytext=LABEL_OFFSET, textcoords='offset points',
                                     fontsize='x-small', color=COLOURS[method])
                       for point in members])
    for zoom, point in unpruned.items():
        axes.plot(cost[point], point.value, marker='*', markersize=12, linestyle='',
                  color=COLOURS['none'], fillstyle='none' if zoom else 'full',
                  label='unpruned' + ' + zoom' * zoom)
    axes.set(xlabel=xlabel)
    axes.legend(fontsize='small')
    return labels


def _draw_alphas(axes: 'Axes', points: Sequence[Point]) -> None:
    lines: Dict[float, List[Tuple[float, Point]]] = {}
    for point in points:
        if point.alpha is not None:
            lines.setdefault(point.keep_ratio, []).append((point.alpha, point))
    for keep_ratio, members in lines.items():
        alphas, line = zip(*sorted(members, key=lambda member: member[0]))
        _line(axes, alphas, line, f'keep ratio {keep_ratio:g}')
    axes.set(xlabel='alpha: weight of the spatial term')
    axes.legend(fontsize='small', loc='center left', bbox_to_anchor=(1, 0.5))


def _line(axes: 'Axes', x: Sequence[float], points: Sequence[Point], label: str,
          colour: Optional[str] = None, linestyle: str = '-', marker: str = 'o',
          fillstyle: str = 'full') -> None:
    errors = [[abs(point.value - point.low) for point in points],
              [abs(point.high - point.value) for point in points]]
    axes.errorbar(x, [point.value for point in points], yerr=errors, label=label, color=colour,
                  linestyle=linestyle, marker=marker, markersize=3.5, elinewidth=0.6,
                  fillstyle=fillstyle)


def _hide_crowded(axes: 'Axes', labels: 'Sequence[Sequence[Text]]') -> None:
    """Hide labels that cover a line or another label, except those of the clearest line."""
    paths = [line.get_path().transformed(line.get_transform()) for line in axes.get_lines()]

    def covers_a_line(label: 'Text') -> bool:
        return any(path.intersects_bbox(label.get_window_extent(), filled=False)
                   for path in paths)

    by_clarity = sorted(labels, key=lambda texts: sum(map(covers_a_line, texts)))
    taken = [label.get_window_extent() for label in itertools.chain(*by_clarity[:1])]
    for label in itertools.chain(*by_clarity[1:]):
        box = label.get_window_extent()
        if covers_a_line(label) or any(box.overlaps(other) for other in taken):
            label.set_visible(False)
        else:
            taken.append(box)
