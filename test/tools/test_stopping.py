# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Signals end a program that is in the middle of one long call, and nothing after it."""
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import ltp_ros
from ltp_ros.tools.support.stopping import ending, noting

PROGRAM = '''
import os, signal, time
from ltp_ros.tools.support import stopping

def at_last():
    print('at last', flush=True)
    {last}

with stopping.ending(signal.SIGTERM, at_last=at_last) as noted:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep({busy_s})
    print('ended by itself after', *noted, flush=True)
'''


def run(last='return 7', busy_s=600.0):
    return subprocess.run([sys.executable, '-c', PROGRAM.format(last=last, busy_s=busy_s)],
                          capture_output=True, text=True, timeout=60,
                          cwd=str(Path(ltp_ros.__file__).parents[1]))


def test_a_program_that_is_busy_is_ended_with_its_last_words():
    ended = run()
    assert (ended.returncode, ended.stdout) == (7, 'at last\n')


def test_a_program_that_is_soon_done_ends_by_itself():
    ended = run(busy_s=0.0)
    assert (ended.returncode, ended.stdout) == (0, f'ended by itself after {signal.SIGTERM:d}\n')


def test_last_words_that_fail_are_told_and_end_the_program_too():
    ended = run(last="raise OSError('no space left')")
    assert ended.returncode == 1 and 'no space left' in ended.stderr


@pytest.mark.parametrize('stopping', [
    lambda: noting(signal.SIGUSR1), lambda: ending(signal.SIGUSR1, at_last=pytest.fail)])
def test_a_signal_is_noted_and_everything_is_as_before_afterwards(stopping):
    handler, threads = signal.getsignal(signal.SIGUSR1), threading.active_count()
    descriptors = len(os.listdir('/proc/self/fd'))
    with stopping() as noted:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert noted == [signal.SIGUSR1]
    assert signal.getsignal(signal.SIGUSR1) is handler
    assert signal.set_wakeup_fd(-1) == -1
    assert threading.active_count() == threads
    assert len(os.listdir('/proc/self/fd')) == descriptors
