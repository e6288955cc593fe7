# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_profile`: Measure what makes a node fast on this machine, in one of two ways.

Without IMAGES, time every level of one ladder, for the parameter `profile`. With IMAGES of the
scene, find the ladder itself, for the parameter `ladder`: sizes and shapes of the input, methods,
keep ratios, number formats and runtimes, with and without zoom, are timed and scored, and those
that nothing beats are written.
"""
import sys

from ltp_ros import programs

if __name__ == '__main__':  # before what takes seconds to import
    sys.exit(programs.ltp_profile())

import argparse
import os
from typing import List, Optional, Tuple

os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')  # as in the node, whose times are measured

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ltp_ros.classifier import ClassifierError
from ltp_ros.config import ClassifierConfig
from ltp_ros.files import expand
from ltp_ros.images import ImageFileError
from ltp_ros.model.card import ModelError
from ltp_ros.parameter import ConfigError
from ltp_ros.research.benchmarks.figures import PlotError, new_figure
from ltp_ros.research.ladder_search.space import FAMILIES
from ltp_ros.tools.support import find_ladder, time_ladder
from ltp_ros.tools.support.flags import (
    CLASSIFIER_FLAGS,
    add_ladder_flags,
    checked,
    positive_int,
    program_parser,
)
from ltp_ros.tools.support.output_files import check_writable
from ltp_ros.tools.support.progress import shown
from ltp_ros.tools.support.telling import teller

ERRORS = (ClassifierError, ConfigError, ImageFileError, ModelError, PlotError, OSError)
PROFILE, LADDER = 'ltp_profile.yaml', 'ltp_ladder.yaml'
SEARCH = ('methods', 'input_sizes', 'precisions', 'backends', 'models', 'no_labels', 'limit')


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of `ltp_profile`."""
    parser = program_parser('ltp_profile', __doc__, CLASSIFIER_FLAGS)
    add = parser.add_argument
    add('images', type=expand, nargs='?', metavar='IMAGES',
        help='pictures of the scene: class folders, a folder with labels.csv, an .npz, or any '
        'folder. Folders that are no classes of the model are taught to it, with half of the '
        'pictures, and asked with the others; without labels, answers are compared with those of '
        'the unpruned model')
    add_ladder_flags(parser, 'the ladder; 1.0, the unpruned model, is always included. With '
                     'IMAGES: keep ratios to try at every input size; by default a few')
    add('--rounds', type=positive_int, default=100, help='timed runs of each level, interleaved')
    add('--output', type=expand, metavar='FILE',
        help=f'the file for the node; by default {PROFILE}, with IMAGES {LADDER}')
    add('--plot', type=expand, metavar='FILE',
        help='plot the times over the keep ratio; with IMAGES, the scores over the times')
    add = parser.add_argument_group('with IMAGES, to try more or less').add_argument
    add('--limit', type=positive_int, metavar='N', help='use only N of the images, evenly spaced')
    add('--no-labels', action='store_true', help='pay no heed to folders and labels.csv')
    add('--methods', nargs='+', choices=FAMILIES, metavar='METHOD',
        help=f'of {", ".join(FAMILIES)}; by default {find_ladder.METHODS_TRIED}')
    add('--input-sizes', nargs='+', type=checked('input_size'), metavar='PIXELS',
        help="square inputs to try besides the model's own; by default smaller ones, 1.43 and 2 "
        'times the own, and those of the shape of the images, where that is wide or tall')
    add('--precisions', nargs='+', type=checked('precision'), metavar='PRECISION',
        help='number formats to try; by default all, int8 too where its answers hold')
    add('--backends', nargs='+', type=checked('backend'), metavar='BACKEND',
        help='runtimes to try; by default all')
    add('--models', nargs='+', metavar='NAME[=CHECKPOINT]',
        help='models to try, in place of --model and --checkpoint; the first is compared with')
    return parser


def checked_args(argv: Optional[List[str]]) -> Tuple[argparse.Namespace, bool]:
    """Return the command line, and whether it is a search.

    Raises:
        ConfigError: if it has flags that do not go together.
    """
    args = build_parser().parse_args(argv)
    if args.keep_ratios == list(ClassifierConfig.keep_ratios) and args.images:
        args.keep_ratios = []
    alone = [name for name in SEARCH if getattr(args, name) and not args.images]
    if alone:
        raise ConfigError(f'--{alone[0].replace("_", "-")} goes with IMAGES, the pictures that '
                          'levels are compared on; give their folder')
    args.output = args.output or (LADDER if args.images else PROFILE)
    return args, bool(args.images)


def main(argv: Optional[List[str]] = None) -> int:
    """Run `ltp_profile`; return the exit code."""
    # The file as it is now: what a library prints is sent elsewhere meanwhile
    errors = Console(file=sys.stderr)
    tell = teller(errors, 'ltp_profile')
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(),
               TimeRemainingColumn())
    try:
        args, searching = checked_args(argv)
        check_writable(args.output, args.json, args.plot)
        figure = new_figure(args.plot, *((9, 6.5) if searching else (8, 5.5))
                            ) if args.plot else None
        way = find_ladder if searching else time_ladder
        with shown(Progress(*columns, console=errors, disable=args.quiet)) as bar:
            report = way.measure(args, bar, tell)
        report(Console(), figure)
        if figure:
            figure.savefig(args.plot)
    except ERRORS as error:
        tell(str(error))
        return 2
    except KeyboardInterrupt:
        return 130
    return 0
