# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Outcomes as tables: CSV, or Parquet where pyarrow is installed. One row for each image."""
import csv
import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Dict, Iterable, Iterator, List, Tuple

from ltp_ros.research.datasets import DatasetError
from ltp_ros.research.replay.outcome import Outcome

if TYPE_CHECKING:
    import pyarrow  # optional

ANSWERED = 'answered'
ROWS = 10_000  # of a group in a Parquet file
# Name -> type in words of pyarrow. Numbers are as they were computed: scores are float32 in the
# message, and every float32 is a float64
COLUMNS: Dict[str, str] = {
    'record_ns': 'int64', 'stamp_sec': 'int64', 'stamp_nanosec': 'int64', 'frame_id': 'string',
    'image_topic': 'string', 'outcome': 'string', 'label': 'string', 'score': 'float64',
    'model': 'string', 'labels': 'strings', 'class_ids': 'integers', 'scores': 'numbers',
    'keep_ratio': 'float64', 'tokens_kept': 'int64', 'tokens_total': 'int64',
    'unknown': 'float64', 'known': 'bool', 'region_x': 'int64', 'region_y': 'int64',
    'region_width': 'int64', 'region_height': 'int64', 'picture_faults': 'int64',
    'detail': 'string'}
# As in FrameLatency.msg; times that were measured, so no two runs have the same
TIMED: Tuple[str, ...] = ('age_at_receive_ms', 'queue_ms', 'decode_ms', 'inference_ms',
                          'publish_ms', 'total_ms', 'deadline_met', 'decision')
TIMED_TYPES = {name: 'bool' if name == 'deadline_met' else 'int64' if name == 'decision' else
               'float64' for name in TIMED}
Row = Dict[str, object]


def row_of(outcome: Outcome, timed: bool) -> Row:
    """Return an outcome by column; None where there is nothing to tell.

    Args:
        outcome: of an image.
        timed: with the columns of TIMED.
    """
    header, answer, latency = outcome.header, outcome.answer, outcome.latency
    row: Row = dict.fromkeys((*COLUMNS, *(TIMED if timed else ())))
    row.update(record_ns=outcome.record_ns, image_topic=outcome.topic,
               outcome=outcome.reason or ANSWERED, detail=outcome.detail)
    if header:
        row.update(stamp_sec=header.sec, stamp_nanosec=header.nanosec, frame_id=header.frame_id)
    if answer:
        region = answer.region
        row.update({name: getattr(answer, name) for name in (
            'model', 'keep_ratio', 'tokens_kept', 'tokens_total', 'unknown', 'known',
            'picture_faults')})
        row.update({name: list(getattr(answer, name))
                    for name in ('labels', 'class_ids', 'scores')})
        row.update(region_x=region.left, region_y=region.top, region_width=region.width,
                   region_height=region.height)
        if answer.labels:
            row.update(label=answer.labels[0], score=answer.scores[0])
    if timed and latency:
        row.update({name: getattr(latency, name) for name in TIMED})
    return row


def write_csv(outcomes: Iterable[Outcome], path: Path, timed: bool) -> None:
    """Write outcomes as CSV; lists are JSON, and what there is not is empty."""
    with path.open('w', encoding='utf-8', newline='') as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, *(TIMED if timed else ())])
        for outcome in outcomes:
            writer.writerow([_cell(value) for value in row_of(outcome, timed).values()])


def _cell(value: object) -> object:
    if isinstance(value, list):
        return json.dumps(value)
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, float) else value  # NaN is not "nothing to tell"


def check_pyarrow() -> None:
    """Raise DatasetError if pyarrow is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401, PLC0415  optional
    except ImportError as error:
        raise DatasetError('a Parquet file needs pyarrow: pip install pyarrow; or name an '
                           '--output that ends in .csv') from error


def write_parquet(outcomes: Iterable[Outcome], path: Path, timed: bool) -> None:
    """Write outcomes as Parquet; what there is not is null."""
    import pyarrow  # noqa: PLC0415  optional
    from pyarrow.parquet import ParquetWriter  # noqa: PLC0415
    types = {**COLUMNS, **(TIMED_TYPES if timed else {})}
    schema = pyarrow.schema([(name, _type(kind)) for name, kind in types.items()])
    with ParquetWriter(str(path), schema) as writer:
        for rows in _groups(row_of(outcome, timed) for outcome in outcomes):
            writer.write_table(pyarrow.Table.from_pylist(rows, schema=schema))


def _type(kind: str) -> 'pyarrow.DataType':
    import pyarrow  # noqa: PLC0415
    lists = {'strings': 'string', 'integers': 'int64', 'numbers': 'float64'}
    if kind in lists:
        return pyarrow.list_(_type(lists[kind]))
    return {'string': pyarrow.string(), 'int64': pyarrow.int64(), 'float64': pyarrow.float64(),
            'bool': pyarrow.bool_()}[kind]


def _groups(rows: Iterable[Row]) -> Iterator[List[Row]]:
    rows = iter(rows)
    yield from iter(lambda: list(islice(rows, ROWS)), [])
