# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark tuner`: compare the tuner with simpler rules, in simulated and recorded scenes.

Cameras, loads and machines are played without a clock, so that every rule sees the same. On-time
accuracy is the share of all images received that are answered right and in time, by DeiT-tiny's
accuracy at each level. At equal misses: less two points for each percent missed above the target
and what even an oracle misses, which knows the time of the frame at hand.
"""
import argparse
import itertools
from typing import Dict, List

import numpy as np
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig, TunerConfig
from ltp_ros.files import expand
from ltp_ros.frames.startup import TIMED_ROUNDS
from ltp_ros.research.tuning import recording, scenes
from ltp_ros.research.tuning.comparison import Row, compare, summarize
from ltp_ros.research.tuning.simulation import DEADLINES, Images
from ltp_ros.tools.support.flags import (
    CLASSIFIER_FLAGS,
    absolute_paths,
    checked,
    common_flags,
    positive,
    seed,
)
from ltp_ros.tools.support.frame_sources import SAMPLES, panned_samples
from ltp_ros.tools.support.output_files import check_writable, write_json
from ltp_ros.tools.support.provenance import provenance
from ltp_ros.tuner.levels import costs_of

NAME = 'tuner'
PARENTS = [common_flags(CLASSIFIER_FLAGS)]
COLUMNS = {'missed_percent': 'missed %', 'on_time_accuracy': 'on time',
           'at_equal_misses': 'equal misses', 'against_the_tuner': 'gain', 'worst_scene': 'worst',
           'best_scene': 'best', 'changes_in_100': 'changes'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags specific to this command."""
    add = parser.add_argument
    add('--record', type=expand, metavar='FILE',
        help='instead of comparing, time every level of the model on this machine, beside '
        'whatever else it does, and write a recording (.npz)')
    add('--recordings', type=expand, nargs='+', metavar='FILE', default=[],
        help='play these recordings too')
    add('--seconds', type=positive, default=60.0, metavar='S',
        help='length of each simulated scene, or of the recording')
    add('--target-miss-rate', type=checked('target_miss_rate'),
        default=TunerConfig.target_miss_rate, metavar='SHARE',
        help='share of answers that may be late')
    add('--seed', type=seed, default=0, help='of the scenes')


def measure(args: argparse.Namespace, bar: Progress) -> List[Row]:
    """Play every scene with every deadline under every policy."""
    played: Dict[str, Images] = scenes.synthetic(args.seed, args.seconds)
    for path in args.recordings:
        played.update((scene.name, scene) for scene in recording.scenes(path, args.seed))
    todo = list(itertools.product(played, DEADLINES))
    task = bar.add_task('starting', total=len(todo))
    rows: List[Row] = []
    for name, deadline in todo:
        bar.update(task, description=f'{name}, {deadline} deadline')
        rows += compare(played[name], deadline, args.target_miss_rate)
        bar.advance(task)
    return rows


def record(args: argparse.Namespace, bar: Progress) -> None:
    """Write a recording of this machine."""
    values = absolute_paths({name: getattr(args, name) for name in CLASSIFIER_FLAGS})
    classifier = Classifier(ClassifierConfig(**values))  # type: ignore[arg-type]
    classifier.warm_up()
    _, picture = next(panned_samples(tuple(SAMPLES)))
    task = bar.add_task('recording', total=args.seconds)
    found = recording.record(
        lambda keep_ratio: classifier.classify(picture, keep_ratio),
        costs_of(classifier.time_levels(TIMED_ROUNDS)), args.seconds, args.seed,
        lambda passed_s: bar.update(task, completed=passed_s))
    np.savez(args.record, **found)  # type: ignore[arg-type]


def make_table(rows: List[Row]) -> Table:
    """Return the means of every policy."""
    table = Table(box=box.SIMPLE_HEAD, padding=0, caption='gain: over the tuner, at equal misses, '
                  'in the mean and where it is worst and best')
    table.add_column('policy', no_wrap=True)
    for title in COLUMNS.values():
        table.add_column(title, justify='right', no_wrap=True)
    for row in rows:
        table.add_row(str(row['policy']), *(
            format(row[name], '.2f' if name == 'missed_percent' else '.1f') for name in COLUMNS))
    return table


def run(args: argparse.Namespace, bar: Progress) -> None:
    """Run the command: print the table, or write a recording."""
    check_writable(args.json, args.record)
    if args.record:
        record(args, bar)
        return
    rows = measure(args, bar)
    bar.stop()
    found = summarize(rows)
    Console().print(make_table(found))
    write_json(args.json, {
        **provenance('cpu'), 'program': f'ltp_benchmark {NAME}', 'seed': args.seed,
        'target_miss_rate': args.target_miss_rate, 'policies': found, 'rows': rows})
