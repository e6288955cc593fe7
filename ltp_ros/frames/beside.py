# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Answers for images that belong to no stream, between two frames. No ROS."""
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Tuple, TypeVar

import numpy as np

from ltp_ros.config import Config
from ltp_ros.frames.picture import PictureFault, PictureWatch
from ltp_ros.prediction import Prediction
from ltp_ros.region import Region

if TYPE_CHECKING:
    from ltp_ros.frames.pipeline import Pipeline

T = TypeVar('T')


class Beside:
    """Runs the model of a pipeline beside its stream, in the thread that calls both.

    Args:
        pipeline: whose model, parameters and work in hand these are.
    """

    def __init__(self, pipeline: 'Pipeline'):
        self._pipeline = pipeline

    def classify(self, message: object, keep_ratio: float) -> Tuple[Prediction, PictureFault]:
        """Classify an image beside the stream: it is neither counted, nor timed, nor tuned by.

        Returns:
            The prediction for the whole image, and the faults of the picture.

        Raises:
            ltp_ros.frames.encodings.ImageError: if the message is not an image.
            ltp_ros.model.data_config.ImageSizeError: if it cannot be resized for the model.
            Abandoned: if it was given up meanwhile.
        """
        def run() -> Tuple[Prediction, PictureFault]:
            rgb = self._pipeline.decode(message)
            box = self.box(rgb)
            self._pipeline.work.enter_model(message)
            return self._classify(rgb, keep_ratio, box), PictureWatch().judge(
                rgb, self._pipeline.now_ns())

        return self._beside(message, run)

    def box(self, rgb: np.ndarray) -> Optional[Region]:
        """Return where to look in an image (H, W, 3) that belongs to no stream."""
        pipeline = self._pipeline
        if not pipeline.classifier.may_zoom(pipeline.config.classifier.zoom):
            return None
        return pipeline.classifier.zoom.box(rgb)

    def classify_part(self, rgb: np.ndarray, keep_ratio: float,
                      box: Optional[Region]) -> Prediction:
        """Classify what the model sees of an image (H, W, 3) in a box, beside the stream.

        Raises:
            RuntimeError, OSError, ValueError: as `Classifier.classify`.
            Abandoned: if it was given up meanwhile.
        """
        def run() -> Prediction:
            self._pipeline.work.enter_model(rgb)
            return self._classify(rgb, keep_ratio, box)

        return self._beside(rgb, run)

    def _classify(self, rgb: np.ndarray, keep_ratio: float, box: Optional[Region]) -> Prediction:
        return self._pipeline.classifier.classify(rgb, keep_ratio, box=box,
                                                  **wanted(self._pipeline.config))

    def _beside(self, work: object, run: Callable[[], T]) -> T:
        self._pipeline.work.begin(work)
        try:
            return run()
        finally:
            self._pipeline.work.end(work)
            self._pipeline.work.since_ns = None


def wanted(config: Config) -> Dict[str, Any]:
    """Return what an answer is to hold now, as `Classifier.classify` takes it."""
    return {name: getattr(config.classifier, name)
            for name in ('top_k', 'score_threshold', 'unknown_threshold')}
