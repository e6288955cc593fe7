# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ClassifierNode`: the wiring between ROS and the pipeline."""
import sys
import time
import traceback
from typing import Any, List, Optional

import rclpy
from rcl_interfaces.msg import SetParametersResult
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from ltp_ros import messages, parameters
from ltp_ros.classifier import Classifier, ClassifierError
from ltp_ros.config import ConfigError
from ltp_ros.latency import age_ms
from ltp_ros.mailbox import Frame, Mailbox
from ltp_ros.outputs import Outputs
from ltp_ros.pipeline import FrameDropped, Pipeline
from ltp_ros.subscriptions import CameraSubscription
from ltp_ros.vit import ModelError
from ltp_ros.worker import Worker

THROTTLE_S = 5.0
SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class ClassifierNode(LifecycleNode):
    """Classify the newest image of each camera and publish what came of it.

    A managed node: `configure` loads and warms up the model, `activate` begins to answer. The
    executor's thread only receives; a worker thread classifies, so parameters and services are
    answered at once.

    Raises:
        ConfigError: if a parameter given at the start is not allowed.
    """

    def __init__(self, **kwargs: Any):
        super().__init__('classifier', namespace='ltp',
                         automatically_declare_parameters_from_overrides=True, **kwargs)
        self._config = parameters.declare(self)
        self._mailbox = Mailbox()
        self._pipeline: Optional[Pipeline] = None
        self._outputs: Optional[Outputs] = None
        self._worker: Optional[Worker] = None
        self._cameras: List[CameraSubscription] = []
        self.failed = False

    def start(self) -> None:
        """Configure and activate, once the executor spins; on failure end the process."""
        def start_once() -> None:
            self.destroy_timer(timer)
            self.failed = not (self.trigger_configure() == SUCCESS == self.trigger_activate())
            if self.failed:
                self.context.try_shutdown()

        timer = self.create_timer(0.0, start_once)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model and warm it up."""
        config, logger = self._config, self.get_logger()
        worker = Worker()

        def progress(keep_ratio: float) -> None:
            if not self.context.ok():  # Ctrl-C must not wait for the rest of the ladder
                raise ClassifierError('told to stop while warming up')
            logger.info(f'warmed up at keep_ratio {keep_ratio:g}')

        def load() -> Classifier:
            classifier = Classifier(config.classifier)
            classifier.warm_up(progress)
            return classifier

        try:
            logger.info(f'loading {config.classifier.model}')
            classifier = worker.call(load)
        except (ModelError, ClassifierError) as error:
            worker.stop()
            logger.error(str(error))
            return FAILURE
        self._worker, self._mailbox = worker, Mailbox()
        self._outputs = Outputs(self, classifier, config)
        self._pipeline = Pipeline(classifier, self._mailbox, messages.to_rgb,
                                  self._outputs.publish_prediction, time.monotonic_ns, config)
        worker.start(self._pipeline, self._outputs.publish_answer, self._warn_of_drop, self._fail)
        logger.info(f'{classifier.model_name} on {classifier.device.type} in '
                    f'{classifier.precision}, {len(classifier.labels)} classes, '
                    f'{classifier.num_patches} patch tokens')
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen to the cameras and answer."""
        result = super().on_activate(state)  # the publishers first
        self._cameras = [CameraSubscription(self, topic, self._config.input, self.image_callback)
                         for topic in self._config.input.image_topics]
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening; the model stays loaded."""
        self._close_cameras()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release the model and the topics."""
        self.release()
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
            self._outputs.destroy()
            self._worker = self._outputs = self._pipeline = None

    def _close_cameras(self) -> None:
        for camera in self._cameras:
            camera.destroy()
        self._cameras = []

    def set_parameters_atomically(self, parameter_list: List[Parameter]) -> SetParametersResult:
        """Refuse what is not allowed; store what is in use, such as a keep_ratio on the ladder.

        rclpy lets a callback refuse a value but, before Iron, not correct it.
        """
        try:
            config, parameter_list = parameters.change(
                self._config, parameter_list, configured=self._pipeline is not None)
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        result = super().set_parameters_atomically(parameter_list)
        if result.successful:
            self._config = config
            if self._pipeline is not None:
                self._pipeline.config = config
                self._outputs.config = config
        return result

    def set_parameters(self, parameter_list: List[Parameter]) -> List[SetParametersResult]:
        """Set one after the other, each as `set_parameters_atomically` does."""
        return [self.set_parameters_atomically([parameter]) for parameter in parameter_list]

    def image_callback(self, topic: str, message: Any) -> None:
        """Leave an image for the worker."""
        stamp_ns = messages.stamp_ns(message.header)
        self._mailbox.put(Frame(topic, message, time.monotonic_ns(),
                                age_ms(stamp_ns, self.get_clock().now().nanoseconds)))

    def _warn_of_drop(self, frame: Frame, drop: FrameDropped) -> None:
        self.get_logger().warning(f'{frame.topic}: dropped an image ({drop.reason}): {drop}',
                                  throttle_duration_sec=THROTTLE_S)

    def _fail(self, error: BaseException) -> None:
        if not self.context.ok():
            return  # the signal to stop came in the middle of a publish
        self.failed = True
        self.get_logger().fatal(''.join(traceback.format_exception(
            type(error), error, error.__traceback__)))
        self.context.try_shutdown()


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
    finally:
        if node is not None:
            node.release()
            node.destroy_node()
        rclpy.try_shutdown()
    return 1 if node.failed else 0


if __name__ == '__main__':
    sys.exit(main())
