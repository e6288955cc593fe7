# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The boxes of a detector: subscribe to them, and send them on with what they hold."""
import time
from typing import Callable, List, Optional, Tuple

from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy

from ltp_ros.frames.camera_health import CameraFeed
from ltp_ros.frames.crops import Box, Crops
from ltp_ros.frames.mailbox import Frame
from ltp_ros.frames.pairs import Detections, Pairs
from ltp_ros.parameter import ConfigError
from ltp_ros.prediction import Prediction
from ltp_ros.ros import messages
from ltp_ros.ros.managed_node import STEADY

try:  # not in the wheels
    from vision_msgs.msg import Detection2DArray, ObjectHypothesisWithPose
except ImportError:
    Detection2DArray = None

DEPTH = 10        # arrays that may wait in the middleware
CHECK_S = 5.0     # from one look at what came to the next
UNKNOWN = 'unknown'  # class_id of what is none of the taught classes


def check_installed(detections_topic: str) -> None:
    """Raise ConfigError if the boxes of a detector are wanted, and their messages are not here."""
    if detections_topic and Detection2DArray is None:
        raise ConfigError(f'detections_topic {detections_topic!r} needs vision_msgs, which is not '
                          'installed here: apt install ros-$ROS_DISTRO-vision-msgs, or set '
                          "detections_topic:=''")


class DetectionSubscription:
    """The images of a camera, handed to `callback` with the boxes of a detector.

    `add_image` takes the images. All is called in the executor's thread.

    Args:
        node: whose namespace the topic is resolved in, and who logs.
        topic: of the detector.
        slop_ms: by which the stamps of image and boxes may differ.
        feed: of the camera, which is told why its images have no boxes.
        callback: called with each `Frame` whose boxes are there; must return at once.
    """

    def __init__(self, node: Node, topic: str, slop_ms: float, feed: CameraFeed,
                 callback: Callable[[Frame], None]):
        self._node, self._slop_ms, self._callback = node, slop_ms, callback
        self._feed = feed
        self._pairs = Pairs(int(slop_ms * 1e6))
        self._images = self._arrays = self._paired = 0  # since the last look
        # Best effort also matches a detector that is reliable
        self._subscription = node.create_subscription(
            Detection2DArray, topic, self._receive,
            QoSProfile(depth=DEPTH, reliability=QoSReliabilityPolicy.BEST_EFFORT))
        self._lost, self._told = 0, ''
        self._watch = node.create_timer(CHECK_S, self._look, clock=STEADY)

    def destroy(self) -> None:
        """Stop listening."""
        self._node.destroy_timer(self._watch)
        self._node.destroy_subscription(self._subscription)

    def add_image(self, frame: Frame) -> None:
        """Take an image of the camera."""
        self._images += 1
        self._hand_on(self._pairs.add_image(messages.stamp_ns(frame.message.header), frame))

    def _receive(self, message: 'Detection2DArray') -> None:
        self._arrays += 1
        self._hand_on(self._pairs.add_detections(
            Detections(message, boxes_of(message), messages.stamp_ns(message.header)),
            time.monotonic_ns()))

    def _hand_on(self, frame: Optional[Frame]) -> None:
        if frame is not None:
            self._paired += 1
            self._callback(frame)

    def _look(self) -> None:
        """Say why no boxes are answered, or not all; once for each reason in a row."""
        kind, reason = self._fault()
        if reason and kind != self._told:
            self._node.get_logger().warning(reason)
        self._told, self._feed.unpaired_because = kind, reason
        self._images = self._arrays = self._paired = 0
        self._lost = self._pairs.lost

    def _fault(self) -> Tuple[str, str]:
        """Return a word for what is wrong, and a sentence; both empty if nothing is."""
        topic = self._subscription.topic_name
        if self._images and not self._arrays:
            return 'silent', (f'no boxes for {CHECK_S:g} s on {topic}, which has '
                              f'{self._node.count_publishers(topic)} publishers; check '
                              'detections_topic')
        if self._images and not self._paired:
            apart_ms = (self._pairs.newest_image_ns - self._pairs.newest_array_ns) / 1e6
            return 'apart', (
                f'the stamps of the images and of the boxes on {topic} do not fit: the newest are '
                f'{apart_ms:.1f} ms apart, and detections_slop_ms {self._slop_ms:g} are allowed; '
                'have the detector keep the stamp of its image, or allow more')
        if self._pairs.lost > self._lost:
            return 'lost', (
                f'{self._pairs.lost - self._lost} arrays of boxes on {topic} found no image in '
                f'{CHECK_S:g} s: it was lost on its way here, or its stamp is not theirs')
        return '', ''


def boxes_of(message: 'Detection2DArray') -> Tuple[Box, ...]:
    """Return the boxes of an array, in its order."""
    return tuple(Box(box.center.position.x, box.center.position.y, box.size_x, box.size_y,
                     box.center.theta)
                 for box in (detection.bbox for detection in message.detections))


def answer(message: 'Detection2DArray', crops: Crops) -> None:
    """Put the classes of the boxes of an array in the place of the detector's results.

    All else stays as it came. A box that is none of the taught classes has the one result UNKNOWN,
    with how unknown it is; one without an answer has no result.
    """
    for detection, prediction in zip(message.detections, crops.answers):
        detection.results = results_of(prediction) if prediction else []


def results_of(prediction: Prediction) -> 'List[ObjectHypothesisWithPose]':
    """Return the classes of an answer, best first."""
    found = zip(prediction.labels, prediction.scores) if prediction.known else [
        (UNKNOWN, prediction.unknown)]
    results = []
    for label, score in found:
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id, result.hypothesis.score = label, float(score)
        results.append(result)
    return results
