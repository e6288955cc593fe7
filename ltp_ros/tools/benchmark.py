# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark`: measure on this machine what the package claims."""
import argparse
import sys
from typing import List, Optional

from ltp_ros.tools import benchmark_deadline

# Each has NAME, a docstring that says what it measures, add_arguments(parser) and run(args)
COMMANDS = (benchmark_deadline,)


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
    return command.run(args)


if __name__ == '__main__':
    sys.exit(main())
