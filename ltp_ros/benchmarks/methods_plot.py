# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The picture of `ltp_benchmark methods`, in the manner of the paper's Figs. 5, 6 and 7."""
import itertools
from typing import Any, Dict, List

from ltp_ros.benchmarks.methods import SAME_RATIO

COLOURS = {'none': '0.5', 'ltp': 'tab:blue', 'mixed': 'tab:red', 'papr': 'tab:orange',
           'tome': 'tab:green'}
PANELS = (('p50_ms', 'latency of the batch [ms]'), ('prune_ms', 'pruning step alone [ms]'),
          ('peak_mib', 'peak memory of the forward pass [MiB]'))


def draw(figure: Any, result: Dict[str, Any]) -> None:
    """Draw latency, pruning step and memory of each method over the batch size.

    A line for each backend and number format: full for the first, then dashed and dotted. Bars
    where there is one batch size.
    """
    rows = [row for row in result['rows'] if row['setting'] == SAME_RATIO]
    runs = list(dict.fromkeys((row['backend'], row['precision']) for row in rows))
    styles = dict(zip(runs, itertools.cycle(('-', '--', ':', '-.'))))
    single = len({row['batch'] for row in rows}) == 1
    for axes, (key, title) in zip(figure.subplots(1, len(PANELS)), PANELS):
        axes.set(title=title)
        if single:
            _draw_bars(axes, [row for row in rows if row[key] is not None], key)
            continue
        lines: Dict[Any, List[Any]] = {}
        for row in rows:
            if row[key] is not None:
                run = row['backend'], row['precision']
                lines.setdefault((row['method'], row['keep_ratio'], run), []).append(
                    (row['batch'], row[key]))
        for (method, _, run), points in lines.items():
            axes.plot(*zip(*points), marker='o', markersize=3, color=COLOURS[method],
                      linestyle=styles[run], label=f'{method}, {" ".join(run)}')
        axes.set(xlabel='batch')
        axes.set_xscale('log', base=2)
        axes.set_yscale('log')
        axes.grid(alpha=0.3)
        axes.legend(fontsize='x-small')
    figure.suptitle(f'{result["model"]} on {result["hardware"]}')
    figure.tight_layout()


def _draw_bars(axes: Any, rows: List[Dict[str, Any]], key: str) -> None:
    names = [f'{row["backend"]} {row["precision"]}, {row["method"]}' for row in rows]
    axes.barh(names, [row[key] for row in rows], color=[COLOURS[row['method']] for row in rows])
    axes.invert_yaxis()
    axes.tick_params(labelsize='small')
    axes.grid(axis='x', alpha=0.3)
