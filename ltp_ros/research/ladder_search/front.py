# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""From candidates that were timed and scored to a ladder: those that nothing beats."""
from dataclasses import replace
from typing import List, Sequence, Tuple

from ltp_ros.research.ladder_search.halving import SAME_TIME
from ltp_ros.tuner.ladder_file import Level

LEAST_GAIN = 0.5  # percent of the pictures: a level must be better by this than a faster one
STEP = 0.001      # of the works


def score_of(level: Level) -> float:
    """Return the score of a level, in percent of the pictures."""
    assert level.worth is not None  # it is a finalist
    return level.worth.score


def front(levels: Sequence[Level]) -> List[Level]:
    """Return the levels that are worth their time, the dearest first.

    From the top: the fastest of those that are less than LEAST_GAIN below the best, then the same
    among those that are faster by SAME_TIME; until there are none.
    """
    found: List[Level] = []
    left = list(levels)
    while left:
        best = max(map(score_of, left))
        # Rounded, or 86.4 - 0.5 may lie a little above 85.9
        found.append(min((level for level in left
                          if round(best - score_of(level), 9) < LEAST_GAIN or
                          score_of(level) == best),
                         key=lambda level: (level.p50_ms, -score_of(level))))
        fastest = found[-1].p50_ms
        left = [level for level in left if level.p50_ms * (1 + SAME_TIME) <= fastest]
    return found


def works_of(times_ms: Sequence[float]) -> Tuple[float, ...]:
    """Return the works of levels: shares of the dearest's time, rounded, none of them twice.

    Args:
        times_ms: of each, the dearest first.
    """
    works: List[float] = []
    for index, time_ms in enumerate(times_ms):
        left = len(times_ms) - 1 - index  # levels that need a work below
        work = max(round(time_ms / times_ms[0], 3), STEP * (left + 1))
        works.append(round(min([work, *(each - STEP for each in works[-1:])]), 3))
    return tuple(works)


def named(levels: Sequence[Level]) -> Tuple[Level, ...]:
    """Return the levels of a ladder with their works, the dearest first."""
    ordered = sorted(levels, key=lambda level: -level.p50_ms)
    works = works_of([level.p50_ms for level in ordered])
    return tuple(replace(level, work=work) for level, work in zip(ordered, works))
