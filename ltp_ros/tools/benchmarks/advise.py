# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark deadline --advise`: what else than fewer tokens saves time here, measured."""
import argparse
import os
import time
from typing import Dict, List, NamedTuple, Optional

import numpy as np
import torch
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ltp_ros.classifier import Classifier, ClassifierError
from ltp_ros.config import ClassifierConfig, TunerConfig
from ltp_ros.frames.advice import smaller_input
from ltp_ros.model.card import ModelError
from ltp_ros.parameter import ConfigError
from ltp_ros.research.benchmarks import BenchmarkError
from ltp_ros.research.benchmarks.runners import interleave
from ltp_ros.tools.benchmarks.methods import DEFAULT_PAIRS
from ltp_ros.tools.benchmarks.session import head_of, model_parameters
from ltp_ros.tools.support.device import select_device
from ltp_ros.tools.support.frame_sources import SAMPLES, panned_samples
from ltp_ros.tools.support.output_files import write_json

BUDGET_S = 120.0
FEWEST_ROUNDS, MOST_ROUNDS = 5, 1000
FLOOR = TunerConfig.min_keep_ratio
NOW = 'as it is'
Changes = Dict[str, object]


class Way(NamedTuple):
    """A way to run the model."""

    name: str  # the parameters that differ from those in use
    classifier: Classifier
    num_threads: int


def candidates(classifier: Classifier, device: str) -> List[Changes]:
    """Return the parameters to try, a set each; what is in use comes first."""
    config, cores = classifier.config, len(os.sched_getaffinity(0))
    found: List[Changes] = [{}]
    for pair in DEFAULT_PAIRS[device]:
        backend, precision = pair.split(':')
        if (backend, precision) != (classifier.backend.name, classifier.precision):
            found.append({'backend': backend, 'precision': precision})
    used = config.num_threads or cores
    if device == 'cpu':
        found += [{'num_threads': count} for count in sorted({1, max(cores - 1, 1), cores})
                  if count != used]
    return [*found, {'input_size': smaller_input(classifier)}]


def make(args: argparse.Namespace, changes: Changes, left_out: List[str]) -> Optional[Way]:
    """Return a way to run the model; None if it is not available, which is noted."""
    name = ' '.join(f'{key}:={value}' for key, value in changes.items()) or NOW
    threads = int(str(changes.get('num_threads', args.num_threads))) or len(
        os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    try:
        classifier = Classifier(ClassifierConfig(**{  # type: ignore[arg-type]
            **model_parameters(args), 'keep_ratios': (1.0, FLOOR), **changes}))
        classifier.warm_up()
    except (ClassifierError, ConfigError, ModelError) as error:
        if not changes:
            raise
        left_out.append(f'{name} is left out: {error}')
        return None
    return Way(name, classifier, threads)


def measure(args: argparse.Namespace, bar: Progress) -> Dict[str, object]:
    """Time every way at all tokens and at the floor, in turns; return rows and remarks."""
    end = time.monotonic() + BUDGET_S
    left_out: List[str] = []
    device = select_device(args.device).type
    now = make(args, {}, left_out)
    assert now is not None  # else an error was raised
    wanted = candidates(now.classifier, device)[1:]
    task = bar.add_task('preparing', total=len(wanted))
    ways = [now]
    for changes in wanted:
        way = make(args, changes, left_out)
        ways += [way] if way else []
        bar.advance(task)
    _, rgb = next(panned_samples(SAMPLES))

    def run(way: Way, keep_ratio: float) -> None:
        torch.set_num_threads(way.num_threads)
        way.classifier.classify(rgb, keep_ratio)

    runs = [(way, keep_ratio) for way in ways for keep_ratio in (1.0, FLOOR)]
    bar.update(task, description='timing in turns', total=BUDGET_S, completed=0)
    times_ms = interleave(
        [lambda one=one: run(*one) for one in runs], MOST_ROUNDS,  # type: ignore[misc]
        warm_up=1, seconds=max(end - time.monotonic(), 0.0), fewest=FEWEST_ROUNDS,
        progress=lambda: bar.update(task, completed=BUDGET_S - max(end - time.monotonic(), 0.0)))
    medians = [float(np.median(found)) for found in times_ms]
    rows = [{'change': way.name, 'unpruned_ms': medians[2 * index],
             'floor_ms': medians[2 * index + 1],
             'floor_p99_ms': float(np.percentile(times_ms[2 * index + 1], 99)),
             'of_now': medians[2 * index] / medians[0]} for index, way in enumerate(ways)]
    return {'rows': sorted(rows, key=lambda row: float(str(row['of_now']))), 'notes': left_out,
            'rounds': len(times_ms[0])}


def make_table(found: Dict[str, object]) -> Table:
    """Return the ways, the fastest first."""
    table = Table(box=box.SIMPLE_HEAD, caption=f'{found["rounds"]} rounds in turns; of now: the '
                  'unpruned time against that in use')
    for title in ('change', 'all tokens, ms', f'keep {FLOOR:g}, ms', 'p99', 'of now'):
        table.add_column(title, justify='left' if title == 'change' else 'right')
    for row in found['rows']:  # type: ignore[attr-defined]
        table.add_row(row['change'], *(format(row[name], '.1f') for name in (
            'unpruned_ms', 'floor_ms', 'floor_p99_ms')), f'{row["of_now"]:.2f}')
    return table


def run(args: argparse.Namespace, bar: Progress, name: str) -> None:
    """Print the table, and what is left out of it; write the JSON file of the command `name`."""
    if args.plot or args.frames:
        raise BenchmarkError('--advise times no frames, so that there is nothing to write with '
                             '--plot or --frames; its times go to --json')
    found = measure(args, bar)
    bar.stop()
    Console().print(make_table(found))
    for note in found['notes']:  # type: ignore[attr-defined]
        Console().print(note, soft_wrap=True, markup=False, highlight=False)
    write_json(args.json, {**head_of(args, name), **found})
