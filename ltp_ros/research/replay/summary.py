# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What became of a bag, in numbers."""
import math
from collections import Counter
from dataclasses import dataclass
from typing import Dict, Iterable, List

import numpy as np

from ltp_ros.frames.latency import FrameLatency
from ltp_ros.research.replay.outcome import Outcome

UNKNOWN, NO_LABEL = 'unknown', 'none above score_threshold'
UNREADABLE = 'undecodable'


@dataclass(frozen=True)
class Summary:
    """Of one bag, or of several."""

    images: int
    labels: Dict[str, int]   # answers by best label, the most frequent first
    dropped: Dict[str, int]  # images by reason
    p50_ms: float  # of the latency of the answers; NaN: there are none
    p99_ms: float
    met: float  # share of the answers in time; NaN: there are none
    unreadable: List[Dict[str, object]]  # images that could not be decoded, and why

    @property
    def answered(self) -> int:
        """How many images were answered."""
        return sum(self.labels.values())


def label_of(outcome: Outcome) -> str:
    """Return the best label of an answer, or what stands for it."""
    answer = outcome.answer
    assert answer is not None
    if not answer.known:
        return UNKNOWN
    return answer.labels[0] if answer.labels else NO_LABEL


def latency_ms(latency: FrameLatency, real_time: bool) -> float:
    """Return how long an answer took: from the stamp, or the arrival where that is unusable.

    `real_time`: as of `summarise`.
    """
    total_ms = latency.capture_to_publish_ms if real_time else math.nan
    return latency.total_ms if math.isnan(total_ms) else total_ms


def summarise(outcomes: Iterable[Outcome], real_time: bool) -> Summary:
    """Return the numbers of a run.

    Args:
        outcomes: of all images.
        real_time: whether they came as a node receives them; else the age of an image is left
            out of the latency, since nothing waits for the answer.
    """
    labels: List[str] = []
    reasons: List[str] = []
    times_ms: List[float] = []
    unreadable: List[Dict[str, object]] = []
    met = 0
    for outcome in outcomes:
        if outcome.latency is None:
            reasons.append(outcome.reason)
            if outcome.reason == UNREADABLE:
                unreadable.append({'image': outcome.name, 'record_ns': outcome.record_ns,
                                   'why': outcome.detail})
            continue
        labels.append(label_of(outcome))
        times_ms.append(latency_ms(outcome.latency, real_time))
        met += outcome.latency.deadline_met
    answered = len(times_ms)
    p50_ms, p99_ms = np.percentile(times_ms, (50, 99)).tolist() if answered else (math.nan,) * 2
    return Summary(answered + len(reasons), dict(Counter(labels).most_common()),
                   dict(Counter(reasons).most_common()), p50_ms, p99_ms,
                   met / answered if answered else math.nan, unreadable)
