# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A process that is stopped, killed and started again, and a middleware that goes and comes.

LTP_TEST_STOP_S=10 stops it for longer.
"""
import os
import signal
import time
from pathlib import Path

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from ros_helpers import DEADLINE_S, classifier_process, exchange, picture

STOP_S = float(os.environ.get('LTP_TEST_STOP_S', '1.5'))
MAX_AGE_MS = 1000.0


@pytest.fixture(scope='module')
def running(small_model):
    """Return a function that returns the node of these tests, started anew where it has ended."""
    programs = []

    def get():
        if not programs or programs[-1].exit_code is not None:
            programs.append(classifier_process(checkpoint=small_model, max_age_ms=MAX_AGE_MS,
                                               keep_ratios='[1.0]'))
        return programs[-1]

    get()
    yield get
    for program in programs:
        program.__exit__()


def fresh(listener, index):
    """Return an image of this moment."""
    image = picture(index)
    image.header.stamp = listener.node.get_clock().now().to_msg()
    return image


def counts(listener):
    """Return the counts of the newest diagnostics: received, published, and each drop."""
    found = [{value.key: value.value for value in status.values}
             for array in listener.heard['/diagnostics'] for status in array.status
             if status.name == 'ltp/classifier: input']
    return {key: int(value) for key, value in (found[-1] if found else {}).items()
            if key in ('received', 'published') or key.startswith('dropped')}


def test_a_process_that_is_stopped_goes_on_and_answers_nothing_that_came_too_late(
        listener, running):
    listener.listen('/diagnostics', DiagnosticArray)
    program = running()
    publisher = listener.publisher('/ltp/image', program=program)
    exchange(listener, publisher, fresh(listener, 0), program)
    program.send_signal(signal.SIGSTOP)
    try:
        for index in range(100, 105):  # which the transport may lose
            publisher.publish(fresh(listener, index))
        end = time.monotonic() + STOP_S
        listener.until(lambda: time.monotonic() > end)
    finally:
        program.send_signal(signal.SIGCONT)
    listener.until(lambda: publisher.publish(fresh(listener, 9)) or any(
        answer.header.frame_id == 'frame 9' for answer in listener.classifications), program)
    assert {answer.header.frame_id for answer in listener.classifications} == {
        'frame 0', 'frame 9'}
    listener.heard['/diagnostics'].clear()
    listener.until(lambda: counts(listener), program)
    found = counts(listener)
    received, published = found.pop('received'), found.pop('published')
    assert 0 <= received - published - sum(found.values()) <= 2  # waiting, and in work
    assert 'is stuck' not in program.output and 'Traceback' not in program.output


def test_every_participant_may_leave_and_come_back(listener, running):
    program = running()
    for index in range(2):
        publisher = listener.publisher('/ltp/image', program=program)
        exchange(listener, publisher, fresh(listener, index), program)
        listener.node.destroy_node()
        rclpy.shutdown()
        rclpy.init()
        listener.__init__()
    publisher = listener.publisher('/ltp/image', program=program)
    exchange(listener, publisher, fresh(listener, 2), program)


def test_a_node_that_is_killed_and_started_again_serves_the_same_camera_and_subscriber(
        listener, running):
    program = running()
    publisher = listener.publisher('/ltp/image', program=program)
    exchange(listener, publisher, fresh(listener, 0), program)
    locks = [Path(os.readlink(link)) for link in Path(f'/proc/{program.pid}/fd').iterdir()
             if os.readlink(link).startswith('/dev/shm/fast')]
    program.send_signal(signal.SIGKILL)
    program.wait(DEADLINE_S)
    program = running()
    before = len(listener.classifications)
    listener.until(lambda: publisher.publish(fresh(listener, 1)) or (
        len(listener.classifications) > before), program)
    assert 'Traceback' not in program.output
    for lock in locks:  # what Fast DDS has not tidied up; nobody else has these names
        for path in lock, Path(str(lock).replace('_el', '')):
            if 'port' not in path.name and path.exists():
                path.unlink()
