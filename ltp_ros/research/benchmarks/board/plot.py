# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The plot of a board's ladders: time over the keep ratio, a panel for each way to run it."""
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Sequence, Tuple

from ltp_ros.research.benchmarks.board.paper import PUBLISHED
from ltp_ros.research.benchmarks.methods import NO_REDUCTION
from ltp_ros.research.benchmarks.methods_plot import COLOURS, LOOKS

if TYPE_CHECKING:
    from matplotlib.axes import Axes  # optional
    from matplotlib.figure import Figure

PAPER_RATIO = 0.53  # LTP's at 2.34 GMACs
Row = Mapping[str, Any]


def draw_ladders(figure: 'Figure', head: Mapping[str, Any], rows: Sequence[Row],
                 paper: bool) -> None:
    """Draw p50 (thick) and p99 (thin) of every level, and the unpruned model as a broken line.

    Args:
        figure: an empty matplotlib Figure.
        head: of the report.
        rows: of its part 'ladder'.
        paper: whether the paper's times belong to this model: stars, of a Xavier NX.
    """
    runs: Dict[Tuple[str, str], List[Row]] = {}
    for row in rows:
        runs.setdefault((row['backend'], row['precision']), []).append(row)
    panels = figure.subplots(1, max(len(runs), 1), squeeze=False, sharey=True)[0]
    for axes, ((backend, precision), of_run) in zip(panels, runs.items()):
        _draw_run(axes, of_run)
        if paper:
            for method, published_ms in PUBLISHED['p50_ms', 1].items():
                axes.plot([PAPER_RATIO], [published_ms], '*', color=COLOURS[method],
                          markerfacecolor='none', markersize=10)
        axes.set(title=f'{backend} {precision}', xlabel='keep ratio', yscale='log')
        axes.grid(alpha=0.3)
    panels[0].set(ylabel="ms, camera's bytes to classes")
    panels[0].legend(fontsize='small', frameon=False)
    figure.suptitle(
        f'{head["model"]} on {head["hardware"]} ({head["power mode"] or "power mode unknown"})'
        + ('; stars: figures of the LTP-ViT paper, of a Xavier NX, not measured here'
           if paper else ''), fontsize='medium')
    figure.tight_layout()


def _draw_run(axes: 'Axes', rows: Sequence[Row]) -> None:
    for method in dict.fromkeys(row['method'] for row in rows):
        levels = sorted((row['keep_ratio'], row['p50_ms'], row['p99_ms']) for row in rows
                        if row['method'] == method)
        if method == NO_REDUCTION:
            axes.axhline(levels[0][1], color=COLOURS[method], linestyle='--',
                         label='none (unpruned)')
            continue
        ratios, medians, tails = zip(*levels)
        look = LOOKS[method]
        axes.plot(ratios, medians, color=COLOURS[method], marker=look.marker,
                  markersize=look.size, linewidth=look.width, alpha=look.alpha, label=method)
        axes.plot(ratios, tails, color=COLOURS[method], linewidth=0.5, linestyle=':')
