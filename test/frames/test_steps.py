# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A load that makes no progress is told with the step that it is at."""
from ltp_ros.frames.steps import STALLED_AFTER_S, Steps


class Clock:
    """A clock that the test sets."""

    now_s = 0.0

    def __call__(self):
        return int(self.now_s * 1e9)


def test_a_step_that_takes_more_than_a_minute_is_told_until_the_next():
    clock, logged = Clock(), []
    steps = Steps(logged.append, clock)
    steps('loading demo')
    clock.now_s = STALLED_AFTER_S - 1.0
    assert steps.stalled == ''
    clock.now_s = STALLED_AFTER_S + 10.0
    assert steps.stalled.startswith('no progress for 70 s after "loading demo"')
    steps('warmed up')
    assert steps.stalled == '' and logged == ['loading demo', 'warmed up']


def test_nothing_is_stalled_before_the_first_step_and_after_the_last():
    clock = Clock()
    steps = Steps(lambda step: None, clock)
    clock.now_s = 1000.0
    assert steps.stalled == ''
    steps('loading demo')
    steps.end()
    clock.now_s = 2000.0
    assert steps.stalled == ''
