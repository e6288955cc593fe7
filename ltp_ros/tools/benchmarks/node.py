# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark node`: measure the latency of an answer stage by stage, transport included.

The real node, at one keep ratio at a time, and a camera (640x480) run as separate processes over
DDS. 'beside inference' is receive to publish minus inference: the overhead of the node itself.
"""
import argparse
from typing import Dict, List, Mapping, Sequence, Tuple, TypedDict

import numpy as np
from rich import box
from rich.progress import Progress
from rich.table import Table

from ltp_ros.config import ClassifierConfig
from ltp_ros.msg import FrameLatency
from ltp_ros.research.benchmarks import BenchmarkError
from ltp_ros.tools.benchmarks.session import (
    CAMERA,
    CLASSIFIER,
    RATE_HZ,
    Session,
    head_of,
    measure_and_report,
    model_parameters,
    stamp_ns,
)
from ltp_ros.tools.support.flags import CLASSIFIER_FLAGS, common_flags, positive

NAME = 'node'
PARENTS = [common_flags(CLASSIFIER_FLAGS)]
SETTLE_FRAMES = 50
STAGES = {  # fields of FrameLatency -> names in the table
    'age_at_receive': 'camera to node', 'queue': 'waiting', 'decode': 'decode',
    'inference': 'inference', 'publish': 'publish', 'total': 'receive to publish',
    'capture_to_publish': 'camera to answer'}


class StageRow(TypedDict):
    """One stage at one keep ratio."""

    keep_ratio: float
    stage: str
    n: int           # answers
    superseded: int  # images dropped in favour of newer ones
    lost: int        # images lost in transport
    p50_ms: float
    p95_ms: float
    p99_ms: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags specific to this command."""
    add = parser.add_argument
    add('--keep-ratios', nargs='+', type=float, choices=ClassifierConfig.keep_ratios,
        default=[0.53], metavar='RATIO', help='levels of the ladder, one run each')
    add('--rate', type=positive, default=RATE_HZ, metavar='HZ', help='frame rate of the camera')
    add('--seconds', type=positive, default=20.0, metavar='S', help='duration of each run')


def measure(args: argparse.Namespace,
            bar: Progress) -> Tuple[Dict[str, object], List[StageRow]]:
    """Return the head of the JSON file, and its rows, one for each keep ratio and stage."""
    head = {**head_of(args, NAME), 'rate_hz': args.rate, 'seconds': args.seconds}
    task = bar.add_task('starting', total=args.seconds * len(args.keep_ratios))
    rows: List[StageRow] = []
    with Session(model_parameters(args), lambda passed_s: bar.advance(task, passed_s)) as session:
        session.set(CAMERA, 'rate', args.rate)
        for keep_ratio in args.keep_ratios:
            bar.update(task, description=f'keep ratio {keep_ratio:g}')
            session.set(CLASSIFIER, 'keep_ratio', keep_ratio)
            session.wait_for_answers(SETTLE_FRAMES)
            start_ns, end_ns = session.let_time_pass(args.seconds)
            session.wait_for_answer_after(end_ns)
            answers = [message for message in session.heard
                       if start_ns <= stamp_ns(message) < end_ns]
            if len(answers) < 2:
                raise BenchmarkError(f'{len(answers)} answers in {args.seconds:g} s; increase '
                                     '--seconds')
            rows += stage_rows(answers, keep_ratio, args.rate * (end_ns - start_ns) / 1e9)
        return {**head, **session.running, 'conserved': session.conserved}, rows


def stage_rows(answers: Sequence[FrameLatency], keep_ratio: float,
               num_sent: float) -> List[StageRow]:
    """Return the percentiles of every stage, given the answers to `num_sent` camera images."""
    times = {name: np.array([getattr(message, f'{name}_ms') for message in answers])
             for name in STAGES}
    superseded = int(sum(message.dropped_since_last for message in answers))
    lost = max(round(num_sent) - len(answers) - superseded, 0)
    stages = {**{label: times[name] for name, label in STAGES.items()},
              'beside inference': times['total'] - times['inference']}
    rows: List[StageRow] = []
    for label, stage in stages.items():
        p50_ms, p95_ms, p99_ms = map(float, np.percentile(stage, [50, 95, 99]))
        rows.append({'keep_ratio': keep_ratio, 'stage': label, 'n': len(answers),
                     'superseded': superseded, 'lost': lost, 'p50_ms': p50_ms, 'p95_ms': p95_ms,
                     'p99_ms': p99_ms})
    return rows


def make_table(head: Mapping[str, object], rows: Sequence[StageRow]) -> Table:
    """Return the rows as a table of 80 characters."""
    table = Table(
        title='{model} on {device}, {backend} {precision}, '.format(**head) +
        f'640x480 at {head["rate_hz"]:g} Hz',
        caption='in milliseconds; superseded: dropped for newer images; lost: in transport',
        box=box.SIMPLE_HEAD, padding=0)
    for heading in ('keep', 'stage', 'p50', 'p95', 'p99', 'answers', 'superseded', 'lost'):
        table.add_column(heading, justify='left' if heading == 'stage' else 'right', no_wrap=True)
    for row in rows:
        table.add_row(
            f'{row["keep_ratio"]:g}', row['stage'], f'{row["p50_ms"]:.2f}', f'{row["p95_ms"]:.2f}',
            f'{row["p99_ms"]:.2f}', str(row['n']), str(row['superseded']), str(row['lost']),
            end_section=row['stage'] == 'beside inference')
    return table


def run(args: argparse.Namespace, bar: Progress) -> None:
    """Run the command: print the table and write the files given by the flags."""
    measure_and_report(args, bar, measure, make_table)
