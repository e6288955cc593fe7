# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Every policy on every scene: what was missed, and what was right and in time."""
import dataclasses
from statistics import mean
from typing import Dict, List, Sequence, Union

from ltp_ros.config import TunerConfig
from ltp_ros.research.tuning.policies import ORACLE, RULES, Maker, Tuned, fixed
from ltp_ros.research.tuning.simulation import LADDER, Images, Outcome, play

PENALTY = 2.0  # points of accuracy for each percent missed above the oracle's and the target
TUNER, STRICT, BEST, BOUND = 'the tuner', 'the tuner, strict', 'best fixed level', 'oracle'

Row = Dict[str, Union[str, float]]


def policies() -> Dict[str, Maker]:
    """Return what makes each policy that decides by itself, by name."""
    def tuned(objective: str) -> Maker:
        return lambda scene, given: Tuned(scene, dataclasses.replace(given, objective=objective))

    return {TUNER: tuned('on_time'), STRICT: tuned('strict'), **RULES}


def compare(scene: Images, deadline: str, target_miss_rate: float) -> List[Row]:
    """Return a row for every policy on a scene.

    The best fixed level and the oracle know the scene; the latter only the frame at hand.

    Args:
        scene: to be played.
        deadline: one of DEADLINES.
        target_miss_rate: that the tuner is to hold.
    """
    deadline_ms = scene.deadline_ms(deadline)
    config = TunerConfig(deadline_ms=deadline_ms, target_miss_rate=target_miss_rate,
                         min_keep_ratio=LADDER[0])

    def run(make: Maker) -> Outcome:
        return play(scene, make(scene, config), deadline_ms)

    oracle = run(ORACLE)
    allowed = oracle.miss_percent + 100.0 * target_miss_rate

    def row(policy: str, outcome: Outcome) -> Row:
        excess = max(outcome.miss_percent - allowed, 0.0)
        recovery_s = outcome.recovery_s(scene, deadline_ms)
        return {'scene': scene.name, 'deadline': deadline, 'policy': policy,
                'missed_percent': outcome.miss_percent, 'keep_ratio': outcome.keep_ratio,
                'on_time_accuracy': outcome.on_time_accuracy,
                'at_equal_misses': outcome.on_time_accuracy - PENALTY * excess,
                'changes_in_100': outcome.changes,
                **({'recovery_s': mean(recovery_s)} if recovery_s else {})}

    levels = [row(BEST, run(fixed(level))) for level in range(len(LADDER))]
    return [*(row(name, run(make)) for name, make in policies().items()),
            max(levels, key=lambda found: found['at_equal_misses']), row(BOUND, oracle)]


def summarize(rows: Sequence[Row]) -> List[Row]:
    """Return the means of each policy over scenes and deadlines, against the tuner's."""
    tuner = {(row['scene'], row['deadline']): row for row in rows if row['policy'] == TUNER}

    def means(policy: str) -> Row:
        found = [row for row in rows if row['policy'] == policy]
        numbers = [name for name, value in found[0].items() if not isinstance(value, str)]
        gains = [float(row['at_equal_misses']) -
                 float(tuner[row['scene'], row['deadline']]['at_equal_misses']) for row in found]
        recovery = [float(row['recovery_s']) for row in found if 'recovery_s' in row]
        return {'policy': policy,
                **{name: mean(float(row[name]) for row in found) for name in numbers
                   if name != 'recovery_s'},
                **({'recovery_s': mean(recovery)} if recovery else {}),
                'against_the_tuner': mean(gains), 'best_scene': max(gains),
                'worst_scene': min(gains)}

    return [means(policy) for policy in dict.fromkeys(str(row['policy']) for row in rows)]
