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

def at_once():
    print('at once', flush=True)
    {at_once}

def at_last():
    print('at last', flush=True)
    return 7

with stopping.ending(signal.SIGTERM, at_once=at_once, at_last=at_last) as noted:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep({busy_s})
    print('ended by itself', flush=True)
'''


def run(at_once='', busy_s=600.0):
    return subprocess.run([sys.executable, '-c', PROGRAM.format(at_once=at_once, busy_s=busy_s)],
                          capture_output=True, text=True, timeout=60,
                          cwd=str(Path(ltp_ros.__file__).parents[1]))


def test_a_program_that_is_busy_is_ended_with_its_last_words():
    ended = run()
    assert (ended.returncode, ended.stdout) == (7, 'at once\nat last\n')


def test_a_program_that_is_soon_done_ends_by_itself():
    ended = run(busy_s=0.0)
    assert ended.returncode == 0 and 'at last' not in ended.stdout
    assert 'at once' in ended.stdout and 'ended by itself' in ended.stdout  # in either order


def test_what_fails_at_once_is_told_and_the_program_ends_nevertheless():
    ended = run(at_once="raise OSError('no space left')")
    assert ended.returncode == 7 and 'no space left' in ended.stderr


@pytest.mark.parametrize('stopping', [
    lambda: noting(signal.SIGUSR1), lambda: ending(
        signal.SIGUSR1, at_once=lambda: None, at_last=pytest.fail)])
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
