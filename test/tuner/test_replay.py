# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Frames that wait for the one before: what the tuner makes of a camera faster than the model."""
import functools
import math
from statistics import mean

import pytest
from plants import (
    DEADLINE_MS,
    LADDER,
    OVERHEAD_MS,
    TRUTH,
    Camera,
    film,
    heavy_tailed,
    noisy,
    quiet,
    step,
    table,
)

from ltp_ros.config import TunerConfig
from ltp_ros.tuner.controller import KeepRatioController
from ltp_ros.tuner.replay import EASY, WINDOW, FrameTimes, Replay

NOISES = {'quiet': quiet, 'noisy 3 %': noisy(0.03), 'noisy 10 %': noisy(0.1),
          'heavy-tailed': heavy_tailed(3.0, 0.1)}
PERIODS_MS = (10.0, 14.0, 16.7, 20.0, 25.0, 33.3)
RANKED = sorted(TRUTH.values())


def tuner(deadline_ms=DEADLINE_MS, **settings):
    """Return a tuner as it starts."""
    return KeepRatioController(table(), TunerConfig(
        deadline_ms=deadline_ms, min_keep_ratio=0.25, **settings), 0.7)


@functools.lru_cache(maxsize=None)
def best_fixed(camera, deadline_ms, noise, target=0.01, keeps_up=False):
    """Return the highest level that keeps the target in hindsight; the floor if none does.

    If `keeps_up`, of those that answer every image.
    """
    for keep_ratio in LADDER:
        fixed = film(camera, [1.0] * 1000, tuner(), deadline_ms, noise=noise,
                     keep_ratio=keep_ratio)
        if fixed.miss_rate <= target and (
                not keeps_up or TRUTH[keep_ratio] + camera.service_ms <= camera.period_ms):
            return keep_ratio
    return LADDER[-1]


def replay_at(level, num_frames, period_ms, service_ms=0.0, deadline_ms=DEADLINE_MS):
    """Return what is known after frames that ran at one level, none of which waited."""
    frame = FrameTimes(RANKED[level], 1.0, OVERHEAD_MS, service_ms, 0.0, period_ms)
    return Replay(RANKED, deadline_ms, [frame] * num_frames)


@pytest.mark.parametrize('period_ms', PERIODS_MS)
@pytest.mark.parametrize('deadline_ms', [DEADLINE_MS, 40.0])
@pytest.mark.parametrize('noise', NOISES)
@pytest.mark.parametrize('objective, most', [('on_time', 0.02), ('strict', 0.01)])
def test_camera_faster_than_the_model_is_held_near_the_best_fixed_level(
        objective, most, noise, deadline_ms, period_ms):
    camera = Camera(period_ms, jitter_ms=1.0)
    trace = film(camera, [1.0] * 1200, tuner(deadline_ms, objective=objective), deadline_ms,
                 noise=NOISES[noise])
    best = best_fixed(camera, deadline_ms, NOISES[noise], most, objective == 'on_time')
    # Under heavy tails the frames that wait behind a slow one are late with it
    assert trace.miss_rate <= most + (0.005 if noise == 'heavy-tailed' else 0.0)
    assert trace.changes <= (100 if noise == 'noisy 10 %' else 60)  # of 1200 images
    below = 2 if noise == 'heavy-tailed' else 1
    assert step(best, -below) <= mean(trace.keep_ratios[150:]) + 5e-3 and (
        mean(trace.keep_ratios[150:]) <= step(best, 1))


def test_rate_that_doubles_leads_to_a_level_that_keeps_up_within_few_misses():
    controller = tuner()
    slow = film(Camera(33.3), [1.0] * 300, controller)
    fast = film(Camera(16.7), [1.0] * 600, controller)
    assert slow.keep_ratios[-1] == 0.8
    assert set(fast.keep_ratios[10:]) == {best_fixed(Camera(16.7), DEADLINE_MS, quiet)}
    assert sum(fast.missed) <= 5


def test_frames_behind_one_slow_frame_are_part_of_the_same_accident():
    controller = tuner()
    trace = film(Camera(33.3), [1.0] * 300 + [4.0] + [1.0] * 300, controller)
    assert sum(trace.missed[300:]) == 2  # the next one has waited, the others have less to do
    assert min(trace.keep_ratios[303:]) >= step(0.8, -2)


def test_slower_level_is_known_to_make_frames_wait_before_it_is_tried():
    # 20.4 ms of inference and 2 of service: too slow for 20 ms, at no other level a wait
    replay = replay_at(level=3, num_frames=50, period_ms=20.0, service_ms=2.0)
    assert replay.miss_rate(3) == 0 and replay.easy_run(3) == 50
    assert replay.miss_rate(5) > 0.8  # 0.7, whose latency by itself is 5 ms within the deadline


def test_without_a_period_nothing_ever_waits():
    replay = replay_at(level=3, num_frames=50, period_ms=math.inf, service_ms=2.0)
    assert replay.miss_rate(6) == 0 and replay.miss_rate(7) == 1


