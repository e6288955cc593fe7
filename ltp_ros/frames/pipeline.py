# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The work on one frame: take, process, (publish,) finish. No ROS."""
from collections import defaultdict, deque
from typing import Callable, Deque, Dict, Optional, Sequence, Tuple

import numpy as np

from ltp_ros.classifier import Classifier
from ltp_ros.config import Config, TunerConfig
from ltp_ros.frames import crops
from ltp_ros.frames.beside import Beside, wanted
from ltp_ros.frames.drops import FrameDropped, check_age
from ltp_ros.frames.encodings import ImageError
from ltp_ros.frames.gaps import Gaps
from ltp_ros.frames.latency import (
    NS_PER_MS,
    FrameLatency,
    SimulatedFrameLatency,
    StageTimer,
)
from ltp_ros.frames.mailbox import Frame, Mailbox
from ltp_ros.frames.pairs import PictureWithBoxes
from ltp_ros.frames.picture import PictureWatch
from ltp_ros.frames.processed import Processed, ProcessedCrops, ProcessedFrame
from ltp_ros.frames.work import WorkInHand
from ltp_ros.model.data_config import ImageSizeError
from ltp_ros.region import Region, RegionError, region_of
from ltp_ros.tuner.controller import Decision, KeepRatioController
from ltp_ros.tuner.levels import LevelCost
from ltp_ros.tuner.load import BatchCost
from ltp_ros.zoom.gaze import Gaze

PUBLISH_WEIGHT = 0.1  # of the newest frame in the time that publishing typically takes


