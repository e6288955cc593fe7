# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`Pipeline.process(frame)`: decode, classify, publish, time it, and tune. No ROS."""
import math
from collections import deque
from dataclasses import dataclass
from typing import Any, Callable, Deque, Optional, Sequence

import numpy as np

from ltp_ros.classifier import Classifier, Prediction
from ltp_ros.config import Config, TunerConfig
from ltp_ros.controller import Decision, KeepRatioController
from ltp_ros.image import ImageError
from ltp_ros.latency import FrameLatency, StageTimer
from ltp_ros.mailbox import Frame, Mailbox
from ltp_ros.preprocessing import ImageSizeError
from ltp_ros.replay import LevelCost


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
        costs: how long each level of its ladder takes.
        mailbox: where the frames come from; it counts what becomes of them.
        decode: message -> (H, W, 3) uint8 RGB; ImageError if the message is no such image.
        publish: called with each frame and its prediction, before the latency is known.
        now_ns: the monotonic clock of `Frame.receive_ns`.
        config: parameters; replace the attribute to change them from the next frame on.
    """

    def __init__(self, classifier: Classifier, costs: Sequence[LevelCost], mailbox: Mailbox,
                 decode: Callable[[Any], np.ndarray],
                 publish: Callable[[Frame, Prediction], None],
                 now_ns: Callable[[], int], config: Config):
        self.classifier = classifier
        self.mailbox = mailbox
        self.config = config
        self.busy_since_ns: Optional[int] = None  # when the frame in work was taken
        self._decode = decode
        self._publish = publish
        self._now_ns = now_ns
        self._num_processed = 0
        self._by_hand: Deque[float] = deque(maxlen=1)  # set from another thread, not yet obeyed
        tuner = config.tuner
        self._applied = tuner
        self._controller = KeepRatioController(
            costs, keep_ratio=config.classifier.keep_ratio, deadline_ms=tuner.deadline_ms,
            target_miss_rate=tuner.target_miss_rate, min_keep_ratio=tuner.min_keep_ratio,
            max_keep_ratio=tuner.max_keep_ratio)

    @property
    def keep_ratio(self) -> float:
        """What the next frame is run at, as far as is known now."""
        try:
            return self._by_hand[-1]
        except IndexError:
            return self._controller.keep_ratio

    def set_keep_ratio(self, keep_ratio: float) -> None:
        """Obey a keep ratio set by hand from the next frame on; any thread may call this."""
        self._by_hand.append(keep_ratio)

    def process(self, frame: Frame) -> Answer:
        """Answer one frame.

        Raises:
            FrameDropped: if it is older than `max_age_ms`, or no image.
        """
        self.busy_since_ns = self._now_ns()
        try:
            return self._process(frame)
        except FrameDropped as drop:
            self.mailbox.mark_dropped(frame, drop.reason)
            raise
        finally:
            self.busy_since_ns = None

    def _process(self, frame: Frame) -> Answer:
        config = self.config  # one snapshot a frame: a change never splits a frame in two
        timer = StageTimer(self._now_ns, frame.receive_ns)
        timer.mark('queue')
        check_age(frame.age_at_receive_ms + timer.total_ms, config.input.max_age_ms)
        self._apply(config.tuner)
        try:
            rgb = self._decode(frame.message)
            timer.mark('decode')
            prediction = self.classifier.classify(
                rgb, self._controller.keep_ratio, config.classifier.top_k,
                config.classifier.score_threshold)
        except (ImageError, ImageSizeError) as error:
            raise FrameDropped('undecodable', str(error)) from error
        timer.mark('inference')
        self._publish(frame, prediction)
        timer.mark('publish')
        self._num_processed += 1
        budget_used_ms = frame.age_at_receive_ms + timer.total_ms
        if config.tuner.deadline_from == 'receive' or math.isnan(budget_used_ms):
            budget_used_ms = timer.total_ms
        deadline_ms = config.tuner.deadline_ms
        stages_ms = timer.stages_ms
        decision: Decision = self._controller.update(
            stages_ms['inference'], budget_used_ms, wait_ms=stages_ms['queue'],
            service_ms=stages_ms['decode'] + stages_ms['publish'],
            period_ms=self.mailbox.period_ms)
        latency = FrameLatency(
            frame_index=self._num_processed - 1, keep_ratio=prediction.keep_ratio,
            age_at_receive_ms=frame.age_at_receive_ms, total_ms=timer.total_ms,
            dropped_since_last=self.mailbox.mark_published(frame), deadline_ms=deadline_ms,
            deadline_met=not deadline_ms or budget_used_ms <= deadline_ms, decision=int(decision),
            **{f'{stage}_ms': duration for stage, duration in stages_ms.items()})
        return Answer(rgb, prediction, latency)

    def _apply(self, tuner: TunerConfig) -> None:
        # Here rather than where the parameters are set: the controller knows one thread alone
        if tuner != self._applied:
            self._applied = tuner
            self._controller.set_bounds(tuner.min_keep_ratio, tuner.max_keep_ratio)
            self._controller.set_target_miss_rate(tuner.target_miss_rate)
            self._controller.set_deadline(tuner.deadline_ms)
        if self._by_hand:
            self._controller.set_keep_ratio(self._by_hand.pop())


def check_age(age_ms: float, max_age_ms: float) -> None:
    """Raise FrameDropped if an image is older than `max_age_ms`, or of unknown age; 0: never."""
    if max_age_ms == 0.0 or age_ms <= max_age_ms:
        return
    if math.isnan(age_ms):
        raise FrameDropped('bad stamp', 'the age of an image without a usable stamp is unknown, '
                           f'so it cannot be held to max_age_ms {max_age_ms:g}')
    raise FrameDropped('too old', f'an image was {age_ms:.1f} ms old; max_age_ms is '
                       f'{max_age_ms:g}')
