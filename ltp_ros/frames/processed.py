# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A frame that was answered and is still to be published."""
from dataclasses import dataclass
from typing import Union

import numpy as np

from ltp_ros.config import TunerConfig
from ltp_ros.frames.crops import Crops
from ltp_ros.frames.latency import StageTimer
from ltp_ros.frames.mailbox import Frame
from ltp_ros.frames.picture import PictureFault
from ltp_ros.prediction import Prediction
from ltp_ros.region import Region


@dataclass(frozen=True)
class ProcessedFrame:
    """A frame that was classified and is still to be published."""

    frame: Frame
    rgb: np.ndarray  # (H, W, 3) uint8, the whole image
    region: Region  # of it, the part that was classified
    prediction: Prediction
    timer: StageTimer
    tuner: TunerConfig  # in force when it was taken
    faults: PictureFault = PictureFault(0)

    @property
    def keep_ratio(self) -> float:
        """The level that it ran at."""
        return self.prediction.keep_ratio

    @property
    def load(self) -> float:
        """Of it, in runs of the model on a whole image."""
        return 1.0


@dataclass(frozen=True)
class ProcessedCrops:
    """A frame whose boxes were answered and are still to be published."""

    frame: Frame
    rgb: np.ndarray  # (H, W, 3) uint8, the whole image
    crops: Crops
    keep_ratio: float
    load: float
    timer: StageTimer
    tuner: TunerConfig  # in force when it was taken
    faults: PictureFault = PictureFault(0)


Processed = Union[ProcessedFrame, ProcessedCrops]
