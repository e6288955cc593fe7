# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark`: measure on this machine what the package claims."""
import argparse
import os
import sys
from typing import List, Optional

os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')  # as the node: its times are wanted

from rclpy.executors import ExternalShutdownException
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ltp_ros.benchmarks.figures import PlotError
from ltp_ros.classifier import ClassifierError
from ltp_ros.tools import benchmark_deadline, benchmark_methods, benchmark_node, benchmark_overload
from ltp_ros.tools.processes import ProcessError
from ltp_ros.tools.session import BenchmarkError
from ltp_ros.vit import ModelError

# Each has NAME, a docstring that says what it measures, PARENTS, add_arguments(parser) and
# run(args, bar), with a progress bar to show what takes long
COMMANDS = (benchmark_deadline, benchmark_overload, benchmark_node, benchmark_methods)


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of `ltp_benchmark`."""
    parser = argparse.ArgumentParser(prog='ltp_benchmark',
                                     description=(__doc__ or '').split(': ', 1)[1])
    names = parser.add_subparsers(dest='command', metavar='COMMAND')
    names.required = True
    for command in COMMANDS:
        text = (command.__doc__ or '').split(': ', 1)[1]
        command.add_arguments(names.add_parser(
            command.NAME, help=text.split('\n', 1)[0], description=text,
            parents=command.PARENTS, formatter_class=argparse.ArgumentDefaultsHelpFormatter))
    return parser


def main(argv: Optional[List[str]] = None) -> int:
    """Run `ltp_benchmark`; return the exit code, 0 if everything was measured."""
    args = build_parser().parse_args(argv)
    command = next(command for command in COMMANDS if command.NAME == args.command)
    errors = Console(stderr=True)
    columns = (TextColumn('{task.description}'), BarColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=errors, disable=args.quiet) as bar:
            command.run(args, bar)
    except (BenchmarkError, ClassifierError, ModelError, PlotError, ProcessError,
            OSError) as error:
        errors.print(f'ltp_benchmark {command.NAME}: {error}', soft_wrap=True, markup=False,
                     highlight=False)
        return 2
    except (KeyboardInterrupt, ExternalShutdownException):
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
