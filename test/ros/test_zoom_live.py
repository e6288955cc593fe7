# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The zoom of a running node: switched on, told in the message, answered region by region."""
import numpy as np
import pytest
from ros_helpers import SEC
from std_msgs.msg import Header
from zoom_scenes import ground, put, thing

from ltp_ros.msg import ClassificationArray
from ltp_ros.ros.images import from_pixels

SCENE = put(put(ground(), thing(150), 40, 60), thing(90, 4), 330, 480)
ONE = put(ground(), thing(150), 40, 60)


@pytest.fixture
def ask(listener):
    def send(camera, rgb, number):
        header = Header(frame_id='camera')
        header.stamp.sec, header.stamp.nanosec = SEC, number
        before = len(listener.classifications)
        camera.publish(from_pixels(header, rgb))
        listener.until(lambda: len(listener.classifications) > before)
        return listener.classifications[-1]
    return send


def edges(region):
    return np.array([region.y_offset, region.x_offset, region.height, region.width])


def test_the_message_says_where_the_model_looked(listener, start, ask):
    _, camera = start(method='none')
    whole = ask(camera, ONE, 1).region
    assert abs(whole.x_offset + whole.width / 2 - 320) <= 1 and whole.height > 400
    assert listener.set_parameter('zoom', True).successful
    near = ask(camera, ONE, 2).region
    assert edges(near)[0] <= 60 and edges(near)[1] <= 80
    assert near.height == near.width < 300
    assert listener.set_parameter('roi', [320, 0, 320, 480]).successful
    beside = ask(camera, SCENE, 3).region
    assert 320 <= beside.x_offset <= 480 and beside.x_offset + beside.width >= 560
    assert beside.width < 220  # the crop of the region alone has 288
    assert listener.set_parameter('zoom', False).successful
    assert ask(camera, ONE, 4).region.height > 250


def test_regions_are_answered_on_their_own_topic(listener, start, ask):
    listener.listen('/ltp/regions', ClassificationArray)
    _, camera = start(method='none', zoom_boxes=4)
    answer = ask(camera, SCENE, 1)
    listener.until(lambda: listener.heard['/ltp/regions'])
    regions = listener.heard['/ltp/regions'][-1]
    assert regions.header == answer.header and regions.image_topic == '/ltp/image'
    assert regions.found == len(regions.classifications) == 2
    first, second = (edges(each.region) for each in regions.classifications)
    assert first[2] > second[2] and first[1] < 320 < second[1]
    assert all(each.labels and each.header == answer.header
               for each in regions.classifications)
