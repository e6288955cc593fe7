# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark soak`: run the node for long under changing load and faults, and watch it.

The real node and its cameras run as separate processes: steady first and last; in between ten
times the rate, two cameras, sizes and encodings that change from image to image, or damaged
images, each with changing parameters, a camera that restarts or stops, a node that is deactivated
or stopped, or a model that fails. The exit code is 1 unless every image is accounted for in every
report, every answer is that of the classifier outside of ROS, the node answers again after
everything, and its memory, threads and descriptors do not grow.
"""
import argparse
import gc
import math
from pathlib import Path
from typing import Callable, Dict

from rich.console import Console
from rich.progress import Progress
from std_msgs.msg import Header

from ltp_ros.classifier import Classifier
from ltp_ros.config import Config
from ltp_ros.files import expand
from ltp_ros.research.benchmarks import BenchmarkError
from ltp_ros.research.benchmarks.figures import PlotError, new_figure
from ltp_ros.research.benchmarks.soak import (
    NOTHING,
    SETTLE_S,
    Phase,
    Step,
    checks,
    plan,
    since,
)
from ltp_ros.research.benchmarks.soak_plot import draw
from ltp_ros.research.benchmarks.soak_report import as_dict, make_table, markdown
from ltp_ros.ros.images import from_pixels
from ltp_ros.settings import update
from ltp_ros.tools.benchmarks.session import (
    RATE_HZ,
    head_of,
    model_parameters,
    pictures,
    ros,
)
from ltp_ros.tools.benchmarks.soak_faults import LEVELS, LIVE, Faults
from ltp_ros.tools.benchmarks.soak_pictures import Reference, damage, of_many_kinds
from ltp_ros.tools.benchmarks.soak_session import SoakSession
from ltp_ros.tools.support.flags import CLASSIFIER_FLAGS, common_flags, positive, seed
from ltp_ros.tools.support.output_files import write_json
from ltp_ros.tools.support.processes import ProcessError

NAME = 'soak'
PARENTS = [common_flags(CLASSIFIER_FLAGS)]
REPORT, PLOT, JSON = 'report.md', 'soak.png', 'soak.json'
INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags specific to this command."""
    add = parser.add_argument
    add('--minutes', type=positive, default=30.0, metavar='N',
        help='duration; below five, growth and drift are shown but not judged')
    add('--output', type=expand, default='soak_results', metavar='FOLDER',
        help=f'folder for {REPORT}, {PLOT} and {JSON}')
    add('--rate', type=positive, default=RATE_HZ, metavar='HZ',
        help='frame rate of a camera; one that the node can answer')
    add('--seed', type=seed, default=0, metavar='S', help='of the order, and of the damage')


def run(args: argparse.Namespace, bar: Progress) -> int:
    """Run the command; return the exit code: 1 if something did not hold."""
    folder = Path(args.output).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    head: Dict[str, object] = {**head_of(args, NAME), 'rate_hz': args.rate, 'seed': args.seed,
                               'minutes': args.minutes}
    try:
        figure = new_figure(PLOT, 12, 10)
    except PlotError as error:  # optional, even here: a robot seldom has matplotlib
        figure, head['plot'] = None, str(error)
    task = bar.add_task('starting', total=60 * args.minutes)
    parameters = {**model_parameters(args), 'keep_ratios': list(LEVELS),
                  'keep_ratio': LIVE['keep_ratio'][0]}
    session = SoakSession(parameters, args.rate,
                          lambda passed_s: bar.update(task, completed=passed_s))
    record = session.record
    try:
        with ros(), session:
            head.update(session.running)
            soak(args, session, lambda name, end_s: bar.update(task, description=name,
                                                               total=end_s))
    except (KeyboardInterrupt, BenchmarkError, ProcessError) as error:
        if not record.samples:
            raise
        record.interrupted = isinstance(error, KeyboardInterrupt)
        record.ended = 'stopped by a signal' if record.interrupted else str(error)
    bar.stop()
    found = checks(record)
    Console().print(make_table(head, found))
    result = {**head, **as_dict(record, found)}
    write_json(str(folder / JSON), result)
    write_json(args.json, result)
    (folder / REPORT).write_text('\n'.join(markdown(
        head, record, found, PLOT if figure else '')) + '\n', encoding='utf-8')
    if figure:
        draw(figure, record)
        figure.savefig(folder / PLOT)
    if record.interrupted:
        return INTERRUPTED
    return int(any(check.holds is False and check.decides for check in found))


def soak(args: argparse.Namespace, session: SoakSession,
         say: Callable[[str, float], None]) -> None:
    """Go through all phases.

    Args:
        args: the parsed command line.
        session: running.
        say: called with what begins, and the seconds from `begin` to the end, as far as is known.
    """
    camera = [from_pixels(Header(frame_id=name), rgb) for name, rgb in pictures()]
    _, rgb = next(pictures())
    odd, damaged = list(of_many_kinds(rgb)), list(damage(args.seed))
    say('finding the right answers', 60 * args.minutes)
    session.begin(Reference(classifier_of(args, session), [*camera, *odd, *damaged], LEVELS))
    gc.collect()  # the classifier
    faults = Faults(session, odd, damaged, args.seed)
    steps = plan(60 * args.minutes, list(faults.loads), list(faults.events), args.seed)
    for index, step in enumerate(steps):
        left_s = sum(step.seconds for step in steps[index:])
        say(f'{step.stage}: {step.load}, {step.event}', session.time_s + left_s)
        session.record.phases.append(go_through(session, faults, step))
    session.stage = ''
    session.wait_until_accounted()


def classifier_of(args: argparse.Namespace, session: SoakSession) -> Classifier:
    """Return a classifier that runs as the node does."""
    config = update(Config(), {**model_parameters(args), **session.running,
                               'keep_ratios': LEVELS}).classifier
    classifier = Classifier(config)
    classifier.warm_up()
    return classifier


def go_through(session: SoakSession, faults: Faults, step: Step) -> Phase:
    """Go through one phase, and see that the node answers after it."""
    session.ages.clear()
    if step.event == NOTHING:  # what the node needs is compared, not what it may use again
        session.stage = ''
        session.start_afresh()
    session.stage, start_s, before = step.stage, session.time_s, session.counts
    faults.go_through(step.load, step.event, step.seconds)
    end_s, again_s = session.time_s, session.wait_until_answered()
    settled_s = start_s + min(SETTLE_S, step.seconds / 5)
    return Phase(step, start_s, end_s, since(before, session.counts), again_s, tuple(
        (time_s, age_ms) for time_s, age_ms in session.ages
        if settled_s <= time_s < end_s and not math.isnan(age_ms)))
