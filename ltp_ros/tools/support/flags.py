# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Flags that several programs share, so that each is spelled and explained once."""
import argparse
import math
import os
from typing import Any, Callable, Dict, Mapping, Optional, Sequence

from ltp_ros.config import ClassifierConfig, ConfigError, check, fields
from ltp_ros.model.vit import DEMO

MODEL_FLAGS = ('model', 'checkpoint', 'labels', 'device', 'precision')
# Of the programs that run the classifier as the node does
CLASSIFIER_FLAGS = (*MODEL_FLAGS, 'backend', 'method', 'score', 'papr_checkpoint',
                    'num_threads', 'cache')


def common_flags(names: Sequence[str] = MODEL_FLAGS) -> argparse.ArgumentParser:
    """Return a parser for `parents=`: which model, how it runs, --json and --quiet.

    Args:
        names: of the node's parameters that become flags, with their defaults, choices and
            descriptions.
    """
    parser = argparse.ArgumentParser(add_help=False)
    parameters = {field.name: field for _, field in fields()}
    for name in names:
        metadata = parameters[name].metadata
        default = getattr(ClassifierConfig, name)
        allowed = metadata['allowed']
        parser.add_argument(f'--{name.replace("_", "-")}', default=default,
                            type=checked(name) if allowed.pattern else type(default),
                            choices=None if allowed.pattern else allowed.choices or None,
                            help=metadata['description'])
    parser.add_argument('--json', metavar='FILE', help='write the results as JSON')
    parser.add_argument('--quiet', action='store_true', help='no progress bar')
    return parser


def checked(name: str) -> Callable[[str], str]:
    """Return a parser of the strings that a parameter of the node may be."""
    def parse(text: str) -> str:
        try:
            return str(check(name, text))
        except ConfigError as error:
            raise argparse.ArgumentTypeError(str(error)) from error
    return parse


def absolute_paths(values: Mapping[str, Any]) -> Dict[str, Any]:
    """Return parameters of the node by name, those that name files made absolute."""
    paths = {field.name for _, field in fields() if field.metadata['path']}
    return {name: os.path.abspath(value) if name in paths and value not in ('', DEMO) else value
            for name, value in values.items()}


def program_parser(prog: str, doc: Optional[str], names: Sequence[str]) -> argparse.ArgumentParser:
    """Return the command line of a program, with the flags of `common_flags`.

    Args:
        prog: its name.
        doc: docstring of its module, "`prog`: what it does".
        names: as for `common_flags`.
    """
    return argparse.ArgumentParser(
        prog=prog, parents=[common_flags(names)], description=(doc or '').split(': ', 1)[1],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)


def add_ladder_flags(parser: argparse.ArgumentParser, what: str,
                     several_alphas: bool = False) -> None:
    """Add --keep-ratios, which are `what`, and --alpha, with the defaults of the node."""
    parser.add_argument('--keep-ratios', type=float, nargs='+', metavar='RATIO',
                        default=list(ClassifierConfig.keep_ratios), help=what)
    alpha = ClassifierConfig.alpha
    parser.add_argument('--alpha', type=float, nargs='+' if several_alphas else None,
                        default=[alpha] if several_alphas else alpha,
                        help='weight of the spatial term against redundancy in the SRB score')


def positive_int(text: str) -> int:
    """Parse a whole number above 0."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f'{text} is not allowed; it must be at least 1')
    return number


def whole_number(text: str) -> int:
    """Parse a whole number, 0 or above."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f'{text} is not allowed; it must be at least 0')
    return number


def positive(text: str) -> float:
    """Parse a finite number above 0."""
    number = float(text)
    if not 0.0 < number < math.inf:
        raise argparse.ArgumentTypeError(f'{text} is not allowed; it must be above 0')
    return number
