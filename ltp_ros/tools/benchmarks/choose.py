# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark choose`: find the method, backend, precision and level for a deadline here.

Every way to run the model is timed on one of your images, all in turns, and those that hold the
deadline are asked for all images. The most right one on every other image is recommended, and
reported on the rest. Run it beside whatever else the machine will have to do. The times are from
the image in memory to the answer in memory; `ltp_benchmark node` measures what comes on top.
"""
import argparse
import shlex
import time
from dataclasses import replace
from functools import partial
from itertools import compress, product
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import torch
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ltp_ros.classifier import Classifier, ClassifierError
from ltp_ros.config import METHODS, ClassifierConfig, TunerConfig
from ltp_ros.files import expand
from ltp_ros.frames.startup import set_priority
from ltp_ros.images import EncodedImage, Note, decode_rgb, read_images, spread
from ltp_ros.model.card import ModelError
from ltp_ros.research.accuracy.batches import model_classes
from ltp_ros.research.benchmarks import BenchmarkError
from ltp_ros.research.benchmarks.choice import Choice, Way, recommended
from ltp_ros.research.benchmarks.runners import interleave
from ltp_ros.research.datasets import open_image_set, open_images
from ltp_ros.settings import check
from ltp_ros.tools.benchmarks.methods import DEFAULT_PAIRS, parse_pair
from ltp_ros.tools.support.device import select_device
from ltp_ros.tools.support.flags import (
    absolute_paths,
    checked,
    common_flags,
    positive,
    positive_int,
)
from ltp_ros.tools.support.output_files import check_writable, write_json
from ltp_ros.tools.support.provenance import provenance
from ltp_ros.tools.support.telling import teller

NAME = 'choose'
GIVEN = ('model', 'checkpoint', 'labels', 'input_size', 'crop_mode', 'papr_checkpoint', 'device',
         'num_threads', 'priority', 'cache')
PARENTS = [common_flags(GIVEN)]
LEVELS = [level for level in ClassifierConfig.keep_ratios if level >= TunerConfig.min_keep_ratio]
PAUSE_S = 0.01  # the kernel stops a real-time thread for a while that works all the time
Answering = Tuple[str, str, float]  # method, precision and level


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags specific to this command."""
    add = parser.add_argument
    add('--deadline-ms', type=positive, required=True, metavar='MS',
        help='what an answer may take')
    add('--images', type=expand, required=True, metavar='FOLDER',
        help='images as the camera sees them; without labels, right is what the unpruned float32 '
        'model answers')
    add('--labelled', action='store_true',
        help='the images have labels, in one of the forms that ltp_evaluate takes')
    add('--methods', nargs='+', choices=(*METHODS[:-1], 'all'), default=['ltp', 'mixed'],
        help='methods to compare')
    add('--run', nargs='+', type=parse_pair, metavar='BACKEND:PRECISION',
        help='if omitted: ' + '; '.join(f'{" ".join(pairs)} on {device}'
                                        for device, pairs in DEFAULT_PAIRS.items()))
    add('--keep-ratios', nargs='+', type=checked('keep_ratio'), metavar='RATIO', default=LEVELS,
        help='levels to compare')
    add('--target-miss-rate', type=checked('target_miss_rate'),
        default=TunerConfig.target_miss_rate, metavar='SHARE',
        help='share of answers that may be late')
    add('--limit', type=positive_int, default=400, metavar='N',
        help='use only N of the images, evenly spread')
    add('--rounds', type=positive_int, default=100, help='timed runs of each choice')


