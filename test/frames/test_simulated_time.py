# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What is said of /clock, by the steps that it took."""
import pytest

from ltp_ros.frames.latency import NEW_CLOCK_MS, NS_PER_MS
from ltp_ros.frames.simulated_time import STEPS, SimulatedClock
from ltp_ros.frames.status import Severity

SECOND = 10 ** 9


def clock_of(*steps_ms, period_ms=25):
    """Return a clock that began somewhere and took these steps, and when the last one was."""
    clock = SimulatedClock(0)
    clock.advance(1_700_000_000 * SECOND, 0)  # from no time to the first
    for index, step_ms in enumerate(steps_ms, start=1):
        clock.advance(int(step_ms * NS_PER_MS), index * period_ms * NS_PER_MS)
    return clock, len(steps_ms) * period_ms * NS_PER_MS


@pytest.mark.parametrize('step_ms', [1.0, 25.0, 100.0, 1000.0, 2000.0])
def test_the_step_is_that_of_the_clock(step_ms):
    assert clock_of(*[step_ms] * 5)[0].step_ms == step_ms


def test_a_clock_of_uneven_steps_may_be_behind_by_the_longest():
    assert clock_of(1.0, 33.0, 2.0)[0].step_ms == 33.0


def test_before_a_step_was_seen_nothing_is_held_against_an_image():
    assert SimulatedClock(0).step_ms == clock_of()[0].step_ms == NEW_CLOCK_MS


@pytest.mark.parametrize('jump_ms', [-60_000.0, -1.0, 60_000.0])
def test_a_jump_to_another_time_is_no_step(jump_ms):
    assert clock_of(25.0, jump_ms, 25.0)[0].step_ms == 25.0


def test_a_long_step_is_forgotten():
    clock, _ = clock_of(3000.0, *[25.0] * (STEPS - 1))
    assert clock.step_ms == 3000.0
    clock.advance(25 * NS_PER_MS, SECOND)
    assert clock.step_ms == 25.0


def test_no_clock_is_a_warning_once_there_was_time_for_it():
    clock = SimulatedClock(0)
    status = clock.report(SECOND, 0)
    assert (status.level, status.message) == (Severity.OK, 'waiting for /clock')
    status = clock.report(6 * SECOND, 0)
    assert status.level == Severity.WARN and not clock.paused(6 * SECOND)
    assert status.message.startswith('use_sim_time is set, and no /clock comes; start the sim')


def test_a_simulation_that_waits_for_its_start_is_told_from_none():
    status = SimulatedClock(0).report(6 * SECOND, 1)
    assert (status.level, status.message) == (
        Severity.WARN, 'use_sim_time is set, and /clock stands at 0; unpause the simulation')


def test_a_clock_of_one_message_a_second_is_not_paused():
    clock, now_ns = clock_of(1000.0, 1000.0, period_ms=1000)
    assert not clock.paused(now_ns + 2 * SECOND)


def test_a_clock_that_goes_is_told_with_its_step_and_how_fast_it_is():
    clock, now_ns = clock_of(*[12.5] * 40)  # a second of it, at half the speed
    status = clock.report(now_ns, 1)
    assert (status.part, status.level, status.message) == ('clock', Severity.OK, 'simulated')
    assert status.values == {'real-time factor': '0.50', 'step (ms)': '12.5',
                             'publishers of /clock': '1'}


def test_a_simulation_that_is_paused_is_no_fault_and_one_that_is_gone_is():
    clock, now_ns = clock_of(*[25.0] * 40)
    assert not clock.paused(now_ns + SECOND // 2)
    later_ns = now_ns + 7 * SECOND
    assert clock.paused(later_ns)
    status = clock.report(later_ns, 1)
    assert (status.level, status.message) == (Severity.OK, 'simulated time stands since 7 s')
    assert status.values['real-time factor'] == '0.12'  # over the eight seconds
    status = clock.report(later_ns + SECOND, 0)
    assert status.level == Severity.WARN and 'lost its publisher' in status.message
    clock.advance(25 * NS_PER_MS, later_ns + 2 * SECOND)
    assert not clock.paused(later_ns + 2 * SECOND)
