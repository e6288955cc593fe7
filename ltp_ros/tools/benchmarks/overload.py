# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark overload`: send three times more images than the node can answer at its floor.

The real node, limited to one keep ratio, its floor, and a camera run as separate processes: calm
(half as many images as the node can answer), overload (three times as many, under a deadline that
it cannot meet), calm again. The answers must stay fresh, the memory flat, every image accounted
for, and the diagnostics must report ERROR and recover.
"""
import argparse
import time
from typing import Dict, List, Mapping, Sequence, Tuple, TypedDict

import numpy as np
from rich import box
from rich.progress import Progress
from rich.table import Table

from ltp_ros.config import ClassifierConfig
from ltp_ros.frames.status import Severity
from ltp_ros.msg import FrameLatency
from ltp_ros.research.benchmarks import BenchmarkError
from ltp_ros.tools.benchmarks.session import (
    CAMERA,
    CLASSIFIER,
    Session,
    dropped,
    head_of,
    measure_and_report,
    model_parameters,
    stamp_ns,
)
from ltp_ros.tools.support.flags import CLASSIFIER_FLAGS, common_flags, positive

NAME = 'overload'
PARENTS = [common_flags(CLASSIFIER_FLAGS)]
FACTORS = {'calm': 0.5, 'overload': 3.0, 'calm again': 0.5}  # of the rate the node can answer
CALM_DEADLINE, OVERLOAD_DEADLINE = 20.0, 0.5                 # in inferences
MEMORY_SAMPLES = 10
SETTLE_S = 2.0       # from a change of the rate to the measurement
RECOVERY_S = 120.0   # the diagnostics forget a miss after 300 answers


class Summary(TypedDict):
    """The answers of one phase."""

    n: int
    period_ms: float
    age_p50_ms: float
    age_p99_ms: float
    age_max_ms: float
    inference_p50_ms: float
    bound_p50_ms: float
    within_bound: float


class Observation(Summary):
    """The behaviour of the node in one phase."""

    received_hz: float
    received: int
    dropped: int
    memory_mib: float
    memory_growth_mib: float
    deadline_level: str


class PhaseRow(Observation):
    """One phase."""

    phase: str
    rate_hz: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags specific to this command."""
    parser.add_argument('--seconds', type=positive, default=20.0, metavar='S',
                        help='duration of each phase')
    parser.add_argument('--floor', type=float, choices=ClassifierConfig.keep_ratios, default=1.0,
                        metavar='KEEP_RATIO', help='the only level the node may use')


def measure(args: argparse.Namespace,
            bar: Progress) -> Tuple[Dict[str, object], List[PhaseRow]]:
    """Run all phases; return the head of the JSON file, and its rows, one per phase."""
    head = head_of(args, NAME)
    task = bar.add_task('starting', total=args.seconds * len(FACTORS) + SETTLE_S * len(FACTORS))
    names = ('keep_ratio', 'min_keep_ratio', 'max_keep_ratio')
    parameters = {**model_parameters(args), **dict.fromkeys(names, args.floor)}
    rows: List[PhaseRow] = []
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
                'conserved': session.conserved,
                'seconds_until_ok': args.seconds + SETTLE_S + time.monotonic() - started}, rows


def observe(session: Session, seconds: float) -> Observation:
    """Observe the node for this many seconds."""
    num_reports, memory_mib = len(session.reports), []
    start_ns = end_ns = time.time_ns()
    for _ in range(MEMORY_SAMPLES):
        _, end_ns = session.let_time_pass(seconds / MEMORY_SAMPLES)
        memory_mib.append(session.memory_mib)
    session.wait_for_answer_after(end_ns)
    answers = [message for message in session.heard if start_ns <= stamp_ns(message) < end_ns]
    if len(answers) < 2:
        raise BenchmarkError(f'{len(answers)} answers in {seconds:g} s; increase --seconds')
    levels = [report['deadline'].level for report in session.reports[num_reports:]]
    reports = [report['input'].values for report in session.reports[num_reports:]]
    # Medians, since a single sample includes memory that the allocator has yet to return
    early_mib, late_mib = (float(np.median(half)) for half in np.split(np.array(memory_mib), 2))
    num_dropped = dropped(reports[-1]) - dropped(reports[0])
    received = int(reports[-1]['received']) - int(reports[0]['received'])
    return {
        'received_hz': float(np.median([float(values['rate (Hz)']) for values in reports])),
        **summary(answers), 'received': received, 'dropped': num_dropped,
        'memory_mib': early_mib, 'memory_growth_mib': late_mib - early_mib,
        'deadline_level': Severity(max(levels)).name}


def summary(answers: Sequence[FrameLatency]) -> Summary:
    """Return the ages of the answers, and the share within the bound of an overloaded node.

    The bound is two periods of the camera plus the inference: the image was captured up to one
    period before the node took it, and the transport may hold it for another.
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
    """Return the severity of the newest 'deadline' diagnostics."""
    return session.reports[-1]['deadline'].level


def make_table(head: Mapping[str, object], rows: Sequence[PhaseRow]) -> Table:
    """Return the rows as a table of 80 characters."""
    table = Table(
        title='{model} on {device}, {backend} {precision}, '.format(**head) +
        f'keep ratio {head["floor"]:g}',
        caption='age: capture to publish, ms; bound: two periods plus one inference\n'
        f'every image accounted for: {head["conserved"]}; diagnostics OK again after '
        f'{head["seconds_until_ok"]:.0f} s', box=box.SIMPLE_HEAD, padding=0)
    columns = {
        'phase': '{phase}', 'Hz': '{received_hz:.0f}', 'answers': '{n}', 'dropped': '{dropped}',
        'age p50': '{age_p50_ms:.1f}', 'p99': '{age_p99_ms:.1f}', 'bound': '{bound_p50_ms:.1f}',
        'within': '{within_percent:.1f} %', 'MiB': '{memory_mib:.0f}',
        'grew': '{memory_growth_mib:+.1f}', 'deadline': '{deadline_level}'}
    for heading in columns:
        table.add_column(heading, justify='left' if heading == 'phase' else 'right', no_wrap=True)
    for row in rows:
        numbers: Dict[str, object] = {**row, 'within_percent': 100 * row['within_bound']}
        table.add_row(*(text.format(**numbers) for text in columns.values()))
    return table


def run(args: argparse.Namespace, bar: Progress) -> None:
    """Run the command: print the table and write the files given by the flags."""
    measure_and_report(args, bar, measure, make_table)
