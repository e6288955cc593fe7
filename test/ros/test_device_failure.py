# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A device that fails under the running node, which lives in the test's process."""
import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from rclpy.executors import ExternalShutdownException
from ros_helpers import change, picture, statuses

from ltp_ros.backends.eager import EagerBackend
from ltp_ros.backends.onnx import OnnxBackend
from ltp_ros.backends.openvino import OpenvinoBackend
from ltp_ros.frames.recovery import RETRIES

EVERY = (EagerBackend, OnnxBackend, OpenvinoBackend)


class Device:
    """Makes backends fail while the test wants them to."""

    def __init__(self, monkeypatch):
        self.failing = ()
        for backend in EVERY:
            monkeypatch.setattr(backend, '__call__', self._wrap(backend, backend.__call__))

    def _wrap(self, backend, run):
        def call(instance, *image):
            if backend in self.failing:
                raise RuntimeError('out of memory')
            return run(instance, *image)
        return call


@pytest.fixture
def device(monkeypatch):
    return Device(monkeypatch)


def test_a_failure_costs_an_image_and_the_answers_after_it_are_those_before(
        listener, start, device, camera):
    node, publisher = start()
    camera(node, publisher)
    listener.until(lambda: listener.classifications)
    before = listener.classifications[-1]
    device.failing = EVERY
    counts = camera(node, publisher)
    assert (counts.published, counts.dropped['failed']) == (1, 1)
    device.failing = ()
    publisher.publish(picture(0))
    listener.until(lambda: len(listener.classifications) == 2)
    assert listener.classifications[-1].scores == before.scores


def test_a_device_that_goes_on_failing_is_left_for_another_which_is_told(
        listener, start, device, camera):
    listener.listen('/diagnostics', DiagnosticArray)
    node, publisher = start()
    camera(node, publisher)
    listener.until(lambda: listener.classifications)
    device.failing = (EagerBackend,)
    for _ in range(RETRIES + 1):
        camera(node, publisher)
    listener.until(lambda: node.get_parameter('keep_ratio').value == 0.5)
    listener.until(lambda: 'out of memory' in statuses(listener).get('device', (0, ''))[1])
    camera(node, publisher)  # while it is loaded anew
    listener.until(lambda: publisher.publish(picture(0)) or
                   node.get_parameter('keep_ratio').value == 1.0)
    listener.until(lambda: statuses(listener)['device'] == (
        1, 'runs with onnx float32 on cpu after failures (out of memory)'))
    publisher.publish(picture(0))
    listener.until(lambda: listener.classifications[-1].keep_ratio == 1.0)
    np.testing.assert_allclose(listener.classifications[-1].scores,
                               listener.classifications[0].scores, rtol=1e-3)


def test_where_nothing_helps_the_node_lets_go_of_the_model_and_can_be_configured_again(
        listener, start, device, camera):
    listener.listen('/diagnostics', DiagnosticArray)
    node, publisher = start()
    camera(node, publisher)
    device.failing = EVERY
    listener.until(lambda: publisher.publish(picture(99)) or node.state == 'unconfigured')
    listener.until(lambda: statuses(listener).get('lifecycle', (0, ''))[0] == 2)
    assert 'cannot be run any more' in statuses(listener)['lifecycle'][1]
    assert not node.failed and rclpy.ok()

    device.failing = ()
    assert change(listener, Transition.TRANSITION_CONFIGURE)
    listener.until(lambda: statuses(listener)['lifecycle'] == (0, 'inactive'))


def test_where_it_is_asked_for_the_process_ends(listener, start, device, camera):
    node, publisher = start(on_failure='exit')
    device.failing = EVERY
    # The context is gone: under the publisher, or while it is waited
    with pytest.raises((RuntimeError, ExternalShutdownException)):
        listener.until(lambda: publisher.publish(picture(99)))
    assert node.failed and not rclpy.ok()
