# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The plot of `ltp_benchmark methods`, after Figs. 5, 6 and 7 of the LTP-ViT paper."""
import itertools
from typing import (
    TYPE_CHECKING,
    Any,
    Dict,
    Iterable,
    List,
    Literal,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    TypedDict,
)

from ltp_ros.research.benchmarks.methods import SAME_RATIO

if TYPE_CHECKING:
    from matplotlib.axes import Axes  # optional
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D


class Look(NamedTuple):
    """How the lines of a method are drawn; the line style shows backend and precision."""

    marker: str
    size: float = 4.0
    width: float = 1.5
    alpha: float = 1.0


class Row(TypedDict):
    """The keys of a row of `ltp_benchmark methods` that are drawn."""

    method: str
    setting: str
    batch: int
    backend: str
    precision: str
    keep_ratio: float
    p50_ms: float
    prune_ms: Optional[float]
    peak_mib: Optional[float]


Measure = Literal['p50_ms', 'prune_ms', 'peak_mib']

COLOURS = {'none': '0.5', 'ltp': 'tab:blue', 'mixed': 'tab:red', 'papr': 'tab:orange',
           'tome': 'tab:green'}
# In drawing order. LTP and mixed cost nearly the same: a thin line on a broad, pale one shows both
LOOKS = {'none': Look('x', size=6.0, width=3.0, alpha=0.6), 'papr': Look('^'), 'tome': Look('v'),
         'mixed': Look('s', size=7.0, width=4.5, alpha=0.4), 'ltp': Look('o', size=3.0)}
LINE_STYLES = ('-', '--', ':', '-.')
PANELS: Tuple[Tuple[Measure, str], ...] = (
    ('p50_ms', 'latency per batch [ms]'), ('prune_ms', 'pruning step alone [ms]'),
    ('peak_mib', 'peak memory [MiB]'))


def draw(figure: 'Figure', result: Mapping[str, Any]) -> None:
    """Draw latency, pruning step and memory of each method over the batch size.

    Colour, marker and width stand for the method, the line style for backend and precision. A
    single batch size is drawn as bars.

    Args:
        figure: an empty matplotlib Figure.
        result: the JSON of `ltp_benchmark methods`.
    """
    rows: List[Row] = [row for row in result['rows'] if row['setting'] == SAME_RATIO]
    runs = dict.fromkeys(f'{row["backend"]} {row["precision"]}' for row in rows)
    styles = dict(zip(runs, itertools.cycle(LINE_STYLES)))
    batches = sorted({row['batch'] for row in rows})
    for axes, (measure, title) in zip(figure.subplots(1, len(PANELS)), PANELS):
        axes.set(title=title)
        if len(batches) == 1:
            _draw_bars(axes, rows, measure)
        else:
            _draw_lines(axes, rows, measure, styles, batches)
    ratios = sorted({row['keep_ratio'] for row in rows if row['method'] != 'none'}, reverse=True)
    figure.suptitle('{model} on {hardware}'.format(**result) + (
        f', keep ratio {", ".join(format(ratio, ".2g") for ratio in ratios)}' if ratios else ''))
    figure.tight_layout()
    if len(batches) > 1:
        _add_legend(figure, dict.fromkeys(row['method'] for row in rows), styles)


def _draw_lines(axes: 'Axes', rows: Sequence[Row], measure: Measure, styles: Mapping[str, str],
                batches: Sequence[int]) -> None:
    lines: Dict[Tuple[str, float, str], List[Tuple[int, float]]] = {}
    for row in rows:
        value = row[measure]
        if value is not None:
            run = f'{row["backend"]} {row["precision"]}'
            lines.setdefault((row['method'], row['keep_ratio'], run), []).append(
                (row['batch'], value))
    for (method, _, run), points in lines.items():
        _plot(axes, sorted(points), method, styles[run])
    axes.set(xlabel='batch size', xscale='log', yscale='log')
    axes.set_xticks(batches)
    axes.set_xticklabels(list(map(str, batches)))
    axes.minorticks_off()
    axes.grid(alpha=0.3)


def _plot(axes: 'Axes', points: Sequence[Tuple[float, float]], method: str,
          linestyle: str = '-') -> 'Line2D':
    look = LOOKS[method]
    x, y = zip(*points) if points else ((), ())
    return axes.plot(x, y, color=COLOURS[method], linestyle=linestyle, marker=look.marker,
                     markersize=look.size, linewidth=look.width, alpha=look.alpha,
                     zorder=2.0 + 0.1 * list(LOOKS).index(method),
                     label='none (unpruned)' if method == 'none' else method)[0]


def _add_legend(figure: 'Figure', methods: Iterable[str], styles: Mapping[str, str]) -> None:
    axes = figure.axes[0]  # empty lines, for the legend only
    handles = [_plot(axes, [], method) for method in methods]
    handles += [axes.plot([], [], color='black', linestyle=style, label=run)[0]
                for run, style in styles.items()]
    figure.subplots_adjust(bottom=0.2)
    figure.legend(handles=handles, loc='lower center', ncol=len(handles), frameon=False,
                  fontsize='small')


def _draw_bars(axes: 'Axes', rows: Sequence[Row], measure: Measure) -> None:
    values = [(row, row[measure]) for row in rows]
    known = [(row, value) for row, value in values if value is not None]
    axes.barh([f'{row["backend"]} {row["precision"]}, {row["method"]}' for row, _ in known],
              [value for _, value in known], color=[COLOURS[row['method']] for row, _ in known])
    axes.invert_yaxis()
    axes.tick_params(labelsize='small')
    axes.grid(axis='x', alpha=0.3)
