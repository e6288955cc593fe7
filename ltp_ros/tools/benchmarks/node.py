# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark node`: where the time of an answer goes, stage by stage, with the transport.

The real node at one keep ratio and a camera (640x480) as processes of their own, DDS between
them. 'beside inference' is receive to publish less the inference: what the node itself costs.
"""
import argparse
from typing import Any, Dict, List, Sequence

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
    measure_and_tell,
    model_parameters,
    stamp_ns,
)
from ltp_ros.tools.support.flags import CLASSIFIER_FLAGS, common_flags, positive

NAME = 'node'
PARENTS = [common_flags(CLASSIFIER_FLAGS)]
SETTLE_FRAMES = 50
STAGES = {  # of FrameLatency, and what they are for a reader
    'age_at_receive': 'camera to node', 'queue': 'waiting', 'decode': 'decode',
    'inference': 'inference', 'publish': 'publish', 'total': 'receive to publish',
    'capture_to_publish': 'camera to answer'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command alone."""
    add = parser.add_argument
    add('--keep-ratios', nargs='+', type=float, choices=ClassifierConfig.keep_ratios,
        default=[0.53], metavar='RATIO', help='of the ladder, one run each')
    add('--rate', type=positive, default=RATE_HZ, metavar='HZ', help='images of the camera')
    add('--seconds', type=positive, default=20.0, metavar='S', help='how long each run lasts')


def measure(args: argparse.Namespace, bar: Progress) -> Dict[str, Any]:
    """Return the head of the JSON file with its `rows`, one for each keep ratio and stage."""
    head = {**head_of(args, NAME), 'rate_hz': args.rate, 'seconds': args.seconds}
    task = bar.add_task('starting', total=args.seconds * len(args.keep_ratios))
    rows: List[Dict[str, Any]] = []
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
                raise BenchmarkError(f'{len(answers)} answers in {args.seconds:g} s; give more '
                                     '--seconds')
            rows += stage_rows(answers, keep_ratio, args.rate * (end_ns - start_ns) / 1e9)
        return {**head, **session.running, 'conserved': session.conserved, 'rows': rows}


def stage_rows(answers: Sequence[FrameLatency], keep_ratio: float,
               num_sent: float) -> List[Dict[str, Any]]:
    """Return percentiles of every stage, of `num_sent` images that the camera took."""
    times = {name: np.array([getattr(message, f'{name}_ms') for message in answers])
             for name in STAGES}
    superseded = int(sum(message.dropped_since_last for message in answers))
    counts = {'n': len(answers), 'superseded': superseded,
              'lost': max(round(num_sent) - len(answers) - superseded, 0)}
    stages = {**{label: times[name] for name, label in STAGES.items()},
              'beside inference': times['total'] - times['inference']}
    return [{'keep_ratio': keep_ratio, 'stage': label, **counts, **dict(zip(
        ('p50_ms', 'p95_ms', 'p99_ms'), map(float, np.percentile(stage, [50, 95, 99]))))}
        for label, stage in stages.items()]


def make_table(result: Dict[str, Any]) -> Table:
    """Return the rows as a table of 80 characters."""
    table = Table(
        title='{model} on {device}, {backend} {precision}, 640x480 at {rate_hz:g} Hz'.format(
            **result), caption='milliseconds; lost: by the transport', box=box.SIMPLE_HEAD,
        padding=0)
    for heading in ('keep', 'stage', 'p50', 'p95', 'p99', 'answers', 'superseded', 'lost'):
        table.add_column(heading, justify='left' if heading == 'stage' else 'right', no_wrap=True)
    for row in result['rows']:
        table.add_row(f'{row["keep_ratio"]:g}', row['stage'], *(
            f'{row[name]:.2f}' for name in ('p50_ms', 'p95_ms', 'p99_ms')), *(
            str(row[name]) for name in ('n', 'superseded', 'lost')),
            end_section=row['stage'] == 'beside inference')
    return table


def run(args: argparse.Namespace, bar: Progress) -> None:
    """Run the command: print, and write what the flags name."""
    measure_and_tell(args, bar, measure, make_table)
