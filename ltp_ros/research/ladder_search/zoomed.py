# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the zoom helps on a scene. It costs every frame, so that a ladder has it only then."""
import math
from dataclasses import replace
from typing import List, NamedTuple, Sequence, Tuple

import numpy as np

from ltp_ros.research.ladder_search.words import Scored, key_of

HALF_WIDTH = 1.96  # of a 95 % interval, in standard errors


class ZoomGain(NamedTuple):
    """What the zoom changes, in percent of the pictures: the mean over levels with and without."""

    before: float
    after: float
    low: float   # of the gain; the ends of its 95 % interval
    high: float

    @property
    def helps(self) -> bool:
        """Whether it does beyond doubt."""
        return self.low > 0

    @property
    def sentence(self) -> str:
        """What it means to the user."""
        verdict = ('it helps here' if self.helps else 'it harms here, so it is off' if
                   self.high < 0 else 'so many images show no difference, so it is off')
        return (f'zoom: {self.before:.1f} -> {self.after:.1f} % '
                f'({self.after - self.before:+.1f}, 95 % interval {self.low:+.1f} to '
                f'{self.high:+.1f}): {verdict}')


def pairs_of(finalists: Sequence[Scored]) -> List[Tuple[Scored, Scored]]:
    """Return those that differ in the zoom alone: without, with."""
    by_level = {key_of(each.level): each for each in finalists}
    found = ((by_level.get(key_of(replace(each.level, zoom=False))), each)
             for each in finalists if each.level.zoom)
    return [(plain, each) for plain, each in found if plain is not None]


def gain_of(pairs: Sequence[Tuple[Scored, Scored]]) -> ZoomGain:
    """Return what the zoom changes, by one or more pairs without and with it.

    The pictures are what is sampled; the levels, which answer much alike, only smooth the answer
    to each. A picture more, half of it gained and half lost, keeps the interval from being sure
    where no answer changed.
    """
    before, after = (np.mean([pair[side].hits for pair in pairs], axis=0) for side in (0, 1))
    gains = after - before
    n = len(gains) + 1.0
    mean = float(gains.sum()) / n
    variance = (float(((gains - mean) ** 2).sum()) + 1.0) / n
    half = HALF_WIDTH * math.sqrt(variance / n)
    return ZoomGain(100.0 * float(before.mean()), 100.0 * float(after.mean()),
                    100.0 * (mean - half), 100.0 * (mean + half))
