# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What several boxes of a picture cost, and how the tuner holds the deadline with them."""
import pytest

from ltp_ros.config import TunerConfig
from ltp_ros.tuner.controller import Decision, KeepRatioController
from ltp_ros.tuner.levels import LevelCost
from ltp_ros.tuner.load import BatchCost, LightLoad, for_one

ONE_BY_ONE = BatchCost({1: 8.0}, 10.0)
BATCHED = BatchCost({1: 8.0, 2: 10.0, 4: 14.0, 8: 22.0}, 10.0)
COSTS = [LevelCost(ratio, 10.0 * ratio, 11.0 * ratio) for ratio in (0.25, 0.5, 0.75, 1.0)]


def test_what_runs_one_by_one_costs_as_often():
    assert [ONE_BY_ONE.load(count) for count in (0, 1, 2, 20)] == pytest.approx(
        [0.0, 0.8, 1.6, 16.0])


def test_a_batch_costs_what_was_timed_and_between_them_in_proportion():
    assert [BATCHED.load(count) for count in (1, 2, 3, 8)] == pytest.approx([0.8, 1.0, 1.2, 2.2])


def test_more_boxes_than_a_batch_holds_come_in_several():
    assert BATCHED.load(18) == pytest.approx(2 * 2.2 + 1.0)
    assert BATCHED.load(16) == pytest.approx(4.4)


def test_a_larger_batch_never_counts_less_than_a_smaller():
    noisy = BatchCost({1: 8.0, 2: 7.0, 4: 20.0}, 10.0)
    loads = [noisy.load(count) for count in range(12)]
    assert loads == sorted(loads)


@pytest.mark.parametrize('load, most', [(0.0, 0), (0.79, 0), (0.8, 1), (1.0, 2), (9.9, 20)])
def test_so_many_boxes_fit_into_a_load(load, most):
    assert BATCHED.most(load, 20) == most


def test_a_frame_of_several_runs_is_in_time_just_where_one_run_is_in_its_part():
    for run_ms, in_time in ((9.9, True), (10.1, False)):
        used_ms = for_one(100.0, 40.0, 6.0)
        assert (used_ms + run_ms <= 100.0) is in_time is (40.0 + 6.0 * run_ms <= 100.0)


def test_a_level_has_to_suit_the_lighter_frames():
    light = LightLoad()
    assert [light.learn(load) for load in (4.0, 4.0, 20.0, 2.0)] == [4.0, 4.0, 4.0, 2.0]
    assert [light.learn(20.0) for _ in range(30)][-1] == 20.0


def frames(loads, deadline_ms=80.0, slowdown=1.0):
    """Answer frames of these loads; return the level and the latency of each."""
    controller = KeepRatioController(COSTS, TunerConfig(
        deadline_ms=deadline_ms, min_keep_ratio=0.25), 1.0)
    found = []
    for load in loads:
        level = controller.choose(deadline_ms - 5.0, load)
        inference_ms = 10.0 * level * load * slowdown
        controller.update(inference_ms, inference_ms + 5.0, level, service_ms=5.0,
                          period_ms=100.0, load=load)
        found.append((level, inference_ms + 5.0))
    return found


def test_more_boxes_are_answered_at_a_lower_level():
    found = frames([4.0] * 30 + [10.0] * 30 + [20.0] * 30)
    assert [found[index][0] for index in (29, 59, 89)] == [1.0, 0.75, 0.25]
    assert all(latency_ms <= 80.0 for _, latency_ms in found)


def test_a_frame_with_few_boxes_among_others_has_a_high_level():
    found = frames([12.0, 2.0] * 60)[-20:]
    assert {level for level, _ in found[0::2]} == {0.5} and {
        level for level, _ in found[1::2]} == {1.0}


def test_the_speed_of_the_machine_is_not_taken_for_the_number_of_boxes():
    found = frames([10.0] * 40, slowdown=1.4)
    assert found[-1] == (0.5, pytest.approx(75.0)) and found[5][0] == 0.5


def test_a_frame_without_boxes_teaches_nothing():
    controller = KeepRatioController(COSTS, TunerConfig(deadline_ms=80.0), 1.0)
    assert controller.update(0.01, 5.0, 1.0, load=0.0) is Decision.HOLD
    assert controller.expected_ms(1.0) == 10.0
