# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Boxes of a detector: their pixels, their order, and what there is no time for."""
import math
from types import SimpleNamespace

import numpy as np
import pytest

from ltp_ros.config import Config
from ltp_ros.frames.crops import MOST, Box, answer, time_batches
from ltp_ros.frames.latency import NS_PER_MS
from ltp_ros.frames.mailbox import Frame, Mailbox
from ltp_ros.frames.pairs import PictureWithBoxes
from ltp_ros.frames.pipeline import Pipeline
from ltp_ros.model.data_config import DataConfig
from ltp_ros.region import Region
from ltp_ros.settings import update
from ltp_ros.tuner.levels import LevelCost
from ltp_ros.tuner.load import BatchCost

RGB = np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8)


@pytest.mark.parametrize('box, region', [
    (Box(50, 40, 20, 10), Region(35, 40, 10, 20)),
    (Box(50.5, 40.5, 20, 10), Region(35, 40, 11, 21)),
    (Box(50, 40, 0.5, 0.5), Region(39, 49, 2, 2)),
    (Box(0, 0, 20, 10), Region(0, 0, 5, 10)),
    (Box(100, 80, 20, 10), Region(75, 90, 5, 10)),
    (Box(50, 40, 1e9, 1e9), Region(0, 0, 80, 100)),
    (Box(50, 40, 20, 10, math.pi / 2), Region(30, 45, 20, 10)),
    (Box(50, 40, 20, 10, -math.pi), Region(35, 40, 10, 20)),
    (Box(50, 40, 20, 20, math.pi / 4), Region(25, 35, 30, 30)),
])
def test_a_box_is_the_whole_pixels_about_it_in_the_picture(box, region):
    assert box.region(80, 100) == region


@pytest.mark.parametrize('box', [
    Box(math.nan, 1, 1, 1), Box(1, 1, math.nan, 1), Box(1, 1, 1, math.inf),
    Box(1, 1, 1, 1, math.nan), Box(1, 1, 0, 1), Box(1, 1, 1, -1), Box(200, 1, 8, 8),
    Box(1, -9, 8, 8), Box(-4, 4, 8, 8), Box(-math.inf, 4, 8, 8)])
def test_a_box_without_pixels_is_none(box):
    assert box.region(80, 100) is None


@pytest.mark.parametrize('box, grown', [
    (Region(30, 40, 20, 20), Region(30, 40, 20, 20)),
    (Region(30, 40, 20, 10), Region(30, 35, 20, 20)),
    (Region(30, 40, 10, 21), Region(25, 40, 21, 21)),
    (Region(0, 40, 10, 30), Region(0, 40, 30, 30)),
    (Region(70, 90, 10, 4), Region(70, 87, 10, 10)),
    (Region(0, 0, 80, 100), Region(0, 0, 80, 100)),
])
def test_a_box_is_grown_to_the_shape_of_the_input_inside_the_picture(box, grown):
    found = DataConfig((32, 32), (0.5,), (0.5,)).around(box, 80, 100)
    assert found == grown and found.inside(80, 100)


@pytest.mark.parametrize('seed', range(5))
def test_a_grown_box_holds_the_box(seed):
    rng = np.random.default_rng(seed)
    for _ in range(200):
        top, left = rng.integers(0, 79), rng.integers(0, 99)
        box = Region(int(top), int(left), int(rng.integers(1, 81 - top)),
                     int(rng.integers(1, 101 - left)))
        found = DataConfig((32, 48), (0.5,), (0.5,)).around(box, 80, 100)
        assert found.inside(80, 100)
        assert found.top <= box.top and found.left <= box.left
        assert found.top + found.height >= box.top + box.height
        assert found.left + found.width >= box.left + box.width


@pytest.mark.parametrize('crop_mode', ['squash', 'border'])
def test_where_nothing_is_cut_off_a_box_stays_as_it_is(crop_mode):
    box = Region(10, 10, 60, 5)
    assert DataConfig((32, 32), (0.5,), (0.5,), crop_mode=crop_mode).around(box, 80, 100) == box


class Fake:
    """A classifier that answers a box with the box, and takes so many at once."""

    def __init__(self, at_once=1):
        self.at_once, self.asked = at_once, []
        self.config = SimpleNamespace(levels=(1.0,))

    def batch_size(self, keep_ratio):
        return self.at_once

    def classify_parts(self, rgb, boxes, keep_ratio, **wanted):
        self.asked.append(list(boxes))
        return list(boxes)


BOXES = [Region(0, 0, side, side) if side else None for side in (3, 0, 9, 5, 7)]


def test_the_largest_box_comes_first_and_the_answers_are_in_the_order_of_the_boxes():
    fake = Fake()
    found = answer(fake, RGB, BOXES, 1.0, lambda count: count, {})
    assert [boxes[0].height for boxes in fake.asked] == [9, 7, 5, 3]
    assert list(found.answers) == BOXES
    assert (found.answered, found.shed, found.useless) == (4, 0, 1)


@pytest.mark.parametrize('at_once, sides', [(1, [[9], [7]]), (2, [[9, 7]]), (4, [[9, 7]])])
def test_what_there_is_no_time_for_is_left_out_the_smallest_first(at_once, sides):
    fake, left = Fake(at_once), [2]

    def may_take(count):
        taken = min(count, left[0])
        left[0] -= taken
        return taken
    found = answer(fake, RGB, BOXES, 1.0, may_take, {})
    assert [[box.height for box in boxes] for boxes in fake.asked] == sides
    assert (found.answered, found.shed, found.useless) == (2, 2, 1)
    assert [box and box.height for box in found.answers] == [None, None, 9, None, 7]


