# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark deadline`: compare how the tuner and fixed keep ratios meet a deadline.

The real node and a camera (640x480, 30 Hz) run as separate processes in four situations: steady;
another process takes a core for a while; the frame rate doubles; the deadline is halved. The
policies take short turns, so that they see the same machine. The oracle is the best fixed keep
ratio of each phase, chosen in hindsight. On-time agreement is the share of all images that are
answered in time and as the unpruned model would.
"""
import argparse
import math
from typing import Dict, List, Optional, Tuple, Union

import numpy as np
from rich.console import Console
from rich.progress import Progress

from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig, TunerConfig
from ltp_ros.files import expand
from ltp_ros.images import read_images, spread
from ltp_ros.research.benchmarks.deadline import ORACLE, SITUATIONS, TUNED, Run, policy_name, rows
from ltp_ros.research.benchmarks.deadline_plot import draw
from ltp_ros.research.benchmarks.figures import new_figure
from ltp_ros.research.datasets import open_images
from ltp_ros.tools.benchmarks import advise
from ltp_ros.tools.benchmarks.deadline_report import make_table, write_frames
from ltp_ros.tools.benchmarks.deadline_runner import PolicyRunner
from ltp_ros.tools.benchmarks.session import Session, head_of, model_parameters, ros
from ltp_ros.tools.support.flags import CLASSIFIER_FLAGS, common_flags, positive
from ltp_ros.tools.support.frame_sources import SAMPLES, panned_samples
from ltp_ros.tools.support.output_files import check_writable, write_json
from ltp_ros.tools.support.telling import teller

NAME = 'deadline'
PARENTS = [common_flags(CLASSIFIER_FLAGS)]
LADDER: Tuple[float, ...] = ClassifierConfig.keep_ratios
# The default deadline: so many times the median latency at a keep ratio
DEADLINE_FACTOR, REFERENCE = 1.5, 0.53
MOST_IMAGES, SAMPLE_STEP = 200, 10


def parse_policy(text: str) -> Union[str, float]:
    """Parse 'tuned', or a keep ratio of the ladder."""
    try:
        if text == TUNED or float(text) in LADDER:
            return text if text == TUNED else float(text)
    except ValueError:
        pass  # not a number either
    levels = ', '.join(format(level, 'g') for level in LADDER)
    raise argparse.ArgumentTypeError(f'{text!r} is not a valid policy; expected {TUNED!r} or '
                                     f'a level of the ladder: {levels}')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags specific to this command."""
    add = parser.add_argument
    add('--deadline-ms', type=positive, metavar='MS',
        help=f'deadline from capture to publish; if omitted, {DEADLINE_FACTOR:g} times the median '
        f'latency at keep ratio {REFERENCE:g}, measured first')
    add('--seconds', type=positive, default=10.0, metavar='S',
        help='duration of each phase of a situation, for each policy')
    add('--turn', type=positive, default=2.5, metavar='S', help='duration of a turn of a policy')
    add('--images', type=expand, metavar='FOLDER',
        help='images on which each keep ratio is compared with the unpruned model; if omitted, '
        'views of the images in this package')
    add('--situations', nargs='+', choices=list(SITUATIONS), default=list(SITUATIONS),
        help='situations to run')
    add('--policies', nargs='+', type=parse_policy, metavar='POLICY',
        default=[TUNED, 1.0, REFERENCE], help="'tuned', or fixed keep ratios")
    add('--no-oracle', action='store_true',
        help='skip the oracle, which needs a run at every level of the ladder')
    add('--advise', action='store_true',
        help='instead, time in two minutes what else than fewer tokens saves time here: other '
        'backends and precisions, threads, a smaller input')
    add('--plot', type=expand, metavar='FILE',
        help='plot latency, deadline and keep ratio over time')
    add('--frames', type=expand, metavar='FILE', help='write one CSV line per answer')


