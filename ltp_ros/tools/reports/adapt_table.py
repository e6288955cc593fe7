# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The report of `ltp_adapt`."""
from typing import Mapping, Sequence

from rich.table import Table


def make_table(head: Mapping[str, object], rows: Sequence[Mapping[str, object]]) -> Table:
    """Return the gain at each level as a table."""
    table = Table(title='{method} on {n} images of {on}'.format(**head),
                  caption='in percent, gains with 95 % intervals; agreement: with the original '
                  'model, every token at its own size')
    keys = [key for key in ('top1', 'agreement') if f'{key}_gain' in rows[0]]
    table.add_column('keep ratio', justify='right')
    for key in keys:
        for heading in ('before', 'after', 'gain'):
            table.add_column(f'{key} {heading}', justify='right')
    for row in rows:
        cells = [f'{row["keep_ratio"]:g}']
        for key in keys:
            cells += [f'{row[f"{key}_before"]:.1f}', f'{row[f"{key}_after"]:.1f}',
                      '{:+.1f} {:+.1f}…{:+.1f}'.format(
                          *(row[f'{key}_gain{end}'] for end in ('', '_low', '_high')))]
        table.add_row(*cells)
    return table