def test_the_largest_box_is_answered_in_any_case():
    found = answer(Fake(4), RGB, BOXES, 1.0, lambda count: 0, {})
    assert (found.answered, found.shed) == (1, 3) and found.answers[2]


def test_a_detector_that_has_gone_mad_does_not_stop_the_camera():
    found = answer(Fake(16), RGB, [Region(0, 0, 1, 1)] * (MOST + 5), 1.0, lambda count: count, {})
    assert (found.answered, found.shed) == (MOST, 5)
    assert f'{MOST} are answered; for 5 there was no time' in found.fault


def test_no_boxes_are_no_work():
    fake = Fake()
    found = answer(fake, RGB, [], 1.0, lambda count: count, {})
    assert not fake.asked and (found.answered, found.shed, found.useless) == (0, 0, 0)
    assert not found.fault


@pytest.mark.parametrize('device, prepared', [('cpu', {1.0}), ('cuda', {1.0, 0.5})])
def test_a_batch_is_timed_for_each_of_its_sizes(device, prepared):
    class Timed(Fake):
        def classify(self, rgb, keep_ratio, box):
            self.whole = rgb.shape
    fake, levels = Timed(4), set()
    fake.config.levels = (1.0, 0.5)
    fake.device = SimpleNamespace(type=device)
    parts = fake.classify_parts
    fake.classify_parts = lambda rgb, boxes, keep_ratio: levels.add(keep_ratio) or parts(
        rgb, boxes, keep_ratio)
    cost = time_batches(fake)
    assert {len(boxes) for boxes in fake.asked} == {1, 2, 4} and levels == prepared
    assert all(box.inside(*fake.whole[:2]) for boxes in fake.asked for box in boxes)
    assert cost.load(1) <= cost.load(2) <= cost.load(4)


class Bench(Fake):
    """A pipeline whose model takes so long for each box, by a clock of its own."""

    def __init__(self, box_ms, **changes):
        super().__init__()
        self.now_ms, self.box_ms = 0.0, box_ms
        self.mailbox = Mailbox()
        self.pipeline = Pipeline(
            self, [LevelCost(ratio, 10.0 * ratio, 11.0 * ratio) for ratio in (0.5, 1.0)],
            self.mailbox, lambda message: RGB, lambda: int(self.now_ms * NS_PER_MS),
            update(Config(), {'deadline_ms': 80.0, 'min_keep_ratio': 0.5, 'keep_ratio': 1.0,
                              'keep_ratios': [1.0, 0.5], **changes}))
        self.pipeline._batch_cost = BatchCost({1: 10.0}, 10.0)

    def classify_parts(self, rgb, boxes, keep_ratio, **wanted):
        self.now_ms += self.box_ms * keep_ratio * len(boxes)
        return super().classify_parts(rgb, boxes, keep_ratio)

    def run(self, count):
        """Answer a frame with so many boxes: the crops, and the latency."""
        boxes = tuple(Box(50, 40, 2 + 2 * index, 2 + 2 * index) for index in range(count))
        message = PictureWithBoxes('image', 'array', boxes)
        self.mailbox.put(Frame('image', message, int(self.now_ms * NS_PER_MS), 0.0))
        processed = self.pipeline.process(self.pipeline.take())
        latency = self.pipeline.finish(processed)
        self.now_ms += 20.0
        return processed.crops, latency


def test_the_number_of_boxes_lowers_the_level():
    bench = Bench(10.0)
    assert [bench.run(count)[1].keep_ratio for count in (7, 12, 2)] == [1.0, 0.5, 1.0]


def test_what_does_not_fit_at_the_lowest_level_is_shed_and_the_deadline_holds():
    bench = Bench(10.0)
    for _ in range(5):
        crops, latency = bench.run(30)
        assert latency.keep_ratio == 0.5 and latency.deadline_met
        assert crops.answered == 15 and crops.shed == 15  # 75 of 80 ms: the rest is in reserve
        assert all(found for found in crops.answers[-15:])


def test_a_machine_that_has_become_slower_sheds_in_the_midst_of_a_frame():
    bench = Bench(10.0)
    bench.run(12)
    bench.box_ms = 20.0
    crops, latency = bench.run(12)
    assert latency.deadline_met and 0 < crops.answered < 12


def test_without_a_deadline_all_are_answered():
    crops, latency = Bench(10.0, deadline_ms=0.0).run(30)
    assert crops.answered == 30 and latency.keep_ratio == 1.0


def test_a_frame_without_boxes_is_answered_at_once_and_moves_nothing():
    bench = Bench(10.0)
    for _ in range(20):
        crops, latency = bench.run(0)
        assert (crops.answered, latency.inference_ms, latency.deadline_met) == (0, 0.0, True)
    assert bench.run(7)[1].keep_ratio == 1.0


def test_a_frame_is_answered_by_the_classifier_that_it_was_taken_for():
    bench, other = Bench(10.0), Fake()

    def decode(message):
        bench.pipeline.classifier = other  # as where the model was found to hang meanwhile
        return RGB
    bench.pipeline.decode = decode
    crops, _ = bench.run(3)
    assert crops.answered == 3 and bench.asked and not other.asked


def test_the_watchdog_waits_for_all_boxes():
    bench = Bench(10.0)
    before = bench.pipeline.slowest_ms
    seen = []
    bench.classify_parts = lambda rgb, boxes, keep_ratio, **wanted: seen.append(
        bench.pipeline.slowest_ms) or list(boxes)
    bench.run(12)
    assert seen[0] == pytest.approx(12 * before)
