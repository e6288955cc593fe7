# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a ladder that was found on one half of a scene is the best on the other half. No ROS."""
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from ltp_ros.research.ladder_search.halving import SAME_TIME
from ltp_ros.research.ladder_search.intervals import gain_interval, worth_of
from ltp_ros.research.ladder_search.words import CONFIDENCE, described, family
from ltp_ros.tuner.ladder_file import Level


@dataclass(frozen=True)
class Asked:
    """A level that was timed, and asked every picture."""

    level: Level
    share: float  # of the time of the unpruned model in plain torch, float32
    hits: np.ndarray  # (n,) bool
    on_ladder: bool

    @property
    def score(self) -> float:
        """The share of hits, 0..1."""
        return float(self.hits.mean())


def beaten_by(rival: Asked, asked: Sequence[Asked], confidence: float = CONFIDENCE
              ) -> Tuple[Optional[Asked], float]:
    """Return the best level of the ladder that is no slower than a rival, and what it gains.

    Args:
        rival: a level beside the ladder.
        asked: all levels.
        confidence: of the interval, 0..1.

    Returns:
        The level; None: all of the ladder are slower. Then the low end of the interval of the
        rival's gain over it: above 0, the ladder is not the best.
    """
    allowed = [each for each in asked
               if each.on_ladder and each.share <= rival.share * (1 + SAME_TIME)]
    if not allowed:
        return None, -1.0
    best = max(allowed, key=lambda each: (each.score, -each.share))
    return best, gain_interval(rival.hits, best.hits, confidence)[0]


def rows_of(scene: str, asked: Sequence[Asked], reference: Level) -> List[Dict[str, Any]]:
    """Return a row for each level of a scene, the fastest first.

    Args:
        scene: its name.
        asked: those of the ladder, and its rivals.
        reference: the unpruned model at its own size.
    """
    rows = []
    rivals = sum(not each.on_ladder for each in asked)
    together = 1 - (1 - CONFIDENCE) / max(rivals, 1)  # Bonferroni
    for each in sorted(asked, key=lambda each: each.share):
        level, worth = each.level, worth_of(each.hits)
        best, low = beaten_by(each, asked)
        rows.append({
            'scene': scene, 'level': described(level, reference), 'family': family(
                level, reference), 'method': level.method, 'input_size': list(level.input_size),
            'keep_ratio': level.keep_ratio, 'zoom': bool(level.zoom), 'backend': level.backend,
            'precision': level.precision, 'time_share': each.share, 'n': len(each.hits),
            'score': worth.score, 'low': worth.low, 'high': worth.high,
            'on_ladder': each.on_ladder, 'above_ladder': not each.on_ladder and low > 0,
            'surely_above': not each.on_ladder and beaten_by(each, asked, together)[1] > 0,
            'ladder_score': best and 100.0 * best.score,
            'hits': ''.join('01'[int(hit)] for hit in each.hits)})
    return rows


def sentence(rows: Sequence[Dict[str, Any]]) -> str:
    """Return whether a single level is above the ladder of a scene, and which."""
    rivals = [row for row in rows if not row['on_ladder']]
    above = [f'{row["level"]} ({row["score"]:.1f} % at {row["time_share"]:.3f}, the ladder '
             f'{row["ladder_score"]:.1f} %)' for row in rivals if row['above_ladder']]
    sure = sum(row['surely_above'] for row in rivals)
    return (f'of {len(rivals)} levels beside the ladder {len(above)} '
            f'{"is" if len(above) == 1 else "are"} above it by more than the 95 % interval'
            + (f', {sure} by one that allows for so many comparisons: {"; ".join(above)}'
               if above else ''))
