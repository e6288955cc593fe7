# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Successive halving: on more and more pictures, candidates that another makes needless go.

A candidate goes
1. when another that is faster is better beyond the interval of their difference; at 99 %, since
   each is compared with dozens, on few pictures;
2. when another that is clearly faster is as good: at most MARGIN worse, by the interval at 95 %;
3. when more are left than a round has room for: those that are furthest behind a faster one.
The first two can be trusted however often they are asked; the third is what makes it minutes.
"""
from dataclasses import dataclass
from typing import Collection, Dict, Hashable, List, Mapping, TypeVar

import numpy as np

from ltp_ros.research.ladder_search.intervals import gain_interval

FIRST_ROUND = 16    # pictures
FINALISTS = 24      # at most, that are scored on all pictures
SAME_TIME = 0.02    # share: what differs by less is timed alike
CLEARLY = 0.05      # share of its time that a candidate must save to replace a slower one
NEAR = 0.1          # share of its time that the fastest way to run a model saves, of no account
MARGIN = 0.02       # of a score, 0..1: what is less is as good
BETTER, AS_GOOD = 0.99, 0.95  # confidence of the intervals

Name = TypeVar('Name', bound=Hashable)


@dataclass(frozen=True)
class Trial:
    """What is known of a candidate."""

    time_ms: float
    hits: np.ndarray  # (n,) bool, of the pictures so far, the same for all

    @property
    def score(self) -> float:
        """The share of hits, 0..1."""
        return float(self.hits.mean())


def rounds_of(total: int, first: int = FIRST_ROUND) -> List[int]:
    """Return how many pictures have been seen after each round: doubled until all were.

    The last round is at least half as large as all before, or they are one.
    """
    sizes = [min(first, total)]
    while 3 * sizes[-1] <= total:
        sizes.append(2 * sizes[-1])
    return sizes if sizes[-1] == total else [*sizes, total]


def room_in(count: int, seen: int, first: int = FIRST_ROUND) -> int:
    """Return how many of `count` candidates may be left after `seen` pictures.

    All after the first round, on which a score may be ten points off; then half of them each time.
    """
    return max(FINALISTS, count * first // seen)


def is_faster(mine: Trial, other: Trial) -> bool:
    """Return whether one surely is: what goes by less would often come back with other times."""
    return mine.time_ms <= other.time_ms * (1 - SAME_TIME)


def is_worse(mine: Trial, other: Trial) -> bool:
    """Return whether another is faster, and better beyond doubt: the first rule."""
    return is_faster(other, mine) and (
        gain_interval(other.hits, mine.hits, BETTER)[0] > 0)


def is_needless(mine: Trial, other: Trial) -> bool:
    """Return whether another is clearly faster, and as good: the second rule."""
    return other.time_ms <= mine.time_ms * (1 - CLEARLY) and (
        gain_interval(mine.hits, other.hits, AS_GOOD)[1] < MARGIN)


def survivors(trials: Mapping[Name, Trial], needed: Collection[Name], room: int) -> List[Name]:
    """Return the candidates that stay, the fastest first.

    The second rule is asked of those that stay alone, the fastest first: else a chain, each link
    as good as the next, could end far below where it began.

    Args:
        trials: by candidate, on the same pictures.
        needed: stay in any case, without a place in the room.
        room: at most so many of the others stay.
    """
    order = sorted(trials, key=lambda name: trials[name].time_ms)
    staying: List[Name] = []
    for name in order:
        mine = trials[name]
        if name not in needed and (
                any(is_worse(mine, other) for other in trials.values() if other is not mine)
                or any(is_needless(mine, trials[other]) for other in staying)):
            continue
        staying.append(name)
    behind = deficits({name: trials[name] for name in staying})
    others = sorted((name for name in staying if name not in needed), key=behind.__getitem__)
    kept = {*needed, *others[:room]}
    return [name for name in staying if name in kept]


def worth_their_time(trials: Mapping[Name, Trial]) -> List[Name]:
    """Return those that are better than every faster one beyond doubt; fastest first.

    For few that each stand for many: the ways to run a model. So the fastest has one beside it
    that is nearly as fast, and not surely worse: it may be the faster one at another size.
    """
    found: List[Name] = []
    for name in sorted(trials, key=lambda name: trials[name].time_ms):
        gains = [gain_interval(trials[name].hits, trials[other].hits, AS_GOOD) for other in found]
        near = len(found) == 1 and gains[0][1] >= 0 and (
            trials[name].time_ms <= trials[found[0]].time_ms * (1 + NEAR))
        if near or all(low > 0 for low, _ in gains):
            found.append(name)
    return found


def deficits(trials: Mapping[Name, Trial]) -> Dict[Name, float]:
    """Return how far the score of each is below the best of those that are faster; -1..1.

    Negative: by how much it is the best of them.
    """
    found = {}
    for name, mine in trials.items():
        others = [other.score for other in trials.values() if is_faster(other, mine)]
        found[name] = max(others, default=0.0) - mine.score
    return found
