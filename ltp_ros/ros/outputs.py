# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Everything the node publishes about a frame, and the labels that say what it means."""
import contextlib
from typing import Dict

from rclpy.lifecycle import LifecyclePublisher
from rclpy.publisher import Publisher
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image

from ltp_ros.classifier import Classifier
from ltp_ros.config import Config
from ltp_ros.frames import overlay
from ltp_ros.frames.background import Background
from ltp_ros.frames.latency import FrameLatency
from ltp_ros.frames.processed import Processed, ProcessedCrops, ProcessedFrame
from ltp_ros.frames.regions import RegionAnswers
from ltp_ros.msg import Classification, ClassificationArray, Labels
from ltp_ros.msg import FrameLatency as FrameLatencyMsg
from ltp_ros.parameter import ConfigError
from ltp_ros.ros import detections, images, messages
from ltp_ros.ros.managed_node import THROTTLE, ManagedNode

LATCHED = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)


class Outputs:
    """The publishers of the node; silent about frames while it is inactive.

    Args:
        node: not yet active.
        classifier: the source of the answers.
        config: replace the attribute to change the live parameters.

    Raises:
        ConfigError: if two topics are remapped to one.
    """

    def __init__(self, node: ManagedNode, classifier: Classifier, config: Config):
        self._node = node
        # Not the classifier, which may be replaced, and is to be forgotten then
        self._model_name = classifier.model_name
        self.config = config

        topics: Dict[str, str] = {}

        def judge(topic: str) -> None:
            name = node.resolve_topic_name(topic)
            if name in topics:  # DDS would refuse it in words of its own
                raise ConfigError(f'{topics[name]} and {topic} are both remapped to {name}; give '
                                  'each a topic of its own')
            topics[name] = topic

        def lifecycle_publisher(message_type: type, topic: str, qos: int) -> LifecyclePublisher:
            judge(topic)
            publisher = node.create_lifecycle_publisher(message_type, topic, qos)
            undo.callback(node.destroy_lifecycle_publisher, publisher)
            return publisher

        def latched_publisher(message_type: type, topic: str) -> Publisher:
            judge(topic)
            publisher = node.create_publisher(message_type, topic, LATCHED)
            undo.callback(node.destroy_publisher, publisher)
            return publisher

        with contextlib.ExitStack() as undo:  # of what was opened, if the rest cannot be
            self._classification = lifecycle_publisher(Classification, 'classification', 10)
            self._latency = lifecycle_publisher(FrameLatencyMsg, 'latency', 10)
            self._regions = lifecycle_publisher(ClassificationArray, 'regions', 10)
            self._vision = messages.VisionClassification and lifecycle_publisher(
                messages.VisionClassification, 'vision_msgs/classification', 10)
            self._detections = lifecycle_publisher(
                detections.Detection2DArray, 'detections', 10
            ) if config.input.detections_topic else None
            self._debug_image = lifecycle_publisher(
                Image, 'debug_image', 1)  # reliable: rviz2, image_view and web_video_server ask
            self._labels = latched_publisher(Labels, 'labels')
            self._label_info = messages.LabelInfo and latched_publisher(
                messages.LabelInfo, 'vision_msgs/label_info')
            # In a thread of its own: drawing takes longer than some frames have
            self._drawing = Background(self._publish_debug_image, self._tell)
            undo.callback(self._drawing.stop)
            self.publish_labels(classifier)
            self._close = undo.pop_all()

    def destroy(self) -> None:
        """Close every topic."""
        self._close.close()

    @property
    def subscribed(self) -> bool:
        """Whether somebody listens to what is published about a frame."""
        return any(publisher is not None and publisher.get_subscription_count() for publisher in (
            self._classification, self._latency, self._regions, self._vision, self._detections,
            self._debug_image))

    @property
    def regions_wanted(self) -> bool:
        """Whether somebody listens to the answers for regions; they cost a run each."""
        return bool(self._regions.is_activated and self._regions.get_subscription_count())

    def publish_answer(self, processed: Processed) -> bool:
        """Publish the answer to a frame, under its own header; return False while inactive."""
        if not self._classification.is_activated:
            return False
        if isinstance(processed, ProcessedCrops):
            if self._detections is not None:
                message = processed.frame.message.detections  # nobody else has it
                detections.answer(message, processed.crops)
                self._detections.publish(message)
        else:
            self._publish_prediction(processed)
        return True

    def _publish_prediction(self, processed: ProcessedFrame) -> None:
        frame = processed.frame
        message = messages.from_prediction(
            frame.message.header, frame.topic, self._model_name, processed.prediction,
            processed.faults, processed.region)
        self._classification.publish(message)
        if self._vision is not None:
            self._vision.publish(messages.to_vision_msgs(message))

    def publish_regions(self, processed: ProcessedFrame, regions: RegionAnswers) -> None:
        """Publish the answers for the regions of an image, after the one for the image."""
        frame = processed.frame
        self._regions.publish(messages.from_regions(
            frame.message.header, frame.topic, self._model_name, regions, processed.region))

    def publish_latency(self, processed: Processed, latency: FrameLatency) -> None:
        """Publish the latency of an answer, and draw it if the debug image has a subscriber."""
        frame = processed.frame
        self._latency.publish(messages.from_latency(frame.message.header, frame.topic, latency))
        output = self.config.output
        if output.publish_debug_image and self._debug_image.get_subscription_count():
            self._drawing.offer(processed, 1.0 / output.debug_image_rate)

    def publish_labels(self, classifier: Classifier) -> None:
        """Publish what the class ids of a classifier mean now."""
        message = Labels(model=classifier.model_name, model_hash=classifier.model_hash,
                         labels=list(classifier.labels))
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._labels.publish(message)
        if self._label_info is not None:
            self._label_info.publish(messages.to_label_info(
                message, self.config.classifier.score_threshold))

    def _publish_debug_image(self, processed: Processed) -> None:
        picture = (overlay.draw_crops(processed.rgb, processed.crops)
                   if isinstance(processed, ProcessedCrops) else
                   overlay.draw(processed.rgb, processed.prediction, processed.region))
        self._debug_image.publish(images.from_pixels(processed.frame.message.header, picture))

    def _tell(self, error: Exception) -> None:
        if self._node.context.ok():  # else the signal to stop came in the middle
            self._node.get_logger().error(
                f'the debug image cannot be drawn: {type(error).__name__}: {error}', **THROTTLE)
