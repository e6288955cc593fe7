# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The command line of `ltp_replay`, and what it asks for."""
import argparse
from dataclasses import replace
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from ltp_ros.config import Config, InputConfig
from ltp_ros.files import expand
from ltp_ros.parameter import ConfigError
from ltp_ros.research.recordings import BAG_SUFFIXES
from ltp_ros.research.replay.bag_images import bags_of
from ltp_ros.research.replay.output import FORMS, form_of, suffix_of
from ltp_ros.settings import fields, update, value_of
from ltp_ros.tools.support.flags import (
    CLASSIFIER_FLAGS,
    absolute_paths,
    add_ladder_flags,
    checked,
    positive,
    positive_int,
    program_parser,
)
from ltp_ros.tools.support.replay_job import Job

ANSWER_FLAGS = ('keep_ratio', 'ladder', 'profile', 'temperatures', 'classes', 'top_k',
                'score_threshold', 'unknown_threshold')
SWITCHES = ('zoom', 'keep_model_classes')
# What acts only where images come in time
TIMED_FLAGS = ('deadline_ms', 'deadline_from', 'target_miss_rate', 'objective', 'min_keep_ratio',
               'max_keep_ratio', 'max_rate', 'max_age_ms')
TIMED_SWITCHES = ('drop_late',)


def build_parser(doc: Optional[str]) -> argparse.ArgumentParser:
    """Return the command line of `ltp_replay`; `doc`: of its module."""
    parser = program_parser('ltp_replay', doc, (*CLASSIFIER_FLAGS, *ANSWER_FLAGS))
    add = parser.add_argument
    add('bags', type=expand, nargs='+', metavar='BAG', help='a bag of ROS 2 or 1 (.mcap, .db3, '
        '.bag, or the folder of ros2 bag), or a folder of bags')
    add('--output', type=expand, required=True, metavar='PATH', help='a table of all images (.csv '
        'or .parquet), or a bag of the answers (.mcap, .db3, or a folder); of several bags, a '
        'folder for the outputs')
    add('--format', choices=FORMS, default='', help='of the output that is a folder, or of each '
        'in it; if omitted, mcap')
    add('--topics', nargs='+', default=[], metavar='TOPIC', help='topics to classify; if omitted, '
        'all with colour or grey images')
    add_switches(parser, SWITCHES)
    add('--roi', type=float, nargs=4, default=list(InputConfig.roi),
        metavar=('X', 'Y', 'WIDTH', 'HEIGHT'), help=_described('roi'))
    add_ladder_flags(parser, _described('keep_ratios'))
    add('--plot', type=expand, metavar='FILE', help='plot labels, latency and drops over time; of '
        'one bag')
    _add_real_time(parser)
    add = parser.add_argument_group('with several bags').add_argument
    add('--jobs', type=positive_int, metavar='N', help='bags at a time, each in a process; if '
        'omitted, as many as there are cores, with --real-time 1')
    add('--ray', default='', metavar='ADDRESS', help='spread the bags over a cluster of Ray, '
        'HOST:PORT or auto; bags and outputs lie in a folder that all its machines have')
    return parser


def _add_real_time(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('as the node would have answered')
    group.add_argument('--real-time', action='store_true', help='images come as they were '
                       'recorded, and work takes as long as here: images are superseded and '
                       'dropped, and the tuner acts. If omitted, every image is answered')
    group.add_argument('--slowdown', type=positive, default=1.0, metavar='FACTOR', help='how many '
                       "times longer the robot's machine takes than this one")
    for name in TIMED_FLAGS:
        group.add_argument(_flag(name), type=checked(name), default=value_of(Config(), name),
                           choices=_choices(name), help=_described(name))
    add_switches(group, TIMED_SWITCHES)


def add_switches(parser: 'argparse._ActionsContainer', names: Sequence[str]) -> None:
    """Add flags for parameters that are off by default."""
    for name in names:
        parser.add_argument(_flag(name), action='store_true', help=_described(name))


def _flag(name: str) -> str:
    return f'--{name.replace("_", "-")}'


def _metadata(name: str) -> Dict:
    return next(dict(field.metadata) for _, field in fields() if field.name == name)


def _described(name: str) -> str:
    return _metadata(name)['description'].replace('%', '%%')  # which argparse formats


def _choices(name: str) -> Optional[Sequence[str]]:
    return _metadata(name)['allowed'].choices or None


def config_of(args: argparse.Namespace) -> Config:
    """Return the parameters that a command line gives.

    Raises:
        ConfigError: if they do not go together.
    """
    timed = [name for name in (*TIMED_FLAGS, *TIMED_SWITCHES)
             if getattr(args, name) != value_of(Config(), name)]
    timed += ['slowdown'] if args.slowdown != 1.0 else []
    if timed and not args.real_time:
        raise ConfigError(f'{_flag(timed[0])} goes with --real-time; without it every image is '
                          'answered, however long that takes')
    names = (*CLASSIFIER_FLAGS, *ANSWER_FLAGS, *SWITCHES, *TIMED_FLAGS, *TIMED_SWITCHES, 'roi',
             'keep_ratios', 'alpha')
    values = absolute_paths({name: getattr(args, name) for name in names})
    # A value that is given means more than a default: see `settings.update`
    return update(Config(), {name: value for name, value in values.items()
                             if value != _plain(value_of(Config(), name))})


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def jobs_of(args: argparse.Namespace) -> List[Job]:
    """Return a job for each bag of a command line.

    Raises:
        ConfigError, DatasetError: if it asks for what there is not.
    """
    config, output = config_of(args), Path(args.output).absolute()
    bags = list(dict.fromkeys(bag.absolute() for path in args.bags for bag in bags_of(Path(path))))
    job = Job('', '', '', config, tuple(args.topics), args.real_time, args.slowdown)
    if len(bags) == 1 and bags[0] == Path(args.bags[0]).absolute():
        return [replace(job, bag=str(bags[0]), output=str(output),
                        form=form_of(output, args.format))]
    if output.suffix:
        raise ConfigError(f"--output '{args.output}' is a file, and there are {len(bags)} bags; "
                          'name a folder, and the kind of file with --format')
    if args.plot:
        raise ConfigError('--plot goes with one bag; leave it out')
    form = args.format or FORMS[0]
    form_of(Path(f'x{suffix_of(form)}'), form)  # or the first bag would be the first to tell
    return [replace(job, bag=str(bag), form=form, output=str(output / (name + suffix_of(form))))
            for bag, name in zip(bags, names_of(bags))]


def names_of(bags: Sequence[Path]) -> List[str]:
    """Return a name for the output of each bag: its own, with those of its folders if need be."""
    for depth in range(1, max(len(bag.parts) for bag in bags) + 1):
        names = ['_'.join((*bag.parent.parts[1:], _own_name(bag))[-depth:]) for bag in bags]
        if len(set(names)) == len(bags):
            return names
    return [f'{name}_{number}' for number, name in enumerate(names)]  # a.mcap beside a.db3


def _own_name(bag: Path) -> str:
    return bag.stem if bag.suffix in BAG_SUFFIXES else bag.name
