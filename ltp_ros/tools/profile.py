# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_profile`: time every ladder level on this machine and write a profile for the node.

Given a folder of images, also measure how often each level agrees with the unpruned model, and
what the zoom does to the answers: with labels, whether it helps.
"""
import sys

from ltp_ros import programs

if __name__ == '__main__':  # before what takes seconds to import
    sys.exit(programs.ltp_profile())

import argparse
import os
from dataclasses import asdict
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple, TypedDict

os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')  # as in the node, whose times are measured

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ltp_ros.classifier import Classifier, ClassifierError
from ltp_ros.config import ClassifierConfig, ConfigError, check
from ltp_ros.files import expand
from ltp_ros.frames.startup import setup_of
from ltp_ros.images import EncodedImage, ImageFileError, Note, ignore, read_images
from ltp_ros.model.card import ModelError
from ltp_ros.research.benchmarks.figures import PlotError, new_figure
from ltp_ros.tools.reports.profile_plot import draw
from ltp_ros.tools.support import zoom_effect
from ltp_ros.tools.support.flags import (
    CLASSIFIER_FLAGS,
    add_ladder_flags,
    positive_int,
    program_parser,
)
from ltp_ros.tools.support.output_files import check_writable, write_json
from ltp_ros.tools.support.progress import shown
from ltp_ros.tools.support.provenance import provenance
from ltp_ros.tools.support.telling import teller
from ltp_ros.tools.support.zoom_effect import ZoomEffect
from ltp_ros.tuner.ladder_profile import ALL_TOKENS, LevelTime, Profile, write
from ltp_ros.tuner.levels import useless_levels


class About(TypedDict):
    """How a profile was measured."""

    versions: Dict[str, str]
    rounds: int
    alpha: float
    crop_mode: str  # which the agreement depends on
    checkpoint: str
    images: Optional[str]
    num_images: int
    num_patches: int


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of `ltp_profile`."""
    parser = program_parser('ltp_profile', __doc__, CLASSIFIER_FLAGS)
    add = parser.add_argument
    add('images', type=expand, nargs='?',
        help='a folder of images to measure agreement with the unpruned model on')
    add_ladder_flags(parser, 'the ladder; 1.0, the unpruned model, is always included')
    add('--rounds', type=positive_int, default=100, help='timed runs of each level, interleaved')
    add('--limit', type=positive_int, metavar='N', help='use only N of the images, evenly spaced')
    add('--output', type=expand, default='ltp_profile.yaml', metavar='FILE',
        help='profile for the node')
    add('--plot', type=expand, metavar='FILE',
        help='plot times and agreement over the keep ratio')
    return parser


def measure(args: argparse.Namespace, bar: Progress, note: Note
            ) -> Tuple[Profile, About, Optional[ZoomEffect]]:
    """Time every level, and compare labels and the zoom on the images, according to `args`.

    Raises:
        ClassifierError, ConfigError, ImageFileError, ModelError: if an input cannot be used.
    """
    classifier = Classifier(ClassifierConfig(
        **{name: getattr(args, name) for name in CLASSIFIER_FLAGS},
        alpha=check('alpha', args.alpha),
        keep_ratios=check('keep_ratios', sorted({ALL_TOKENS, *args.keep_ratios}))))
    ladder = classifier.config.keep_ratios
    pictures = zoom_effect.Labelled([], None)
    if args.images:
        pictures = zoom_effect.open_labelled(args.images, classifier, args.limit, note)
    images = pictures.images
    task = bar.add_task('warming up', total=len(ladder))
    classifier.warm_up(lambda keep_ratio: bar.advance(task))
    task = bar.add_task('timing', total=args.rounds)
    times_ms = classifier.time_levels(args.rounds, lambda: bar.advance(task))
    agreement: Dict[float, float] = {}
    num_images, effect = 0, None
    if images:
        task = bar.add_task('comparing labels', total=len(images))
        agreement, num_images = agreements(classifier, images, lambda: bar.advance(task), note)
        task = bar.add_task('zoom', total=len(images))
        effect = zoom_effect.measure(classifier, pictures, lambda: bar.advance(task), ignore)
    levels = []
    for ratio in ladder:
        p50_ms, p95_ms, p99_ms = (float(np.percentile(times_ms[ratio], share))
                                  for share in (50, 95, 99))
        levels.append(LevelTime(ratio, p50_ms, p95_ms, p99_ms, agreement.get(ratio)))
    return Profile(setup_of(classifier), tuple(levels)), {
        'versions': versions(classifier.device.type), 'rounds': args.rounds,
        'alpha': args.alpha, 'crop_mode': classifier.data_config.crop_mode,
        'checkpoint': args.checkpoint, 'images': args.images,
        'num_images': num_images, 'num_patches': classifier.num_patches}, effect


