# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Answers for the regions of a picture: how many, which first, and when there is no time."""
from types import SimpleNamespace

import numpy as np
import pytest
from zoom_scenes import config_of, ground, put, thing

from ltp_ros.config import Config
from ltp_ros.frames.mailbox import Frame, Mailbox
from ltp_ros.frames.pipeline import Pipeline
from ltp_ros.frames.regions import answer_regions
from ltp_ros.prediction import Prediction
from ltp_ros.settings import update
from ltp_ros.tuner.levels import LevelCost
from ltp_ros.zoom.gaze import Zoom

NS_PER_MS = 1_000_000
SCENE = put(put(put(ground(), thing(180), 20, 20), thing(100, 4), 340, 500), thing(70, 5),
            380, 300)


class Bench:
    """A pipeline whose model takes 10 ms a run and writes down where it was told to look."""

    def __init__(self, rgb=SCENE, **changes):
        self.rgb, self.now_ms, self.boxes = rgb, 0.0, []
        self.zoom = Zoom(config_of(input_size=(32, 32)))
        self.mailbox = Mailbox()
        self.pipeline = Pipeline(
            self, [LevelCost(1.0, 10.0, 11.0)], self.mailbox, lambda message: self.rgb,
            lambda: int(self.now_ms * NS_PER_MS),
            update(Config(), {'method': 'none', 'zoom_boxes': 5, **changes}))

    def may_zoom(self, wanted):
        return wanted

    def zooms(self, keep_ratio, wanted):
        return wanted

    def classify(self, rgb, keep_ratio, box=None, **wanted):
        self.boxes.append(box)
        self.now_ms += 10.0
        return Prediction((3,), ('cat',), (0.9,), keep_ratio, 8, 16, np.arange(8), box=box)

    def run(self, topic='image'):
        """Answer a frame; return the answers for its regions."""
        self.boxes.clear()
        self.mailbox.put(Frame(topic, SimpleNamespace(), int(self.now_ms * NS_PER_MS), 0.0))
        processed = self.pipeline.process(self.pipeline.take())
        self.pipeline.finish(processed)
        return answer_regions(self.pipeline, processed)


def test_every_region_is_answered_the_largest_first():
    bench = Bench()
    regions = bench.run()
    sides = [answer.box.height for answer in regions.answers]
    assert regions.found == len(sides) == 3 and sides == sorted(sides, reverse=True)
    assert bench.boxes == [None, *bench.zoom.boxes(SCENE, 5)]


def test_no_more_regions_than_asked_for():
    assert len(Bench(zoom_boxes=2).run().answers) == 2


@pytest.mark.parametrize('deadline_ms, answered', [(100.0, 3), (35.0, 2), (22.0, 1), (12.0, 0)])
def test_the_deadline_holds_for_the_last_of_them(deadline_ms, answered):
    bench = Bench(deadline_ms=deadline_ms)
    regions = bench.run()
    assert len(regions.answers) == answered and regions.found == 3
    assert bench.now_ms <= deadline_ms


def test_the_next_picture_does_not_wait_for_them():
    bench = Bench(deadline_ms=1000.0)
    bench.run()
    bench.mailbox.put(Frame('image', SimpleNamespace(), int(bench.now_ms * NS_PER_MS), 0.0))
    waiting = bench.pipeline.process(bench.pipeline.take())
    bench.mailbox.put(Frame('image', SimpleNamespace(), int(bench.now_ms * NS_PER_MS), 0.0))
    regions = answer_regions(bench.pipeline, waiting)
    assert regions.answers == [] and regions.found == 3


def test_they_lie_inside_the_region_of_interest():
    bench = Bench(roi=[320, 240, 320, 240])
    regions = bench.run()
    assert regions.found == 2  # the largest lies outside
    assert all(box.top + box.height <= 240 and box.left + box.width <= 320
               for box in bench.boxes if box)


def test_where_nothing_stands_out_there_is_none():
    assert Bench(rgb=ground()).run() == ([], 0, '')


def test_where_the_model_fails_on_one_those_before_it_are_kept():
    bench = Bench()
    run = bench.classify

    def classify(rgb, keep_ratio, box=None, **wanted):
        if len(bench.boxes) == 2:
            raise RuntimeError('device lost')
        return run(rgb, keep_ratio, box, **wanted)

    bench.classify = classify
    regions = bench.run()
    assert (len(regions.answers), regions.found, regions.fault) == (1, 3, 'device lost')


def test_each_camera_has_a_gaze_of_its_own_that_ends_with_the_zoom():
    bench = Bench(zoom=True, zoom_boxes=0)
    left, right = put(ground(), thing(120), 20, 20), put(ground(), thing(120), 340, 500)
    seen = []
    for topic, rgb in [('left', left), ('right', right)] * 2:
        bench.rgb = rgb
        bench.run(topic)
        seen.append(bench.boxes[0])
    assert seen == [bench.zoom.box(left), bench.zoom.box(right)] * 2
    bench.pipeline.config = update(bench.pipeline.config, {'zoom': False})
    bench.run('left')
    assert bench.boxes == [None]
    bench.pipeline.config = update(bench.pipeline.config, {'zoom': True})
    bench.rgb = right  # which the left camera has never seen
    bench.run('left')
    assert bench.boxes == [bench.zoom.box(right)]
