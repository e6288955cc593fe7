# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Each processed frame, replayed in thought at every level of the ladder. Milliseconds, no clock.

docs/tuner.md has the terms: the *fit* of a frame is the highest level at which it met the
deadline; it *misses at* those above.
"""
import math
from collections import deque
from itertools import islice
from statistics import median
from typing import Deque, List, NamedTuple, Sequence

WINDOW = 400  # frames remembered
RECENT = 5    # frames that distinguish an accident from a change of the machine
EASY = 0.97   # a frame meets the deadline easily within this share of it


class FrameTimes(NamedTuple):
    """One processed frame."""

    cost_ms: float      # table median of the level that it ran at
    slowdown: float     # inference time / cost_ms
    overhead_ms: float  # all of the latency that is neither inference nor waiting
    service_ms: float   # the part of it in which the next frame has to wait
    wait_ms: float      # it waited for the frames before it
    period_ms: float    # from one image to the next; inf where not known

    def latency_ms(self, cost_ms: float, wait_ms: float) -> float:
        """Return the latency that this frame would have had at a level of `cost_ms`."""
        return self.overhead_ms + wait_ms + self.slowdown * cost_ms

    def busy_ms(self, cost_ms: float) -> float:
        """Return how long it would have kept the next frame waiting."""
        return self.service_ms + self.slowdown * cost_ms


class Replay:
    """The newest frames, and at which levels each of them met one deadline.

    A level slower than the camera makes frames wait that a faster level answers at once, so the
    wait is not a property of the machine: it is tracked for each level separately (Lindley's
    recursion, bounded by one period because a newer image supersedes the one that waits).

    Args:
        costs_ms: table medians of the levels, ascending.
        deadline_ms: a frame that takes just as long meets it.
        frames: known before, oldest first.
    """

    def __init__(self, costs_ms: Sequence[float], deadline_ms: float,
                 frames: Sequence[FrameTimes] = ()) -> None:
        self._costs_ms = costs_ms
        self._limit_ms = deadline_ms * (1 + 1e-9)  # rounded
        self.frames: Deque[FrameTimes] = deque()
        self._fits: Deque[int] = deque()
        self._next_waits = [0.0] * len(costs_ms)  # at each level
        self._runs = [0] * len(costs_ms)
        self._easy_runs = [0] * len(costs_ms)
        for frame in frames:
            self.add(frame)

    def __len__(self) -> int:
        return len(self.frames)

    def add(self, frame: FrameTimes) -> None:
        """Replay one more frame, and forget the one WINDOW frames before it."""
        waits = [_wait_at(cost_ms, wait_ms, frame)
                 for cost_ms, wait_ms in zip(self._costs_ms, self._next_waits)]
        self._next_waits = [
            min(max(wait_ms + frame.busy_ms(cost_ms) - frame.period_ms, 0.0), frame.period_ms)
            for cost_ms, wait_ms in zip(self._costs_ms, waits)]
        self.frames.append(frame)
        self._fits.append(self._fit(frame, waits, self._limit_ms))
        self._runs = _continue(self._runs, self._fits[-1])
        self._easy_runs = _continue(self._easy_runs,
                                    self._fit(frame, waits, EASY * self._limit_ms))
        self.forget_all_but(WINDOW)

    def forget_all_but(self, num_frames: int) -> None:
        """Forget the oldest frames."""
        while len(self.frames) > num_frames:
            self.frames.popleft()
            self._fits.popleft()

    def correct(self, cost_ms: float, truth_ms: float) -> None:
        """Let the frames that ran at a level of `cost_ms` have run at one of `truth_ms`.

        The frames alone are corrected; which levels they fit is for a new `Replay` to say.
        """
        self.frames = deque(
            frame._replace(cost_ms=truth_ms, slowdown=frame.slowdown * cost_ms / truth_ms)
            if frame.cost_ms == cost_ms else frame for frame in self.frames)

    def missed_at(self, level: int) -> bool:
        """Return whether the newest frame misses at `level`."""
        return self._fits[-1] < level

    def misses(self, level: int) -> int:
        """Return how many frames miss at `level`."""
        return sum(fit < level for fit in self._fits)

    def run(self, level: int) -> int:
        """Return how many frames were added since the last that misses at `level`."""
        return self._runs[level]

    def easy_run(self, level: int) -> int:
        """Return how many frames were added since the last that did not easily meet it there."""
        return self._easy_runs[level]

    def recent_fit(self, num_accidents: int) -> int:
        """Return the highest level at which fewer than `num_accidents` of RECENT frames miss.

        -1 if there is no such level. That a frame really waited does not count, it may have done
        so for a single slow one; a level that is slower than the camera, as a rule, does.
        """
        recent = list(islice(reversed(self.frames), RECENT))
        if not recent:
            return len(self._costs_ms) - 1
        waits = [_lasting_wait_ms(recent, cost_ms) for cost_ms in self._costs_ms]
        fits = sorted(self._fit(frame, waits, self._limit_ms) for frame in recent)
        return fits[num_accidents - 1] if len(fits) >= num_accidents else len(self._costs_ms) - 1

    def typical_ms(self, level: int, num_frames: int) -> float:
        """Return the typical latency of the newest frames at `level`; by the table if none."""
        recent = list(islice(reversed(self.frames), num_frames))
        if not recent:
            return self._costs_ms[level]
        cost_ms = self._costs_ms[level]
        return (median(frame.overhead_ms for frame in recent) + _lasting_wait_ms(recent, cost_ms) +
                median(frame.slowdown for frame in recent) * cost_ms)

    def _fit(self, frame: FrameTimes, waits_ms: Sequence[float], limit_ms: float) -> int:
        return sum(frame.latency_ms(cost_ms, wait_ms) <= limit_ms
                   for cost_ms, wait_ms in zip(self._costs_ms, waits_ms)) - 1


def _continue(runs: Sequence[int], fit: int) -> List[int]:
    return [run + 1 if level <= fit else 0 for level, run in enumerate(runs)]


def _lasting_wait_ms(frames: Sequence[FrameTimes], cost_ms: float) -> float:
    """Return the longest wait at a level that is slower than the camera as a rule; else 0."""
    period_ms = frames[0].period_ms  # of the newest
    slower = median(frame.busy_ms(cost_ms) for frame in frames) > period_ms
    return period_ms if slower else 0.0


def _wait_at(cost_ms: float, followed_ms: float, frame: FrameTimes) -> float:
    """Return how long `frame` waits at a level: as it really did at its own, else as followed."""
    if math.isclose(cost_ms, frame.cost_ms):
        return frame.wait_ms
    return (min if cost_ms < frame.cost_ms else max)(followed_ms, frame.wait_ms)
