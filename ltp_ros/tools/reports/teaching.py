# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The report of `ltp_teach`: how well the classes are told apart, and what stands in the way."""
import math
from typing import Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from rich.table import Table
from rich.text import Text

from ltp_ros.files import plain
from ltp_ros.research.accuracy.confusion import OFTEN, confusions, judged
from ltp_ros.teaching.classes import Classes

SHOWN = 3  # pictures of each pair of classes

Names = Mapping[Tuple[str, bytes], str]  # of pictures, by label and row at the highest level


class ClassRow(NamedTuple):
    """One class that was taught."""

    label: str
    pictures: int
    judged: int                            # of them, left out in turn
    accuracy: Dict[str, Optional[float]]   # in percent, by keep ratio; None: of one picture
    confused_with: str                     # at the highest level; '': with none
    taken_for: Dict[str, float]            # there, in percent, by class
    in_the_way: Dict[str, List[str]]       # there, by the class that pictures are taken for


def rows_of(classes: Classes, names: Names) -> List[ClassRow]:
    """Return a row for each class.

    Args:
        classes: settled; at least one.
        names: of the pictures of this run.
    """
    top = max(classes.heads)
    head, examples, counts = classes.heads[top], classes.levels[top], classes.counts
    rows = []
    for label in classes.labels:
        found = confusions(head, examples, label)
        often = {}
        for confusion in found:
            if confusion.share > OFTEN:
                known = (names.get((label, row.tobytes())) for row in confusion.rows)
                often[confusion.taken_for] = [name for name in known if name][:SHOWN]
        shares = {ratio: each.own_accuracy(label)[0] for ratio, each in classes.heads.items()}
        rows.append(ClassRow(
            label, counts[label], judged(head, label),
            {f'{ratio:g}': None if math.isnan(share) else 100.0 * share
             for ratio, share in shares.items()},
            head.own_accuracy(label)[1],
            {confusion.taken_for: 100.0 * confusion.share for confusion in found}, often))
    return rows


def make_table(model: str, classes: Classes, rows: List[ClassRow]) -> Table:
    """Return the classes as a table, with the accuracy at the highest and the lowest level."""
    shown = [f'{ratio:g}' for ratio in sorted({max(classes.heads), min(classes.heads)},
                                              reverse=True)]
    caption = 'keep …: pictures named right at this keep ratio when each is left out, in percent'
    if any(1 < row.judged < row.pictures for row in rows):
        caption += f'\n(of at most {max(row.judged for row in rows)} pictures a class)'
    table = Table(title=Text(plain(f'Classes taught to {model}')), caption=caption)
    table.add_column('class')
    table.add_column('pictures', justify='right')
    for ratio in shown:
        table.add_column(f'keep {ratio}', justify='right')
    table.add_column('mostly taken for')
    for row in rows:
        accuracies = (row.accuracy[ratio] for ratio in shown)
        table.add_row(Text(plain(row.label)), str(row.pictures),
                      *('n/a' if share is None else f'{share:.1f}' for share in accuracies),
                      Text(plain(row.confused_with)))
    return table


def sentences(rows: List[ClassRow]) -> Iterator[str]:
    """Yield a sentence for each pair of classes that are confused often."""
    for row in rows:
        for other, names in row.in_the_way.items():
            which = f'; look at {", ".join(map(plain, names))}' if names else ''
            yield (f'{plain(row.label)} is taken for {plain(other)} in '
                   f'{row.taken_for[other]:.0f} % of its pictures{which}')
