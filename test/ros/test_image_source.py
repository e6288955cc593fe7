# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_image_source`: its live frame rate, its end, and what its command line refuses."""
import itertools

import cv2
import numpy as np
import pytest
import rclpy
from rclpy.parameter import Parameter

from ltp_ros.frames import simulated_time
from ltp_ros.tools import image_source
from ltp_ros.tools.image_source import ImageSource, build_parser, is_rate, main

PNG = cv2.imencode('.png', np.zeros((4, 4, 3), np.uint8))[1].tobytes()


@pytest.fixture
def source():
    """Return a source of black images at 500 Hz."""
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


def test_pictures_too_damaged_to_go_on_end_it_with_a_sentence(tmp_path, capfd):
    for name, content in (('a.png', PNG), ('b.png', b''), ('c.png', PNG), ('d.png', b'')):
        (tmp_path / name).write_bytes(content)
    assert main([str(tmp_path), '--rate', '500']) == 2
    said = capfd.readouterr().err
    assert 'ltp_image_source: 2 of 4 images cannot be used: ' in said and 'Traceback' not in said


def test_a_damaged_picture_is_told_at_the_end(tmp_path, capfd):
    for name, content in (('a.png', PNG), ('b.png', b''), ('c.png', PNG)):
        (tmp_path / name).write_bytes(content)
    assert main([str(tmp_path), '--rate', '500']) == 0
    said = capfd.readouterr().err
    assert 'left out: 1 of 3 images cannot be used: ' in said and 'published 2 images' in said


def test_in_simulated_time_without_a_clock_it_says_why_nothing_is_published(monkeypatch, capfd):
    monkeypatch.setattr(image_source, 'CLOCK_CHECK_S', 0.01)
    monkeypatch.setattr(simulated_time, 'SILENT_AFTER_S', 0.0)
    rclpy.init(args=['--ros-args', '-p', 'use_sim_time:=true'])
    try:
        node = ImageSource(itertools.repeat(('black', np.zeros((4, 4, 3), np.uint8))),
                           build_parser().parse_args(['--rate', '500']))
        for _ in range(3):
            rclpy.spin_once(node, timeout_sec=10.0)
        node.destroy_node()
    finally:
        rclpy.shutdown()
    assert capfd.readouterr().err.count('use_sim_time is set, and no /clock comes') == 1


def test_the_bounds_of_a_rate():
    assert is_rate(1000) and is_rate(1e-9)
    assert not is_rate(0)


@pytest.fixture
def three_pictures(tmp_path):
    for name in 'abc':
        cv2.imwrite(str(tmp_path / f'{name}.png'), np.zeros((4, 4, 3), np.uint8))
    return str(tmp_path)


@pytest.mark.parametrize('flags', [[], ['--loop']])
def test_as_many_images_are_published_as_were_asked_for(three_pictures, capfd, flags):
    assert main([three_pictures, '--count', '5', '--rate', '500', *flags]) == 0
    assert 'published 5 images' in capfd.readouterr().err


@pytest.mark.parametrize('flag, value, reason', [
    ('--count', '-1', '-1 is not allowed; it must be at least 1'),
    ('--count', '0', '0 is not allowed; it must be at least 1'),
    ('--count', '1.5', "'1.5' is not a whole number; it must be at least 1"),
    ('--wait', '-1', '-1 is not allowed; it must be at least 0'),
    ('--rate', '0', '0 is not allowed; it must be in (0, 1000]'),
    ('--rate', '-5', '-5 is not allowed; it must be in (0, 1000]'),
    ('--rate', 'nan', 'nan is not allowed; it must be in (0, 1000]'),
    ('--rate', 'fast', "'fast' is not a number; it must be in (0, 1000]"),
    ('--size', '0x0', "'0x0' is not a valid size"),
    *(('--topic', topic, f'{topic!r} is not a topic name; expected words of letters, digits')
      for topic in ('/my camera', '', 'a//b', '/1st', 'image/', '/caméra', '/' + 300 * 'a',
                    '~', '/camera/image_raw/compressed'))])
def test_the_command_line_refuses_a_value_with_what_is_allowed(flag, value, reason, capsys):
    with pytest.raises(SystemExit):
        main([flag, value])
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize('topic', ['/camera/image_raw', 'image', '~/image', '{node}/image'])
def test_every_form_of_a_topic_is_taken(topic):
    assert build_parser().parse_args(['--topic', topic]).topic == topic


@pytest.mark.parametrize('arguments, named', [
    (['/dev/video97'], 'there is no /dev/video97; cameras here: '),
    (['--ros-args', '-p', 'rate:=0'], 'rate 0 is not allowed'),
    (['--ros-args', '-r', '/ltp/image:=/my camera'], 'my camera'),
    (['--ros-args', '--no-such-flag'], '--no-such-flag')])
def test_what_cannot_be_started_with_ends_with_a_sentence(arguments, named, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith('ltp_image_source: ') and named in error
