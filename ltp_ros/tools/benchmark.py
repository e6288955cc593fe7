# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark`: check the claims of this package on this machine."""
import sys

from ltp_ros import programs

if __name__ == '__main__':  # before what takes seconds to import
    sys.exit(programs.ltp_benchmark())

import argparse
import ast
import importlib
import os
from pathlib import Path
from types import ModuleType
from typing import Optional, Sequence

os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')  # as in the node, whose times are measured

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ltp_ros.classifier import ClassifierError
from ltp_ros.images import ImageFileError
from ltp_ros.model.card import ModelError
from ltp_ros.parameter import ConfigError
from ltp_ros.research.benchmarks import BenchmarkError
from ltp_ros.research.benchmarks.figures import PlotError
from ltp_ros.tools.support.processes import ProcessError
from ltp_ros.tools.support.progress import shown

# Modules in benchmarks/, imported on demand since some need ROS. Each has a docstring that
# describes the measurement, PARENTS, add_arguments(parser), and run(args, bar), which shows its
# progress in `bar` and returns an exit code, or None for 0
COMMANDS = ('choose', 'deadline', 'tuner', 'overload', 'soak', 'fuzz', 'node', 'crops', 'methods',
            'teaching', 'scenes', 'zoom', 'board', 'gpu')


def build_parser(command: str = '') -> argparse.ArgumentParser:
    """Return the command line of `ltp_benchmark`, with the flags of `command` only."""
    parser = argparse.ArgumentParser(prog='ltp_benchmark',
                                     description=(__doc__ or '').split(': ', 1)[1])
    names = parser.add_subparsers(dest='command', metavar='COMMAND')
    names.required = True
    for name in COMMANDS:
        text = _docstring(name)
        if name != command:
            names.add_parser(name, help=text.split('\n', 1)[0])
            continue
        module = _module(name)
        module.add_arguments(names.add_parser(
            name, help=text.split('\n', 1)[0], description=text, parents=module.PARENTS,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter))
    return parser


def _module(name: str) -> ModuleType:
    return importlib.import_module(f'ltp_ros.tools.benchmarks.{name}')


def _docstring(name: str) -> str:
    source = Path(__file__).parent.joinpath('benchmarks', f'{name}.py').read_text(encoding='utf-8')
    return (ast.get_docstring(ast.parse(source)) or '').split(': ', 1)[1]


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run `ltp_benchmark`; return the exit code: 0 if every measurement was made."""
    argv = list(sys.argv[1:] if argv is None else argv)
    errors = Console(stderr=True)

    def fail(error: Exception) -> int:
        errors.print(f'ltp_benchmark {" ".join(argv[:1])}: {error}', soft_wrap=True, markup=False,
                     highlight=False)
        return 2

    try:
        parser = build_parser(*argv[:1])
    except ImportError as error:
        return fail(error)
    args = parser.parse_args(argv)
    columns = (TextColumn('{task.description}'), BarColumn(), TimeRemainingColumn())
    try:
        with shown(Progress(*columns, console=errors, disable=args.quiet)) as bar:
            return _module(args.command).run(args, bar) or 0
    except (BenchmarkError, ClassifierError, ConfigError, ImageFileError, ModelError, PlotError,
            ProcessError, OSError) as error:
        return fail(error)
    except KeyboardInterrupt:
        return 130
