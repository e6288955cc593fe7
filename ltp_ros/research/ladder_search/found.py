# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What a search of a ladder found: for the table and the plot."""
from dataclasses import dataclass
from typing import NamedTuple, Sequence, Tuple

from ltp_ros.research.ladder_search.words import Scored
from ltp_ros.tuner.ladder_file import Ladder, Level


class Dropped(NamedTuple):
    """A candidate that did not become a finalist, as it was last seen."""

    level: Level
    time_ms: float
    score: float  # percent
    pictures: int


@dataclass(frozen=True)
class Found:
    """What a search found."""

    ladder: Ladder
    reference: Level           # the unpruned model, with its costs and its worth
    finalists: Sequence[Scored]
    dropped: Sequence[Dropped]
    advice: str
    zoom: str

    @property
    def levels(self) -> Tuple[Level, ...]:
        """Those of the ladder, the dearest first."""
        return self.ladder.levels
