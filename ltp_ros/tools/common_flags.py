# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Flags that several programs share, so that each is spelled and explained once."""
import argparse

from ltp_ros.config import ClassifierConfig, fields

MODEL_FLAGS = ('model', 'checkpoint', 'labels', 'device', 'precision')


def common_flags() -> argparse.ArgumentParser:
    """Return a parser for `parents=`: which model, where it runs, --json and --quiet.

    Names, defaults, choices and descriptions are those of the node's parameters.
    """
    parser = argparse.ArgumentParser(add_help=False)
    parameters = {field.name: field for _, field in fields()}
    for name in MODEL_FLAGS:
        metadata = parameters[name].metadata
        parser.add_argument(f'--{name}', default=getattr(ClassifierConfig, name),
                            choices=metadata['allowed'].choices or None,
                            help=metadata['description'])
    parser.add_argument('--json', metavar='FILE', help='write the results as JSON')
    parser.add_argument('--quiet', action='store_true', help='no progress bar')
    return parser


def positive_int(text: str) -> int:
    """Parse a whole number above 0."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f'{text} is not allowed; it must be at least 1')
    return number