def versions(device: str) -> Dict[str, str]:
    """Return versions and commit, without the hardware, which the profile names already."""
    return {name: value for name, value in provenance(device).items()
            if name not in ('device', 'hardware')}


def agreements(classifier: Classifier, images: Sequence[EncodedImage],
               progress: Callable[[], None], note: Note) -> Tuple[Dict[float, float], int]:
    """Return for each level the percentage of images with the unpruned model's label.

    Beside it, the number of images that could be used.
    """
    ladder = classifier.config.keep_ratios
    same = dict.fromkeys(ladder, 0)
    num_images = 0
    for _, rgb in read_images(images, len(images), note, classifier.data_config.resize_size):
        num_images += 1
        label = {ratio: classifier.classify(rgb, ratio, top_k=1).class_ids for ratio in ladder}
        for ratio in ladder:
            same[ratio] += label[ratio] == label[ALL_TOKENS]
        progress()
    return {ratio: 100.0 * count / num_images for ratio, count in same.items()}, num_images


def make_table(profile: Profile) -> Table:
    """Return the levels as a table, with the break-even level in the caption."""
    break_even, useless = profile.break_even, useless_levels(profile.costs)
    caption = ('no level is faster than the unpruned model' if break_even is None else
               f'break-even: {break_even:g} is the highest keep ratio faster than the unpruned '
               'model')
    if useless:
        caption += (f'\n{", ".join(map("{:g}".format, useless))} took no less time than a higher '
                    'one; if another program ran, profile again')
    table = Table(
        title=f'{profile.setup.model} on {profile.setup.hardware}, '
        f'{profile.setup.backend} {profile.setup.precision}', caption=caption)
    for heading in ('keep ratio', 'p50 ms', 'p95 ms', 'p99 ms', 'vs. unpruned', 'agreement'):
        table.add_column(heading, justify='right')
    unpruned = next(level for level in profile.levels if level.keep_ratio == ALL_TOKENS)
    for level in profile.levels:
        table.add_row(
            f'{level.keep_ratio:g}', f'{level.p50_ms:.2f}', f'{level.p95_ms:.2f}',
            f'{level.p99_ms:.2f}', f'{level.p50_ms / unpruned.p50_ms:.2f}',
            'n/a' if level.agreement is None else f'{level.agreement:.1f} %')
    return table


def main(argv: Optional[List[str]] = None) -> int:
    """Run `ltp_profile`; return the exit code."""
    args = build_parser().parse_args(argv)
    errors = Console(stderr=True)
    tell = teller(errors, 'ltp_profile')
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(),
               TimeRemainingColumn())
    try:
        check_writable(args.output, args.json, args.plot)
        figure = new_figure(args.plot, 8, 5.5) if args.plot else None
        with shown(Progress(*columns, console=errors, disable=args.quiet)) as bar:
            profile, about, effect = measure(args, bar, tell)
        write(args.output, profile, about)
        Console().print(make_table(profile))
        if effect:
            Console().print(effect.sentence, highlight=False)
        if args.json:
            more = {name: value for name, value in about.items() if name != 'versions'}
            write_json(args.json, {
                'program': 'ltp_profile', **about['versions'], **asdict(profile.setup), **more,
                'break_even': profile.break_even, 'zoom': effect and effect._asdict(),
                'rows': [asdict(level) for level in profile.levels]})
        if figure:
            draw(figure, profile, about['num_patches'])
            figure.savefig(args.plot)
    except (ClassifierError, ConfigError, ImageFileError, ModelError, PlotError, OSError) as error:
        tell(str(error))
        return 2
    except KeyboardInterrupt:
        return 130
    Console().print(f'To use it, start the node with profile:={Path(args.output).absolute()}',
                    soft_wrap=True, highlight=False)
    return 0
