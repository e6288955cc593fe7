# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_profile` without IMAGES: the times of every level of one ladder, as a profile."""
import argparse
import functools
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Dict, Optional, TypedDict

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig
from ltp_ros.frames.startup import setup_of
from ltp_ros.images import Note
from ltp_ros.settings import check
from ltp_ros.tools.reports.profile_plot import draw
from ltp_ros.tools.support.flags import CLASSIFIER_FLAGS
from ltp_ros.tools.support.output_files import write_json
from ltp_ros.tools.support.provenance import provenance
from ltp_ros.tuner.ladder_profile import ALL_TOKENS, LevelTime, Profile, write
from ltp_ros.tuner.levels import useless_levels

if TYPE_CHECKING:
    from matplotlib.figure import Figure  # optional

Report = Callable[[Console, 'Optional[Figure]'], None]


class About(TypedDict):
    """How a profile was measured."""

    versions: Dict[str, str]
    rounds: int
    alpha: float
    checkpoint: str
    num_patches: int


def measure(args: argparse.Namespace, bar: Progress, note: Note) -> Report:
    """Time every level according to `args`; return what writes and prints that.

    Raises:
        ClassifierError, ConfigError, ModelError: if an input cannot be used.
    """
    classifier = Classifier(ClassifierConfig(
        **{name: getattr(args, name) for name in CLASSIFIER_FLAGS},
        alpha=check('alpha', args.alpha),
        keep_ratios=check('keep_ratios', sorted({ALL_TOKENS, *args.keep_ratios}))))
    ladder = classifier.config.levels
    task = bar.add_task('warming up', total=len(ladder))
    classifier.warm_up(lambda keep_ratio: bar.advance(task))
    task = bar.add_task('timing', total=args.rounds)
    times_ms = classifier.time_levels(args.rounds, lambda: bar.advance(task))
    levels = [LevelTime(ratio, *(float(np.percentile(times_ms[ratio], share))
                                 for share in (50, 95, 99))) for ratio in ladder]
    profile = Profile(setup_of(classifier), tuple(levels))
    return functools.partial(_report, args, profile, {
        'versions': versions(classifier.device.type), 'rounds': args.rounds,
        'alpha': args.alpha, 'checkpoint': args.checkpoint,
        'num_patches': classifier.num_patches})


def _report(args: argparse.Namespace, profile: Profile, about: About, out: Console,
            figure: 'Optional[Figure]') -> None:
    write(args.output, profile, about)
    out.print(make_table(profile))
    if args.json:
        more = {name: value for name, value in about.items() if name != 'versions'}
        write_json(args.json, {
            'program': 'ltp_profile', **about['versions'], **asdict(profile.setup), **more,
            'break_even': profile.break_even,
            'rows': [asdict(level) for level in profile.levels]})
    if figure:
        draw(figure, profile, about['num_patches'])
    out.print(f'To use it, start the node with profile:={Path(args.output).absolute()}',
              soft_wrap=True, highlight=False)


def versions(device: str) -> Dict[str, str]:
    """Return versions and commit, without the hardware, which the files name already."""
    return {name: value for name, value in provenance(device).items()
            if name not in ('device', 'hardware')}


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
    for heading in ('keep ratio', 'p50 ms', 'p95 ms', 'p99 ms', 'vs. unpruned'):
        table.add_column(heading, justify='right')
    unpruned = next(level for level in profile.levels if level.keep_ratio == ALL_TOKENS)
    for level in profile.levels:
        table.add_row(
            f'{level.keep_ratio:g}', f'{level.p50_ms:.2f}', f'{level.p95_ms:.2f}',
            f'{level.p99_ms:.2f}', f'{level.p50_ms / unpruned.p50_ms:.2f}')
    return table
