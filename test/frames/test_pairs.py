# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Which image a detector's boxes are for."""
import math
from types import SimpleNamespace

import pytest

from ltp_ros.frames.crops import Box
from ltp_ros.frames.mailbox import Frame
from ltp_ros.frames.pairs import MOST_ARRAYS, MOST_BYTES, MOST_IMAGES, Detections, Pairs

MS = 1_000_000
BOXES = (Box(5, 5, 4, 4),)


class Bench:
    """Images and boxes with stamps in milliseconds; a pair is told by the stamps of both."""

    def __init__(self, slop_ms=0):
        self.pairs = Pairs(slop_ms * MS)

    def image(self, stamp_ms, receive_ms=0.0, age_ms=10.0, size=1, simulated=False):
        message = SimpleNamespace(data=range(size), stamp_ms=stamp_ms, header='header')
        return self.told(self.pairs.add_image(stamp_ms * MS, Frame(
            'image', message, int(receive_ms * MS), age_ms, simulated)))

    def boxes(self, stamp_ms, receive_ms=0.0):
        return self.told(self.pairs.add_detections(
            Detections(stamp_ms, BOXES, stamp_ms * MS), int(receive_ms * MS)))

    def told(self, frame):
        self.frame = frame
        return frame and (frame.message.picture.stamp_ms, frame.message.detections)


def test_boxes_come_after_their_image():
    bench = Bench()
    assert [bench.image(stamp) for stamp in (1, 2, 3)] == [None] * 3
    assert bench.boxes(2) == (2, 2)
    assert bench.frame.message.boxes == BOXES and bench.frame.message.header == 'header'


def test_boxes_that_come_before_their_image_wait_for_it():
    bench = Bench()
    assert bench.boxes(7) is None and bench.image(6) is None
    assert bench.image(7) == (7, 7)


def test_an_image_is_answered_once():
    bench = Bench()
    bench.image(1)
    assert bench.boxes(1) == (1, 1) and bench.boxes(1) is None


def test_what_is_older_than_a_pair_is_given_up():
    bench = Bench()
    for stamp in (1, 2, 3):
        bench.image(stamp)
    assert bench.boxes(2) == (2, 2) and bench.boxes(1) is None and bench.boxes(3) == (3, 3)


def test_without_slop_the_stamps_must_be_equal():
    bench = Bench()
    bench.image(10)
    assert bench.boxes(11) is None and bench.image(12) is None


def test_with_slop_the_nearest_image_is_taken():
    bench = Bench(slop_ms=20)
    for stamp in (0, 33, 66):
        bench.image(stamp)
    assert bench.boxes(50) == (66, 50) or bench.frame.message.picture.stamp_ms == 33
    bench = Bench(slop_ms=20)
    for stamp in (0, 33, 66):
        bench.image(stamp)
    assert bench.boxes(40) == (33, 40) and bench.boxes(100) is None


def test_the_wait_for_the_boxes_is_part_of_the_age():
    bench = Bench()
    bench.image(1, receive_ms=100.0, age_ms=10.0)
    bench.boxes(1, receive_ms=130.0)
    assert bench.frame.age_at_receive_ms == pytest.approx(40.0)
    assert bench.frame.receive_ns == 130 * MS


def test_in_simulated_time_the_wait_is_no_age():
    bench = Bench()
    bench.image(1, receive_ms=100.0, age_ms=10.0, simulated=True)
    bench.boxes(1, receive_ms=130.0)
    assert bench.frame.age_at_receive_ms == pytest.approx(10.0)


def test_an_age_that_is_not_known_stays_so():
    bench = Bench()
    bench.image(1, age_ms=math.nan)
    bench.boxes(1, receive_ms=30.0)
    assert math.isnan(bench.frame.age_at_receive_ms)


def test_images_that_wait_are_bounded_in_number_and_memory():
    bench = Bench()
    for stamp in range(MOST_IMAGES + 1):
        bench.image(stamp)
    assert bench.boxes(0) is None and bench.boxes(1) == (1, 1)
    bench = Bench()
    for stamp in range(3):
        bench.image(stamp, size=MOST_BYTES // 2)
    assert bench.boxes(0) is None and bench.boxes(1) == (1, 1) and bench.boxes(2) == (2, 2)


def test_boxes_without_an_image_are_counted():
    bench = Bench()
    for stamp in range(MOST_ARRAYS + 3):
        bench.boxes(stamp)
    assert bench.pairs.lost == 3
    assert bench.image(MOST_ARRAYS + 2) and bench.pairs.lost == MOST_ARRAYS + 2
