# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_profile`: measure how long each share of tokens takes on this machine, for the node.

With a folder of images also how often each gives the same label as the unpruned model.
"""
import argparse
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')  # as the node: its times are wanted

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ltp_ros.classifier import Classifier, ClassifierError
from ltp_ros.config import ClassifierConfig, ConfigError, check
from ltp_ros.frames.startup import setup_of
from ltp_ros.images import IMAGE_SUFFIXES, ImageFileError, decode_rgb, image_files
from ltp_ros.model.vit import ModelError
from ltp_ros.research.benchmarks.figures import PlotError, new_figure
from ltp_ros.tools.reports.profile_plot import draw
from ltp_ros.tools.support.flags import (
    CLASSIFIER_FLAGS,
    add_ladder_flags,
    positive_int,
    program_parser,
)
from ltp_ros.tools.support.output_files import check_writable, write_json
from ltp_ros.tools.support.provenance import provenance
from ltp_ros.tuner.ladder_profile import ALL_TOKENS, LevelTime, Profile, write


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of `ltp_profile`."""
    parser = program_parser('ltp_profile', __doc__, CLASSIFIER_FLAGS)
    add = parser.add_argument
    add('images', nargs='?', help='a folder of images, for the agreement with the unpruned model')
    add_ladder_flags(parser, 'the ladder; 1.0, the unpruned model, is always measured too')
    add('--rounds', type=positive_int, default=100, help='runs of each level, in turns')
    add('--limit', type=positive_int, metavar='N', help='only the first N images')
    add('--output', default='ltp_profile.yaml', metavar='FILE', help='what the node loads')
    add('--plot', metavar='FILE', help='draw times and agreement over the keep ratio')
    return parser


def measure(args: argparse.Namespace, bar: Progress) -> Tuple[Profile, Dict[str, Any]]:
    """Measure what `args` ask for; return the profile, and what else to write down.

    Raises:
        ClassifierError, ConfigError, ImageFileError, ModelError: if something cannot be used.
    """
    classifier = Classifier(ClassifierConfig(
        **{name: getattr(args, name) for name in CLASSIFIER_FLAGS},
        alpha=check('alpha', args.alpha),
        keep_ratios=check('keep_ratios', sorted({ALL_TOKENS, *args.keep_ratios}))))
    ladder = classifier.config.keep_ratios
    images = images_in(args.images)[:args.limit] if args.images else []
    task = bar.add_task('warming up', total=len(ladder))
    classifier.warm_up(lambda keep_ratio: bar.advance(task))
    task = bar.add_task('timing', total=args.rounds)
    times_ms = classifier.time_levels(args.rounds, lambda: bar.advance(task))
    agreement: Dict[float, float] = {}
    if images:
        task = bar.add_task('comparing labels', total=len(images))
        agreement = agreements(classifier, images, lambda: bar.advance(task))
    levels = tuple(LevelTime(ratio, *(float(np.percentile(times_ms[ratio], share))
                                      for share in (50, 95, 99)), agreement.get(ratio))
                   for ratio in ladder)
    return Profile(setup_of(classifier), levels), {
        'versions': versions(classifier.device.type), 'rounds': args.rounds,
        'alpha': args.alpha, 'checkpoint': args.checkpoint, 'images': args.images,
        'num_images': len(images), 'num_patches': classifier.num_patches}


def versions(device: str) -> Dict[str, str]:
    """Return what is installed, and the commit, as plain strings; torch's is of another type."""
    return {name: str(value) for name, value in provenance(device).items()
            if name not in ('device', 'hardware')}  # the profile has these


def images_in(folder: str) -> List[Path]:
    """Return the images in a folder and the folders in it.

    Raises:
        ImageFileError: if there are none.
    """
    found = image_files(Path(folder))
    if not found:
        raise ImageFileError(f'{folder!r} is no folder with images; expected files that end in '
                           f'{", ".join(IMAGE_SUFFIXES)}')
    return found


def agreements(classifier: Classifier, images: Sequence[Path],
               progress: Callable[[], None]) -> Dict[float, float]:
    """Return for each level how many percent of the images get the unpruned model's label."""
    ladder = classifier.config.keep_ratios
    same = dict.fromkeys(ladder, 0)
    for image in images:
        rgb = decode_rgb(image)
        label = {ratio: classifier.classify(rgb, ratio, top_k=1).class_ids for ratio in ladder}
        for ratio in ladder:
            same[ratio] += label[ratio] == label[ALL_TOKENS]
        progress()
    return {ratio: 100.0 * count / len(images) for ratio, count in same.items()}


def make_table(profile: Profile) -> Table:
    """Return the levels as a table, with the break-even level below."""
    break_even = profile.break_even
    table = Table(
        title=f'{profile.setup.model} on {profile.setup.hardware}, '
        f'{profile.setup.backend} {profile.setup.precision}',
        caption='no level is faster than the unpruned model' if break_even is None else
        f'break-even: {break_even:g} is the highest that is faster than the unpruned model')
    for heading in ('keep ratio', 'p50 ms', 'p95 ms', 'p99 ms', 'to unpruned', 'agreement'):
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
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(),
               TimeRemainingColumn())
    try:
        check_writable(args.output, args.json, args.plot)
        figure = new_figure(args.plot, 8, 5) if args.plot else None
        with Progress(*columns, console=errors, disable=args.quiet) as bar:
            profile, about = measure(args, bar)
        write(args.output, profile, about)
        Console().print(make_table(profile))
        if args.json:
            result = {'program': 'ltp_profile', **about.pop('versions'), **asdict(profile.setup),
                      **about, 'break_even': profile.break_even,
                      'rows': [asdict(level) for level in profile.levels]}
            write_json(args.json, result)
        if figure:
            draw(figure, profile, about['num_patches'])
            figure.savefig(args.plot)
    except (ClassifierError, ConfigError, ImageFileError, ModelError, PlotError, OSError) as error:
        errors.print(f'ltp_profile: {error}', soft_wrap=True, markup=False, highlight=False)
        return 2
    Console().print(f'The node takes it as profile:={Path(args.output).absolute()}',
                    soft_wrap=True, highlight=False)
    return 0


if __name__ == '__main__':
    sys.exit(main())
