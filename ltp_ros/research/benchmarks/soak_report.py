# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What `ltp_benchmark soak` writes: the checks on the terminal, report.md for people, and JSON."""
from typing import Dict, Iterator, List, Mapping, Sequence

import numpy as np
from rich import box
from rich.table import Table

from ltp_ros.research.benchmarks.gpu.report import table
from ltp_ros.research.benchmarks.soak import Check, Phase, Record

OUTCOMES = {True: 'yes', False: 'NO', None: 'not judged'}
FAULTS_SHOWN = 20


def make_table(head: Mapping[str, object], found: Sequence[Check]) -> Table:
    """Return the checks as a table."""
    result = Table(title='{model} on {device}, {backend} {precision}'.format(**head),
                   box=box.SIMPLE_HEAD, padding=0)
    for heading in ('', 'holds', 'found'):
        result.add_column(heading)
    for check in found:
        result.add_row(check.sentence, OUTCOMES[check.holds], check.found)
    return result


def as_dict(record: Record, found: Sequence[Check]) -> Dict[str, object]:
    """Return a record for JSON."""
    return {'checks': [check._asdict() for check in found], 'phases': phase_rows(record),
            'num_reports': record.num_reports, 'compared': record.compared,
            'largest_difference': record.largest_difference,
            'wrong': record.wrong[:FAULTS_SHOWN], 'lost': record.lost[:FAULTS_SHOWN],
            'ended': record.ended,
            'samples': [{'time_s': sample.time_s, 'stage': sample.stage,
                         **sample.usage._asdict()} for sample in record.samples]}


def markdown(head: Mapping[str, object], record: Record, found: Sequence[Check],
             plot: str) -> Iterator[str]:
    """Yield the lines of report.md.

    Args:
        head: of the JSON file.
        record: of the run.
        found: its checks.
        plot: the name of the picture beside it; '' if there is none.
    """
    yield f'# `ltp_benchmark soak` on {head["hardware"]}'
    yield ''
    yield ', '.join(f'{name} {value}' for name, value in head.items()
                    if name not in ('program', 'hardware') and value != '')
    yield ''
    yield from table([{'': check.sentence, 'holds': OUTCOMES[check.holds],
                       'found': check.found} for check in found])
    if '\n' in record.ended:  # with the last lines of a log
        yield from ('```', record.ended, '```', '')
    if plot:
        yield from (f'![Memory, threads, latency and images over time]({plot})', '')
    for title, faults in (('Reports that do not account for every image', record.lost),
                          ('Wrong answers', record.wrong)):
        if faults:
            yield from (f'## {title}', '', *(f'* {fault}' for fault in faults[:FAULTS_SHOWN]), '')
    yield from ('## Phases', '', 'Images by the reports nearest to the beginning and the end; '
                'ages from capture to publish, where the stamp is usable.', '')
    yield from table(phase_rows(record))


def phase_rows(record: Record) -> List[Dict[str, object]]:
    """Return a row for each phase."""
    return [_phase_row(phase) for phase in record.phases]


def _phase_row(phase: Phase) -> Dict[str, object]:
    dropped = {reason: number for reason, number in phase.counts.dropped.items() if number}
    failed = dropped.pop('failed', 0)
    p50_ms, p99_ms = (np.percentile(phase.ages_ms, (50, 99)).tolist() if phase.ages_ms
                      else (None, None))
    return {'stage': phase.step.stage, 'cameras': phase.step.load, 'event': phase.step.event,
            'start_s': round(phase.start_s, 1), 'seconds': round(phase.end_s - phase.start_s, 1),
            'received': phase.counts.received, 'published': phase.counts.published,
            'dropped': ', '.join(f'{number} {reason}' for reason, number in dropped.items()),
            'failed': failed, 'age p50, ms': p50_ms, 'p99': p99_ms,
            'answers again after, s': round(phase.again_s, 2)}
