# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Stage times on a clock that the test turns, and which stamps tell an age."""
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltp_ros.frames.latency import (
    FUTURE_TOLERANCE_MS,
    MAX_PLAUSIBLE_AGE_MS,
    NS_PER_MS,
    FrameLatency,
    LatencyWindow,
    SimulatedFrameLatency,
    StageTimer,
    StampClock,
)

NOW_NS = 1_700_000_000_000_000_000
DAY_NS = 86_400 * 10 ** 9


def timer_read_at(start_ns, *times_ns):
    """Return a timer whose clock shows these times, one a reading, and no more."""
    return StageTimer(iter(times_ns).__next__, start_ns)


def test_each_stage_lasts_from_the_end_of_the_one_before():
    timer = timer_read_at(0, 2_000_000, 5_000_000, 5_500_000)
    assert [timer.mark(stage) for stage in ('queue', 'decode', 'inference')] == [2.0, 3.0, 0.5]
    assert timer.stages_ms == {'queue': 2.0, 'decode': 3.0, 'inference': 0.5}


def test_the_first_stage_begins_at_the_start_and_not_with_the_timer():
    assert timer_read_at(NOW_NS - 7 * NS_PER_MS, NOW_NS).mark('queue') == 7.0


@given(st.integers(0, 2 ** 62), st.lists(st.integers(0, 10 ** 12), min_size=1, max_size=8))
def test_the_stages_sum_to_the_total(start_ns, durations_ns):
    times = [start_ns + sum(durations_ns[:n + 1]) for n in range(len(durations_ns))]
    timer = timer_read_at(start_ns, *times)
    for index in range(len(durations_ns)):
        timer.mark(f'stage {index}')
    assert math.fsum(timer.stages_ms.values()) == pytest.approx(timer.total_ms)
    assert timer.total_ms == pytest.approx(sum(durations_ns) / NS_PER_MS)


def test_time_after_the_last_stage_does_not_count():
    timer = timer_read_at(0, 4_000_000)
    timer.mark('queue')
    assert timer.total_ms == 4.0  # another reading would be a StopIteration


@pytest.mark.parametrize('back_ms, age', [
    (0.0, 0.0), (0.001, 0.001), (40.0, 40.0), (MAX_PLAUSIBLE_AGE_MS, MAX_PLAUSIBLE_AGE_MS)])
def test_the_age_is_the_time_since_the_stamp(back_ms, age):
    assert StampClock().age_ms(NOW_NS - int(back_ms * NS_PER_MS), NOW_NS) == (age, '')


@pytest.mark.parametrize('ahead_ms', [0.001, FUTURE_TOLERANCE_MS])
def test_a_stamp_a_little_ahead_is_of_this_moment(ahead_ms):
    assert StampClock().age_ms(NOW_NS + int(ahead_ms * NS_PER_MS), NOW_NS) == (0.0, '')


@pytest.mark.parametrize('stamp_ns, now_ns, fault', [
    (0, NOW_NS, 'zero'), (-1, NOW_NS, 'zero'), (0, 1_000_000, 'zero'), (1, NOW_NS, 's old'),
    (NOW_NS + int(FUTURE_TOLERANCE_MS * NS_PER_MS) + 1000, NOW_NS, 'in the future'),
    (2 * NOW_NS, NOW_NS, 'in the future'),
    (NOW_NS - int(MAX_PLAUSIBLE_AGE_MS * NS_PER_MS) - 1000, NOW_NS, 's old')])
def test_a_stamp_that_no_camera_on_this_clock_set_has_a_fault_and_no_age(stamp_ns, now_ns, fault):
    age, said = StampClock().age_ms(stamp_ns, now_ns)
    assert math.isnan(age) and fault in said


@pytest.mark.parametrize('step_ms', [0, -1, -130, -1000])
def test_images_that_overtook_each_other_have_their_ages(step_ms):
    clock = StampClock()
    clock.age_ms(NOW_NS, NOW_NS)
    age, fault = clock.age_ms(NOW_NS + step_ms * NS_PER_MS, NOW_NS)
    assert (age, fault) == (-step_ms, '')


