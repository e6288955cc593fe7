# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Gaps between frames: other work makes no answer late, and does not starve."""
import pytest

from ltp_ros.frames.gaps import HUNGRY_MS, SILENT_MS, STARVED_MS, Gaps

MS = 1_000_000
DEADLINE_MS, LOWEST_MS = 30.0, 8.0


def allows(gaps, cost_ms, now_ms, next_ms, deadline_ms=DEADLINE_MS):
    return gaps.allows(cost_ms, int(now_ms * MS), None if next_ms is None else int(next_ms * MS),
                       deadline_ms, LOWEST_MS)


@pytest.mark.parametrize('cost_ms, wait_ms, expected', [
    (20.0, 20.0, True),    # it ends as the frame comes
    (40.0, 20.0, True),    # the frame waits 20 ms and is answered in 28
    (43.0, 20.0, False),   # 31
    (22.0, 0.0, True), (23.0, 0.0, False),
    (22.0, -5.0, False),   # it has waited already
    (17.0, -5.0, True),
])
def test_work_is_done_if_the_next_frame_is_still_in_time_at_the_lowest_level(cost_ms, wait_ms,
                                                                             expected):
    assert allows(Gaps(), cost_ms, 100.0, 100.0 + wait_ms) == expected


def test_what_frames_take_besides_is_left_to_them():
    gaps = Gaps()
    for _ in range(100):
        gaps.note(10.0, late=False)
    assert allows(gaps, 11.9, 0.0, 0.0) and not allows(gaps, 12.1, 0.0, 0.0)


@pytest.mark.parametrize('next_ms, deadline_ms', [
    (None, DEADLINE_MS),                       # no camera
    (100.0 - SILENT_MS - 1.0, DEADLINE_MS),    # one that fell silent
    (100.0, 0.0),                              # no deadline
    (100.0, LOWEST_MS - 1.0),                  # one that no frame holds, whatever is done
])
def test_where_nothing_can_be_made_late_all_work_is_done(next_ms, deadline_ms):
    assert allows(Gaps(), 1e6, 100.0, next_ms, deadline_ms)


def test_work_that_finds_no_gap_asks_for_one_until_it_has_had_it():
    gaps = Gaps()
    assert not gaps.hungry(0)
    assert not allows(gaps, 50.0, 10.0, 10.0)
    assert not gaps.hungry(int((10.0 + HUNGRY_MS) * MS))
    assert gaps.hungry(int((10.1 + HUNGRY_MS) * MS))
    assert allows(gaps, 50.0, 120.0, 150.0)
    assert not gaps.hungry(int(1e6 * MS))


def test_work_that_never_finds_a_gap_is_done_now_and_then_all_the_same():
    gaps, done = Gaps(), []
    for now_ms in range(0, 5000, 5):
        if allows(gaps, 50.0, now_ms, now_ms):
            done.append(now_ms)
    assert 7 <= len(done) <= 10 and min(b - a for a, b in zip(done, done[1:])) > STARVED_MS


def test_where_frames_after_other_work_are_late_more_is_kept_in_reserve():
    gaps = Gaps()
    assert allows(gaps, 20.0, 0.0, 0.0)
    for _ in range(5):
        gaps.note(0.0, late=True)  # only the first comes after other work
    assert allows(gaps, 21.4, 0.0, 0.0) and not allows(gaps, 21.6, 0.0, 0.0)
    gaps.note(0.0, late=False)
    assert not allows(gaps, 21.6, 0.0, 0.0)
    for _ in range(100):
        assert allows(gaps, 1.0, 0.0, 0.0)
        gaps.note(0.0, late=False)
    assert allows(gaps, 22.0, 0.0, 0.0)
