# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What a classifier answers, and what stands for an answer where there is none."""
import math
from dataclasses import dataclass, field
from typing import Optional, Tuple

import numpy as np

from ltp_ros.backends.protocol import BackendAnswer
from ltp_ros.model.data_config import DataConfig
from ltp_ros.region import NOTHING, Region


class NotFiniteError(RuntimeError):
    """The model gave NaN for an answer."""


class Released:
    """What is left of a backend whose memory is needed; see `Backend`."""

    def __init__(self, name: str, precision: str):
        self.name, self.precision = name, precision

    def __call__(self, rgb: np.ndarray, keep_ratio: float, top_k: int,
                 box: Optional[Region] = None) -> BackendAnswer:
        """Raise RuntimeError."""
        raise RuntimeError('the model is being loaded anew')


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
