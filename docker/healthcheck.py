#!/usr/bin/env python3
# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Ask /diagnostics whether the node is well: exit code 0 if it is, 1 with the reason if not.

For the health check of a container. Well is a node that reports, is active, and has no ERROR in
its statuses `lifecycle` and `device`. A camera that is silent, or a deadline that is too short,
is for /diagnostics to tell: starting the node again would not help.
"""
import argparse
import os
import signal
import sys
import time
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

ERROR = 2  # of REP-107; above it is STALE
NODE, SECONDS = '/ltp/classifier', 8.0  # a report comes once a second, and discovery takes up to 3
OWN = ('lifecycle', 'device')  # statuses that are the node's doing
GRACE_S = 3  # for ROS to start and to end, before this process ends by itself
# No files in ROS_LOG_DIR, of which there would be thousands a day
ARGUMENTS = ('--ros-args', '--disable-external-lib-logs', '--disable-rosout-logs')
# A process that is killed leaves its segment in /dev/shm: that of these profiles is 20 times as
# large as Fast DDS's own, which holds a diagnostic message
PROFILES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')


class Report(NamedTuple):
    """One status of the node."""

    level: int
    message: str


def reports_of(node: str, statuses: Iterable[Tuple[str, int, str]]) -> Dict[str, Report]:
    """Return the statuses of a node by their own names, given name, level and message of each."""
    prefix = f'{node.lstrip("/")}: '
    return {name[len(prefix):]: Report(level, message) for name, level, message in statuses
            if name.startswith(prefix)}


def fault_of(reports: Dict[str, Report], judged: Sequence[str] = OWN,
             inactive: bool = False) -> str:
    """Return why a node is not well; '' if it is.

    Args:
        reports: its statuses, `lifecycle` among them.
        judged: those whose ERROR counts.
        inactive: whether a node that is not active is well too.
    """
    bad = [f'{name}: {reports[name].message}' for name in judged
           if name in reports and reports[name].level >= ERROR]
    state = reports['lifecycle'].message.split(',')[0].split(':')[0]
    if not bad and state != 'active' and not inactive:
        bad = [f'{reports["lifecycle"].message}: it answers nothing']
    return '; '.join(bad)


def listen(node: str, seconds: float) -> Optional[Dict[str, Report]]:
    """Return the statuses in the first report of a node; None if none comes in `seconds`."""
    import rclpy  # noqa: PLC0415  once the environment is set
    from diagnostic_msgs.msg import DiagnosticArray  # noqa: PLC0415

    found: List[Dict[str, Report]] = []

    def receive(message: DiagnosticArray) -> None:
        reports = reports_of(node, ((status.name, int.from_bytes(status.level, 'little'),
                                     status.message) for status in message.status))
        if 'lifecycle' in reports:
            found.append(reports)

    rclpy.init(args=list(ARGUMENTS))
    listener = rclpy.create_node(f'healthcheck_{os.getpid()}', start_parameter_services=False)
    try:
        listener.create_subscription(DiagnosticArray, '/diagnostics', receive, 10)
        end = time.monotonic() + seconds
        while not found and time.monotonic() < end:
            rclpy.spin_once(listener, timeout_sec=0.1)
    finally:
        listener.destroy_node()
        rclpy.try_shutdown()
    return found[0] if found else None


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the program; return the exit code."""
    parser = argparse.ArgumentParser(prog='healthcheck.py', description=__doc__)
    parser.add_argument('--node', default=NODE, help='full name; default: %(default)s')
    parser.add_argument('--seconds', type=float, default=SECONDS, metavar='S',
                        help='how long to wait for a report; default: %(default)s')
    parser.add_argument('--inactive', action='store_true',
                        help='a node that is not active is well too: somebody else manages it')
    parser.add_argument('--status', nargs='+', default=OWN, metavar='NAME',
                        help='statuses whose ERROR counts, such as deadline; default: '
                        + ' '.join(OWN))
    args = parser.parse_args(argv)
    for name in PROFILES:
        os.environ.pop(name, None)
    signal.alarm(int(args.seconds) + GRACE_S)  # ends a process that hangs in ROS
    reports = listen(args.node, args.seconds)
    signal.alarm(0)
    if reports is None:
        fault = f'no report on /diagnostics for {args.seconds:g} s'
    else:
        fault = fault_of(reports, args.status, args.inactive)
    sys.stdout.write(f'{args.node}: {fault or "well"}\n')
    return 1 if fault else 0


if __name__ == '__main__':
    sys.exit(main())
