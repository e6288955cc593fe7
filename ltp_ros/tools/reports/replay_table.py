# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The report of `ltp_replay`."""
from pathlib import Path
from typing import Dict, Iterator, List, Sequence

from rich.markup import escape
from rich.table import Table

from ltp_ros.files import some_of
from ltp_ros.tools.support.replay_job import Done
from ltp_ros.tools.support.replay_processes import Failed, Result

SHOWN = 10  # labels


def label_table(done: Done) -> Table:
    """Return the labels of a bag as a table."""
    summary = done.summary
    table = Table()
    table.add_column('label')
    for heading in ('images', 'share'):
        table.add_column(heading, justify='right')
    rows = list(summary.labels.items())
    if len(rows) > SHOWN:
        others = sum(count for _, count in rows[SHOWN:])
        rows = [*rows[:SHOWN], (f'{len(rows) - SHOWN} others', others)]
    for label, count in rows:
        table.add_row(escape(label), str(count), f'{count / max(summary.answered, 1):.1%}')
    return table


def lines(done: Done) -> Iterator[str]:
    """Yield what else there is to tell about a bag, in sentences."""
    job, summary = done.job, done.summary
    yield f'{Path(job.bag).name}: {summary.answered} of {summary.images} images answered'
    if summary.answered:
        what = 'latency' if job.real_time else 'work on an image'
        in_time = (f', {summary.met:.1%} within {job.config.tuner.deadline_ms:g} ms'
                   if job.config.tuner.deadline_ms else '')
        yield f'{what}: p50 {summary.p50_ms:.1f} ms, p99 {summary.p99_ms:.1f} ms{in_time}'
    if summary.dropped:
        yield 'dropped: ' + ', '.join(f'{count} {reason}'
                                      for reason, count in summary.dropped.items())
    if summary.unreadable:
        names = [f'{each["image"]} ({each["why"]})' for each in summary.unreadable]
        yield f'not decoded: {some_of(names)}; all are in {job.output}.replay.json'
    if done.earlier:
        yield f'{job.output} was there already, of the same bag and settings'
    elif done.computed:
        speed = done.computed / done.seconds
        times = done.duration_s / done.seconds * done.computed / max(summary.images, 1)
        yield (f'{done.computed} images in {done.seconds:.1f} s: {speed:.1f} a second, '
               f'{times:.1f} times as fast as they were recorded')


def bag_table(results: Sequence[Result]) -> Table:
    """Return a row for each bag that has an output."""
    table = Table()
    for heading in ('bag', 'images', 'answered', 'most frequent', 'p50 ms', 'p99 ms', 'dropped'):
        table.add_column(heading, justify='left' if heading in ('bag', 'most frequent') else
                         'right')
    for result in results:
        if isinstance(result, Done):
            summary = result.summary
            table.add_row(
                escape(Path(result.job.output).name), str(summary.images), str(summary.answered),
                escape(next(iter(summary.labels), '')), f'{summary.p50_ms:.1f}',
                f'{summary.p99_ms:.1f}', ', '.join(
                    f'{count} {reason}' for reason, count in summary.dropped.items()))
    return table


def failures(results: Sequence[Result]) -> List[str]:
    """Return a line for each bag without an output."""
    return [f'{result.job.bag}: {result.reason}' for result in results
            if isinstance(result, Failed)]


def as_row(result: Result) -> Dict[str, object]:
    """Return a result for the JSON file."""
    row: Dict[str, object] = {'bag': result.job.bag, 'output': result.job.output}
    if isinstance(result, Failed):
        return {**row, 'error': result.reason}
    return {**row, 'duration_s': result.duration_s, 'computed': result.computed,
            'seconds': result.seconds, **vars(result.summary)}
