# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The results folder: report.json for programs, report.md for people."""
import json
import math
import time
from pathlib import Path
from typing import Iterator, List, Mapping, Sequence

from ltp_ros.research.benchmarks.gpu.parts import Result


def write_report(folder: Path, head: Mapping[str, object], results: Sequence[Result]) -> None:
    """Write the results so far, each file atomically."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = [result.as_dict() for result in results]
    text = '\n'.join(markdown(head, results)) + '\n'
    for name, content in (('report.json', json.dumps({**head, 'parts': parts}, indent=1)),
                          ('report.md', text)):
        partial = folder / f'.{name}'
        partial.write_text(content, encoding='utf-8')
        partial.replace(folder / name)


def markdown(head: Mapping[str, object], results: Sequence[Result]) -> Iterator[str]:
    """Yield the lines of report.md."""
    yield f'# `{head.get("program", "ltp_benchmark gpu")}` on {head["hardware"]}'
    yield ''
    yield ', '.join(f'{name} {value}' for name, value in head.items()
                    if name not in ('program', 'hardware'))
    yield ''
    yield from table([{'part': result.name, 'title': result.title, 'result': result.status,
                       's': result.seconds, 'reason': result.reason.strip().splitlines()[-1]
                       if result.reason.strip() else ''} for result in results])
    for result in results:
        if not (result.checks or result.notes or result.tables or '\n' in result.reason):
            continue
        yield f'## {result.name}: {result.title}'
        yield ''
        for check in result.checks:
            yield (f'* {"yes" if check.holds else "**NO**"}: {check.sentence}'
                   + (f' ({check.found})' if check.found else ''))
        for note in result.notes:
            yield f'* {note}'
        if result.checks or result.notes:
            yield ''
        if '\n' in result.reason:
            yield from ('```', result.reason.strip(), '```', '')
        for name, rows in result.tables.items():
            yield f'### {name}'
            yield ''
            yield from table(rows)


def table(rows: Sequence[Mapping[str, object]]) -> Iterator[str]:
    """Yield the lines of a markdown table; rows may lack columns."""
    columns: List[str] = list(dict.fromkeys(name for row in rows for name in row))
    yield '| ' + ' | '.join(columns) + ' |'
    yield '|---' * len(columns) + '|'
    for row in rows:
        yield '| ' + ' | '.join(shown(row.get(name)) for name in columns) + ' |'
    yield ''


def shown(value: object) -> str:
    """Return a value as a cell: floats with three digits, None and NaN as an empty cell."""
    if value is None or isinstance(value, float) and math.isnan(value):
        return ''
    if isinstance(value, float):
        return f'{value:.0f}' if abs(value) >= 1000 else f'{value:.3g}'
    return str(value).replace('|', '\\|').replace('\n', ' ')


def now() -> str:
    """Return date and time, for the head of the report."""
    return time.strftime('%Y-%m-%dT%H:%M:%S%z')
