# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`FrameServer`: all that exists from configure to cleanup, wired together."""
import contextlib
import time
from typing import Callable, List

from ltp_ros.classifier import Prediction
from ltp_ros.config import Config
from ltp_ros.frames.health import Health, Severity, Status, late_arrival
from ltp_ros.frames.latency import FrameLatency
from ltp_ros.frames.mailbox import Frame, Mailbox
from ltp_ros.frames.pipeline import FrameDropped, Pipeline, ProcessedFrame
from ltp_ros.frames.startup import prepare
from ltp_ros.frames.worker import Worker
from ltp_ros.ros import messages, transport
from ltp_ros.ros.configured_node import ConfiguredNode
from ltp_ros.ros.outputs import Outputs
from ltp_ros.tuner.controller import Decision

THROTTLE_S = 5.0
HEALTH_PERIOD_S = 1.0  # REP-107


class FrameServer:
    """A model that is loaded and warmed up, the worker that runs it, and the topics it answers on.

    It is the `FrameListener` of its worker.

    Args:
        node: owns the topics; not yet active.
        on_level_change: called in the worker's thread when the tuner has changed the keep ratio.
        on_failure: called in the worker's thread with the error that ended the work.

    Raises:
        ValueError, TypeError, RuntimeError: if the model cannot be used as configured.
    """

    def __init__(self, node: ConfiguredNode, on_level_change: Callable[[], None],
                 on_failure: Callable[[BaseException], None]):
        self._node = node
        self._on_level_change, self.on_failure = on_level_change, on_failure
        config, logger = node.config, node.get_logger()
        with contextlib.ExitStack() as undo:
            self._worker = Worker()
            undo.callback(self._worker.stop)
            classifier, costs = self._worker.call(lambda: prepare(
                config.classifier, logger.info, logger.warning, node.context.ok))
            self._outputs = Outputs(node, classifier, config)
            self.pipeline = Pipeline(classifier, costs, Mailbox(), messages.to_rgb,
                                     time.monotonic_ns, config)
            self._health = Health(self.pipeline, time.monotonic_ns())
            self._transport_fault = 'not known yet'
            self._health_timer = node.create_timer(HEALTH_PERIOD_S, self._report)
            self._worker.start(self.pipeline, self)
            undo.pop_all()
        logger.info(f'{classifier.model_name} on {classifier.device}, {classifier.backend.name} '
                    f'{classifier.precision}, {len(classifier.labels)} classes, '
                    f'{classifier.num_patches} patch tokens')

    def close(self) -> None:
        """Let the worker finish its frame, then close the topics."""
        self._worker.stop()
        self._node.destroy_timer(self._health_timer)
        self._outputs.destroy()

    def configure(self, config: Config) -> None:
        """Use new parameter values from the next frame on."""
        self.pipeline.config = self._outputs.config = config

    def publish(self, frame: Frame, prediction: Prediction) -> bool:
        """Publish a prediction; return False if the node was deactivated meanwhile."""
        return self._outputs.publish_prediction(frame, prediction)

    def on_answer(self, processed: ProcessedFrame, latency: FrameLatency) -> None:
        """Publish the latency of an answer."""
        self._outputs.publish_latency(processed, latency)
        self._health.add(processed.frame.topic, latency)
        if latency.decision == Decision.LATE_ARRIVAL:
            self._node.get_logger().warning(
                late_arrival(processed.frame.topic, latency.age_at_receive_ms),
                throttle_duration_sec=THROTTLE_S)
        if self.pipeline.keep_ratio != self._node.config.classifier.keep_ratio:
            self._on_level_change()

    def on_drop(self, frame: Frame, drop: FrameDropped) -> None:
        """Log why a frame was dropped."""
        self._node.get_logger().warning(
            f'{frame.topic}: dropped an image ({drop.reason}): {drop}',
            throttle_duration_sec=THROTTLE_S)

    def _report(self) -> None:
        self._outputs.publish_health([*self._health.report(time.monotonic_ns()),
                                      *self._transport()])

    def _transport(self) -> List[Status]:
        if self._transport_fault:  # until a segment is seen, of this process or of a camera
            self._transport_fault = transport.shared_memory_fault()
        fault = self._transport_fault
        return [Status('transport', Severity.WARN, fault, {})] if fault else []
