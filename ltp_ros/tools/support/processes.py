# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Run programs of this package as child processes, with ROS confined to this machine."""
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import List, Mapping, Optional, Sequence

import ltp_ros
from ltp_ros.ros.transport import use_large_images

STOP_TIMEOUT_S = 10.0


class ProcessError(RuntimeError):
    """A process failed; the message holds the end of its output."""


class Process:
    """A running program of this package; a context manager that ends it.

    Args:
        module: run as `python -m module`.
        arguments: the command line. Paths must be absolute.
        environment: variables to set in addition to those of this process.
    """

    def __init__(self, module: str, arguments: Sequence[str], **environment: str):
        self.module = module
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, '-m', module, *arguments], stdin=subprocess.DEVNULL,
            stdout=self._log, stderr=subprocess.STDOUT,
            env={**os.environ, 'PYTHONUNBUFFERED': '1', **environment},
            # -m searches the working folder first, and a source tree there lacks the messages
            cwd=Path(ltp_ros.__file__).parents[1])

    @property
    def pid(self) -> int:
        """The process ID."""
        return self._process.pid

    @property
    def exit_code(self) -> Optional[int]:
        """The exit code; None while the process runs."""
        return self._process.poll()

    @property
    def output(self) -> str:
        """The output so far, stdout and stderr together."""
        return os.pread(self._log.fileno(), os.fstat(self._log.fileno()).st_size, 0).decode()

    def check(self) -> None:
        """Raise ProcessError if the process has failed."""
        if self.exit_code:
            tail = '\n'.join(self.output.splitlines()[-15:])
            raise ProcessError(f'{self.module} ended with exit code {self.exit_code}:\n{tail}')

    def wait(self, timeout_s: float) -> int:
        """Wait for the process to end and return its exit code."""
        return self._process.wait(timeout_s)

    def send_signal(self, number: int) -> None:
        """Send the process a signal."""
        self._process.send_signal(number)

    def __enter__(self) -> 'Process':
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


def parameter_arguments(values: Mapping[str, object]) -> List[str]:
    """Return the ROS arguments that give a node its parameters; '' or None leaves a default."""
    return ['--ros-args', *(text for name, value in values.items() if value not in ('', None)
                            for text in ('-p', f'{name}:={value}'))]


def isolate() -> None:
    """Confine ROS to this machine and, unless the user chose a domain, to one of its own.

    Call this before rclpy.init; child processes inherit the settings.
    """
    os.environ.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))
    if os.environ.get('ROS_DISTRO') == 'humble':
        os.environ.setdefault('ROS_LOCALHOST_ONLY', '1')
    else:
        os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    use_large_images()
