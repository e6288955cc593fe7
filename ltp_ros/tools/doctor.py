# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_doctor`: find out why the classifier does not do on the robot what it does elsewhere.

Looks at the machine, at the running node and its camera, and at what the model really sees. Works
without a node (--topic), without ROS (--image FILE), and where packages are broken. The exit code
is 1 if there is an ERROR; a WARN leaves it at 0. Findings, causes, remedies: docs/doctor.md.
"""
import sys

from ltp_ros import programs

if __name__ == '__main__':  # before what takes seconds to import
    sys.exit(programs.ltp_doctor())

import argparse
import os
import shutil
import time
from pathlib import Path
from typing import Iterator, List, Mapping, Optional

# Before torch is loaded: threads that wait must not take the cores that the node needs
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ltp_ros.files import expand, plain
from ltp_ros.ros.transport import SHARED_MEMORY
from ltp_ros.tools.checks import installation, leftovers, transport
from ltp_ros.tools.checks.finding import Finding, Level, skipped
from ltp_ros.tools.checks.installation import Package
from ltp_ros.tools.support.flags import CLASSIFIER_FLAGS, checked, common_flags, positive
from ltp_ros.tools.support.output_files import check_writable, write_json

STYLES = {Level.OK: 'green', Level.SKIP: 'dim', Level.WARN: 'yellow', Level.ERROR: 'bold red'}
SECONDS = 10.0
LONGEST = 2000  # letters of a cell


def build_parser() -> argparse.ArgumentParser:
    """Return the command line; parameters that are not given are the node's."""
    parser = argparse.ArgumentParser(
        prog='ltp_doctor', parents=[common_flags(CLASSIFIER_FLAGS)],
        description=(__doc__ or '').split(': ', 1)[1])
    parser.add_argument('--node', default='', metavar='NAME',
                        help='full name of the node to look at, such as /ltp/classifier; default: '
                        'every one of this package')
    parser.add_argument('--topic', default='', metavar='TOPIC',
                        help='the camera to look at; default: those of the node, or the only one')
    parser.add_argument('--image', type=expand, metavar='FILE',
                        help='look at this picture, and not at ROS')
    parser.add_argument('--seconds', type=positive, default=SECONDS, metavar='S',
                        help='how long a camera is listened to; default: %(default)s')
    parser.add_argument('--keep-ratio', type=checked('keep_ratio'),
                        help='the level to compare with all tokens')
    parser.add_argument('--no-model', action='store_true',
                        help='do not load the model: no answers, a weaker test of the channels')
    parser.add_argument('--output', type=expand, default='ltp_doctor.png', metavar='FILE',
                        help="the camera's picture beside what the model sees; "
                        'default: %(default)s')
    parser.set_defaults(**dict.fromkeys(CLASSIFIER_FLAGS))
    return parser


def examine(args: argparse.Namespace) -> Iterator[Finding]:
    """Yield every finding as soon as it is made."""
    packages = installation.import_packages()
    yield from installation.judge_packages(packages, installation.installed_distributions())
    yield from transport.judge_environment(os.environ)
    if Path(SHARED_MEMORY).is_dir():
        total, _, free = shutil.disk_usage(SHARED_MEMORY)
        yield transport.judge_shared_memory(free, total)
        yield leftovers.judge(leftovers.find())
    broken = [name for name in installation.NEEDED if packages[name].error
              or packages[name].missing]
    if broken:
        yield skipped('camera and model', f'they need {", ".join(broken)}')
        return
    yield from _examine_further(args, packages)


def _examine_further(args: argparse.Namespace,
                     packages: Mapping[str, Package]) -> Iterator[Finding]:
    from ltp_ros.tools.checks import examination  # noqa: PLC0415  its packages are known to work

    given = {name: getattr(args, name) for name in (*CLASSIFIER_FLAGS, 'keep_ratio')
             if getattr(args, name) is not None}
    yield from examination.of_machine(packages, args.cache or '')
    views: List[examination.View] = []
    if args.image:
        view, findings = examination.of_file(args.image, given)
        views += [view] if view else []
    elif _has_ros(packages):
        views, findings = examination.of_system(args.node, args.topic, args.seconds, given,
                                                dict(os.environ))
    else:
        findings = [skipped('node and camera', 'ROS is not here, or not sourced; give --image '
                            'FILE to look at a picture')]
    yield from findings
    loaded = None
    for number, view in enumerate(views or [examination.View([], '', given)]):
        if args.no_model or not {'model', 'checkpoint'} & set(view.parameters):
            classifier, level = None, 1.0
            if number == 0:
                yield skipped('model', 'no model was asked for' if args.no_model else
                              'there is no node that says which; give --model or --checkpoint')
        elif view.parameters != loaded:  # two cameras of one node share a model
            loaded = view.parameters
            classifier, level, findings = examination.of_model(view.parameters)
            yield from findings
        output = Path(args.output)
        yield from examination.of_view(view, classifier, level, str(
            output.with_name(f'{output.stem}_{number + 1}{output.suffix}') if number else output))


def _has_ros(packages: Mapping[str, Package]) -> bool:
    return all(not packages[name].missing and not packages[name].error
               for name in ('rclpy', 'ltp_ros.msg'))


def make_table(findings: List[Finding]) -> Table:
    """Return the findings as a table, in the order in which they were made."""
    table = Table(title='ltp_doctor', show_lines=True)
    for name in ('check', 'level', 'found', 'what to do'):
        table.add_column(name, overflow='fold')
    for finding in findings:
        style = STYLES[finding.level]
        check, message, remedy = (Text(plain(text, LONGEST)) for text in (
            finding.check, finding.message, finding.remedy))
        table.add_row(check, Text(finding.level.value, style), message, remedy)
    return table


def main(argv: Optional[List[str]] = None) -> int:
    """Run the program; return the exit code: 0 if there is no ERROR."""
    args = build_parser().parse_args(argv)
    errors = Console(stderr=True)
    try:
        check_writable(args.json)
    except OSError as error:
        errors.print(f'ltp_doctor: {error}', soft_wrap=True, markup=False, highlight=False)
        return 2
    findings: List[Finding] = []
    try:
        with errors.status('looking at the machine') as status:
            for finding in examine(args):
                findings.append(finding)
                status.update(Text(f'{finding.check}: {finding.level.value}'))
    except KeyboardInterrupt:
        return 130
    Console().print(make_table(findings))
    counts = {level: sum(finding.level is level for finding in findings) for level in Level}
    Console().print(', '.join(f'{count} {level.value}' for level, count in counts.items()),
                    highlight=False)
    write_json(args.json, {
        'program': 'ltp_doctor', 'started': time.strftime('%Y-%m-%dT%H:%M:%S%z'),
        'rows': [{**finding._asdict(), 'level': finding.level.value} for finding in findings]})
    return 1 if counts[Level.ERROR] else 0
