# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What every backend is to those who use one."""
from dataclasses import dataclass
from typing import Callable, List, NamedTuple, Optional, Protocol, Sequence

import numpy as np

from ltp_ros.region import Region

Log = Callable[[str], None]
MAX_CLASSES = 100  # of an answer


@dataclass(frozen=True)
class Device:
    """A device as `torch.device` names it, for those who do without torch."""

    type: str
    index: Optional[int] = None

    def __str__(self) -> str:
        return self.type if self.index is None else f'{self.type}:{self.index}'


HOST = Device('cpu')


class BackendAnswer(NamedTuple):
    """What a backend makes of one image."""

    scores: np.ndarray        # (top_k,) float32, softmax probabilities, descending
    class_ids: np.ndarray     # (top_k,) int64
    keep_indices: np.ndarray  # (K,) int64, ascending: the patches seen in full
    features: np.ndarray      # (D,) float32; see `ltp_ros.model.features`


class Answering(Protocol):
    """Whatever answers images one by one."""

    def __call__(self, rgb: np.ndarray, keep_ratio: float, top_k: int,
                 box: Optional[Region] = None) -> BackendAnswer:
        """Classify one image (H, W, 3) uint8 RGB at a level of the ladder.

        Args:
            rgb: the image.
            keep_ratio: of a level.
            top_k: the number of classes.
            box: the part of the image that the model sees; None: as its crop mode has it.

        Raises:
            ltp_ros.model.data_config.ImageSizeError: if the image cannot be resized for the
                model.
            RuntimeError: if the runtime fails.
        """


class Backend(Answering, Protocol):
    """A model that is ready to run in one runtime and number format."""

    name: str
    precision: str
    batch_size: int  # parts of an image that it runs at once

    def batch(self, rgb: np.ndarray, boxes: Sequence[Region], keep_ratio: float,
              top_k: int) -> List[BackendAnswer]:
        """Classify parts of one image, at least one and `batch_size` at most, in their order.

        Args and errors are those of `__call__`.
        """
