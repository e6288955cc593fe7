# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The picture of `ltp_evaluate`: accuracy against work, time, alpha and score."""
from typing import Any, Dict, List

from ltp_ros.research.benchmarks.methods_plot import COLOURS

SCORE_STYLES = {'srb': '-', 'redundancy': '--', 'spatial': ':', 'random': '-.'}
COSTS = (('gmacs', 'GMACs of an image'), ('p50_ms', 'median time of an image [ms]'))


def draw(figure: Any, result: Dict[str, Any]) -> None:
    """Draw a panel for each cost that was measured, and one for alpha if it has several values.

    A line a method, score and alpha over the keep ratios, with 95 % intervals; the unpruned model
    is the point that all of them end in. Without labels the agreement is drawn.
    """
    rows = result['rows']
    value = 'top1' if rows[0]['top1'] is not None else 'agreement'
    title = {'top1': 'top-1 [%]', 'agreement': 'agreement with the unpruned model [%]'}[value]
    costs = [cost for cost in COSTS if all(row[cost[0]] is not None for row in rows)]
    alphas = sorted({row['alpha'] for row in rows if row['alpha'] is not None})
    panels = figure.subplots(1, len(costs) + (len(alphas) > 1), squeeze=False, sharey=True)[0]
    for (key, label), axes in zip(costs, panels):
        _draw_cost(axes, rows, key, value)
        axes.set(xlabel=label)
    if len(alphas) > 1:
        _draw_alphas(panels[-1], rows, value)
    for axes in panels:
        axes.grid(alpha=0.3)
        axes.legend(fontsize='small')
    panels[0].set(ylabel=title)
    figure.suptitle('{model} on {n} images'.format(**result))
    figure.tight_layout()


def _draw_cost(axes: Any, rows: List[Dict[str, Any]], key: str, value: str) -> None:
    unpruned = rows[0]
    lines: Dict[Any, List[Dict[str, Any]]] = {}
    for row in rows[1:]:
        lines.setdefault((row['method'], row['score'], row['alpha']), []).append(row)
    for (method, score, alpha), points in lines.items():
        points = sorted([unpruned, *points], key=lambda row: row['keep_ratio'])
        name = ' '.join(filter(None, (method, score if score != 'srb' else '')))
        several = len({other[2] for other in lines if other[:2] == (method, score)}) > 1
        _line(axes, points, key, value, color=COLOURS[method],
              linestyle=SCORE_STYLES.get(score, '-'),
              label=f'{name}, alpha {alpha:g}' if several else name)
    axes.plot(unpruned[key], unpruned[value], marker='*', markersize=12, linestyle='',
              color=COLOURS['none'], label='every token')


def _draw_alphas(axes: Any, rows: List[Dict[str, Any]], value: str) -> None:
    lines: Dict[float, List[Dict[str, Any]]] = {}
    for row in rows:
        if row['alpha'] is not None:
            lines.setdefault(row['keep_ratio'], []).append(row)
    for keep_ratio, points in lines.items():
        points = sorted(points, key=lambda row: row['alpha'])
        _line(axes, points, 'alpha', value, label=f'keep ratio {keep_ratio:g}')
    axes.set(xlabel='alpha: weight of the spatial term')


def _line(axes: Any, points: List[Dict[str, Any]], key: str, value: str, **style: Any) -> None:
    errors = [[abs(row[value] - row[f'{value}_{end}']) for row in points]
              for end in ('low', 'high')]
    axes.errorbar([row[key] for row in points], [row[value] for row in points], yerr=errors,
                  marker='o', markersize=3, elinewidth=0.6, **style)
