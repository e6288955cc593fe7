# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What a classifier answers, and what stands for an answer where there is none."""
import math
from dataclasses import dataclass, field
from typing import List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ltp_ros.backends.protocol import BackendAnswer
from ltp_ros.model.data_config import DataConfig
from ltp_ros.region import NOTHING, Region, pixels_of
from ltp_ros.rungs import Rung
from ltp_ros.teaching.ranking import Ranked


class NotFiniteError(RuntimeError):
    """The model gave NaN for an answer."""


class Released:
    """What is left of a backend whose memory is needed; see `Backend`."""

    def __init__(self, name: str, precision: str):
        self.name, self.precision = name, precision
        self.batch_size = 1

    def __call__(self, rgb: np.ndarray, keep_ratio: float, top_k: int,
                 box: Optional[Region] = None) -> BackendAnswer:
        """Raise RuntimeError."""
        raise RuntimeError('the model is being loaded anew')

    def batch(self, rgb: np.ndarray, boxes: Sequence[Region], keep_ratio: float,
              top_k: int) -> List[BackendAnswer]:
        """Raise RuntimeError."""
        return [self(rgb, keep_ratio, top_k)]


class Asked(NamedTuple):
    """What an answer is to hold, and the level that makes it."""

    keep_ratio: float  # its name
    rung: Rung
    top_k: int
    top_own: int  # of the model's own classes
    score_threshold: float
    unknown_threshold: float


@dataclass(frozen=True)
class Prediction:
    """The classes of one image, best first, and the input they came from."""

    class_ids: Tuple[int, ...]
    labels: Tuple[str, ...]
    scores: Tuple[float, ...]  # probabilities, 0..1
    keep_ratio: float
    num_keep: int
    num_patches: int
    keep_indices: np.ndarray  # int64, of the patches seen in full, row by row over the grid
    unknown: float = math.nan  # 0..1, how strange it is to the taught classes; NaN: there are none
    known: bool = True  # False: none of the classes; those above are the nearest
    features: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))  # (D,)
    box: Optional[Region] = None  # of the image, that was chosen; None: the crop mode's part
    seen: Region = NOTHING  # the pixels of the image that the model saw
    model: str = ''  # its name
    grid_size: Tuple[int, int] = (0, 0)  # rows and columns of its patches
    data_config: DataConfig = DataConfig((0, 0), (), ())  # how it cuts its input out of the image


def prediction_of(answer: BackendAnswer, ranked: Ranked, labels: Sequence[str],
                  asked: Asked, shape: Sequence[int], box: Optional[Region]) -> Prediction:
    """Return what a backend's answer says.

    Args:
        answer: for one image.
        ranked: the best of its classes.
        labels: the names of all classes, by class id.
        asked: for this answer.
        shape: (H, W, ...) of the image.
        box: of the image, that was chosen; None: none was.
    """
    confident = int((ranked.scores >= asked.score_threshold).sum())  # scores descend
    ids, found = tuple(ranked.class_ids[:confident].tolist()), asked.rung.summary
    height, width = shape[:2]
    return Prediction(
        class_ids=ids, labels=tuple(labels[i] for i in ids),
        scores=tuple(ranked.scores[:confident].tolist()), keep_ratio=asked.keep_ratio,
        num_keep=asked.rung.size.num_keep, num_patches=found.num_patches, model=found.name,
        grid_size=found.grid_size, data_config=found.data_config,
        keep_indices=answer.keep_indices, unknown=ranked.unknown, known=ranked.known,
        features=answer.features, box=box,
        seen=pixels_of(found.data_config.crop_box(height, width, box), height, width))
