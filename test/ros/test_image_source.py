# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The live frame rate of `ltp_image_source`."""
import itertools
import os

import cv2
import numpy as np
import pytest
import rclpy
from rclpy.parameter import Parameter

from ltp_ros.tools.image_source import ImageSource, build_parser, is_rate, main

PNG = cv2.imencode('.png', np.zeros((4, 4, 3), np.uint8))[1].tobytes()


@pytest.fixture
def source(monkeypatch):
    """Return a source of black images at 500 Hz."""
    monkeypatch.setenv('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    rclpy.init()
    black = np.zeros((4, 4, 3), np.uint8)
    node = ImageSource(itertools.repeat(('black', black)),
                       build_parser().parse_args(['--rate', '500']))
    yield node
    node.destroy_node()
    rclpy.shutdown()


def set_rate(source, value):
    return source.set_parameters([Parameter('rate', value=value)])[0]


def test_the_parameter_begins_as_the_command_line_says(source):
    assert source.get_parameter('rate').value == 500.0


@pytest.mark.parametrize('rate', [250.0, 1000])
def test_a_new_rate_holds_from_the_next_frame_on(rate, source):
    assert set_rate(source, rate).successful
    rclpy.spin_once(source, timeout_sec=10.0)
    timer, = source.timers
    assert timer.timer_period_ns == int(1e9 / rate)


@pytest.mark.parametrize('rate', [0.0, -1.0, 1000.5, float('nan'), 'fast', True])
def test_a_rate_that_is_not_allowed_is_refused_and_changes_nothing(rate, source):
    result = set_rate(source, rate)
    assert not result.successful
    assert f'rate {rate!r} is not allowed; it must be a number in (0, 1000]' in result.reason
    assert source.get_parameter('rate').value == 500.0


def test_pictures_too_damaged_to_go_on_end_it_with_a_sentence(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    for name, content in (('a.png', PNG), ('b.png', b''), ('c.png', PNG), ('d.png', b'')):
        (tmp_path / name).write_bytes(content)
    assert main([str(tmp_path), '--rate', '500']) == 2
    said = capfd.readouterr().err
    assert 'ltp_image_source: 2 of 4 images cannot be used: ' in said and 'Traceback' not in said


def test_a_damaged_picture_is_told_at_the_end(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    for name, content in (('a.png', PNG), ('b.png', b''), ('c.png', PNG)):
        (tmp_path / name).write_bytes(content)
    assert main([str(tmp_path), '--rate', '500']) == 0
    said = capfd.readouterr().err
    assert 'left out: 1 of 3 images cannot be used: ' in said and 'published 2 images' in said


def test_the_bounds_of_a_rate():
    assert is_rate(1000) and is_rate(1e-9)
    assert not is_rate(0)
