# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The picture of `ltp_benchmark methods`, in the manner of the paper's Figs. 5, 6 and 7."""
import itertools
from typing import Any, Dict, List

from ltp_ros.research.benchmarks.methods import SAME_RATIO

COLOURS = {'none': '0.5', 'ltp': 'tab:blue', 'mixed': 'tab:red', 'papr': 'tab:orange',
           'tome': 'tab:green'}
PANELS = (('p50_ms', 'latency of the batch [ms]'), ('prune_ms', 'pruning step alone [ms]'),
          ('peak_mib', 'peak memory [MiB]'))


def draw(figure: Any, result: Dict[str, Any]) -> None:
    """Draw latency, pruning step and memory of each method over the batch size.

    A colour for each method, a line style for each backend and number format. Bars where there is
    one batch size.
    """
    rows = [row for row in result['rows'] if row['setting'] == SAME_RATIO]
    runs = list(dict.fromkeys((row['backend'], row['precision']) for row in rows))
    styles = dict(zip(runs, itertools.cycle(('-', '--', ':', '-.'))))
    batches = sorted({row['batch'] for row in rows})
    for axes, (key, title) in zip(figure.subplots(1, len(PANELS)), PANELS):
        axes.set(title=title)
        known = [row for row in rows if row[key] is not None]
        if len(batches) == 1:
            _draw_bars(axes, known, key)
            continue
        lines: Dict[Any, List[Any]] = {}
        for row in known:
            run = row['backend'], row['precision']
            lines.setdefault((row['method'], row['keep_ratio'], run), []).append(
                (row['batch'], row[key]))
        for (method, _, run), points in lines.items():
            axes.plot(*zip(*points), marker='o', markersize=3, color=COLOURS[method],
                      linestyle=styles[run])
        axes.set(xlabel='batch', xscale='log', yscale='log')
        axes.set_xticks(batches)
        axes.set_xticklabels(list(map(str, batches)))
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    figure.suptitle(f'{result["model"]} on {result["hardware"]}')
    figure.tight_layout()
    if len(batches) > 1:
        _explain(figure, list(dict.fromkeys(row['method'] for row in rows)), styles)


def _explain(figure: Any, methods: List[str], styles: Dict[Any, str]) -> None:
    axes = figure.axes[0]  # lines without points: for the legend alone
    handles = [axes.plot([], [], color=COLOURS[method], label=method)[0] for method in methods]
    handles += [axes.plot([], [], color='black', linestyle=style, label=' '.join(run))[0]
                for run, style in styles.items()]
    figure.subplots_adjust(bottom=0.2)
    figure.legend(handles=handles, loc='lower center', ncol=len(handles), frameon=False,
                  fontsize='small')


def _draw_bars(axes: Any, rows: List[Dict[str, Any]], key: str) -> None:
    names = [f'{row["backend"]} {row["precision"]}, {row["method"]}' for row in rows]
    axes.barh(names, [row[key] for row in rows], color=[COLOURS[row['method']] for row in rows])
    axes.invert_yaxis()
    axes.tick_params(labelsize='small')
    axes.grid(axis='x', alpha=0.3)
