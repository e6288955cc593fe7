# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark overload`: three times more images than the node can answer at its floor.

The real node at one keep ratio, its floor, and a camera as processes of their own: calm (half as
many images as it can answer), overload (three times as many, and a deadline that it cannot hold),
calm again. What is published must stay fresh, memory flat, every image counted, and the
diagnostics must say ERROR and recover.
"""
import argparse
import time
from typing import Any, Dict, List, Sequence

import numpy as np
from rich import box
from rich.progress import Progress
from rich.table import Table

from ltp_ros.config import ClassifierConfig
from ltp_ros.frames.health import Severity
from ltp_ros.msg import FrameLatency
from ltp_ros.research.benchmarks import BenchmarkError
from ltp_ros.tools.benchmarks.session import (
    CAMERA,
    CLASSIFIER,
    Session,
    dropped,
    head_of,
    measure_and_tell,
    model_parameters,
    stamp_ns,
)
from ltp_ros.tools.support.flags import CLASSIFIER_FLAGS, common_flags, positive

NAME = 'overload'
PARENTS = [common_flags(CLASSIFIER_FLAGS)]
FACTORS = {'calm': 0.5, 'overload': 3.0, 'calm again': 0.5}  # times what the node can answer
CALM_DEADLINE, OVERLOAD_DEADLINE = 20.0, 0.5                 # times one inference
MEMORY_SAMPLES = 10
SETTLE_S = 2.0       # after a change of the rate, before anything counts
RECOVERY_S = 120.0   # the diagnostics forget a miss after 300 answers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command alone."""
    parser.add_argument('--seconds', type=positive, default=20.0, metavar='S',
                        help='how long each phase lasts')
    parser.add_argument('--floor', type=float, choices=ClassifierConfig.keep_ratios, default=1.0,
                        metavar='KEEP_RATIO', help='the only level that the node may use')


def measure(args: argparse.Namespace, bar: Progress) -> Dict[str, Any]:
    """Return the head of the JSON file with its `rows`, one a phase."""
    head = head_of(args, NAME)
    task = bar.add_task('starting', total=args.seconds * len(FACTORS) + SETTLE_S * len(FACTORS))
    names = ('keep_ratio', 'min_keep_ratio', 'max_keep_ratio')
    parameters = {**model_parameters(args), **dict.fromkeys(names, args.floor)}
    rows: List[Dict[str, Any]] = []
    with Session(parameters, lambda passed_s: bar.advance(task, passed_s)) as session:
        session.set(CAMERA, 'rate', 5.0)
        session.wait_for_answers(20)
        one_ms = float(np.median([message.total_ms for message in session.heard[-10:]]))
        for phase, factor in FACTORS.items():
            bar.update(task, description=phase)
            rate_hz = factor * 1e3 / one_ms
            deadline = OVERLOAD_DEADLINE if factor > 1 else CALM_DEADLINE
            session.set(CAMERA, 'rate', rate_hz)
            session.set(CLASSIFIER, 'deadline_ms', deadline * one_ms)
            session.let_time_pass(SETTLE_S)
            rows.append({'phase': phase, 'rate_hz': rate_hz, **observe(session, args.seconds)})
        started = time.monotonic()
        session.until(lambda: deadline_level(session) == Severity.OK, RECOVERY_S,
                      "diagnostics 'deadline' to be OK again")
        return {**head, **session.running, 'floor': args.floor, 'one_answer_ms': one_ms,
                'rows': rows, 'conserved': session.conserved,
                'seconds_until_ok': args.seconds + SETTLE_S + time.monotonic() - started}


def observe(session: Session, seconds: float) -> Dict[str, Any]:
    """Return what the node did meanwhile, as plain numbers."""
    num_reports, memory_mib = len(session.reports), []
    start_ns = end_ns = time.time_ns()
    for _ in range(MEMORY_SAMPLES):
        _, end_ns = session.let_time_pass(seconds / MEMORY_SAMPLES)
        memory_mib.append(session.memory_mib)
    session.wait_for_answer_after(end_ns)
    answers = [message for message in session.heard if start_ns <= stamp_ns(message) < end_ns]
    if len(answers) < 2:
        raise BenchmarkError(f'{len(answers)} answers in {seconds:g} s; give more --seconds')
    reports = [report['input'].values for report in session.reports[num_reports:]]
    # A sample by itself holds whatever the allocator has not given back yet
    early_mib, late_mib = (float(np.median(half)) for half in np.split(np.array(memory_mib), 2))
    gave_up = dropped(reports[-1]) - dropped(reports[0])
    received = int(reports[-1]['received']) - int(reports[0]['received'])
    return {
        'received_hz': float(np.median([float(values['rate (Hz)']) for values in reports])),
        **summary(answers), 'received': received, 'dropped': gave_up,
        'memory_mib': early_mib, 'memory_growth_mib': late_mib - early_mib,
        'deadline_level': Severity(deadline_level(session)).name}


def summary(answers: Sequence[FrameLatency]) -> Dict[str, Any]:
    """Return how old the answers were, and how many kept the bound of an overloaded node.

    The bound: two periods of the camera and the inference itself. The image was captured up to
    one period before it was taken, and the transport may hold it for another.
    """
    stamps_ns = sorted(map(stamp_ns, answers))
    images = len(answers) - 1 + sum(message.dropped_since_last for message in answers[1:])
    period_ms = (stamps_ns[-1] - stamps_ns[0]) / 1e6 / images
    ages = np.array([message.capture_to_publish_ms for message in answers])
    inference = np.array([message.inference_ms for message in answers])
    p50, p99 = np.percentile(ages, [50, 99])
    return {
        'n': len(answers), 'period_ms': period_ms, 'age_p50_ms': float(p50),
        'age_p99_ms': float(p99), 'age_max_ms': float(ages.max()),
        'inference_p50_ms': float(np.median(inference)),
        'bound_p50_ms': float(2 * period_ms + np.median(inference)),
        'within_bound': float(np.mean(ages <= 2 * period_ms + inference))}


def deadline_level(session: Session) -> int:
    """Return the severity of the newest diagnostics about the deadline."""
    return session.reports[-1]['deadline'].level


def make_table(result: Dict[str, Any]) -> Table:
    """Return the rows as a table of 80 characters."""
    table = Table(
        title='{model} on {device}, {backend} {precision}, keep ratio {floor:g}'.format(**result),
        caption='age: capture to publish, ms; bound: two periods and one inference\n'
        'every image accounted for: {conserved}; diagnostics OK again after '
        '{seconds_until_ok:.0f} s'.format(**result), box=box.SIMPLE_HEAD, padding=0)
    columns = {
        'phase': '{phase}', 'Hz': '{received_hz:.0f}', 'answers': '{n}', 'dropped': '{dropped}',
        'age p50': '{age_p50_ms:.1f}', 'p99': '{age_p99_ms:.1f}', 'bound': '{bound_p50_ms:.1f}',
        'within': '{within_percent:.1f} %', 'MiB': '{memory_mib:.0f}',
        'grew': '{memory_growth_mib:+.1f}', 'deadline': '{deadline_level}'}
    for heading in columns:
        table.add_column(heading, justify='left' if heading == 'phase' else 'right', no_wrap=True)
    for row in result['rows']:
        numbers = {**row, 'within_percent': 100 * row['within_bound']}
        table.add_row(*(text.format(**numbers) for text in columns.values()))
    return table


def run(args: argparse.Namespace, bar: Progress) -> None:
    """Run the command: print, and write what the flags name."""
    measure_and_tell(args, bar, measure, make_table)
