# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Simulated time: a clock that goes in steps, stands, goes back, or never comes."""
import ast
import math
from pathlib import Path

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.time import Time
from ros_helpers import classifier_process, exchange, picture
from rosgraph_msgs.msg import Clock

import ltp_ros
from ltp_ros.ros import managed_node
from ltp_ros.ros.managed_node import STEADY
from ltp_ros.ros.node_clock import NodeClock

MS = 10 ** 6
START_MS = 100_000


PACKAGE = Path(ltp_ros.__file__).parent


@pytest.mark.parametrize('path', [*sorted(PACKAGE.glob('ros/*.py')), PACKAGE / 'node.py'],
                         ids=lambda path: path.name)
def test_no_timer_of_the_node_stands_still_with_simulated_time(path):
    for call in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(call, ast.Call) and getattr(call.func, 'attr', '') == 'create_timer':
            clocks = [keyword.value.id for keyword in call.keywords if keyword.arg == 'clock']
            assert clocks == ['STEADY'], f'line {call.lineno}'


def test_a_throttled_line_is_told_again_though_simulated_time_stands(node_clock, capfd):
    for _ in range(3):
        rclpy.logging.get_logger('throttled').warning('again', **{
            **managed_node.THROTTLE, 'throttle_duration_sec': 1e-9})
    assert capfd.readouterr().err.count('again') == 3
    assert managed_node.THROTTLE['throttle_time_source_type'] is STEADY


@pytest.fixture
def node_clock(listener):
    """Return the clock of a node, and a function that sets simulated time in milliseconds."""
    node = rclpy.create_node('simulated', parameter_overrides=[
        rclpy.Parameter('use_sim_time', value=True)])
    clock = NodeClock(node)
    yield clock, lambda time_ms: node.get_clock().set_ros_time_override(
        Time(nanoseconds=int(time_ms * MS), clock_type=node.get_clock().clock_type))
    node.destroy_node()


def test_a_node_in_real_time_has_no_step_and_no_status(listener):
    clock = NodeClock(listener.node)
    assert not clock.simulated and clock.step_ms is None
    assert clock.report() is None and not clock.paused


@pytest.mark.parametrize('step_ms', [1, 25, 100])
def test_a_node_measures_the_steps_of_its_clock(node_clock, step_ms):
    clock, set_time = node_clock
    assert clock.simulated and clock.now_ns == 0
    for index in range(5):
        set_time(START_MS + index * step_ms)
    assert clock.step_ms == step_ms
    assert clock.now_ns == (START_MS + 4 * step_ms) * MS
    set_time(1000)  # a bag that starts over
    assert clock.step_ms == step_ms


class World:
    """A simulator: it stamps images by its own time and sends that on /clock in steps."""

    def __init__(self, listener, program):
        self._listener, self._program = listener, program
        listener.listen('/diagnostics', DiagnosticArray)

    def begin(self):
        self._clock = self._listener.node.create_publisher(Clock, '/clock', 10)
        self._listener.until(self._clock.get_subscription_count, self._program)

    def set(self, time_ms):
        message = Clock()
        message.clock.sec, rest_ms = divmod(int(time_ms), 1000)
        message.clock.nanosec = rest_ms * MS
        self._clock.publish(message)

    def until_said(self, part, level, sentence, meanwhile=lambda: None):
        """Wait for a status of the node."""
        def said():
            meanwhile()
            newest = self._listener.heard['/diagnostics'][-1:]
            return any(status.name == f'ltp/classifier: {part}' and status.level == level
                       and sentence in str(status) for array in newest
                       for status in array.status)
        self._listener.until(said, self._program)


def image_of(time_ms, index=0):
    image = picture(index)
    image.header.stamp.sec, rest_ms = divmod(int(time_ms), 1000)
    image.header.stamp.nanosec = rest_ms * MS
    return image


def test_a_simulation_from_its_start_to_its_pause(listener, small_model):
    with classifier_process(checkpoint=small_model, use_sim_time=True, max_age_ms=150.0,
                            deadline_ms=60_000.0) as program:
        camera = listener.publisher('/ltp/image', program=program)
        world = World(listener, program)
        world.until_said('clock', b'\x01', 'use_sim_time is set, and no /clock comes')
        sentence = 'use_sim_time is set, and no /clock comes; start the simulation'
        assert program.output.count(sentence) == 1
        world.begin()
        world.until_said('clock', b'\x01', '/clock stands at 0; unpause the simulation')

        now_ms = START_MS

        def go_on():
            nonlocal now_ms
            now_ms += 100
            world.set(now_ms)
        world.until_said('clock', b'\x00', "value='100.0'", go_on)
        for ahead_ms in (0, 40, 99):  # stamped between this step of the clock and the next
            _, latency = exchange(listener, camera, image_of(now_ms + ahead_ms), program)
            assert latency.age_at_receive_ms == 0.0 and math.isnan(latency.capture_to_publish_ms)
            assert latency.deadline_met and not latency.dropped_since_last
        camera.publish(image_of(now_ms - 200))
        listener.until(lambda: 'an image was 200.0 ms old; max_age_ms is 150' in program.output)

        world.until_said('clock', b'\x00', 'simulated time stands since')
        world.until_said('camera /ltp/image', b'\x00', 'simulated time stands still')
        assert program.output.count(sentence) == 1 and 'in the future' not in program.output
