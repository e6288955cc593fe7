# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_teach`: teach a model, which stays as it is, classes of your own: three ways."""
import sys

from ltp_ros import programs

if __name__ == '__main__':  # before what takes seconds to import
    sys.exit(programs.ltp_teach())

import argparse
import importlib
import os
import signal
from types import ModuleType
from typing import Any, List, Optional

from rich.console import Console

from ltp_ros.config import ClassifierConfig
from ltp_ros.files import expand
from ltp_ros.parameter import ConfigError
from ltp_ros.tools.support.flags import (
    CLASSIFIER_FLAGS,
    add_ladder_flags,
    checked,
    number,
    program_parser,
)
from ltp_ros.tools.support.telling import teller

USAGE = '''%(prog)s FOLDER --output FILE [option ...]
       %(prog)s --live [LABEL] [option ...]
       %(prog)s --review DIR [option ...]'''
DESCRIPTION = '''`ltp_teach`: Teach a model classes of your own. The model itself stays as it is.

  ltp_teach FOLDER --output FILE [--add] [--forget LABEL ...] [--zoom]
      Teach a model from pictures. Each folder in FOLDER is a class of its name;
      in one named "none" are pictures of none of them. A node takes FILE as the
      parameter classes.

  ltp_teach --live LABEL [--seconds S | --frames N] [--save [FILE]]
  ltp_teach --live --negative | --forget LABEL ... | --save [FILE]
      Teach a running node from its camera, while it goes on answering: a class,
      or what is none of them. Or have it forget classes, or keep them in a file.

  ltp_teach --review DIR [--labels FILE]
      Sort pictures, such as a node keeps in its collect_dir. First draw them on
      a sheet, with a table beside it to fill in; then, with the table as
      --labels, move them into the class folders that the first way takes.
'''
WAYS = {'images': ('FOLDER', 'teach_folder'), 'live': ('--live', 'teach_live'),
        'review': ('--review', 'teach_review')}  # what the user calls it, its module
LIVE = {'live', 'seconds', 'frames', 'negative', 'camera', 'node', 'save'}
REVIEW = {'review', 'sheet'}
SHARED = {'forget': {'images', 'live'}, 'quiet': {'images', 'live'},
          'labels': {'images', 'review'}}
MAX_SECONDS, MAX_FRAMES = 86_400.0, 2 ** 32 - 1

seconds = number(float, f'above 0 and at most {MAX_SECONDS:g}',
                 lambda value: 0 < value <= MAX_SECONDS)
frames = number(int, f'from 1 to {MAX_FRAMES}', lambda value: 1 <= value <= MAX_FRAMES)


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Show the description as it is written, and the defaults that say something."""

    def _get_help_string(self, action: argparse.Action) -> Optional[str]:
        return super()._get_help_string(action) if action.default else action.help


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of `ltp_teach`."""
    parser = program_parser('ltp_teach', DESCRIPTION,
                            [name for name in CLASSIFIER_FLAGS if name != 'labels'])
    parser.formatter_class, parser.usage = _Help, USAGE
    add = parser.add_argument_group('with FOLDER, besides the model above').add_argument
    add('images', type=expand, nargs='?', metavar='FOLDER', help='a folder of class folders, or '
        'an .npz with jpeg, offsets, labels and class_names')
    add('--output', type=expand, metavar='FILE',
        help='the file of the classes; a node with the same model takes it as classes:=FILE')
    add('--add', action='store_true', help='go on teaching the classes of FILE; pictures that '
        'were taught before are not taught twice')
    add('--forget', nargs='+', default=[], metavar='LABEL', help='classes to forget first, with '
        '--add or --live; "none": the pictures of none of them')
    add('--zoom', action='store_true', help='teach what the model sees through the zoom: for a '
        'node with zoom:=true')
    add_ladder_flags(parser, 'with FOLDER: the levels that are taught; a node may have no others')
    group = parser.add_argument_group('with --live')
    add = group.add_argument
    add('--live', nargs='?', const='', metavar='LABEL', help='teach a running node this class')
    add('--negative', action='store_true', help='show what is none of the classes; no LABEL')
    length = group.add_mutually_exclusive_group().add_argument
    length('--seconds', type=seconds, metavar='S', help='how long; 5, if --frames is not given')
    length('--frames', type=frames, metavar='N', help='how many pictures')
    add('--camera', default='', metavar='TOPIC', help='its camera, where the node has several')
    add('--node', default='/ltp/classifier', metavar='NAME', help='the full name of the node')
    add('--save', nargs='?', const='', metavar='FILE', help='afterwards keep the classes in FILE '
        'on the machine of the node; without FILE, in that of its parameter classes')
    add = parser.add_argument_group('with --review').add_argument
    add('--review', type=expand, metavar='DIR', help='a folder of pictures')
    add('--sheet', type=expand, metavar='FILE', help='the sheet, a .jpg; by default DIR_sheet.jpg '
        'beside DIR')
    add('--labels', type=checked('labels'), default=ClassifierConfig.labels, metavar='FILE',
        help='the table, filled in: CSV with the columns file or number, and label; with FOLDER: '
        'the labels of the model, as the parameter labels of the node')
    return parser


def way_of(given: List[str]) -> str:
    """Return which way to work the flags ask for: a key of WAYS.

    Args:
        given: names of the flags that are not at their defaults.

    Raises:
        ConfigError: if they go together with none.
    """
    ways = [way for way in WAYS if way in given]
    if len(ways) != 1:
        what = ' and '.join(WAYS[way][0] for way in ways) + ' do not go together' if ways else (
            'nothing to teach from is given')
        raise ConfigError(f'{what}; expected a FOLDER, --live or --review: see ltp_teach --help')
    for name in given:
        own = SHARED.get(name) or {'live' if name in LIVE else 'review' if name in REVIEW
                                   else 'images'}
        if ways[0] not in own:
            raise ConfigError(f'--{name.replace("_", "-")} goes with '
                              f'{" or ".join(WAYS[way][0] for way in WAYS if way in own)}, not '
                              f'with {WAYS[ways[0]][0]}')
    if ways[0] == 'images' and 'output' not in given:
        raise ConfigError('the file of the classes is not named; expected --output FILE')
    return ways[0]


def imported(name: str) -> ModuleType:
    """Import what one way alone needs: ROS or torch. Ctrl-C ends the program at any moment."""
    def end(received: int, frame: Any) -> None:
        os._exit(programs.INTERRUPTED)
    handled = [received for received in programs.STOP
               if signal.getsignal(received) is signal.default_int_handler]
    for received in handled:
        signal.signal(received, end)
    try:
        return importlib.import_module(f'ltp_ros.tools.support.{name}')
    finally:
        for received in handled:
            signal.signal(received, signal.default_int_handler)


def main(argv: Optional[List[str]] = None) -> int:
    """Run `ltp_teach`; return the exit code."""
    parser = build_parser()
    args = parser.parse_args(argv)
    errors = Console(stderr=True)
    tell = teller(errors, 'ltp_teach')
    try:
        way = imported(WAYS[way_of([name for name, value in vars(args).items()
                                    if value != parser.get_default(name)])][1])
    except ConfigError as error:
        tell(str(error))
        return 2
    try:
        way.run(args, tell, errors)
    except way.ERRORS as error:
        tell(str(error))
        return 2
    except KeyboardInterrupt:
        return programs.INTERRUPTED
    return 0
