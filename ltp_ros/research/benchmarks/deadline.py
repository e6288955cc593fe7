# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What `ltp_benchmark deadline` lets happen, and what it makes of the frames it heard of. No ROS.

A *run* is one policy in one situation; a situation is a sequence of phases. The oracle knows
afterwards which fixed keep ratio was best in each phase.
"""
import itertools
import math
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence

import numpy as np

TUNED, ORACLE = 'tuned', 'oracle'
EVERY = 'all'  # phases of a situation, or situations, taken together
STAY = 10      # frames that the tuner must stay near the right level for it to count as found


@dataclass(frozen=True)
class Phase:
    """Some seconds of a situation in which nothing changes."""

    name: str
    rate_factor: float = 1.0      # times the frame rate of the benchmark
    deadline_factor: float = 1.0  # times its deadline
    loaded: bool = False          # whether another process takes a core


SITUATIONS: Dict[str, Sequence[Phase]] = {
    'steady': (Phase('steady'),),
    'load': (Phase('before'), Phase('during', loaded=True), Phase('after')),
    'rate': (Phase('before'), Phase('after', rate_factor=2.0)),
    'halved': (Phase('before'), Phase('after', deadline_factor=0.5)),
}


@dataclass(frozen=True)
class FrameRow:
    """One answer of the node."""

    phase: str
    time_s: float       # when its image was captured, since the run's first phase began
    frame_index: int    # as the node counts its answers
    keep_ratio: float
    age_ms: float       # from capture to publish
    inference_ms: float
    dropped: int        # images given up since the answer before
    deadline_ms: float  # in force when it was captured, whether or not the node was told

    @property
    def missed(self) -> bool:
        """Whether it was late."""
        return self.age_ms > self.deadline_ms


@dataclass(frozen=True)
class Run:
    """What became of one policy in one situation."""

    situation: str
    keep_ratio: Optional[float]  # fixed at this; None: the tuner moves it
    frames: Sequence[FrameRow]   # of the phases, without what lay before and between them

    @property
    def policy(self) -> str:
        """Its name in tables."""
        return policy_name(self.keep_ratio)


def policy_name(keep_ratio: Optional[float]) -> str:
    """Return the name of the policy that is fixed at `keep_ratio`, or tuned if that is None."""
    return TUNED if keep_ratio is None else f'fixed {keep_ratio:g}'


def by_phase(frames: Sequence[FrameRow]) -> Dict[str, List[FrameRow]]:
    """Return the frames of each phase, in the order of the phases."""
    return {name: list(group)
            for name, group in itertools.groupby(frames, lambda frame: frame.phase)}


def miss_rate(frames: Sequence[FrameRow]) -> float:
    """Return the share of frames that were late."""
    return sum(frame.missed for frame in frames) / len(frames)


def level_changes(keep_ratios: Sequence[float]) -> int:
    """Return how often a frame ran at another level than the one before it."""
    return sum(now != before for before, now in zip(keep_ratios, keep_ratios[1:]))


def best_level(fixed: Mapping[float, Sequence[FrameRow]], target_miss_rate: float) -> float:
    """Return the best fixed keep ratio in hindsight, given the frames of one phase at each.

    The highest that misses no more often than `target_miss_rate`; if none does, the one that
    misses least often, the higher one of two that miss alike.
    """
    rates = {level: miss_rate(frames) for level, frames in fixed.items()}
    meeting = [level for level, rate in rates.items() if rate <= target_miss_rate]
    return max(meeting) if meeting else min(rates, key=lambda level: (rates[level], -level))


def right_from(keep_ratios: Sequence[float], right: float,
               ladder: Sequence[float]) -> Optional[int]:
    """Return how many frames went by before the level was right; None if it never was.

    Args:
        keep_ratios: of the frames of one phase.
        right: the oracle's level; one level beside it is right as well.
        ladder: every level; holds all of these numbers.
    """
    place = {level: index for index, level in enumerate(sorted(ladder))}
    near = [abs(place[keep_ratio] - place[right]) <= 1 for keep_ratio in keep_ratios]
    return next((start for start in range(len(near) - STAY + 1)
                 if all(near[start:start + STAY])), None)


def rows(runs: Sequence[Run], ladder: Sequence[float],
         target_miss_rate: float) -> List[Dict[str, Any]]:
    """Return one row of plain numbers for each situation, phase and policy; None: not known.

    There is an oracle for a situation in which every level of the ladder ran.
    """
    result: List[Dict[str, Any]] = []
    policies: Dict[str, List[List[FrameRow]]] = {}  # policy -> the frames of each situation
    for situation in dict.fromkeys(run.situation for run in runs):
        members = [run for run in runs if run.situation == situation]
        fixed = {run.keep_ratio: by_phase(run.frames) for run in members
                 if run.keep_ratio is not None}
        frames_of: Dict[str, Sequence[FrameRow]] = {run.policy: run.frames for run in members}
        right: Dict[str, float] = {}  # phase -> the oracle's level
        if set(ladder) <= set(fixed):
            phases = list(by_phase(members[0].frames))
            right = {phase: best_level({level: fixed[level][phase] for level in ladder},
                                       target_miss_rate) for phase in phases}
            frames_of[ORACLE] = [frame for phase in phases
                                 for frame in fixed[right[phase]][phase]]
        for policy, frames in frames_of.items():
            result += _situation_rows(situation, policy, frames,
                                      right if policy == TUNED else {}, ladder)
            policies.setdefault(policy, []).append(list(frames))
    for policy, parts in policies.items():
        if len(parts) > 1:
            result.append({'situation': EVERY, 'phase': EVERY, 'policy': policy,
                           **_numbers(parts), 'frames_to_right_level': None,
                           'seconds_to_right_level': None})
    return result


def _situation_rows(situation: str, policy: str, frames: Sequence[FrameRow],
                    right: Mapping[str, float],
                    ladder: Sequence[float]) -> Iterator[Dict[str, Any]]:
    phases = by_phase(frames)
    for phase, members in phases.items():
        found = None
        if phase in right:
            found = right_from([frame.keep_ratio for frame in members], right[phase], ladder)
        yield {'situation': situation, 'phase': phase, 'policy': policy, **_numbers([members]),
               'frames_to_right_level': found, 'seconds_to_right_level': (
                   None if found is None else members[found].time_s - members[0].time_s)}
    if len(phases) > 1:
        yield {'situation': situation, 'phase': EVERY, 'policy': policy, **_numbers([frames]),
               'frames_to_right_level': None, 'seconds_to_right_level': None}


def _numbers(parts: Sequence[Sequence[FrameRow]]) -> Dict[str, Any]:
    """Return the numbers of frames that come in one or more runs."""
    frames = [frame for part in parts for frame in part]
    deadlines = {frame.deadline_ms for frame in frames}
    ages = [frame.age_ms for frame in frames]
    # The node's own count of its answers: one that was not heard here is published all the same
    published = sum(phase[-1].frame_index - phase[0].frame_index + 1
                    for part in parts for phase in by_phase(part).values())
    dropped = sum(frame.dropped for frame in frames)
    return {
        'deadline_ms': deadlines.pop() if len(deadlines) == 1 else None,
        'miss_rate': miss_rate(frames), 'misses': sum(frame.missed for frame in frames),
        'mean_keep_ratio': math.fsum(frame.keep_ratio for frame in frames) / len(frames),
        'level_changes': sum(level_changes([frame.keep_ratio for frame in part])
                             for part in parts),
        'age_p50_ms': float(np.percentile(ages, 50)), 'age_p99_ms': float(np.percentile(ages, 99)),
        'inference_p50_ms': float(np.percentile([frame.inference_ms for frame in frames], 50)),
        'received': published + dropped, 'published': published, 'dropped': dropped,
        'n': len(frames)}