def test_wait_is_at_most_one_period():
    replay = replay_at(level=8, num_frames=50, period_ms=10.0, deadline_ms=RANKED[8] + 10.0 +
                       OVERHEAD_MS)
    assert all(replay.miss_rate(level) == 0 for level in range(9))


def test_wait_counts_as_it_was_at_the_level_that_the_frame_ran_at():
    waited = FrameTimes(RANKED[4], 1.0, OVERHEAD_MS, 0.0, 30.0, 1000.0)
    replay = Replay(RANKED, DEADLINE_MS, [waited])
    assert [replay.missed_at(level) for level in range(9)] == [False] * 4 + [True] * 5


# One deadline of 25 ms, three levels of 10, 20 and 30 ms

def replayed(*frames, deadline_ms=25.0):
    return Replay([10.0, 20.0, 30.0], deadline_ms, frames)


def frame(slowdown=1.0, overhead_ms=5.0, **others):
    return FrameTimes(**{'cost_ms': 10.0, 'slowdown': slowdown, 'overhead_ms': overhead_ms,
                         'service_ms': 0.0, 'wait_ms': 0.0, 'period_ms': math.inf, **others})


def test_a_latency_equal_to_the_deadline_meets_it():
    replay = replayed(frame(overhead_ms=5.0))
    assert [replay.missed_at(level) for level in range(3)] == [False, False, True]


def test_misses_are_counted_at_each_level():
    replay = replayed(frame(), frame(), frame(slowdown=2.0), frame())
    assert [replay.miss_rate(level) for level in range(3)] == [0, 0.25, 1]


def test_a_frame_that_no_level_answers_is_set_aside_unless_most_of_the_newest_are_such():
    hopeless = frame(slowdown=2.1)
    replay = replayed(frame(), frame(), hopeless, hopeless)
    assert not replay.missed_at(2) and replay.miss_rate(1) == 0 and replay.easy_run(0) == 2
    assert replay.recent_fit(1) == 1
    replay.add(hopeless)
    assert replay.missed_at(0) and replay.miss_rate(1) == 0.6 and replay.easy_run(0) == 0
    assert replay.recent_fit(3) == -1


def test_a_frame_that_waited_is_not_set_aside():
    replay = replayed(frame(wait_ms=90.0))
    assert replay.missed_at(0) and replay.miss_rate(0) == 1


def test_a_frame_that_meets_the_deadline_by_little_does_not_meet_it_easily():
    narrow = frame(overhead_ms=25.0 - 20.0)
    easy = frame(overhead_ms=25.0 * EASY - 20.0)
    replay = replayed(easy, narrow, easy, easy)
    assert [replay.easy_run(level) for level in range(3)] == [4, 2, 0]


def test_no_more_than_the_window_is_remembered():
    replay = replayed(*[frame(slowdown=2.0)] * 3, *[frame()] * WINDOW)
    assert (len(replay.frames), replay.miss_rate(1)) == (WINDOW, 0)


def test_the_recent_fit_allows_fewer_misses_than_its_number_among_the_newest_five():
    replay = replayed(*[frame(slowdown=1.5)] * 9, *[frame(slowdown=2.0)] * 2, *[frame()] * 3)
    assert [replay.recent_fit(number) for number in (1, 2, 3)] == [0, 0, 1]
    replay.add(frame(wait_ms=20.0))  # of no account
    assert [replay.recent_fit(number) for number in (1, 2, 3)] == [0, 1, 1]


def test_fewer_frames_than_would_be_no_accident_fit_every_level():
    assert replayed().recent_fit(1) == 2
    slow = frame(slowdown=2.0)
    assert [replayed(slow).recent_fit(number) for number in (1, 2)] == [0, 2]


def test_a_real_wait_is_an_accident_and_a_level_slower_than_the_camera_is_none():
    assert replayed(frame(wait_ms=90.0)).recent_fit(1) == 1
    assert replayed(frame(period_ms=15.0)).recent_fit(1) == 0  # 20 ms and a wait of 15
    assert replayed(frame(period_ms=20.0)).recent_fit(1) == 1  # keeps up
    assert replayed(frame(period_ms=20.0, service_ms=1.0)).recent_fit(1) == 0


def test_a_wait_grows_by_what_a_level_is_slower_than_the_camera_and_ends_in_a_pause():
    # 20 ms of inference and 2 of service every 20 ms: each frame waits 2 ms more, up to a period
    late = frame(period_ms=20.0, service_ms=2.0, overhead_ms=2.0)
    replay = replayed(*[late] * 5, deadline_ms=28.0)
    assert replay.miss_rate(1) == 1 / 5  # the fifth, with 8 ms
    replay.add(late._replace(period_ms=100.0))
    assert replay.miss_rate(1) == 2 / 6
    replay.add(late)
    assert replay.miss_rate(1) == 2 / 7 and replay.easy_run(1) == 1
    assert replay.miss_rate(0) == 0


def test_a_wait_never_exceeds_the_period_since_a_newer_image_takes_its_place():
    late = frame(period_ms=15.0, overhead_ms=0.0)
    assert replayed(*[late] * 9, deadline_ms=35.0).miss_rate(1) == 0
    assert replayed(*[late] * 9, deadline_ms=34.0).miss_rate(1) == 6 / 9
