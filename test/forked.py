# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The node and the camera, forked from a process that has their modules imported already.

They are up in hundredths of a second; `python -m ltp_ros.node` imports torch and timm for five.
"""
import atexit
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile

from ltp_ros import programs
from ltp_ros.research.benchmarks.gpu.runner import PRELOADED
from ltp_ros.tools.support.processes import STOP_TIMEOUT_S, Process

FORKS = multiprocessing.get_context('forkserver')
# These start no thread when they are imported, so that they can be forked. There is one server in
# the process, which forks the parts of the GPU's day too
MODULES = ['ltp_ros.node', 'ltp_ros.tools.image_source', *PRELOADED]


def run(module, arguments, environment, log):
    """Do as `python -m module`, from the end of its imports to its exit code."""
    os.environ.clear()
    os.environ.update(environment)
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    sys.stdout.reconfigure(line_buffering=True)
    sys.argv = [module, *arguments]
    code = programs.run(module, interrupted=0)
    atexit._run_exitfuncs()  # multiprocessing leaves them out
    sys.exit(code)


class Forked(Process):
    """A `Process` of the node or the camera."""

    def __init__(self, module, arguments, **environment):
        self.module = module
        self._log = tempfile.NamedTemporaryFile()
        FORKS.set_forkserver_preload(MODULES)  # of a server that is still to be started
        self._process = FORKS.Process(target=run, args=(
            module, arguments, {**os.environ, **environment}, self._log.name))
        self._process.start()

    @property
    def exit_code(self):
        return self._process.exitcode

    def wait(self, timeout_s):
        self._process.join(timeout_s)
        if self.exit_code is None:
            raise subprocess.TimeoutExpired(self.module, timeout_s)
        return self.exit_code

    def send_signal(self, number):
        if self.exit_code is None:
            os.kill(self.pid, number)

    def __exit__(self, *exception):
        self.send_signal(signal.SIGTERM)
        self._process.join(STOP_TIMEOUT_S)
        self._process.kill()
        self._process.join()
        self._log.close()