class Subject:
    """The ways to run the model that are available here, and the images to run it on.

    Args:
        args: the parsed command line.
        bar: shows that they are being prepared.

    Raises:
        BenchmarkError, ConfigError, ClassifierError, ImageFileError, ModelError: if an input
            cannot be used, or nothing is available.
    """

    def __init__(self, args: argparse.Namespace, bar: Progress):
        self._args = args
        set_priority(args.priority)
        self._levels: Sequence[float] = check('keep_ratios', args.keep_ratios)
        self.unpruned = np.empty(0, bool)
        self.unavailable: List[str] = []
        self.ways: Dict[Way, Classifier] = {}
        device = select_device(args.device).type
        wanted = METHODS[:-1] if 'all' in args.methods else dict.fromkeys(args.methods)
        # The reference first: if that cannot run, the reason is the model's
        self.reference = self._classifier(Way('none', 'eager', 'float32'))
        self.images, self.labels = self._open(args, teller(bar.console, 'ltp_benchmark choose'))
        pairs = dict.fromkeys(args.run or DEFAULT_PAIRS[device])
        task = bar.add_task('preparing', total=len(wanted) * len(pairs))
        for method, pair in product(wanted, pairs):
            way = Way(method, *pair.split(':'))
            try:
                self.ways[way] = self._classifier(way)
            except (ClassifierError, ModelError) as error:
                self.unavailable.append(f'{method} {pair} is left out: {error}')
            bar.advance(task)
        if not self.ways:
            raise BenchmarkError('; '.join(self.unavailable))

    def _classifier(self, way: Way) -> Classifier:
        classifier = Classifier(ClassifierConfig(
            method=way.method, backend=way.backend, precision=way.precision,
            keep_ratios=tuple(self._levels),
            **{name: getattr(self._args, name) for name in GIVEN}))
        classifier.warm_up()
        return classifier

    def _open(self, args: argparse.Namespace, note: Note
              ) -> Tuple[List[EncodedImage], Optional[np.ndarray]]:
        labels = None
        if args.labelled:
            image_set = open_image_set(args.images)
            labels = model_classes(image_set, self.reference.labels, args.images)
        images = image_set.images if args.labelled else open_images(args.images)
        chosen = spread(len(images), args.limit)
        chosen = chosen[[index for index, _ in read_images(
            [images[index] for index in chosen], len(chosen), note,
            self.reference.data_config.resize_size)]]
        if len(chosen) < 2:
            found = (f'--limit {args.limit} leaves' if len(images) > 1 else
                     f'{args.images!r} has')
            raise BenchmarkError(f'{found} one image; at least two are needed, one to choose by '
                                 'and one to report')
        return [images[index] for index in chosen], None if labels is None else labels[chosen]

    def time(self, bar: Progress) -> List[Choice]:
        """Return every way at every level with its times, all measured in turns."""
        rgb = decode_rgb(self.images[0])
        cells = [(way, level) for way in self.ways for level in self._levels]
        task = bar.add_task(f'timing {len(cells)} choices', total=self._args.rounds + 2)
        runs = [run for way, level in cells for run in (
            partial(self.ways[way].classify, rgb, level, 1), partial(time.sleep, PAUSE_S))]
        times_ms = interleave(runs, self._args.rounds, progress=lambda: bar.advance(task))[::2]
        tail = 100.0 * (1.0 - self._args.target_miss_rate)
        return [Choice(way, level, float(np.median(times)), float(np.percentile(times, tail)))
                for (way, level), times in zip(cells, times_ms)]

    def ask(self, choices: Sequence[Choice], bar: Progress) -> List[Choice]:
        """Return the choices; those that hold the deadline with the images they are right on.

        Sets `unpruned`: which images the unpruned model in float32 is right on.
        """
        in_time = [choice.tail_ms <= self._args.deadline_ms for choice in choices]
        answering: Dict[Answering, Way] = {}
        for choice in sorted(compress(choices, in_time), key=lambda choice: -choice.p50_ms):
            answering[_answering(choice)] = choice.way  # the last one is the fastest
        task = bar.add_task(f'asking {len(answering)} of them', total=len(self.images))
        answers: Dict[Answering, List[int]] = {key: [] for key in answering}
        unpruned: List[int] = []
        for image in self.images:
            rgb = decode_rgb(image)
            unpruned.append(self.reference.classify(rgb, 1.0, 1).class_ids[0])
            for key, way in answering.items():
                answers[key].append(self.ways[way].classify(rgb, key[-1], 1).class_ids[0])
            bar.advance(task)
        truth = np.array(unpruned) if self.labels is None else self.labels
        self.unpruned = np.array(unpruned) == truth
        return [replace(choice, right=np.array(answers[_answering(choice)]) == truth)
                if asked else choice for choice, asked in zip(choices, in_time)]


def _answering(choice: Choice) -> Answering:
    """Return what an answer depends on: not on the backend, nor without pruning on the method."""
    return (choice.way.method if choice.keep_ratio < 1.0 else 'none', choice.way.precision,
            choice.keep_ratio)


