# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Which images pass: no more than asked for, evenly spaced, whatever the camera's rate."""
import numpy as np
import pytest

from ltp_ros.frames.rate_limit import RateLimit

SECONDS = 60


def arrivals(rate, jitter, seconds=SECONDS, start_s=0.0):
    """Return arrival times (n,) in seconds; jitter is the largest shift, in periods."""
    count = int(rate * seconds)
    shifts = np.random.default_rng(0).uniform(-jitter, jitter, count)
    return np.sort(start_s + (np.arange(count) + 1 + shifts) / rate)


def passing(times, max_rate, limit=None):
    """Return the times (m,) that pass."""
    limit = limit or RateLimit()
    return np.array([time for time in times if limit.admits(int(time * 1e9), max_rate)])


@pytest.mark.parametrize('jitter', [0.0, 0.1, 0.2, 0.3])
@pytest.mark.parametrize('rate', [1.0, 5.0, 9.99, 10.0])
def test_a_camera_that_is_no_faster_passes_whole_whatever_its_jitter(rate, jitter):
    times = arrivals(rate, jitter)
    assert len(passing(times, 10.0)) == len(times)


@pytest.mark.parametrize('jitter', [0.0, 0.2])
@pytest.mark.parametrize('rate', [10.01, 10.1, 11.0, 14.9, 15.0, 20.0, 24.0, 29.97, 30.0, 50.0,
                                  60.0, 90.0])
def test_of_a_faster_camera_as_many_pass_as_asked_for(rate, jitter):
    passed = passing(arrivals(rate, jitter), 10.0)
    assert 10 * SECONDS * 0.99 - 1 <= len(passed) <= 10 * SECONDS + 2
    starts = np.arange(0, SECONDS - 5, 0.1)
    assert all(((start <= passed) & (passed < start + 5)).sum() <= 5 * 10 + 2 for start in starts)


@pytest.mark.parametrize('max_rate', [1.0, 7.0, 10.0, 15.0])
@pytest.mark.parametrize('rate', [20.0, 29.97, 30.0, 40.0, 60.0])
@pytest.mark.parametrize('jitter', [0.0, 0.2])
def test_what_passes_is_spaced_as_evenly_as_the_camera_allows(rate, max_rate, jitter):
    gaps = np.diff(passing(arrivals(rate, jitter), max_rate))[1:]
    # Two neighbours, each half a period of the camera from its slot, and its jitter
    assert abs(gaps - 1 / max_rate).max() <= (1 + 2 * jitter) / rate + 1e-6


@pytest.mark.parametrize('every', [2, 3, 4, 6])
@pytest.mark.parametrize('jitter', [0.0, 0.1, 0.2])
def test_of_a_camera_that_is_a_multiple_of_it_every_nth_image_passes(every, jitter):
    times = arrivals(10.0 * every, jitter)
    numbers = np.searchsorted(times, passing(times, 10.0))
    assert set(np.diff(numbers)[1:]) == {every}


def test_no_limit_lets_every_image_pass():
    times = arrivals(90.0, 0.4, seconds=5)
    assert len(passing(times, 0.0)) == len(times)


def test_a_pause_of_the_camera_is_not_made_up_for():
    limit = RateLimit()
    passing(arrivals(30.0, 0.0, 5), 10.0, limit)
    after = passing(arrivals(30.0, 0.0, 5, start_s=100.0), 10.0, limit)
    assert 49 <= len(after) <= 51
    assert np.diff(after).min() > 0.09


@pytest.mark.parametrize('before, now', [
    (0.1, 10.0), (1e-300, 10.0), (1e300, 10.0), (10.0, 2.0), (0.0, 10.0), (10.0, 0.0)])
def test_a_new_rate_holds_from_the_next_image_on(before, now):
    limit = RateLimit()
    passing(arrivals(30.0, 0.0, 5), before, limit)
    passed = passing(arrivals(30.0, 0.0, 5, start_s=5.0), now, limit)
    assert abs(len(passed) - 5 * (now or 30.0)) <= 1


def test_images_that_come_in_bursts_pass_at_the_rate_too():
    times = np.repeat(np.arange(1, 300) / 15.0, 2) + np.tile([0.0, 0.001], 299)
    assert len(passing(times, 10.0)) <= times[-1] * 10 + 2
