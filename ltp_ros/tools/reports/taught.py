# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The tables of `ltp_evaluate --classes`."""
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from rich import box
from rich.table import Table
from rich.text import Text

from ltp_ros.files import plain
from ltp_ros.research.accuracy.taught import KNOWN_ACCEPTED, own_level

WIDTH = 70  # of titles and captions, in characters


def make_tables(result: Mapping[str, Any]) -> List[Table]:
    """Return the levels as a table, and the heads at other levels as one if there are several.

    Args:
        result: the JSON file.
    """
    tables = [_levels(result)]
    ratios = list(dict.fromkeys(row['keep_ratio'] for row in result['rows']))
    if len(ratios) > 1:
        tables.append(_crossed(result['rows'], ratios))
    return tables


def _levels(result: Mapping[str, Any]) -> Table:
    columns = {'keep': 'keep_ratio', 'top-1': 'top1', 'ece': 'ece'}
    caption = 'in percent; ece: how far the probabilities are from the accuracy'
    if result['n_unknown']:
        columns.update({'auroc': 'auroc', 'fpr95': 'fpr95', 'auroc\nsoftmax': 'auroc_softmax',
                        'fpr95\nsoftmax': 'fpr95_softmax'})
        caption += (f'\nauroc: how well {result["n_unknown"]} unknown images are told from known '
                    f'ones;\nfpr95: unknown ones accepted where {100 * KNOWN_ACCEPTED:g} % of the '
                    'known are;\nsoftmax: by 1 minus the probability of the best class')
    table = Table(title=Text(plain('{num_classes} classes taught to {model}, on {n} images, '
                                   '{precision}'.format(**result))), caption=caption,
                  box=box.SIMPLE_HEAD, min_width=WIDTH)
    for heading in columns:
        table.add_column(heading, justify='right', no_wrap=True)
    for row in own_level(result['rows']):
        cells = [format(row[key], 'g' if key == 'keep_ratio' else '.1f')
                 for key in columns.values()]
        cells[1] += ' ({top1_low:.1f} {top1_high:.1f})'.format(**row)
        table.add_row(*cells)
    return table


def _crossed(rows: Sequence[Mapping[str, Any]], ratios: Sequence[float]) -> Table:
    found: Dict[Tuple[float, float], float] = {
        (row['taught_keep_ratio'], row['keep_ratio']): row['top1'] for row in rows}
    table = Table(title='top-1 of a head that is asked at another level', box=box.SIMPLE_HEAD,
                  min_width=WIDTH, caption='down: taught at this keep ratio; across: asked at it')
    for heading in ('', *map('{:g}'.format, ratios)):
        table.add_column(heading, justify='right', no_wrap=True)
    for taught in ratios:
        table.add_row(f'{taught:g}', *(f'{found[taught, asked]:.1f}' for asked in ratios))
    return table