def make_table(args: argparse.Namespace, head: Mapping[str, object], choices: Sequence[Choice],
               best: Optional[Choice]) -> Table:
    """Return the choices as a table; the recommended one is marked."""
    tail = f'p{100.0 * (1.0 - args.target_miss_rate):g} ms'
    table = Table(
        title='{model}\n{hardware}'.format(**head),
        caption=f'{_meaning(args)}: in percent of every other image;\nempty where {tail[:-3]} '
        f'exceeds {args.deadline_ms:g} ms. Times are\nfrom image to answer, both in memory',
        box=box.SIMPLE_HEAD, padding=0)
    for heading in ('method', 'backend', 'keep', 'p50 ms', tail, _meaning(args), ''):
        table.add_column(heading, no_wrap=True,
                         justify='left' if heading in ('method', 'backend') else 'right')
    for choice, following in zip(choices, [*choices[1:], None]):
        share = choice.share(0)
        table.add_row(
            choice.way.method, f'{choice.way.backend} {choice.way.precision}',
            f'{choice.keep_ratio:g}', f'{choice.p50_ms:.1f}', f'{choice.tail_ms:.1f}',
            '' if share is None else f'{100.0 * share:.1f}', '<' if choice is best else '',
            end_section=following is not None and following.way != choice.way)
    return table


def _meaning(args: argparse.Namespace) -> str:
    return 'right' if args.labelled else 'agreement'


def sentence(args: argparse.Namespace, choices: Sequence[Choice], best: Optional[Choice],
             unpruned: np.ndarray) -> str:
    """Return what to do, as parameters to give where a choice holds the deadline."""
    allowed = f'{args.deadline_ms:g} ms in {100.0 * (1.0 - args.target_miss_rate):g} % of the runs'
    if best is None:
        fastest = min(choices, key=lambda choice: choice.tail_ms)
        return (f'Nothing holds {allowed}. The fastest is {_parameters(args, fastest)}, which '
                f'takes {fastest.tail_ms:.1f} ms. Allow that, give a smaller --model, or see what '
                '--num-threads 1 and --priority 49 do.')
    low, high = best.interval(1)
    share = f'{100.0 * (best.share(1) or 0.0):.1f} % ({100.0 * low:.1f} to {100.0 * high:.1f})'
    rest = f'the {len(unpruned[1::2])} images that it was not chosen by'
    outcome = (f'is right on {share} of {rest}; the unpruned float32 model on '
               f'{100.0 * unpruned[1::2].mean():.1f} %' if args.labelled else
               f'agrees with the unpruned float32 model on {share} of {rest}')
    return f'To hold {allowed}, give {_parameters(args, best)}: it {outcome}.'


def _parameters(args: argparse.Namespace, choice: Choice) -> str:
    given = absolute_paths({name: getattr(args, name) for name in GIVEN
                            if getattr(args, name) != getattr(ClassifierConfig, name)})
    parameters = {**given, **vars(choice.way), 'keep_ratio': choice.keep_ratio}
    if not set(args.keep_ratios).issubset(ClassifierConfig.keep_ratios):
        parameters['keep_ratios'] = list(check('keep_ratios', args.keep_ratios))
    if choice.keep_ratio < TunerConfig.min_keep_ratio:
        parameters['min_keep_ratio'] = choice.keep_ratio
    if args.target_miss_rate != TunerConfig.target_miss_rate:
        parameters['target_miss_rate'] = args.target_miss_rate
    parameters['deadline_ms'] = args.deadline_ms
    return ' '.join(f'{name}:={shlex.quote(str(value))}' for name, value in parameters.items())


def run(args: argparse.Namespace, bar: Progress) -> None:
    """Run the command: print the table and the sentence, and write the JSON file."""
    check_writable(args.json)
    subject = Subject(args, bar)
    head = {'program': 'ltp_benchmark choose', **provenance(subject.reference.device.type),
            'model': subject.reference.model_name, 'threads': torch.get_num_threads()}
    choices = subject.ask(subject.time(bar), bar)
    bar.stop()
    best = recommended(choices)
    console = Console()
    console.print(make_table(args, head, choices, best))
    for line in (*subject.unavailable, sentence(args, choices, best, subject.unpruned)):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    write_json(args.json, {**head, 'deadline_ms': args.deadline_ms, 'rows': [
        {**vars(choice.way), 'keep_ratio': choice.keep_ratio, 'p50_ms': choice.p50_ms,
         'tail_ms': choice.tail_ms, 'chosen_by': choice.share(0), 'rest': choice.share(1),
         'recommended': choice is best} for choice in choices]})