def measure(args: argparse.Namespace, bar: Progress) -> Tuple[Dict[str, object], List[Run]]:
    """Run every policy in every situation; return the head of the JSON file and the runs."""
    levels = fixed_levels(args.policies)
    others = [level for level in LADDER if level not in levels]
    policies: List[Optional[float]] = [None] if TUNED in args.policies else []
    policies += levels + ([] if args.no_oracle else others)
    situations = {name: SITUATIONS[name] for name in dict.fromkeys(args.situations)}
    head: Dict[str, object] = {
        **head_of(args, NAME), 'seconds_per_phase': args.seconds,
        'target_miss_rate': TunerConfig.target_miss_rate, 'keep_ratios': LADDER,
        'order': [policy_name(policy) for policy in policies]}

    num_phases = sum(len(phases) for phases in situations.values()) * len(policies)
    task = bar.add_task('starting', total=args.seconds * (num_phases + (not args.deadline_ms)))

    def session() -> Session:
        parameters = {**model_parameters(args), 'min_keep_ratio': LADDER[-1]}  # as the oracle's
        return Session(parameters, lambda passed_s: bar.advance(task, passed_s))

    deadline_ms = args.deadline_ms
    if not deadline_ms:
        with session() as running:
            bar.update(task, description=f'deadline: {policy_name(REFERENCE)}')
            run, = PolicyRunner(running, LADDER, args.seconds).run(
                'deadline', SITUATIONS['steady'], [REFERENCE], math.inf)
        deadline_ms = DEADLINE_FACTOR * float(np.median([frame.age_ms for frame in run.frames]))
    runs, conserved = [], True
    for situation, phases in situations.items():
        with session() as running:
            runner = PolicyRunner(running, LADDER, args.seconds,
                                  max(round(args.seconds / args.turn), 1))
            runs += runner.run(situation, phases, policies, deadline_ms, lambda name: bar.update(
                task, description=f'{situation}: {name}'))  # noqa: B023  called at once
            conserved = conserved and running.conserved
            head.update(running.running)
    return {**head, 'deadline_ms': deadline_ms, 'conserved': conserved}, runs


def agreement(args: argparse.Namespace, bar: Progress) -> Dict[float, float]:
    """Return the percent of images that each level classifies as the unpruned model does."""
    classifier = Classifier(ClassifierConfig(**model_parameters(args)))  # type: ignore[arg-type]
    if args.images:
        images = open_images(args.images)
        chosen = [images[index] for index in spread(len(images), MOST_IMAGES)]
        pictures = [rgb for _, rgb in read_images(
            chosen, len(chosen), teller(bar.console, 'ltp_benchmark deadline'))]
    else:
        pictures = [rgb for _, rgb in panned_samples(SAMPLES)][::SAMPLE_STEP]
    task = bar.add_task('agreement of the levels', total=len(pictures))
    same = dict.fromkeys(LADDER, 0)
    for rgb in pictures:
        answers = {level: classifier.classify(rgb, level, 1, 0.0).class_ids[0]
                   for level in LADDER}
        for level, answer in answers.items():
            same[level] += answer == answers[1.0]
        bar.advance(task)
    bar.remove_task(task)
    return {level: 100.0 * count / len(pictures) for level, count in same.items()}


def fixed_levels(policies: List[Union[str, float]]) -> List[float]:
    """Return the policies that are keep ratios, without duplicates."""
    return [policy for policy in dict.fromkeys(policies) if isinstance(policy, float)]


def run(args: argparse.Namespace, bar: Progress) -> None:
    """Run the command: print the table and write the files given by the flags."""
    check_writable(args.json, args.plot, args.frames)
    if args.advise:
        advise.run(args, bar, NAME)
        return
    shown = ([None] if TUNED in args.policies else []) + fixed_levels(args.policies)
    figure = new_figure(args.plot, 12, 4.5 * len(args.situations)) if args.plot else None
    same = agreement(args, bar)
    with ros():
        head, runs = measure(args, bar)
    bar.stop()
    found = rows(runs, LADDER, TunerConfig.target_miss_rate, same)
    Console().print(make_table(head, found, {ORACLE, *map(policy_name, shown)}))
    write_json(args.json, {**head, 'agreement': same, 'rows': found})
    if args.frames:
        write_frames(args.frames, runs)
    if figure:
        draw(figure, runs, shown)
        figure.savefig(args.plot)