def test_stamps_of_threads_in_turn_all_have_their_ages():
    clock = StampClock()
    ages = [clock.age_ms(now * NS_PER_MS - age * NS_PER_MS, now * NS_PER_MS)[0]
            for now, age in zip(range(1_000_000, 1_000_660, 33), [10, 140] * 10)]
    assert ages == [10, 140] * 10


@pytest.mark.parametrize('step_ms', [-1001, -60_000])
def test_a_large_step_back_is_another_clock_and_the_next_stamp_counts_on_it(step_ms):
    clock = StampClock()
    clock.age_ms(NOW_NS, NOW_NS)
    first = NOW_NS + step_ms * NS_PER_MS
    age, fault = clock.age_ms(first, first + NS_PER_MS)
    assert math.isnan(age)
    assert fault == f'the stamp is {-step_ms / 1000:.1f} s before an earlier one'
    assert clock.age_ms(first + NS_PER_MS, first + 3 * NS_PER_MS) == (2.0, '')


def test_stamps_go_back_as_far_as_their_newest_is_ahead_however_small_the_steps():
    clock = StampClock()
    faults = [clock.age_ms(NOW_NS + step_ms * NS_PER_MS, NOW_NS)[1]
              for step_ms in (0, -600, -900, -1100)]
    assert faults == ['', '', '', 'the stamp is 1.1 s before an earlier one']


@pytest.mark.parametrize('clock_back_ms', [0, 500])
def test_in_simulated_time_stamps_go_back_with_the_clock_alone(clock_back_ms):
    clock, late = StampClock(), NOW_NS + 2000 * NS_PER_MS
    clock.age_ms(late, late, 25.0)
    _, fault = clock.age_ms(late - 1500 * NS_PER_MS, late - clock_back_ms * NS_PER_MS, 25.0)
    assert fault == 'the stamp is 1.5 s before an earlier one'


def ages_by_a_clock_of(step_ms, transport_ms, fps=30.0, seconds=10.0):
    """Return the ages of images whose stamps are finer than the steps of /clock."""
    clock, ages = StampClock(), []
    for index in range(int(fps * seconds)):
        stamp_ms = 5000.0 + index * 1000.0 / fps
        now_ms = (stamp_ms + transport_ms) // step_ms * step_ms
        ages.append(clock.age_ms(int(stamp_ms * NS_PER_MS), int(now_ms * NS_PER_MS), step_ms)[0])
    return ages


@pytest.mark.parametrize('rate_hz', [1000, 40, 10, 1])
@pytest.mark.parametrize('transport_ms', [0.0, 3.0])
def test_images_are_fresh_however_coarse_the_simulated_clock_is(rate_hz, transport_ms):
    ages = ages_by_a_clock_of(1000.0 / rate_hz, transport_ms)
    assert all(0.0 <= age <= transport_ms for age in ages)


def test_a_stamp_further_ahead_than_a_step_of_the_simulated_clock_has_a_fault():
    clock = StampClock()
    for ahead_ms, fault in ((25.0, ''), (29.9, ''), (30.1, 'the stamp is 30 ms in the future')):
        assert clock.age_ms(NOW_NS + int(ahead_ms * NS_PER_MS), NOW_NS, 25.0)[1] == fault
    assert clock.faults == {'in the future': 1}


def test_in_real_time_no_more_is_allowed_than_before():
    _, fault = StampClock().age_ms(NOW_NS + 12 * NS_PER_MS, NOW_NS)
    assert fault == 'the stamp is 12 ms in the future'


def test_before_the_first_message_on_clock_no_age_is_known_and_that_is_the_fault():
    age, fault = StampClock().age_ms(NOW_NS, 0, 1000.0)
    assert math.isnan(age) and fault == 'use_sim_time is set, and no /clock has come'


