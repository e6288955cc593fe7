# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Flags shared by several programs, so that each is defined and explained once."""
import argparse
import math
import os
from typing import Callable, Dict, Mapping, Optional, Sequence

from ltp_ros.config import ClassifierConfig, ConfigError, check, fields
from ltp_ros.files import expand
from ltp_ros.model.vit import DEMO

MODEL_FLAGS = ('model', 'checkpoint', 'labels', 'device', 'precision')
# For the programs that run the classifier as the node does
CLASSIFIER_FLAGS = (*MODEL_FLAGS, 'backend', 'method', 'score', 'papr_checkpoint',
                    'num_threads', 'cache')


def common_flags(names: Sequence[str] = MODEL_FLAGS) -> argparse.ArgumentParser:
    """Return a parser for `parents=` with flags for node parameters, --json and --quiet.

    Args:
        names: node parameters to offer as flags, with their defaults, choices and descriptions.
    """
    parser = argparse.ArgumentParser(add_help=False)
    parameters = {field.name: field for _, field in fields()}
    for name in names:
        metadata = parameters[name].metadata
        default = getattr(ClassifierConfig, name)
        allowed = metadata['allowed']
        parser.add_argument(f'--{name.replace("_", "-")}', default=default,
                            type=checked(name) if allowed.pattern or metadata['path']
                            else type(default),
                            choices=None if allowed.pattern else allowed.choices or None,
                            help=metadata['description'])
    parser.add_argument('--json', type=expand, metavar='FILE', help='write the results as JSON')
    parser.add_argument('--quiet', action='store_true', help='hide the progress bar')
    return parser


def checked(name: str) -> Callable[[str], str]:
    """Return a parser that accepts the valid strings of a node parameter."""
    def parse(text: str) -> str:
        try:
            return str(check(name, text))
        except ConfigError as error:
            raise argparse.ArgumentTypeError(str(error)) from error
    return parse


def absolute_paths(values: Mapping[str, object]) -> Dict[str, object]:
    """Return node parameters by name, with every file path made absolute."""
    paths = {field.name for _, field in fields() if field.metadata['path']}
    return {name: os.path.abspath(str(value)) if name in paths and value not in ('', DEMO)
            else value for name, value in values.items()}


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


def positive_int(text: str) -> int:
    """Parse an integer of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f'{text} is not allowed; it must be at least 1')
    return number


def whole_number(text: str) -> int:
    """Parse an integer of at least 0."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f'{text} is not allowed; it must be at least 0')
    return number


def positive(text: str) -> float:
    """Parse a finite number greater than 0."""
    number = float(text)
    if not 0.0 < number < math.inf:
        raise argparse.ArgumentTypeError(f'{text} is not allowed; it must be above 0')
    return number
