# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`FrameServer`: all that exists from configure to cleanup, wired together."""
import dataclasses
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Callable, List, Sequence, Tuple

import numpy as np
from sensor_msgs.msg import Image

from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig, Config
from ltp_ros.frames import changeover, picture
from ltp_ros.frames.advice import LEAD
from ltp_ros.frames.background import in_thread
from ltp_ros.frames.camera_health import CameraFeed
from ltp_ros.frames.changeover import ChangeOver
from ltp_ros.frames.collector import Collector, keep_taught
from ltp_ros.frames.drops import FrameDropped
from ltp_ros.frames.health import Health, late_arrival
from ltp_ros.frames.latency import FrameLatency
from ltp_ros.frames.mailbox import Frame, Mailbox
from ltp_ros.frames.pipeline import Pipeline
from ltp_ros.frames.processed import Processed, ProcessedCrops, ProcessedFrame
from ltp_ros.frames.recovery import Load, ModelLostError, Recovery
from ltp_ros.frames.regions import answer_regions
from ltp_ros.frames.status import Status
from ltp_ros.frames.teacher import Teacher
from ltp_ros.frames.watchdog import PERIOD_S, Watchdog, limit_s, stuck
from ltp_ros.frames.worker import Steps, T, Worker
from ltp_ros.msg import Classification
from ltp_ros.ros import messages
from ltp_ros.ros.configured_node import ConfiguredNode
from ltp_ros.ros.diagnostics import IDLE
from ltp_ros.ros.managed_node import STEADY, THROTTLE
from ltp_ros.ros.outputs import Outputs
from ltp_ros.tuner.controller import Decision
from ltp_ros.tuner.levels import LevelCost

SELDOM = {**THROTTLE, 'throttle_duration_sec': 60.0}