def test_a_simulation_begins_at_zero():
    for now_ms in (20.0, MAX_PLAUSIBLE_AGE_MS):
        assert StampClock().age_ms(0, int(now_ms * NS_PER_MS), 25.0) == (now_ms, '')
    assert StampClock().age_ms(0, NOW_NS, 25.0)[1] == 'the stamp is zero'


def test_a_bag_that_loops_takes_the_stamps_back_with_the_clock():
    clock = StampClock()
    for now_s in (1000, 1060, 1000, 1001):
        now_ns = now_s * 10 ** 9
        assert clock.age_ms(now_ns - 10 * NS_PER_MS, now_ns, 25.0) == (10.0, '')
    assert not clock.faults


def test_a_stamp_of_another_clock_is_told_with_the_way_out():
    assert 'set use_sim_time for both, or for neither' in StampClock().age_ms(
        NOW_NS, 100 * 10 ** 9, 25.0)[1]
    assert 'play it with --clock and set use_sim_time' in StampClock().age_ms(
        100 * 10 ** 9, NOW_NS)[1]
    assert StampClock().age_ms(NOW_NS - 86_399 * 10 ** 9, NOW_NS)[1] == 'the stamp is 86399 s old'


@pytest.mark.parametrize('stamp_ns, now_ns, step_ms, remedy', [
    (NOW_NS - DAY_NS, NOW_NS, None, 'set use_sim_time'), (NOW_NS, NOW_NS - DAY_NS, 25.0, 'both')])
def test_from_a_day_on_it_is_another_clock(stamp_ns, now_ns, step_ms, remedy):
    assert remedy in StampClock().age_ms(stamp_ns, now_ns, step_ms)[1]


def test_faults_are_counted_by_their_kind():
    clock = StampClock()
    for stamp_ns in (0, 0, NOW_NS, 1, 2 * NOW_NS, NOW_NS - 2000 * NS_PER_MS):
        clock.age_ms(stamp_ns, NOW_NS)
    assert clock.faults == {'zero': 2, 'old': 1, 'in the future': 1, 'set back': 1}


def test_simulated_and_real_milliseconds_are_not_added():
    latency = SimulatedFrameLatency(
        frame_index=0, keep_ratio=1.0, age_at_receive_ms=30.0, queue_ms=1.0, decode_ms=2.0,
        inference_ms=8.0, publish_ms=1.0, total_ms=12.0, dropped_since_last=0,
        deadline_ms=0.0, deadline_met=True, decision=0)
    assert math.isnan(latency.capture_to_publish_ms)


def test_a_window_keeps_the_newest_latencies_only():
    window = LatencyWindow(size=3)
    for latency_ms in (100.0, 1.0, 2.0, 3.0):
        window.add(latency_ms, met=latency_ms < 3.0)
    assert len(window) == 3
    assert [window.percentile(share) for share in (0.0, 0.5, 0.99, 1.0)] == [1.0, 2.0, 3.0, 3.0]
    assert window.miss_rate == pytest.approx(1 / 3)


def test_diagnostics_speak_of_the_last_300_answers():
    window = LatencyWindow()
    for met in [False] + [True] * 300:
        window.add(1.0, met)
    assert len(window) == 300 and window.miss_rate == 0.0


def test_an_empty_window_knows_nothing():
    assert math.isnan(LatencyWindow().percentile(0.5)) and math.isnan(LatencyWindow().miss_rate)


@pytest.mark.parametrize('age, expected', [(30.0, 42.0), (math.nan, math.nan)])
def test_the_time_since_capture_is_the_age_and_the_total_or_unknown(age, expected):
    latency = FrameLatency(
        frame_index=0, keep_ratio=1.0, age_at_receive_ms=age, queue_ms=1.0, decode_ms=2.0,
        inference_ms=8.0, publish_ms=1.0, total_ms=12.0, dropped_since_last=0,
        deadline_ms=0.0, deadline_met=True, decision=0)
    assert latency.capture_to_publish_ms == pytest.approx(expected, nan_ok=True)
