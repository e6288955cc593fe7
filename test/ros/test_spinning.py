# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A callback that raises costs itself, not the node."""
import gc
import weakref

import pytest
import rclpy
from rclpy.executors import ExternalShutdownException

from ltp_ros.ros import spinning
from ltp_ros.ros.spinning import spin


@pytest.fixture
def node(listener):
    node = rclpy.create_node('spun')
    yield node
    node.destroy_node()


def test_a_callback_that_raises_is_logged_and_the_others_are_called(node, capfd):
    called = []

    def fail():
        called.append('fails')
        raise ValueError('a bug')

    def end():
        called.append('other')
        if {'fails', 'other'} <= set(called[:-1]):
            node.context.try_shutdown()

    for callback in (fail, end):
        node.create_timer(0.01, callback)
    try:
        spin(node)
    except ExternalShutdownException:
        pass  # as rclpy has it
    assert {'fails', 'other'} <= set(called)
    told = capfd.readouterr().err
    assert told.count('ValueError: a bug') == 1 and 'Traceback' in told  # throttled


def test_what_is_raised_again_and_again_ends_it(node, monkeypatch):
    monkeypatch.setattr(spinning, 'AT_MOST', 3)
    called = []

    def fail():
        called.append(1)
        raise KeyError('the wait fails')

    node.create_timer(0.001, fail)
    with pytest.raises(KeyError):
        spin(node)
    assert len(called) == 4


def test_control_c_is_not_a_fault(node):
    def interrupt():
        raise KeyboardInterrupt

    node.create_timer(0.001, interrupt)
    with pytest.raises(KeyboardInterrupt):
        spin(node)


def test_what_leaves_rclpy_deaf_ends_it(node, monkeypatch):
    """A group is released after a callback that raised, not after a message that failed."""
    timer, called = node.create_timer(10.0, lambda: None), []

    def take(executor):
        called.append(1)
        if len(called) == 2:
            timer.callback_group.beginning_execution(timer)
        raise MemoryError('taking a message')

    monkeypatch.setattr(spinning.SingleThreadedExecutor, 'spin_once', take)
    with pytest.raises(MemoryError):
        spin(node)
    assert len(called) == 2


def test_what_a_signal_wakes_is_there_after_the_end(node, monkeypatch):
    made, executor = [], spinning.SingleThreadedExecutor

    def make(**arguments):
        found = executor(**arguments)
        made.append(weakref.ref(found))
        return found

    monkeypatch.setattr(spinning, 'SingleThreadedExecutor', make)
    node.create_timer(0.01, node.context.try_shutdown)
    try:
        spin(node)
    except ExternalShutdownException:
        pass  # as rclpy has it
    gc.collect()
    assert made[0]() is not None and made[0]()._sigint_gc is not None  # rclpy's thread knows it
