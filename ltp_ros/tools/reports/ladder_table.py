# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The table of `ltp_profile IMAGES`: the levels that were found, beside the unpruned model."""
from typing import Mapping, Optional, Tuple

from rich import box
from rich.table import Table
from rich.text import Text

from ltp_ros.files import plain
from ltp_ros.research.ladder_search.found import Found
from ltp_ros.research.ladder_search.words import described, key_of
from ltp_ros.tuner.ladder_file import Level, Worth


def make_table(found: Found, about: Mapping[str, object]) -> Table:
    """Return the levels of the ladder; above them the unpruned model, if it is not among them."""
    reference = found.reference
    machine = found.ladder.machine
    table = Table(
        box=box.SIMPLE_HEAD, title=Text(plain(
            f'{reference.model} on {about["number"]} images'
            + (f', {machine.hardware}' if machine else ''))),
        caption=f'score: {about["metric"]}, with its 95 % interval.\n'
        f'{len(found.finalists) + len(found.dropped)} levels were tried, '
        f'{len(found.finalists)} on all images; the scores\nare of the images that the levels '
        'were chosen by, and so a little high')
    for heading, side in (('work', 'right'), ('level', 'left'), ('runs in', 'left'),
                          ('p50 ms', 'right'), ('p99 ms', 'right'), ('score %', 'right')):
        table.add_column(heading, justify=side)  # type: ignore[arg-type]
    levels = {key_of(level) for level in found.levels}
    if key_of(reference) not in levels:
        table.add_row('-', *_cells(reference, reference), style='dim')
    for level in found.levels:
        table.add_row(f'{level.work:g}', *_cells(level, reference))
    return table


def _cells(level: Level, reference: Level) -> Tuple[str, ...]:
    worth: Optional[Worth] = level.worth
    return (described(level, reference), f'{level.backend} {level.precision}',
            f'{level.p50_ms:.1f}', f'{level.p99_ms:.1f}',
            f'{worth.score:.1f} ({worth.low:.0f}-{worth.high:.0f})' if worth else '')
