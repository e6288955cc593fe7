# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What cameras do wrong, tried on a node in this process; docs/faults.md has the table."""
import numpy as np
import pytest
from ros_helpers import exchange, picture, stderr_in
from sensor_msgs.msg import Image

from ltp_ros.frames.mailbox import NOTHING
from ltp_ros.ros import subscriptions
from ltp_ros.ros.images import from_pixels

BURST = 300  # images, ten times what a camera of 30 Hz sends in a second


def settled(node):
    """Return the counts once everything that was received has an outcome; None before."""
    counts = node._server.pipeline.mailbox.counts()
    outcomes = counts.published + sum(counts.dropped.values())
    return counts if counts.received == outcomes else None


def answered(listener):
    return [answer.header.frame_id for answer in listener.classifications]


def test_a_publisher_that_goes_away_and_comes_back_is_answered_again(listener, start, capfd):
    _, publisher = start()
    for index in range(3):
        exchange(listener, publisher, picture(index), None)
        listener.node.destroy_publisher(publisher)
        listener.until(lambda: not listener.node.count_publishers('/ltp/image'))
        publisher = listener.publisher('/ltp/image')
    assert answered(listener) == [f'frame {index}' for index in range(3)]
    assert 'Traceback' not in capfd.readouterr().err


def test_size_and_encoding_may_change_from_image_to_image(listener, start, camera):
    node, publisher = start()
    sizes = [(48, 64), (1080, 1920), (1, 1), (64, 48), (720, 1280), (7, 7)]
    unusable = Image(header=picture(99).header, height=2, width=2, encoding='none', step=2,
                     data=bytes(4))
    for index, size in enumerate(sizes):
        for encoding in ('rgb8', 'bgr8', 'mono8'):
            image = picture(index, size)
            if encoding == 'mono8':
                image.data, image.step = image.data[:size[0] * size[1]], size[1]
            image.encoding = encoding
            counts = camera(node, publisher, image)
        counts = camera(node, publisher, unusable)
    assert counts.published == 3 * len(sizes) and counts.dropped == {
        **NOTHING.dropped, 'undecodable': len(sizes)}


def test_ten_times_the_rate_costs_old_images_and_the_newest_is_answered(listener, start):
    node, publisher = start()
    images = [picture(index) for index in range(BURST)]
    for image in images:
        publisher.publish(image)
    listener.until(lambda: f'frame {BURST - 1}' in answered(listener) and settled(node))
    counts = settled(node)
    assert counts.dropped == {**NOTHING.dropped, 'superseded': counts.dropped['superseded']}
    order = [int(name.split()[1]) for name in answered(listener)]
    assert order == sorted(order)


def test_two_publishers_of_one_topic_are_both_answered_each_under_its_own_header(
        listener, start, camera):
    node, first = start()
    second = listener.publisher('/ltp/image')
    for index in range(4):
        sent = picture(index, ((48, 64), (30, 40))[index % 2])
        sent.header.frame_id = ('left', 'right')[index % 2]
        camera(node, (first, second)[index % 2], sent)
    listener.until(lambda: len(listener.classifications) == 4)
    assert answered(listener) == ['left', 'right'] * 2


@pytest.mark.parametrize('size', [(1, 1), (4320, 7680)], ids=['1x1', '8k'])
def test_an_image_of_any_size_is_answered_like_the_classifier_alone(
        listener, start, camera, size):
    node, publisher = start()
    rgb = np.full((*size, 3), 128, np.uint8)
    rgb[::2] = 90
    camera(node, publisher, from_pixels(picture(0).header, rgb))
    listener.until(lambda: listener.classifications)
    expected = node._server.pipeline.classifier.classify(rgb, 1.0)
    assert listener.classifications[0].scores == pytest.approx(list(expected.scores), abs=1e-6)


def test_a_publisher_whose_images_do_not_arrive_is_told_with_the_limit_of_their_size(
        listener, start, monkeypatch, tmp_path):
    monkeypatch.setattr(subscriptions, 'SILENCE_S', 0.2)
    with stderr_in(tmp_path / 'stderr') as told:
        node, publisher = start()
        listener.until(lambda: 'publisher; ' in told())
    assert 'no image for 0.2 s on /ltp/image: it has 1 publisher' in told()
    assert 'MB, the size of its segment, get lost: publish smaller' in told()
    exchange(listener, publisher, picture(0), None)
    assert node.state == 'active'
