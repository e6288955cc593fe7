# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Flags shared by several programs, so that each is defined and explained once."""
import argparse
import os
from typing import Callable, Dict, Mapping, Optional, Sequence, Type, TypeVar

from ltp_ros.config import ClassifierConfig, Config, Value
from ltp_ros.files import expand
from ltp_ros.model.names import DEMO, LOCAL_PREFIX
from ltp_ros.parameter import ConfigError, finite
from ltp_ros.settings import check, fields, value_of

N = TypeVar('N', int, float)

MODEL_FLAGS = ('model', 'checkpoint', 'labels', 'input_size', 'crop_mode', 'device', 'precision')
# For the programs that run the classifier as the node does
CLASSIFIER_FLAGS = (*MODEL_FLAGS, 'backend', 'method', 'score', 'papr_checkpoint',
                    'num_threads', 'cache')
MAX_SEED = 2 ** 32 - 1


def common_flags(names: Sequence[str] = MODEL_FLAGS) -> argparse.ArgumentParser:
    """Return a parser for `parents=` with flags for node parameters, --json and --quiet.

    Args:
        names: node parameters to offer as flags, with their defaults, choices and descriptions.
    """
    parser = argparse.ArgumentParser(add_help=False)
    parameters = {field.name: field for _, field in fields()}
    for name in names:
        metadata = parameters[name].metadata
        allowed = metadata['allowed']
        parser.add_argument(f'--{name.replace("_", "-")}', type=checked(name),
                            default=value_of(Config(), name),
                            choices=None if allowed.pattern else allowed.choices or None,
                            help=metadata['description'].replace('%', '%%'))  # argparse formats
    parser.add_argument('--json', type=expand, metavar='FILE', help='write the results as JSON')
    parser.add_argument('--quiet', action='store_true', help='hide the progress bar')
    return parser


def checked(name: str) -> Callable[[str], Value]:
    """Return a parser that accepts the valid values of a node parameter."""
    kind: Callable[[str], Value] = type(value_of(Config(), name))

    def parse(text: str) -> Value:
        try:
            value: Value = kind(text)
        except ValueError:
            value = text  # not a number: refused below, with what is expected
        try:
            return check(name, value)
        except ConfigError as error:
            raise argparse.ArgumentTypeError(str(error)) from error
    return parse


def absolute_paths(values: Mapping[str, object]) -> Dict[str, object]:
    """Return node parameters by name, with every file path made absolute.

    What a path is does not depend on the files that happen to be here.
    """
    paths = {field.name for _, field in fields() if field.metadata['path']}

    def absolute(name: str, value: object) -> object:
        text = str(value)
        if name == 'model' and text.startswith(LOCAL_PREFIX):
            return LOCAL_PREFIX + os.path.abspath(expand(text[len(LOCAL_PREFIX):]))
        return os.path.abspath(text) if name in paths and text not in ('', DEMO) else value
    return {name: absolute(name, value) for name, value in values.items()}


def program_parser(prog: str, doc: Optional[str], names: Sequence[str]) -> argparse.ArgumentParser:
    """Return the command line of a program, with the flags of `common_flags`.

    Args:
        prog: name of the program.
        doc: docstring of its module, "`prog`: description".
        names: as for `common_flags`.
    """
    return argparse.ArgumentParser(
        prog=prog, parents=[common_flags(names)], description=(doc or '').split(': ', 1)[1],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)


def add_ladder_flags(parser: argparse.ArgumentParser, description: str,
                     several_alphas: bool = False) -> None:
    """Add --keep-ratios, with this description, and --alpha; the defaults are the node's."""
    parser.add_argument('--keep-ratios', type=float, nargs='+', metavar='RATIO',
                        default=list(ClassifierConfig.keep_ratios), help=description)
    alpha = ClassifierConfig.alpha
    parser.add_argument('--alpha', type=float, nargs='+' if several_alphas else None,
                        default=[alpha] if several_alphas else alpha,
                        help='weight of the spatial term against redundancy in the SRB score')


def number(kind: Type[N], allowed: str, is_allowed: Callable[[N], bool]) -> Callable[[str], N]:
    """Return a parser of finite numbers, for `type=`.

    Args:
        kind: int or float.
        allowed: the range in words, to complete "it must be".
        is_allowed: whether a number is in it.
    """
    def parse(text: str) -> N:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f'{text!r} is not a {"whole " if kind is int else ""}number; it must be '
                f'{allowed}') from None
        if not (finite(value) and is_allowed(value)):
            raise argparse.ArgumentTypeError(f'{text} is not allowed; it must be {allowed}')
        return value
    return parse


positive_int = number(int, 'at least 1', lambda value: value >= 1)
whole_number = number(int, 'at least 0', lambda value: value >= 0)
positive = number(float, 'above 0', lambda value: value > 0)
not_negative = number(float, 'at least 0', lambda value: value >= 0)
share = number(float, 'from 0 to 1', lambda value: 0 <= value <= 1)
seed = number(int, f'from 0 to {MAX_SEED}', lambda value: 0 <= value <= MAX_SEED)
