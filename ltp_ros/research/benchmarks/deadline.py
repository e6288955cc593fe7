# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The situations of `ltp_benchmark deadline`, and the statistics of the frames received. No ROS.

A *run* is one policy in one situation; a situation is a sequence of phases. The *oracle* is the
best fixed keep ratio of each phase in hindsight.
"""
import itertools
import math
from dataclasses import dataclass
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Union

import numpy as np

TUNED, ORACLE = 'tuned', 'oracle'
EVERY = 'all'  # all phases of a situation, or all situations, together
STAY = 10      # consecutive frames near the right level before the tuner has found it

Row = Dict[str, Union[str, float, None]]


@dataclass(frozen=True)
class Phase:
    """A part of a situation with constant conditions."""

    name: str
    rate_factor: float = 1.0      # multiplies the frame rate of the benchmark
    deadline_factor: float = 1.0  # multiplies its deadline
    loaded: bool = False          # whether another process occupies a core


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
    time_s: float       # capture time, in the time that its policy had
    frame_index: int    # the node's own count of its answers
    keep_ratio: float
    age_ms: float       # from capture to publish
    inference_ms: float
    dropped: int        # images dropped since the previous answer
    deadline_ms: float  # in force at the capture, whether or not the node knew of it
    turn: int = 0       # of its policy in the phase

    @property
    def missed(self) -> bool:
        """Whether the answer missed its deadline."""
        return self.age_ms > self.deadline_ms


@dataclass(frozen=True)
class Run:
    """The answers of one policy in one situation."""

    situation: str
    keep_ratio: Optional[float]  # of a fixed policy; None: the tuner sets it
    frames: Sequence[FrameRow]   # those within a phase

    @property
    def policy(self) -> str:
        """The name of the policy in tables."""
        return policy_name(self.keep_ratio)


def policy_name(keep_ratio: Optional[float]) -> str:
    """Return the name of the policy fixed at `keep_ratio`; None: the tuned policy."""
    return TUNED if keep_ratio is None else f'fixed {keep_ratio:g}'


def by_phase(frames: Sequence[FrameRow]) -> Dict[str, List[FrameRow]]:
    """Return the frames of each phase, in the order of the phases."""
    return {name: list(group)
            for name, group in itertools.groupby(frames, lambda frame: frame.phase)}


def _turns(frames: Sequence[FrameRow]) -> List[List[FrameRow]]:
    """Return the frames of each turn, which were answered one after the other."""
    return [list(group) for _, group in itertools.groupby(
        frames, lambda frame: (frame.phase, frame.turn))]


def miss_rate(frames: Sequence[FrameRow]) -> float:
    """Return the share of frames that missed their deadline."""
    return sum(frame.missed for frame in frames) / len(frames)


def level_changes(keep_ratios: Sequence[float]) -> int:
    """Return the number of frames that ran at another level than the frame before."""
    return sum(now != before for before, now in zip(keep_ratios, keep_ratios[1:]))


def best_level(fixed: Mapping[float, Sequence[FrameRow]], target_miss_rate: float) -> float:
    """Return the best fixed keep ratio in hindsight, given the frames of a phase at each level.

    The highest level whose miss rate is at most `target_miss_rate`; if there is none, the level
    with the lowest miss rate, or the higher of two that tie.
    """
    rates = {level: miss_rate(frames) for level, frames in fixed.items()}
    meeting = [level for level, rate in rates.items() if rate <= target_miss_rate]
    return max(meeting) if meeting else min(rates, key=lambda level: (rates[level], -level))


def right_from(keep_ratios: Sequence[float], right: float,
               ladder: Sequence[float]) -> Optional[int]:
    """Return the number of frames before the tuner found the right level; None if it never did.

    Args:
        keep_ratios: those of the frames of one phase, each a level of the ladder.
        right: the oracle's level; its neighbours on the ladder count as right too.
        ladder: every level.
    """
    place = {level: index for index, level in enumerate(sorted(ladder))}
    near = [abs(place[keep_ratio] - place[right]) <= 1 for keep_ratio in keep_ratios]
    return next((start for start in range(len(near) - STAY + 1)
                 if all(near[start:start + STAY])), None)


def oracle(runs: Sequence[Run], ladder: Sequence[float],
           target_miss_rate: float) -> Dict[str, List[FrameRow]]:
    """Return the frames of the best fixed level in each phase of one situation.

    Args:
        runs: those of the situation.
        ladder: every level.
        target_miss_rate: as for `best_level`.

    Returns:
        The frames by phase; empty unless every level of the ladder ran.
    """
    fixed = {run.keep_ratio: by_phase(run.frames) for run in runs if run.keep_ratio is not None}
    if not set(ladder) <= set(fixed):
        return {}
    return {phase: fixed[best_level({level: fixed[level][phase] for level in ladder},
                                    target_miss_rate)][phase]
            for phase in by_phase(runs[0].frames)}


def rows(runs: Sequence[Run], ladder: Sequence[float], target_miss_rate: float,
         agreement: Optional[Mapping[float, float]] = None) -> List[Row]:
    """Return the statistics of each situation, phase and policy, the oracle included.

    Unknown values are None. A situation has an oracle if every level of the ladder ran in it.

    Args:
        runs: of every policy and situation.
        ladder: every level.
        target_miss_rate: as for `best_level`.
        agreement: of each level with the unpruned model, in percent of the images.
    """
    result: List[Row] = []
    policies: Dict[str, List[List[FrameRow]]] = {}  # policy -> the frames of each situation
    for situation in dict.fromkeys(run.situation for run in runs):
        members = [run for run in runs if run.situation == situation]
        frames_of: Dict[str, Sequence[FrameRow]] = {run.policy: run.frames for run in members}
        best = oracle(members, ladder, target_miss_rate)
        if best:
            frames_of[ORACLE] = list(itertools.chain(*best.values()))
        right = {phase: frames[0].keep_ratio for phase, frames in best.items()}
        for policy, frames in frames_of.items():
            result += _situation_rows(situation, policy, frames,
                                      right if policy == TUNED else {}, ladder, agreement)
            policies.setdefault(policy, []).append(list(frames))
    for policy, parts in policies.items():
        if len(parts) > 1:
            result.append({'situation': EVERY, 'phase': EVERY, 'policy': policy,
                           **_numbers(parts, agreement), 'frames_to_right_level': None,
                           'seconds_to_right_level': None})
    return result


def _situation_rows(situation: str, policy: str, frames: Sequence[FrameRow],
                    right: Mapping[str, float], ladder: Sequence[float],
                    agreement: Optional[Mapping[float, float]]) -> Iterator[Row]:
    phases = by_phase(frames)
    for phase, members in phases.items():
        found = None
        if phase in right:
            found = right_from([frame.keep_ratio for frame in members], right[phase], ladder)
        yield {'situation': situation, 'phase': phase, 'policy': policy,
               **_numbers([members], agreement), 'frames_to_right_level': found,
               'seconds_to_right_level': (
                   None if found is None else members[found].time_s - members[0].time_s)}
    if len(phases) > 1:
        yield {'situation': situation, 'phase': EVERY, 'policy': policy,
               **_numbers([frames], agreement), 'frames_to_right_level': None,
               'seconds_to_right_level': None}


def _numbers(parts: Sequence[Sequence[FrameRow]],
             agreement: Optional[Mapping[float, float]]) -> Dict[str, Optional[float]]:
    """Return the statistics of frames from one or more runs."""
    frames = [frame for part in parts for frame in part]
    deadlines = {frame.deadline_ms for frame in frames}
    ages = [frame.age_ms for frame in frames]
    turns = [turn for part in parts for turn in _turns(part)]
    # By the node's own count, since an answer that was not received here was published too
    published = sum(turn[-1].frame_index - turn[0].frame_index + 1 for turn in turns)
    dropped = sum(frame.dropped for frame in frames)
    in_time = [frame.keep_ratio for frame in frames if not frame.missed]
    return {
        'deadline_ms': deadlines.pop() if len(deadlines) == 1 else None,
        'miss_rate': miss_rate(frames), 'misses': sum(frame.missed for frame in frames),
        'mean_keep_ratio': math.fsum(frame.keep_ratio for frame in frames) / len(frames),
        'on_time_agreement': math.fsum(agreement[level] for level in in_time) / (
            len(frames) + dropped) if agreement else None,
        'level_changes': sum(level_changes([frame.keep_ratio for frame in turn])
                             for turn in turns),
        'age_p50_ms': float(np.percentile(ages, 50)), 'age_p99_ms': float(np.percentile(ages, 99)),
        'inference_p50_ms': float(np.percentile([frame.inference_ms for frame in frames], 50)),
        'received': published + dropped, 'published': published, 'dropped': dropped,
        'n': len(frames)}
