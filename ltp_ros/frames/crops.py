# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Answers for the boxes that a detector found in a picture. No ROS."""
import math
import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ltp_ros.classifier import Classifier
from ltp_ros.opening import trial_frame
from ltp_ros.prediction import Prediction
from ltp_ros.region import Region
from ltp_ros.tuner.load import BatchCost

SIZES = (1, 2, 4, 8, 16)  # of batches that are timed
ROUNDS = 5
RESERVE = 0.05  # of the deadline: a box less costs little, an answer that is late all of them
MOST = 256  # boxes of a picture that are answered, whatever the deadline
SIDE = 96  # pixels of the boxes that are timed


class Box(NamedTuple):
    """A box as a detector gives it, in pixels of its picture; any number may be NaN."""

    x: float  # of the centre, from the left
    y: float  # of the centre, from above
    width: float
    height: float
    theta: float = 0.0  # rotation about the centre, radians

    def region(self, height: int, width: int) -> Optional[Region]:
        """Return the whole pixels about it that lie in a picture of `height` x `width`.

        Of a rotated box, the upright one around it. None: it has no area, a number that is not
        finite, or no pixel in the picture.
        """
        if not (all(map(math.isfinite, self)) and self.width > 0 and self.height > 0):
            return None
        cosine, sine = abs(math.cos(self.theta)), abs(math.sin(self.theta))
        (left, right), (top, bottom) = (
            _pixels(centre, size, extent) for centre, size, extent in (
                (self.x, cosine * self.width + sine * self.height, width),
                (self.y, sine * self.width + cosine * self.height, height)))
        if right <= left or bottom <= top:
            return None
        return Region(top, left, bottom - top, right - left)


def _pixels(centre: float, size: float, extent: int) -> Tuple[int, int]:
    first, end = (min(max(edge, 0.0), float(extent))
                  for edge in (centre - size / 2, centre + size / 2))
    # A millionth more, as by the rounding of a rotation, is no pixel
    return math.floor(first + 1e-6), math.ceil(end - 1e-6)


@dataclass(frozen=True)
class Crops:
    """The boxes of a picture, and what answers them."""

    boxes: Tuple[Optional[Region], ...]  # in the detector's order; None: of no use
    answers: Tuple[Optional[Prediction], ...]  # of each; None: none

    @property
    def useless(self) -> int:
        """How many boxes have no pixel in the picture."""
        return self.boxes.count(None)

    @property
    def answered(self) -> int:
        """How many boxes have an answer."""
        return len(self.answers) - self.answers.count(None)

    @property
    def shed(self) -> int:
        """How many boxes there was no time for."""
        return len(self.boxes) - self.useless - self.answered

    @property
    def fault(self) -> str:
        """A sentence on the boxes without an answer; '' if there are none."""
        return (f'of the {len(self.boxes)} boxes of an image {self.answered} are answered; for '
                f'{self.shed} there was no time, {self.useless} have no pixel in it'
                ) if self.shed or self.useless else ''


def answer(classifier: Classifier, rgb: np.ndarray, boxes: Sequence[Optional[Region]],
           keep_ratio: float, may_take: Callable[[int], int], wanted: Dict[str, Any]) -> Crops:
    """Answer the boxes of a picture, the largest first, MOST at most, while there is time.

    Args:
        classifier: warmed up.
        rgb: the picture, (H, W, 3) uint8.
        boxes: inside of it; None: not to be answered.
        keep_ratio: level of all of them.
        may_take: returns how many of so many there is time for, before each batch.
        wanted: of the answers, as `Classifier.classify` takes it.
    """
    order = sorted(((index, box) for index, box in enumerate(boxes) if box),
                   key=lambda item: -item[1].height * item[1].width)[:MOST]
    found: List[Optional[Prediction]] = [None] * len(boxes)
    size = classifier.batch_size(keep_ratio)
    for first in range(0, len(order), size):
        batch = order[first:first + size]
        # The largest is answered in any case, as a whole picture is
        fitting = batch[:max(may_take(len(batch)), 0 if first else 1)]
        parts = classifier.classify_parts(rgb, [box for _, box in fitting], keep_ratio,
                                          **wanted) if fitting else []
        for (index, _), prediction in zip(fitting, parts):
            found[index] = prediction
        if len(fitting) < len(batch):
            break
    return Crops(tuple(boxes), tuple(found))


def time_batches(classifier: Classifier) -> BatchCost:
    """Return what batches cost here, at the highest level.

    On a GPU each size is run at every other level as well: what has to be prepared for it is, now
    rather than in front of a detector.

    Args:
        classifier: warmed up.
    """
    frame, levels = trial_frame(), classifier.config.levels
    top = max(levels)
    largest = classifier.batch_size(top)
    sizes = [size for size in SIZES if size <= largest]
    boxes = [Region(SIDE * (index // 6), SIDE * (index % 6), SIDE, SIDE)
             for index in range(max(sizes))]
    for keep_ratio in levels if classifier.device.type != 'cpu' else [top]:
        for size in sizes:
            classifier.classify_parts(frame, boxes[:size], keep_ratio)
    times_ms: Dict[int, List[float]] = {size: [] for size in (0, *sizes)}  # 0: a whole picture
    for _ in range(ROUNDS):
        for size, times in times_ms.items():
            start = time.perf_counter()
            if size:
                classifier.classify_parts(frame, boxes[:size], top)
            else:
                classifier.classify(frame, top, box=None)
            times.append((time.perf_counter() - start) * 1e3)
    fastest = {size: min(times) for size, times in times_ms.items()}
    return BatchCost({size: fastest[size] for size in sizes}, fastest[0])
