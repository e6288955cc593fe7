# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What the times of a ladder say about its levels."""
import pytest

from ltp_ros.tuner.levels import LevelCost, costs_of, useless_levels


def test_costs_compare_as_the_fastest_runs_do_and_are_as_slow_as_most_runs():
    costs = costs_of({1.0: [20.0, 10.0, 20.0], 0.5: [16.0, 16.0, 8.0]})
    assert costs == [LevelCost(1.0, 20.0, 20.0), LevelCost(0.5, 16.0, 16.0)]


def test_a_single_run_is_its_own_cost():
    assert costs_of({0.7: [3.0]}) == [LevelCost(0.7, 3.0, 3.0)]


def test_the_tail_is_the_99th_percentile_of_the_runs():
    assert costs_of({1.0: [float(ms) for ms in range(1, 201)]})[0].p99_ms == 198.0


@pytest.mark.parametrize('times_ms, useless', [
    ((10.0, 9.0, 8.0), []), ((10.0, 10.0, 8.0), [0.6]), ((10.0, 11.0, 12.0), [0.6, 0.3]),
    ((10.0, 8.0, 9.0), [0.3])])
def test_a_level_that_is_no_faster_than_a_higher_one_is_useless(times_ms, useless):
    costs = [LevelCost(ratio, ms, ms) for ratio, ms in zip((1.0, 0.6, 0.3), times_ms)]
    assert useless_levels(costs) == useless
