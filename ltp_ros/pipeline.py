# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`Pipeline.process(frame)`: decode, classify, publish, and say where the time went. No ROS."""
import math
from dataclasses import dataclass
from typing import Any, Callable

import numpy as np

from ltp_ros.classifier import Classifier, Prediction
from ltp_ros.config import Config
from ltp_ros.latency import FrameLatency, StageTimer
from ltp_ros.mailbox import Frame, Mailbox


class FrameDropped(Exception):
    """A frame that is not answered; `reason` is one of `mailbox.DROP_REASONS`."""

    def __init__(self, reason: str, detail: str):
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class Answer:
    """What came of one frame."""

    rgb: np.ndarray  # (H, W, 3) uint8
    prediction: Prediction
    latency: FrameLatency


class Pipeline:
    """The work on one frame after the other, in the thread that calls `process`.

    Args:
        classifier: warmed up.
        mailbox: where the frames come from; it counts what becomes of them.
        decode: message -> (H, W, 3) uint8 RGB; ValueError if the message is no such image.
        publish: called with each frame and its prediction, before the latency is known.
        now_ns: the monotonic clock of `Frame.receive_ns`.
        config: parameters; replace the attribute to change them from the next frame on.
    """

    def __init__(self, classifier: Classifier, mailbox: Mailbox,
                 decode: Callable[[Any], np.ndarray],
                 publish: Callable[[Frame, Prediction], None],
                 now_ns: Callable[[], int], config: Config):
        self.classifier = classifier
        self.mailbox = mailbox
        self.decode = decode
        self.publish = publish
        self.now_ns = now_ns
        self.config = config
        self.num_processed = 0

    def process(self, frame: Frame) -> Answer:
        """Answer one frame.

        Raises:
            FrameDropped: if it is older than `max_age_ms`, or no image.
        """
        try:
            return self._process(frame)
        except FrameDropped as drop:
            self.mailbox.mark_dropped(frame, drop.reason)
            raise

    def _process(self, frame: Frame) -> Answer:
        config = self.config  # one snapshot a frame: a change never splits a frame in two
        timer = StageTimer(self.now_ns, frame.receive_ns)
        timer.mark('queue')
        check_age(frame.age_at_receive_ms + timer.total_ms, config.input.max_age_ms)
        try:
            rgb = self.decode(frame.message)
            timer.mark('decode')
            prediction = self.classifier.classify(
                rgb, config.classifier.keep_ratio, config.classifier.top_k,
                config.classifier.score_threshold)
        except ValueError as error:
            raise FrameDropped('undecodable', str(error)) from error
        timer.mark('inference')
        self.publish(frame, prediction)
        timer.mark('publish')
        self.num_processed += 1
        latency = FrameLatency(
            frame_index=self.num_processed - 1, keep_ratio=prediction.keep_ratio,
            age_at_receive_ms=frame.age_at_receive_ms, total_ms=timer.total_ms,
            dropped_since_last=self.mailbox.mark_published(frame),
            **{f'{stage}_ms': duration for stage, duration in timer.stages_ms.items()})
        return Answer(rgb, prediction, latency)


def check_age(age_ms: float, max_age_ms: float) -> None:
    """Raise FrameDropped if an image is older than `max_age_ms`, or of unknown age; 0: never."""
    if max_age_ms == 0.0 or age_ms <= max_age_ms:
        return
    if math.isnan(age_ms):
        raise FrameDropped('bad stamp', 'the age of an image without a usable stamp is unknown, '
                           f'so it cannot be held to max_age_ms {max_age_ms:g}')
    raise FrameDropped('too old', f'an image was {age_ms:.1f} ms old; max_age_ms is '
                       f'{max_age_ms:g}')