class FrameServer:
    """A model that is loaded and warmed up, the worker that runs it, and the topics it answers on.

    It is the `FrameListener` of its worker.

    Args:
        node: owns the topics; not yet active.
        worker: in whose thread the classifier was made; `close` ends it.
        classifier: warmed up.
        costs: how long each level of its ladder takes.
        load: makes another classifier of a config, with its costs, where this one fails or a
            better way to run it is found.
        on_level_change: called in the worker's thread when the tuner has changed the keep ratio.
        on_failure: called with the error that ended the work, in the worker's thread or, if that
            hangs, in the executor's.
    """

    def __init__(self, node: ConfiguredNode, worker: Worker, classifier: Classifier,
                 costs: Sequence[LevelCost], load: Load, on_level_change: Callable[[], None],
                 on_failure: Callable[[BaseException], None]):
        self._node, self._worker = node, worker
        self._on_level_change, self.on_failure = on_level_change, on_failure
        config = node.config
        self._news = picture.News()
        self.pipeline = Pipeline(classifier, costs, Mailbox(config.input.max_rate),
                                 messages.to_rgb, time.monotonic_ns, config)
        logger = node.get_logger()

        def load_anew(config: ClassifierConfig) -> Tuple[Classifier, List[LevelCost]]:
            # What was taught goes over to it; the file may be gone by now
            return load(dataclasses.replace(config, classes=''))

        self._recovery = Recovery(self.pipeline, load_anew, logger.warning)
        self._change_over = ChangeOver(self.pipeline, load_anew, worker.request, logger.info)
        self.begin()
        self._outputs = Outputs(node, classifier, config)
        self.teacher = Teacher(self.pipeline, worker.spare_time, self._show_labels,
                               self._keep_taught)
        output = config.output
        self._collector = Collector(
            Path(output.collect_dir), output.collect_max_files,
            int(output.collect_max_mb * 1e6), logger.warning) if output.collect_dir else None
        if config.input.detections_topic:
            worker.submit(self.pipeline.prepare_crops)
        worker.start(self.pipeline, self)
        self._watchdog = Watchdog()
        self._timers = [
            node.create_timer(PERIOD_S, self._look, clock=STEADY),
            node.create_timer(changeover.PERIOD_S, self._change_over.look, clock=STEADY)]
        logger.info(
            f'{classifier.model_name} on {classifier.device}, {classifier.backend.name} '
            f'{classifier.precision}, {len(classifier.labels)} classes, '
            f'{classifier.num_patches} patch tokens')

    def close(self, patience_s: float) -> None:
        """Let the worker finish its frame, for so long at most, then close the topics."""
        self._change_over.close()
        for timer in self._timers:
            self._node.destroy_timer(timer)
        if not self._worker.stop(patience_s):
            self.pipeline.abandon('inactive')
        self.teacher.close('the model was released')
        if self._collector is not None:
            self._collector.close()
        self._outputs.destroy()

    def begin(self) -> None:
        """Report anew: the time in which the node was inactive or idle was no silence."""
        self._health = Health(self.pipeline, time.monotonic_ns())

    def watch(self, feed: CameraFeed) -> None:
        """Count and report the images of a camera from now on, even while there are none."""
        self.pipeline.mailbox.expect(feed.topic)
        self._health.watch(feed)

    @property
    def wanted(self) -> bool:
        """Whether somebody listens to what is published about a frame, or teaches from it."""
        return self._outputs.subscribed or self.teacher.teaching

    def health(self, idle: bool, paused: bool) -> List[Status]:
        """Return how the work goes; rates are over the time since the last call.

        Args:
            idle: whether the cameras are not listened to, since nobody wants an answer.
            paused: whether simulated time stands still.
        """
        if idle:
            self.begin()
        found = self._health.report(time.monotonic_ns(), paused)
        if idle:
            return [status if status.part == 'device' else
                    dataclasses.replace(status, message=IDLE) for status in found]
        for status in found:
            if LEAD in status.message:
                self._node.get_logger().warning(f'{status.part}: {status.message}', **SELDOM)
        return found

    def configure(self, config: Config) -> None:
        """Use new parameter values from the next frame on."""
        self.pipeline.config = self._outputs.config = config
        self.pipeline.mailbox.max_rate = config.input.max_rate

    def classify(self, image: Image, keep_ratio: float) -> 'Future[Classification]':
        """Classify an image between two frames; cancelled if the model is released before."""
        def work() -> Classification:
            return messages.from_prediction(
                image.header, '', self.pipeline.classifier.model_name,
                *self.pipeline.beside.classify(image, keep_ratio))

        return self._worker.request(work)

    def request(self, function: Callable[[], T]) -> 'Future[T]':
        """Do something between two frames; see `Worker.request`."""
        return self._worker.request(function)

    def spare_time(self, steps: Steps) -> 'Future[None]':
        """Do work in steps, in the gaps between frames; see `Worker.spare_time`."""
        return self._worker.spare_time(steps)

    def publish(self, processed: Processed) -> bool:
        """Publish a prediction; return False if the node was deactivated meanwhile.

        Raises:
            FrameDropped: if the middleware refuses it, which is not the model's fault.
        """
        try:
            return self._outputs.publish_answer(processed)
        except RuntimeError as error:
            reason = self._refused(error)
            self._health.add_drop(processed.frame.topic, reason)
            raise FrameDropped('failed', reason) from error

    def on_answer(self, processed: Processed, latency: FrameLatency) -> None:
        """Publish the latency of an answer."""
        try:
            self._outputs.publish_latency(processed, latency)
        except RuntimeError as error:
            self._refused(error)
        self._recovery.answered()
        if isinstance(processed, ProcessedCrops):
            self._note_boxes(processed)
        else:
            self._use_further(processed)
        topic, (height, width, _) = processed.frame.topic, processed.rgb.shape
        faults = picture.words(processed.faults)
        self._health.add(topic, latency, faults, f'{width}x{height}')
        for fault, remedy in self._news.of(topic, faults, processed.frame.receive_ns).items():
            self._node.get_logger().warning(
                f'{topic}: the image is {fault}; {remedy}. ltp_doctor shows what the model sees')
        if latency.decision == Decision.LATE_ARRIVAL:
            self._node.get_logger().warning(
                late_arrival(topic, latency.age_at_receive_ms), **THROTTLE)
        self._show_level()

    def _use_further(self, processed: ProcessedFrame) -> None:
        if self.pipeline.config.classifier.zoom_boxes and self._outputs.regions_wanted:
            self._answer_regions(processed)
        self.teacher.offer(processed)
        if self._collector is not None:
            self._collector.offer(processed, self.pipeline.config.output.collect_when,
                                  messages.stamp_ns(processed.frame.message.header))

    def _note_boxes(self, processed: ProcessedCrops) -> None:
        topic, crops = processed.frame.topic, processed.crops
        self._health.add_boxes(topic, crops)
        if crops.fault:
            self._node.get_logger().warning(f'{topic}: {crops.fault}', **THROTTLE)

    def _answer_regions(self, processed: ProcessedFrame) -> None:
        """Answer and publish the regions of an image; the answer for the image stands anyway."""
        regions = answer_regions(self.pipeline, processed)
        if regions.fault:
            self._node.get_logger().warning(
                f'{processed.frame.topic}: of the {regions.found} regions of an image '
                f'{len(regions.answers)} are answered: {regions.fault}', **THROTTLE)
        try:
            self._outputs.publish_regions(processed, regions)
        except RuntimeError as error:
            self._refused(error)

    def on_drop(self, frame: Frame, drop: FrameDropped) -> None:
        """Log why a frame was dropped."""
        self._health.add_drop(frame.topic, str(drop))
        self._node.get_logger().warning(
            f'{frame.topic}: dropped an image ({drop.reason}): {drop}', **THROTTLE)
        if drop.reason == 'failed':
            self._recovery.failed(str(drop))
            self._show_level()

    def _refused(self, error: RuntimeError) -> str:
        """Log and return that the middleware published nothing; raise the error at the end."""
        if not self._node.context.ok():
            raise error  # the signal to stop came in the middle
        reason = f'the answer cannot be published: {error}'
        self._node.get_logger().error(reason, **THROTTLE)
        return reason

    def _look(self) -> None:
        """Do something about a worker that hangs; in the executor's thread."""
        pipeline, since_ns = self.pipeline, self.pipeline.busy_since_ns
        seconds = self._watchdog.stuck_s(since_ns, time.monotonic_ns())
        if seconds < limit_s(pipeline.slowest_ms):
            pipeline.stuck_s = 0.0
            return
        reason, work = stuck(seconds), pipeline.abandon(since_ns=since_ns)
        if work is None:
            if pipeline.busy_since_ns == since_ns:  # else it has come back just now
                self._tell_stuck(seconds, reason)
        elif self._node.config.output.on_failure == 'exit':
            self.on_failure(ModelLostError(reason))
        else:
            self._replace_worker(work, reason)

    def _tell_stuck(self, seconds: float, reason: str) -> None:
        """Tell what hangs outside of the model, so that another model would not help."""
        if not self.pipeline.stuck_s:
            self._node.get_logger().error(
                f'{reason} in decoding the image, or in publishing the answer')
        self.pipeline.stuck_s = seconds

    def _replace_worker(self, work: object, reason: str) -> None:
        self.pipeline.stuck_s, self.pipeline.trouble = 0.0, reason
        if isinstance(work, Frame):
            self._health.add_drop(work.topic, reason)
            self._node.get_logger().error(
                f'{work.topic}: dropped an image (failed): {reason}')
        else:
            request = ('a picture to teach, or a region' if isinstance(work, np.ndarray)
                       else '~/classify')
            self._node.get_logger().error(f'{request}: {reason}')
        self._worker.replace(reason)
        self._worker.start(self.pipeline, self, lambda: self._recovery.hung(reason))

    def _keep_taught(self, label: str, processed: ProcessedFrame, rgb: np.ndarray) -> None:
        folder = self._node.config.output.collect_dir
        if folder:
            stamp_ns = messages.stamp_ns(processed.frame.message.header)
            in_thread(lambda: keep_taught(Path(folder), label, rgb, stamp_ns)
                      ).add_done_callback(self._tell_unkept)

    def _tell_unkept(self, work: 'Future[None]') -> None:
        if work.exception() is not None:
            self._node.get_logger().warning(
                f'a picture that was taught is not kept: {work.exception()}', **THROTTLE)

    def _show_labels(self) -> None:
        try:
            self._outputs.publish_labels(self.pipeline.classifier)
        except RuntimeError as error:
            self._refused(error)

    def _show_level(self) -> None:
        if self.pipeline.keep_ratio != self._node.config.classifier.keep_ratio:
            self._on_level_change()