class Pipeline:
    """The work on one frame after the other, in the thread that calls it.

    For each frame: `take`, `process`, publish the prediction by whatever means, then `finish`,
    or `give_up` where it could not be published. Where the model hangs, another thread may
    `abandon` the work and go on in place of the first. What belongs to no stream: `beside`.

    Of a frame with boxes (`PictureWithBoxes`), those are answered; `prepare_crops` beforehand
    saves the first such frame a second.

    Args:
        classifier: warmed up.
        costs: how long each level of its ladder takes.
        mailbox: where the frames come from; it counts their outcomes.
        decode: message -> (H, W, 3) uint8 RGB; ImageError if the message is not such an image.
        now_ns: the monotonic clock of `Frame.receive_ns`.
        config: parameters; replace the attribute to change them from the next frame on.
    """

    def __init__(self, classifier: Classifier, costs: Sequence[LevelCost], mailbox: Mailbox,
                 decode: Callable[[object], np.ndarray], now_ns: Callable[[], int],
                 config: Config):
        self.classifier = classifier
        self.mailbox = mailbox
        self.config = config
        self.work = WorkInHand(now_ns)
        self.stuck_s = 0.0  # for how long the watchdog has seen it, where that is too long
        self.trouble = ''  # a sentence, while the model fails or another than wanted runs
        self.costs = {cost.keep_ratio: cost for cost in costs}
        self.decode = decode
        self.beside = Beside(self)
        self.now_ns = now_ns
        self._num_finished = 0
        self._publish_ms = 0.0  # typically
        self._batch_cost: Optional[BatchCost] = None  # where boxes are to be answered
        self._load = 1.0  # of the frame in work
        self._gaps = Gaps()
        self._pictures: Dict[str, PictureWatch] = defaultdict(PictureWatch)  # by topic
        # By topic; of the classifier in use, so that none that was replaced is held
        self._gazes: Dict[str, Gaze] = defaultdict(lambda: Gaze(self.classifier.zoom))
        self._manual: Deque[float] = deque(maxlen=1)  # set in another thread, not yet in use
        self._controller = KeepRatioController(costs, config.tuner, config.classifier.keep_ratio)

    @property
    def busy_since_ns(self) -> Optional[int]:
        """When the work in hand was begun; None: there is none."""
        return self.work.since_ns

    @property
    def keep_ratio(self) -> float:
        """The level of the next frame, as far as is known now."""
        try:
            return self._manual[-1]
        except IndexError:
            return self._controller.keep_ratio

    @property
    def variation(self) -> float:
        """How much the machine's speed varies: see `KeepRatioController.variation`."""
        return self._controller.variation

    def set_keep_ratio(self, keep_ratio: float) -> None:
        """Use a manual keep ratio from the next frame on; any thread may call this."""
        self._manual.append(keep_ratio)

    @property
    def lowest_keep_ratio(self) -> float:
        """The fewest tokens that the parameters allow."""
        config = self.config
        return min(level for level in config.classifier.levels
                   if config.tuner.min_keep_ratio <= level <= config.tuner.max_keep_ratio)

    def replace_classifier(self, classifier: Classifier, costs: Sequence[LevelCost]) -> None:
        """Use another classifier of the same model from the next frame on.

        It knows the classes that were taught meanwhile.
        """
        classifier.taught = self.classifier.taught
        self._controller = KeepRatioController(costs, self.config.tuner,
                                               self._controller.keep_ratio)
        self.classifier = classifier
        self.costs = {cost.keep_ratio: cost for cost in costs}
        if self._batch_cost is not None:
            self.prepare_crops()

    def prepare_crops(self) -> BatchCost:
        """Time batches of boxes, in the thread that will answer them."""
        self._batch_cost = crops.time_batches(self.classifier)
        return self._batch_cost

    @property
    def slowest_ms(self) -> float:
        """How long the frame in work mostly takes at most, at the slowest of the levels."""
        slowest_ms = max((cost.p99_ms for cost in self.costs.values()), default=0.0)
        return slowest_ms * max(self._load, 1.0)

    def take(self, timeout_s: Optional[float] = None) -> Optional[Frame]:
        """Wait for a frame and return it; None as `Mailbox.take`."""
        return self.mailbox.take(timeout_s)

    def has_gap(self, cost_ms: float) -> bool:
        """Return whether other work may come before the next frame; see `Gaps.allows`."""
        lowest = self.costs.get(self.lowest_keep_ratio)
        return self._gaps.allows(
            cost_ms, self.now_ns(), self.mailbox.next_ns, self.config.tuner.deadline_ms,
            lowest.median_ms if lowest else 0.0)

    def process(self, frame: Frame) -> Processed:
        """Decode and classify a frame.

        Raises:
            FrameDropped: if it is older than `max_age_ms`, not an image, or does not hold `roi`,
                or if the model fails on it.
            Abandoned: if it was given up meanwhile.
        """
        self.work.begin(frame)
        try:
            try:
                return self._process(frame)
            finally:
                self.work.end(frame)
        except FrameDropped as drop:
            self.mailbox.mark_dropped(frame, drop.reason)
            self.work.since_ns = None
            raise

    def abandon(self, reason: str = 'failed', since_ns: Optional[int] = None) -> Optional[object]:
        """Give up what is in work, from another thread than the one that does it.

        Args:
            reason: that a frame is counted under, one of `mailbox.DROP_REASONS`.
            since_ns: give up only what is in the model, and was begun then; None: and what is on
                the way to it too.

        Returns:
            The frame, or the message of `classify`; None if nothing was given up: what has left
            the model is being published, and belongs to its thread.
        """
        work = self.work.take(since_ns)
        if isinstance(work, Frame):
            self.mailbox.mark_dropped(work, reason)
        return work

    def _process(self, frame: Frame) -> Processed:
        # One snapshot a frame: a change never splits a frame in two, and a thread that was given
        # up never meets the classifier of the next
        config, classifier = self.config, self.classifier
        self._load = 1.0
        timer = StageTimer(self.now_ns, frame.receive_ns)
        timer.mark('queue')
        # Simulated milliseconds are no real ones: the wait is left out, not added to them
        waited_ms = 0.0 if frame.simulated else timer.total_ms
        check_age(frame.age_at_receive_ms + waited_ms, config.input.max_age_ms)
        # Here rather than where the parameters are set: the controller knows one thread alone
        self._controller.configure(config.tuner)
        if self._manual:
            self._controller.set_keep_ratio(self._manual.pop())
        try:
            rgb = self.decode(frame.message)
            if isinstance(frame.message, PictureWithBoxes):
                return self._answer_boxes(frame, rgb, timer, classifier, config)
            region = region_of(config.input.roi, *rgb.shape[:2])
            seen = rgb[region.slices]
            faults = self._pictures[frame.topic].judge(seen, frame.receive_ns, frame.simulated)
            timer.mark('decode')
            keep_ratio = self._level_for(frame, timer, config)
            self.work.enter_model(frame)
            box = self._box(frame.topic, seen, classifier, keep_ratio, config)
            prediction = classifier.classify(seen, keep_ratio, box=box, **wanted(config))
        except (ImageError, ImageSizeError) as error:
            raise FrameDropped('undecodable', str(error)) from error
        except RegionError as error:
            raise FrameDropped('roi', str(error)) from error
        except (RuntimeError, OSError, MemoryError) as error:
            raise FrameDropped('failed', str(error) or type(error).__name__) from error
        timer.mark('inference')
        return ProcessedFrame(frame, rgb, region, prediction, timer, config.tuner, faults)

    def _box(self, topic: str, seen: np.ndarray, classifier: Classifier, keep_ratio: float,
             config: Config) -> Optional[Region]:
        if classifier.zooms(keep_ratio, config.classifier.zoom):
            return self._gazes[topic].follow(seen)
        if not classifier.may_zoom(config.classifier.zoom):
            self._gazes.clear()  # switched on again, they begin with the scene of then
        return None

    def _answer_boxes(self, frame: Frame, rgb: np.ndarray, timer: StageTimer,
                      classifier: Classifier, config: Config) -> ProcessedCrops:
        cost, tuner = self._batch_cost or self.prepare_crops(), config.tuner
        faults = self._pictures[frame.topic].judge(rgb, frame.receive_ns, frame.simulated)
        boxes = [box.region(*rgb.shape[:2]) for box in frame.message.boxes]
        self._load = cost.load(min(len(boxes) - boxes.count(None), crops.MOST))
        timer.mark('decode')
        keep_ratio = self._level_for(frame, timer, config, max(self._load, cost.load(1)))
        left_ms = self._budget_ms(frame, timer, tuner)[0] - crops.RESERVE * tuner.deadline_ms
        end_ns = self.now_ns() + int(left_ms * NS_PER_MS)
        expected_ms = self._controller.expected_ms(keep_ratio)

        def may_take(count: int) -> int:
            runs = (end_ns - self.now_ns()) / NS_PER_MS / expected_ms
            return cost.most(runs, count) if tuner.deadline_ms else count

        self.work.enter_model(frame)
        found = crops.answer(classifier, rgb, boxes, keep_ratio, may_take, wanted(config))
        timer.mark('inference')
        return ProcessedCrops(frame, rgb, found, keep_ratio, cost.load(found.answered), timer,
                              tuner, faults)

    def _budget_ms(self, frame: Frame, timer: StageTimer, tuner: TunerConfig
                   ) -> Tuple[float, float]:
        """Return what is left for the inference of a decoded frame, and what were it new."""
        fresh_ms = tuner.deadline_ms - timer.stages_ms['decode'] - self._publish_ms
        left_ms = fresh_ms - timer.stages_ms['queue'] - frame.counted_age_ms(tuner.deadline_from)
        return left_ms, fresh_ms

    def _level_for(self, frame: Frame, timer: StageTimer, config: Config,
                   load: float = 1.0) -> float:
        """Return the keep ratio that the rest of this frame's budget allows for all its runs."""
        tuner = config.tuner
        if not tuner.deadline_ms:
            return self._controller.keep_ratio
        left_ms, fresh_ms = self._budget_ms(frame, timer, tuner)
        if tuner.drop_late and self._controller.is_late(left_ms, fresh_ms):
            raise FrameDropped('late', f'{left_ms:.1f} of {tuner.deadline_ms:g} ms were left for '
                               'an image, less than the lowest keep_ratio takes')
        if self._gaps.hungry(self.now_ns()):
            return self.lowest_keep_ratio
        return self._controller.choose(left_ms, load)

    def finish(self, processed: Processed) -> FrameLatency:
        """Time a frame whose prediction was just published, tune, and count it."""
        timer, frame, tuner = processed.timer, processed.frame, processed.tuner
        timer.mark('publish')
        age_ms = frame.counted_age_ms(tuner.deadline_from)
        budget_used_ms = age_ms + timer.total_ms
        stages_ms = timer.stages_ms
        self._publish_ms += PUBLISH_WEIGHT * (stages_ms['publish'] - self._publish_ms)
        service_ms = stages_ms['decode'] + stages_ms['publish']
        self._gaps.note(service_ms + age_ms, late=0 < tuner.deadline_ms < budget_used_ms)
        if self._controller.arrived_too_late(age_ms, service_ms):
            decision = Decision.LATE_ARRIVAL
        else:
            decision = self._controller.update(
                stages_ms['inference'], budget_used_ms, processed.keep_ratio,
                wait_ms=stages_ms['queue'], service_ms=service_ms,
                period_ms=self.mailbox.period_ms, topic=frame.topic, load=processed.load)
        latency = (SimulatedFrameLatency if frame.simulated else FrameLatency)(
            frame_index=self._num_finished, keep_ratio=processed.keep_ratio,
            age_at_receive_ms=frame.age_at_receive_ms, total_ms=timer.total_ms,
            dropped_since_last=self.mailbox.mark_published(frame),
            deadline_ms=tuner.deadline_ms,
            deadline_met=not tuner.deadline_ms or budget_used_ms <= tuner.deadline_ms,
            decision=int(decision),
            **{f'{stage}_ms': duration for stage, duration in stages_ms.items()})
        self._num_finished += 1
        self.work.since_ns = None
        return latency

    def give_up(self, processed: Processed, reason: str = 'inactive') -> None:
        """Count a frame that was not published, as where the node was deactivated meanwhile."""
        self.mailbox.mark_dropped(processed.frame, reason)
        self.work.since_ns = None
