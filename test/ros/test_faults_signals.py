# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A signal to stop, at moments spread over the start of the node and its first answers.

The moments are of the processor's time that the node has used, so that they are the same on a
machine that is busy with other things. LTP_TEST_MOMENTS=50 tries more of them;
--log-cli-level=INFO tells when, and how long the end took.
"""
import logging
import os
import random
import signal
import time
from pathlib import Path

import pytest
from ros_helpers import DEADLINE_S, classifier_process, picture
from sensor_msgs.msg import Image

MOMENTS = int(os.environ.get('LTP_TEST_MOMENTS', '2'))
SPAN_S = 7.5  # of processor time; the model is loaded from about 5.5, and active from 6.5 on
END_CPU_S, END_S = 2.0, 20.0  # the latter on a machine that is busy with other things
TICKS = os.sysconf('SC_CLK_TCK')


def moments():
    """Yield a signal and a moment in each part of the span, the same on every run."""
    draw = random.Random(0)
    for index in range(MOMENTS):
        yield draw.choice((signal.SIGINT, signal.SIGTERM)), (
            (index + draw.random()) / MOMENTS * SPAN_S)


def answers_signals(program):
    """Return whether the first line of this package has been run: Python's start is its own."""
    status = Path('/proc', str(program.pid), 'status').read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith('SigCgt'))
    return int(caught, 16) >> signal.SIGTERM - 1 & 1


def cpu_s(pid):
    """Return the seconds of processor time that a process has used, also just after its end."""
    words = Path('/proc', str(pid), 'stat').read_text().rpartition(')')[2].split()
    return (int(words[11]) + int(words[12])) / TICKS


def is_over(pid):
    """Return whether a process has ended, without taking its exit code."""
    return Path('/proc', str(pid), 'stat').read_text().rpartition(')')[2].split()[0] in 'ZX'


@pytest.mark.parametrize('number, moment_s', [*moments()], ids=[
    f'{number.name} after {moment_s:.2f} s' for number, moment_s in moments()])
def test_a_signal_ends_the_node_at_any_moment(listener, small_model, number, moment_s):
    camera = listener.node.create_publisher(Image, '/ltp/image', 10)
    listener.node.create_timer(0.02, lambda: camera.publish(picture(0)))
    with classifier_process(
            fresh=True, checkpoint=small_model, keep_ratios='[1.0, 0.5]') as program:
        listener.until(lambda: answers_signals(program), program)
        for share in range(1, 9):  # each with the deadline of its own: the machine may be busy
            listener.until(lambda share=share: cpu_s(program.pid) >= share / 8 * moment_s,
                           program)
        begin, used_s = time.monotonic(), cpu_s(program.pid)
        program.send_signal(number)
        listener.until(lambda: is_over(program.pid))
        took_s, used_s = time.monotonic() - begin, cpu_s(program.pid) - used_s
        said = program.output
        assert program.wait(DEADLINE_S) == 0 and 'Traceback' not in said, said
    logging.info('%s after %.2f s: over in %.2f s, %.2f s of them at work; %d answers; %s',
                 number.name, moment_s, took_s, used_s, len(listener.classifications),
                 said.splitlines()[-1] if said else 'silent')
    assert used_s < END_CPU_S and took_s < END_S
