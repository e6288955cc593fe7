# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Which classes an answer names: those that were taught, or the model's own."""
import math
from dataclasses import dataclass, field
from typing import Dict, List, NamedTuple

import numpy as np

from ltp_ros.teaching import temperatures
from ltp_ros.teaching.classes import Classes


class Ranked(NamedTuple):
    """The classes of one answer, best first."""

    class_ids: np.ndarray  # (n,) int64
    scores: np.ndarray     # (n,) probabilities, descending
    unknown: float = math.nan  # 0..1, how strange it is to the taught classes; NaN: there are none
    known: bool = True         # False: it is none of them


@dataclass
class Ranking:
    """The classes that answers are given in.

    Args:
        model_labels: the model's own, by class id.
        taught: the user's own; replace the attribute for others.
        keep_model_classes: what is unknown to those is answered with the model's own.
        temperatures: of the model's own scores, by keep ratio; empty: they stay as they are.
    """

    model_labels: List[str]
    taught: Classes
    keep_model_classes: bool = False
    temperatures: Dict[float, float] = field(default_factory=dict)

    @property
    def labels(self) -> List[str]:
        """The names of the classes, by class id.

        The model's own until a class is taught; then those that were taught, or with
        `keep_model_classes` first the model's own and then those.
        """
        for head in self.taught.heads.values():
            return [*(self.model_labels if self.keep_model_classes else ()), *head.labels]
        return self.model_labels

    def needed(self, top_k: int, most: int) -> int:
        """Return how many of the model's own classes an answer must hold to rank `top_k`.

        `most`: that it can hold.
        """
        # At another temperature, a score depends on those of all classes
        return min(most if self.temperatures else top_k, len(self.model_labels))

    def rank(self, scores: np.ndarray, class_ids: np.ndarray, features: np.ndarray,
             keep_ratio: float, top_k: int, unknown_threshold: float) -> Ranked:
        """Return the best classes, how unknown the picture is, and whether it is known.

        Args:
            scores: of the model's own classes, (n,) float32, descending; n as `needed`.
            class_ids: (n,) int64, of those.
            features: (D,) float32.
            keep_ratio: level that they were computed at.
            top_k: the most classes returned.
            unknown_threshold: see `ClassifierConfig`.
        """
        head = self.taught.heads.get(keep_ratio)
        if head is None:
            return self._own(scores, class_ids, keep_ratio, top_k)
        verdict = head.judge(features)
        known = verdict.unknown <= unknown_threshold
        if self.keep_model_classes and not known:
            return self._own(scores, class_ids, keep_ratio, top_k)._replace(
                unknown=verdict.unknown)
        best = np.argsort(-verdict.probabilities, kind='stable')[:top_k]
        first = len(self.model_labels) if self.keep_model_classes else 0
        return Ranked(best + first, verdict.probabilities[best], verdict.unknown, known)

    def _own(self, scores: np.ndarray, class_ids: np.ndarray, keep_ratio: float,
             top_k: int) -> Ranked:
        if self.temperatures:
            scores = temperatures.tempered(scores, len(self.model_labels),
                                           self.temperatures[keep_ratio])
        return Ranked(class_ids[:top_k], scores[:top_k])
