# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""When work counts as stuck: by the time that the process has lived, not by the clock's alone."""
import pytest

from ltp_ros.frames.watchdog import PERIOD_S, SLOWER, STUCK_AFTER_S, Watchdog, limit_s

SECOND = 1_000_000_000
STEP = int(PERIOD_S * SECOND)


def looks(watchdog, busy_since_ns, begin_s, seconds):
    """Look as often as the node does; return what the last look said."""
    for now_ns in range(begin_s * SECOND, (begin_s + seconds) * SECOND + 1, STEP):
        stuck_s = watchdog.stuck_s(busy_since_ns, now_ns)
    return stuck_s


def test_one_piece_of_work_is_measured_from_the_first_look_at_it():
    assert looks(Watchdog(), 3, begin_s=1, seconds=7) == 7.0


@pytest.mark.parametrize('following', [None, 4 * SECOND])
def test_the_next_piece_of_work_begins_anew(following):
    watchdog = Watchdog()
    looks(watchdog, 0, begin_s=0, seconds=4)
    assert looks(watchdog, following, begin_s=5, seconds=0) == 0.0


def test_a_process_that_was_stopped_for_ten_seconds_is_not_stuck():
    watchdog = Watchdog()
    looks(watchdog, 0, begin_s=0, seconds=1)
    assert watchdog.stuck_s(0, 11 * SECOND) <= 1.0 + 2 * PERIOD_S


def test_work_that_goes_on_after_a_stop_is_stuck_in_the_end():
    watchdog = Watchdog()
    looks(watchdog, 0, begin_s=0, seconds=1)
    assert looks(watchdog, 0, begin_s=11, seconds=5) >= 6.0


def test_a_model_that_takes_seconds_for_an_image_has_as_many_times_longer():
    assert limit_s(slowest_ms=20.0) == STUCK_AFTER_S
    assert limit_s(slowest_ms=2_000.0) == 2.0 * SLOWER
