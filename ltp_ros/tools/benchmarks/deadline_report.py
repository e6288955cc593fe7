# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Reports of `ltp_benchmark deadline`: the table, and every answer as CSV."""
import csv
import dataclasses
from typing import Any, Collection, Dict, Mapping, Sequence

from rich import box
from rich.table import Table

from ltp_ros.research.benchmarks.deadline import FrameRow, Run

LEFT = ('situation', 'policy')
COLUMNS = {  # 79 characters, to fit a terminal or log of 80
    'situation': '{where}', 'policy': '{policy}', 'missed': '{missed:.1f} %',
    'on time': '{on_time}', 'keep': '{mean_keep_ratio:.3f}', 'moves': '{level_changes}',
    'right in': '{right_in}', 'age p99': '{age_p99_ms:.1f}', 'dropped': '{dropped}'}


def make_table(head: Mapping[str, object], rows: Sequence[Mapping[str, Any]],
               policies: Collection[str]) -> Table:
    """Return the rows of some policies as a table.

    Args:
        head: head of the JSON file.
        rows: one for each situation, phase and policy.
        policies: names of the policies to show.
    """
    table = Table(
        title='{model} on {device}, {backend} {precision}, '.format(**head) +
        f'deadline {head["deadline_ms"]:.1f} ms',
        caption='on time: share of all images answered in time and as unpruned; age: capture to '
        'publish, ms; right in: answers (s) until near the oracle',
        box=box.SIMPLE_HEAD, padding=0)
    for heading in COLUMNS:
        table.add_column(heading, justify='left' if heading in LEFT else 'right', no_wrap=True)
    shown = [row for row in rows if row['policy'] in policies]
    for row, following in zip(shown, [*shown[1:], None]):
        numbers: Dict[str, object] = {
            **row, 'missed': 100.0 * row['miss_rate'],
            'on_time': '' if row['on_time_agreement'] is None else
            f'{row["on_time_agreement"]:.1f}',
            'where': ' '.join(dict.fromkeys((row['situation'], row['phase']))),
            'right_in': '' if row['frames_to_right_level'] is None else
            f'{row["frames_to_right_level"]} ({row["seconds_to_right_level"]:.1f})'}
        table.add_row(*(text.format(**numbers) for text in COLUMNS.values()),
                      end_section=following is not None and
                      following['situation'] != row['situation'])
    return table


def write_frames(path: str, runs: Sequence[Run]) -> None:
    """Write every answer of every run as CSV."""
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(['situation', 'policy',
                         *(field.name for field in dataclasses.fields(FrameRow))])
        for run in runs:
            writer.writerows([run.situation, run.policy, *dataclasses.astuple(frame)]
                             for frame in run.frames)
