# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark deadline`: how well the tuner holds a deadline, against fixed keep ratios.

The real node and a camera (640x480, 30 Hz) run as processes of their own in four situations: a
steady one; another process takes a core for a while; the frame rate doubles; the deadline is
halved. The oracle is the best fixed keep ratio of each phase, known only afterwards.
"""
import argparse
import json
import math
import os
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple, Union

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ltp_ros.benchmarks.deadline import ORACLE, SITUATIONS, TUNED, Run, policy_name, rows
from ltp_ros.benchmarks.deadline_plot import draw
from ltp_ros.benchmarks.figures import PlotError, new_figure
from ltp_ros.classifier import ClassifierError, resolve_device, resolve_precision
from ltp_ros.config import ClassifierConfig, TunerConfig
from ltp_ros.tools.common_flags import MODEL_FLAGS, common_flags
from ltp_ros.tools.deadline_report import make_table, write_frames
from ltp_ros.tools.deadline_runner import RATE_HZ, BenchmarkError, Session
from ltp_ros.tools.output_files import check_writable
from ltp_ros.tools.processes import ProcessError, isolate
from ltp_ros.tools.provenance import provenance
from ltp_ros.vit import ModelError, model_name

NAME = 'deadline'
PARENTS = [common_flags()]
LADDER: Tuple[float, ...] = ClassifierConfig.keep_ratios
REFERENCE = 0.53       # the keep ratio whose latency makes the default deadline ...
DEADLINE_FACTOR = 1.5  # ... so many times


def parse_policy(text: str) -> Union[str, float]:
    """Parse 'tuned', or a keep ratio of the ladder."""
    try:
        if text == TUNED or float(text) in LADDER:
            return text if text == TUNED else float(text)
    except ValueError:
        pass  # not a number either
    levels = ', '.join(format(level, 'g') for level in LADDER)
    raise argparse.ArgumentTypeError(f'{text!r} is no policy; expected {TUNED!r} or a level of '
                                     f'the ladder: {levels}')


def parse_positive(text: str) -> float:
    """Parse a finite number above 0."""
    number = float(text)
    if not 0.0 < number < math.inf:
        raise argparse.ArgumentTypeError(f'{text} is not allowed; it must be above 0')
    return number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command alone."""
    add = parser.add_argument
    add('--deadline-ms', type=parse_positive, metavar='MS',
        help=f'from capture to publish; none: {DEADLINE_FACTOR:g} times the median latency at '
        f'keep ratio {REFERENCE:g}, measured first')
    add('--seconds', type=parse_positive, default=10.0, metavar='S',
        help='how long each phase of a situation lasts')
    add('--situations', nargs='+', choices=list(SITUATIONS), default=list(SITUATIONS),
        help='what to go through')
    add('--policies', nargs='+', type=parse_policy, metavar='POLICY',
        default=[TUNED, 1.0, REFERENCE], help="'tuned', or a keep ratio to be fixed at")
    add('--no-oracle', action='store_true',
        help='leave out the other levels of the ladder, which the oracle needs')
    add('--plot', metavar='FILE', help='draw latency, deadline and keep ratio over time')
    add('--frames', metavar='FILE', help='write every answer as a line of CSV')


def measure(args: argparse.Namespace, bar: Progress) -> Tuple[Dict[str, Any], List[Run]]:
    """Return the head of the JSON file with its `rows`, and the runs in their order."""
    device = resolve_device(args.device)
    precision = resolve_precision(args.precision, device)
    levels = fixed_levels(args.policies)
    others = [level for level in LADDER if level not in levels]
    # The tuner first, in a fresh process: see Session
    policies: List[Optional[float]] = [None] if TUNED in args.policies else []
    policies += levels + ([] if args.no_oracle else others)
    situations = {name: SITUATIONS[name] for name in dict.fromkeys(args.situations)}
    head = {
        'program': 'ltp_benchmark deadline', **provenance(device.type), 'precision': precision,
        'model': model_name(args.model, args.checkpoint), 'checkpoint': args.checkpoint,
        'cores': os.cpu_count(), 'load_at_start': os.getloadavg(),
        'started': time.strftime('%Y-%m-%dT%H:%M:%S%z'), 'rate_hz': RATE_HZ,
        'seconds_per_phase': args.seconds, 'target_miss_rate': TunerConfig.target_miss_rate,
        'keep_ratios': LADDER, 'order': [policy_name(policy) for policy in policies]}

    num_phases = sum(len(phases) for phases in situations.values()) * len(policies)
    task = bar.add_task('starting', total=args.seconds * (num_phases + (not args.deadline_ms)))
    parameters = {name: _absolute(getattr(args, name)) for name in MODEL_FLAGS}

    def session() -> Session:
        return Session(parameters, LADDER, args.seconds,
                       lambda passed_s: bar.advance(task, passed_s))

    deadline_ms = args.deadline_ms
    if not deadline_ms:
        with session() as running:
            bar.update(task, description=f'deadline: {policy_name(REFERENCE)}')
            run = running.run('deadline', SITUATIONS['steady'], REFERENCE, math.inf)
        deadline_ms = DEADLINE_FACTOR * float(np.median([frame.age_ms for frame in run.frames]))
    runs, conserved = [], True
    for situation, phases in situations.items():
        with session() as running:
            for policy in policies:
                bar.update(task, description=f'{situation}: {policy_name(policy)}')
                runs.append(running.run(situation, phases, policy, deadline_ms))
            conserved = conserved and running.conserved
    return {**head, 'deadline_ms': deadline_ms, 'conserved': conserved,
            'rows': rows(runs, LADDER, TunerConfig.target_miss_rate)}, runs


def fixed_levels(policies: List[Union[str, float]]) -> List[float]:
    """Return those policies that are keep ratios, each once."""
    return [policy for policy in dict.fromkeys(policies) if isinstance(policy, float)]


def _absolute(path: str) -> str:
    return os.path.abspath(path) if os.path.exists(path) else path


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    errors = Console(stderr=True)
    columns = (TextColumn('{task.description}'), BarColumn(), TimeRemainingColumn())
    shown = ([None] if TUNED in args.policies else []) + fixed_levels(args.policies)
    try:
        check_writable(args.json, args.plot, args.frames)
        figure = new_figure(args.plot, 12, 4.5 * len(args.situations)) if args.plot else None
        isolate()
        rclpy.init()
        with Progress(*columns, console=errors, disable=args.quiet) as bar:
            result, runs = measure(args, bar)
        Console().print(make_table(result, {ORACLE, *map(policy_name, shown)}))
        if args.json:
            Path(args.json).write_text(json.dumps(result, indent=2) + '\n', encoding='utf-8')
        if args.frames:
            write_frames(args.frames, runs)
        if figure:
            draw(figure, runs, shown)
            figure.savefig(args.plot)
    except (BenchmarkError, ClassifierError, ModelError, PlotError, ProcessError,
            OSError) as error:
        errors.print(f'ltp_benchmark {NAME}: {error}', soft_wrap=True, markup=False,
                     highlight=False)
        return 2
    except (KeyboardInterrupt, ExternalShutdownException):
        return 130
    finally:
        rclpy.try_shutdown()
    return 0
