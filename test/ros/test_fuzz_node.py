# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Hostile images and parameters for a live node: it answers good ones as ever, and loses none."""
import pytest
from sensor_msgs.msg import CompressedImage, Image

from ltp_ros.research.hostile import FILE_KINDS, RAW_KINDS, hostile_image
from ltp_ros.ros.messages import to_rgb
from ltp_ros.tools.benchmarks.fuzz_node import LiveNode, in_flight, message_of
from ltp_ros.tools.benchmarks.fuzz_parameters import fuzz_node
from ltp_ros.tools.support.processes import ProcessError


@pytest.mark.parametrize('kinds, message_type', [
    (RAW_KINDS, Image), (FILE_KINDS, CompressedImage)])
def test_every_hostile_image_is_a_message_that_is_decoded_or_refused(kinds, message_type):
    for number in range(300):
        hostile = hostile_image(0, number, kinds)
        message = message_of(hostile)
        assert type(message) is message_type
        assert (message.header.stamp.sec, message.header.stamp.nanosec) == hostile.stamp
        try:
            rgb = to_rgb(message)
        except ValueError:
            assert hostile.picture is None
        else:
            assert hostile.picture is None or (rgb == hostile.picture).all()


def test_a_node_outlives_hostile_images_and_parameters_and_accounts_for_all(
        listener, small_model, monkeypatch):
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    tally = fuzz_node(0, 1500, 10.0, 2.0, {
        'checkpoint': small_model, 'device': 'cpu', 'backend': 'eager', 'precision': 'float32'},
        'compressed', lambda images: None)
    assert tally.faults == []
    assert tally.good >= 3 and tally.parameters > 20
    assert tally.counts['received'] > 300 and in_flight(tally.counts) == 0


def test_a_lost_image_is_told(monkeypatch):
    live = LiveNode('raw', {})
    live.tally.counts = {'received': 3, 'published': 1, 'dropped': 1}

    def time_out(condition, timeout_s, awaited):
        assert not condition()
        raise ProcessError('timed out')

    monkeypatch.setattr(live, 'until', time_out)
    live.check_counts()
    assert 'images are lost' in live.tally.faults[0]
