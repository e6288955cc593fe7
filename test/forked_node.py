# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The node in a process of its own, forked from one that has its modules imported already.

It is up in hundredths of a second; `python -m ltp_ros.node` imports torch and timm for five.
"""
import atexit
import multiprocessing
import os
import signal
import sys
import tempfile

from ltp_ros import programs
from ltp_ros.tools.support.processes import STOP_TIMEOUT_S

FORKS = multiprocessing.get_context('forkserver')
FORKS.set_forkserver_preload(['ltp_ros.node'])  # starts no thread, so that it can be forked


def run(arguments, environment, log):
    """Be `ltp_classifier`, from the end of its imports to its exit code."""
    os.environ.clear()
    os.environ.update(environment)
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    sys.stdout.reconfigure(line_buffering=True)
    sys.argv = ['ltp_classifier', *arguments]
    code = programs.ltp_classifier()
    atexit._run_exitfuncs()  # multiprocessing leaves them out
    sys.exit(code)


class ForkedNode:
    """A running node; the members of `ltp_ros.tools.support.processes.Process`."""

    def __init__(self, arguments, **environment):
        self._log = tempfile.NamedTemporaryFile()
        self._process = FORKS.Process(target=run, args=(
            arguments, {**os.environ, **environment}, self._log.name))
        self._process.start()
        self.pid = self._process.pid

    @property
    def exit_code(self):
        return self._process.exitcode

    @property
    def output(self):
        return os.pread(self._log.fileno(), os.fstat(self._log.fileno()).st_size, 0).decode()

    def wait(self, timeout_s):
        self._process.join(timeout_s)
        if self.exit_code is None:
            raise TimeoutError(self.output)
        return self.exit_code

    def send_signal(self, number):
        os.kill(self.pid, number)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.exit_code is None:
            self.send_signal(signal.SIGTERM)
        self._process.join(STOP_TIMEOUT_S)
        self._process.kill()
        self._process.join()
        self._log.close()
