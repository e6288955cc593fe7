# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Everything the node publishes about a frame."""
from typing import Iterable, Optional, Tuple

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import Image

from ltp_ros import messages, overlay
from ltp_ros.classifier import Classifier, Prediction
from ltp_ros.config import Config
from ltp_ros.health import Status
from ltp_ros.mailbox import Frame
from ltp_ros.msg import Classification, FrameLatency
from ltp_ros.pipeline import Answer, FrameDropped

NS_PER_S = 1_000_000_000


class Outputs:
    """The publishers of the node; silent while it is inactive.

    Args:
        node: not yet active.
        classifier: whose answers are published.
        config: replace the attribute to change the live parameters.
    """

    def __init__(self, node: LifecycleNode, classifier: Classifier, config: Config):
        self._node = node
        self._classifier = classifier
        self._classification = node.create_lifecycle_publisher(
            Classification, 'classification', 10)
        self._latency = node.create_lifecycle_publisher(FrameLatency, 'latency', 10)
        self._vision = messages.VisionClassification and node.create_lifecycle_publisher(
            messages.VisionClassification, 'vision_msgs/classification', 10)
        self._debug_image = node.create_lifecycle_publisher(
            Image, 'debug_image',
            QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT))
        self._diagnostics = node.create_lifecycle_publisher(
            DiagnosticArray, '/diagnostics', 10)
        self._undrawn: Optional[Tuple[Frame, Answer]] = None
        self._debug_timer = node.create_timer(1.0 / config.output.debug_image_rate,
                                              self._publish_debug_image)
        self._config = config

    @property
    def config(self) -> Config:
        """The parameters in use."""
        return self._config

    @config.setter
    def config(self, config: Config) -> None:
        self._config = config
        period_ns = int(NS_PER_S / config.output.debug_image_rate)
        if self._debug_timer.timer_period_ns != period_ns:
            self._debug_timer.timer_period_ns = period_ns

    def destroy(self) -> None:
        """Close every topic."""
        self._node.destroy_timer(self._debug_timer)
        for publisher in (self._classification, self._latency, self._vision, self._debug_image,
                          self._diagnostics):
            if publisher is not None:
                self._node.destroy_lifecycle_publisher(publisher)

    def publish_prediction(self, frame: Frame, prediction: Prediction) -> None:
        """Publish the answer to a frame, under the frame's own header.

        Raises:
            FrameDropped: if the node was deactivated while the frame was in work.
        """
        if not self._classification.is_activated:
            raise FrameDropped('inactive', 'the node was deactivated while it was in work')
        message = messages.from_prediction(frame.message.header, frame.topic,
                                           self._classifier.model_name, prediction)
        self._classification.publish(message)
        if self._vision is not None:
            self._vision.publish(messages.to_vision_msgs(message))

    def publish_answer(self, frame: Frame, answer: Answer) -> None:
        """Publish how the answer was made, and keep it for the debug image."""
        self._latency.publish(messages.from_latency(frame.message.header, frame.topic,
                                                    answer.latency))
        self._undrawn = frame, answer

    def publish_health(self, statuses: Iterable[Status]) -> None:
        """Publish the diagnostics."""
        self._diagnostics.publish(messages.from_health(
            self._node.get_clock().now().to_msg(),
            self._node.get_fully_qualified_name().lstrip('/'), statuses))

    def _publish_debug_image(self) -> None:
        # Runs in the executor's thread, off the path of the frames, and only for a subscriber
        if (self._undrawn is None or not self._config.output.publish_debug_image
                or not self._debug_image.get_subscription_count()):
            return
        (frame, answer), self._undrawn = self._undrawn, None
        picture = overlay.draw(answer.rgb, answer.prediction, self._classifier.grid_size,
                               self._classifier.data_config)
        self._debug_image.publish(messages.from_rgb(frame.message.header, picture))
