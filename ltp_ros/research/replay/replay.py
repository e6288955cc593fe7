# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`Replay`: the images of a bag through a `Pipeline`, each of them, or as they came in time."""
from dataclasses import replace
from typing import Any, Callable, Dict, Iterator, Optional, Sequence, cast

import numpy as np

from ltp_ros.classifier import Classifier
from ltp_ros.config import Config
from ltp_ros.frames.drops import FrameDropped
from ltp_ros.frames.latency import StampClock
from ltp_ros.frames.mailbox import Frame, Mailbox
from ltp_ros.frames.pipeline import Pipeline
from ltp_ros.frames.processed import ProcessedFrame
from ltp_ros.opening import ClassifierError
from ltp_ros.prediction import Prediction
from ltp_ros.research.replay.bag_images import BagImage
from ltp_ros.research.replay.clock import ReplayClock
from ltp_ros.research.replay.outcome import Outcome, answered, dropped
from ltp_ros.tuner.levels import LevelCost

MOST_FAILURES = 3  # of the model in a row: it will not get better, and the bag is not to blame
Known = Callable[[int], Optional[Outcome]]


class Remembering:
    """A classifier that does not compute again what is known.

    Args:
        classifier: does all else.
    """

    def __init__(self, classifier: Classifier):
        self._classifier = classifier
        self.known: Optional[Outcome] = None  # of the next image

    def __getattr__(self, name: str) -> Any:
        return getattr(self._classifier, name)

    def classify(self, rgb: np.ndarray, keep_ratio: float, **wanted: Any) -> Prediction:
        """Return the answer for an image; of one that is known, what the pipeline asks of it."""
        known = self.known
        if known is None:
            return self._classifier.classify(rgb, keep_ratio, **wanted)
        if known.answer is None:
            raise RuntimeError(known.detail)
        return Prediction((), (), (), known.answer.keep_ratio, 0, 0, np.zeros(0, np.int64))


class Replay:
    """The images of a bag through the pipeline of a node, in the time of the recording.

    Without `real_time` each image finds the pipeline at rest. With it, images come while it is at
    work, and what they do to each other there they do here.

    Images whose outcome is known go the same way, but past the model: so what a pipeline remembers
    (where it looked, when pixels last changed, how fast the machine is) is as if it had never
    been interrupted.

    Args:
        classifier: warmed up.
        costs: of its levels on the machine that is replayed.
        config: parameters of the node.
        images: of the bag, in order.
        clock: at rest.
        real_time: see above.
        known: returns the outcome of an image by its number; None: it is to be found.
    """

    def __init__(self, classifier: Classifier, costs: Sequence[LevelCost], config: Config,
                 images: Iterator[BagImage], clock: ReplayClock, real_time: bool, known: Known):
        self._remembering = Remembering(classifier)
        self._clock, self._known, self._real_time = clock, known, real_time
        self._images, self._coming = images, next(images, None)
        self._waiting: Dict[str, BagImage] = {}  # in the mailbox
        self._stamps: Dict[str, StampClock] = {}
        self._now_ns = self._failures = 0
        self.pipeline = Pipeline(
            cast(Classifier, self._remembering), costs, Mailbox(config.input.max_rate),
            lambda image: cast(BagImage, image).rgb(), clock.now_ns, config)

    def outcomes(self) -> Iterator[Outcome]:
        """Yield what becomes of each image, as soon as it is known.

        Raises:
            ClassifierError: if the model fails on several images in a row.
            ltp_ros.research.replay.clock.ClockError: if known outcomes are not of this bag.
        """
        while self._coming is not None or self._waiting:
            if not self._waiting and self._coming is not None:
                came_ns = self._coming.record_ns
                self._now_ns = max(self._now_ns, came_ns) if self._real_time else came_ns
            yield from self._arrive(self._now_ns)
            frame = self.pipeline.take(0.0)
            if frame is not None:  # else the rate limit has dropped all
                yield from self._work_on(frame)

    def _arrive(self, now_ns: int) -> Iterator[Outcome]:
        """Receive the images that have come by now; without `real_time`, the next alone."""
        while self._coming is not None and self._coming.record_ns <= now_ns:
            image, self._coming = self._coming, next(self._images, None)
            yield from self._receive(image)
            if not self._real_time:
                return

    def _receive(self, image: BagImage) -> Iterator[Outcome]:
        mailbox, topic = self.pipeline.mailbox, image.topic
        before = mailbox.dropped.copy()
        mailbox.put(Frame(topic, image, image.record_ns, self._age_ms(image)))
        for _, reason in mailbox.dropped - before:
            if reason == 'rate':
                yield dropped(image, reason)
                return
            yield dropped(self._waiting[topic], reason)
        self._waiting[topic] = image

    def _age_ms(self, image: BagImage) -> float:
        """Return its age when it was recorded, as a node tells it on arrival."""
        stamps = self._stamps.setdefault(image.topic, StampClock())
        stamp_ns = image.header.stamp_ns if image.header else 0
        return stamps.age_ms(stamp_ns, image.record_ns)[0]

    def _work_on(self, frame: Frame) -> Iterator[Outcome]:
        image: BagImage = frame.message
        del self._waiting[frame.topic]
        known = self._remembering.known = self._known(image.number)
        self._clock.begin(self._now_ns, known.readings if known else None)
        try:
            processed = self.pipeline.process(frame)
        except FrameDropped as drop:
            outcome = dropped(image, drop.reason, str(drop))
            self._judge(drop, known)
        else:
            self._failures = 0
            if self._real_time:  # what came meanwhile counts in the period of the camera
                yield from self._arrive(self._clock.stop())
                self._clock.go_on()
            assert isinstance(processed, ProcessedFrame)  # a bag's images have no detector's boxes
            outcome = answered(processed, self.pipeline.finish(processed))
        readings = tuple(self._clock.end())
        self._now_ns = self._clock.now_ns()
        yield known or replace(outcome, readings=readings)

    def _judge(self, drop: FrameDropped, known: Optional[Outcome]) -> None:
        if drop.reason != 'failed' or known is not None:
            return
        self._failures += 1
        if self._failures == MOST_FAILURES:
            raise ClassifierError(f'the model has failed on {MOST_FAILURES} images in a row: '
                                  f'{drop}. What was answered is kept; run the same command again')
