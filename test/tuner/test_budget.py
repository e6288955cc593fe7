# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What a frame can afford, given how slow the newest frames were."""
import math

import pytest

from ltp_ros.tuner.budget import ACCIDENT, AGES, PEEK, Ages, Speed

COSTS_MS = [10.0, 20.0, 30.0]
PERIOD_MS = 1e3 / 30
NEWEST = 8  # frames that count at that period


def speed(*slowdowns, period_ms=PERIOD_MS):
    """Return what is known after frames with these slowdowns."""
    known = Speed()
    for slowdown in slowdowns:
        known.learn(slowdown, period_ms)
    return known


def test_before_any_frame_the_table_is_believed():
    assert (Speed().typical, Speed().slowest) == (1.0, 1.0)


def test_the_slowest_of_the_newest_frames_counts():
    assert speed(1.0, 1.1, 1.0).slowest == 1.1
    assert speed(1.1, *[1.0] * (NEWEST - 1)).slowest == 1.1
    assert speed(1.1, *[1.0] * NEWEST).slowest == 1.0


def test_the_first_frame_counts_as_it_is_since_the_table_may_be_wrong():
    assert speed(7.0).slowest == 7.0


@pytest.mark.parametrize('outlier', [1.3, 3.0, 1e6])
def test_a_single_frame_far_slower_than_the_others_counts_a_little(outlier):
    assert speed(*[1.0] * NEWEST, outlier).slowest == ACCIDENT
    assert speed(*[1.0] * NEWEST, outlier).typical == 1.0


def test_two_of_them_are_a_slower_machine():
    assert speed(*[1.0] * NEWEST, 3.0, 2.8).slowest == 3.0


@pytest.mark.parametrize('hz, frames', [(1, 3), (5, 3), (30, 8), (60, 16), (120, 32)])
def test_the_newest_are_those_of_a_quarter_of_a_second_but_three_at_least(hz, frames):
    assert speed(1.1, *[1.0] * (frames - 1), period_ms=1e3 / hz).slowest == 1.1
    assert speed(1.1, *[1.0] * frames, period_ms=1e3 / hz).slowest == 1.0


def test_where_the_period_is_not_known_it_is_that_of_30_hz():
    assert speed(1.1, *[1.0] * (NEWEST - 1), period_ms=math.inf).slowest == 1.1
    assert speed(1.1, *[1.0] * NEWEST, period_ms=math.inf).slowest == 1.0


@pytest.mark.parametrize('left_ms, level', [
    (-5.0, 0), (0.0, 0), (10.0, 0), (19.9, 0), (20.0, 1), (29.9, 1), (30.0, 2), (math.inf, 2)])
def test_a_frame_gets_the_highest_level_that_it_can_afford(left_ms, level):
    assert Speed().highest(COSTS_MS, left_ms, before=2) == level


@pytest.mark.parametrize('before, level', [(0, 0), (1, 1), (2, 1)])
def test_a_level_above_that_of_the_frame_before_must_leave_a_little(before, level):
    assert Speed().highest(COSTS_MS, 20.1, before) == level
    assert Speed().highest(COSTS_MS, 21.0, before) == 1


def test_twice_as_slow_a_machine_affords_half():
    assert speed(2.0, 2.0).highest(COSTS_MS, 40.0, before=2) == 1


def test_a_frame_with_too_little_left_is_late_unless_a_fresh_one_would_be_too():
    assert Speed().is_late(10.0, 9.0, 20.0)
    assert not Speed().is_late(10.0, 10.0, 20.0)
    assert not Speed().is_late(10.0, 5.0, 9.0)


def test_where_every_frame_is_late_one_runs_now_and_then_since_the_machine_may_be_faster_by_now():
    known = speed(2.0, 2.0, 2.0)
    late = [known.is_late(10.0, 15.0, 25.0) for _ in range(3 * PEEK)]
    assert late == ([True] * (PEEK - 1) + [False]) * 3
    for _ in range(NEWEST):
        known.learn(1.0, PERIOD_MS)
    assert not known.is_late(10.0, 15.0, 25.0)


def test_a_frame_whose_budget_is_gone_never_runs():
    known = Speed()
    assert all(known.is_late(10.0, -1.0, 25.0) for _ in range(3 * PEEK))


def ages(near_ms, far_ms, waits):
    """Return what a level has to suit of two cameras, of which images of the second may wait."""
    known = Ages()
    for _ in range(AGES):
        suited = known.learn('near', near_ms, False), known.learn('far', far_ms, waits)
    return suited


def test_a_level_suits_the_camera_with_the_newest_images():
    assert ages(1.0, 15.0, waits=False) == (1.0, 1.0)


def test_where_images_wait_for_each_other_it_suits_them_all():
    assert ages(1.0, 15.0, waits=True) == (1.0, 15.0)


def test_an_image_that_waited_once_is_no_queue():
    known = Ages()
    for _ in range(AGES):
        known.learn('near', 1.0, False)
    assert known.learn('far', 15.0, True) == 1.0


def test_a_single_old_image_leaves_the_typical_age():
    known = Ages()
    for _ in range(5):
        known.learn('camera', 1.0, False)
    assert known.learn('camera', 9e3, False) == 1.0
