# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ClassifierNode`: the wiring between ROS and the pipeline."""
import gc
import os
import sys
import time
import traceback
from typing import Any, Collection, List, Optional

# Read once, when torch loads OpenMP. Threads that spin while they wait are a little faster alone,
# but where another program takes a core they wait out its time slices, again and again: the
# tail grows several times over (docs/tuner.md, "Threads").
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn

from ltp_ros.classifier import Prediction
from ltp_ros.config import ConfigError
from ltp_ros.frames.health import Health
from ltp_ros.frames.latency import FrameLatency
from ltp_ros.frames.mailbox import Frame, Mailbox
from ltp_ros.frames.pipeline import FrameDropped, Pipeline, ProcessedFrame
from ltp_ros.frames.startup import prepare
from ltp_ros.frames.worker import Worker
from ltp_ros.ros import messages
from ltp_ros.ros.configured_node import ConfiguredNode
from ltp_ros.ros.outputs import Outputs
from ltp_ros.ros.subscriptions import CameraSubscription

THROTTLE_S = 5.0
HEALTH_PERIOD_S = 1.0  # REP-107
SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class ClassifierNode(ConfiguredNode):
    """Classify the newest image of each camera and publish what came of it.

    A managed node: `configure` loads and warms up the model, `activate` begins to answer. The
    executor's thread only receives; a worker thread classifies, so parameters and services are
    answered at once.

    Raises:
        ConfigError: if a parameter given at the start is not allowed.
    """

    def __init__(self, **kwargs: Any):
        super().__init__('classifier', namespace='ltp', **kwargs)
        self._pipeline: Optional[Pipeline] = None
        self._outputs: Optional[Outputs] = None
        self._worker: Optional[Worker] = None
        self._cameras: List[CameraSubscription] = []
        self._level_changed = self.create_guard_condition(self._show_keep_ratio)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model and warm it up."""
        config, logger = self.config, self.get_logger()
        worker = Worker()
        try:
            classifier, costs = worker.call(lambda: prepare(
                config.classifier, logger.info, logger.warning, self.context.ok))
        except (ValueError, TypeError, RuntimeError) as error:  # whatever timm or torch refuse
            worker.stop()
            logger.error(str(error))
            return FAILURE
        self._worker = worker
        self._outputs = Outputs(self, classifier, config)
        self._pipeline = Pipeline(classifier, costs, Mailbox(), messages.to_rgb,
                                  time.monotonic_ns, config)
        self._health = Health(self._pipeline, time.monotonic_ns())
        self._health_timer = self.create_timer(HEALTH_PERIOD_S, self._report)
        worker.start(self._pipeline, self)
        logger.info(f'{classifier.model_name} on {classifier.device.type}, '
                    f'{classifier.backend.name} {classifier.precision}, '
                    f'{len(classifier.labels)} classes, {classifier.num_patches} patch tokens')
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen to the cameras and answer."""
        result = super().on_activate(state)  # the publishers first
        self._cameras = [
            CameraSubscription(self, topic, self.config.input, self._pipeline.mailbox.put)
            for topic in self.config.input.image_topics]
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening; the model stays loaded."""
        self._close_cameras()
        self._pipeline.mailbox.discard()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release the model and the topics."""
        self.release()
        gc.unfreeze()  # what `prepare` froze: ToMe's blocks hold themselves, only gc frees them
        gc.collect()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything."""
        self.release()
        return super().on_shutdown(state)

    def release(self) -> None:
        """Let the worker finish its frame, then close the topics and forget the model."""
        self._close_cameras()
        if self._pipeline is not None:
            self._worker.stop()
            self.destroy_timer(self._health_timer)
            self._outputs.destroy()
            self._worker = self._outputs = self._pipeline = None

    def _close_cameras(self) -> None:
        for camera in self._cameras:
            camera.destroy()
        self._cameras = []

    @property
    def configured(self) -> bool:
        """Whether the model is loaded."""
        return self._pipeline is not None

    def config_changed(self, asked: Collection[str]) -> None:
        """Let new parameter values hold from the next frame on."""
        if self._pipeline is None:
            return
        self._pipeline.config = self._outputs.config = self.config
        if 'keep_ratio' in asked:
            self._pipeline.set_keep_ratio(self.config.classifier.keep_ratio)

    def _show_keep_ratio(self) -> None:
        # In the executor's thread: what the tuner chose becomes the parameter
        if self._pipeline is not None:
            self.show_parameter('keep_ratio', self._pipeline.keep_ratio)

    # What the worker's thread calls, as `FrameListener`

    def publish(self, frame: Frame, prediction: Prediction) -> bool:
        """Publish a prediction, unless the node was deactivated meanwhile."""
        return self._outputs.publish_prediction(frame, prediction)

    def on_answer(self, processed: ProcessedFrame, latency: FrameLatency) -> None:
        """Publish the latency; have the executor's thread write a keep_ratio that changed."""
        self._outputs.publish_latency(processed, latency)
        self._health.add(latency)
        if self._pipeline.keep_ratio != self.config.classifier.keep_ratio:
            self._level_changed.trigger()

    def on_drop(self, frame: Frame, drop: FrameDropped) -> None:
        """Log why a frame was dropped."""
        self.get_logger().warning(f'{frame.topic}: dropped an image ({drop.reason}): {drop}',
                                  throttle_duration_sec=THROTTLE_S)

    def on_failure(self, error: BaseException) -> None:
        """End the process: without its worker it would look alive and answer nothing."""
        if not self.context.ok():
            return  # the signal to stop came in the middle of a publish
        self.failed = True
        self.get_logger().fatal(''.join(traceback.format_exception(
            type(error), error, error.__traceback__)))
        self.context.try_shutdown()

    def _report(self) -> None:
        self._outputs.publish_health(self._health.report(time.monotonic_ns()))


def main(args: Optional[List[str]] = None) -> int:
    """Run the node until it is told to stop; return the exit code."""
    rclpy.init(args=args)
    node = None
    try:
        node = ClassifierNode()
        if node.get_parameter('autostart').value:
            node.start()
        rclpy.spin(node)
    except ConfigError as error:
        rclpy.logging.get_logger('ltp.classifier').fatal(str(error))
        return 1
    except (KeyboardInterrupt, ExternalShutdownException):
        pass  # asked to stop
    except RuntimeError:
        if rclpy.ok():  # else the signal to stop came in the middle of a publish or a wait
            raise
    finally:
        if node is not None:
            node.release()
            node.destroy_node()
        rclpy.try_shutdown()
    return 1 if node is not None and node.failed else 0


if __name__ == '__main__':
    sys.exit(main())
