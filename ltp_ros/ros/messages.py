# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Pure conversions between the core and ROS messages."""
import dataclasses
import platform
from typing import Iterable, Union

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from sensor_msgs.msg import CompressedImage, Image, RegionOfInterest
from std_msgs.msg import Header

from ltp_ros.frames import decoding as image
from ltp_ros.frames.latency import FrameLatency
from ltp_ros.frames.pairs import PictureWithBoxes
from ltp_ros.frames.regions import RegionAnswers
from ltp_ros.frames.status import Status
from ltp_ros.msg import Classification, ClassificationArray, Labels
from ltp_ros.msg import FrameLatency as FrameLatencyMsg
from ltp_ros.prediction import Prediction
from ltp_ros.region import NOTHING, Region

try:  # not in the wheels
    from vision_msgs.msg import Classification as VisionClassification
    from vision_msgs.msg import LabelInfo, ObjectHypothesis, VisionClass
except ImportError:
    VisionClassification = LabelInfo = None


def to_rgb(message: Union[Image, CompressedImage, PictureWithBoxes]) -> np.ndarray:
    """Decode an image message to (H, W, 3) uint8 RGB, without a copy where the bytes allow it.

    Raises:
        ltp_ros.frames.encodings.ImageError: if the bytes are not the image that the fields
            promise, or the encoding is not supported.
    """
    if isinstance(message, PictureWithBoxes):
        message = message.picture
    if isinstance(message, CompressedImage):
        return image.decode(image.CompressedImage(message.format, message.data))
    return image.decode(image.RawImage(
        height=message.height, width=message.width, encoding=message.encoding,
        is_bigendian=bool(message.is_bigendian), step=message.step, data=message.data))


def stamp_ns(header: Header) -> int:
    """Return a header's stamp in nanoseconds."""
    return header.stamp.sec * 1_000_000_000 + header.stamp.nanosec


def from_prediction(header: Header, topic: str, model: str, prediction: Prediction,
                    picture_faults: int = 0, region: Region = NOTHING) -> Classification:
    """Return a prediction as a message that carries the image's own header.

    `region`: the part of the image that was classified.
    """
    seen = prediction.seen.moved(region)
    return Classification(
        header=header, image_topic=topic, model=prediction.model or model,
        labels=list(prediction.labels),
        class_ids=list(prediction.class_ids), scores=list(prediction.scores),
        keep_ratio=prediction.keep_ratio, tokens_kept=prediction.num_keep,
        tokens_total=prediction.num_patches, unknown=prediction.unknown, known=prediction.known,
        region=RegionOfInterest(x_offset=seen.left, y_offset=seen.top, height=seen.height,
                                width=seen.width),
        picture_faults=int(picture_faults))


def from_regions(header: Header, topic: str, model: str, regions: RegionAnswers,
                 region: Region) -> ClassificationArray:
    """Return the answers for the regions of an image, under the image's own header."""
    return ClassificationArray(
        header=header, image_topic=topic, found=regions.found,
        classifications=[from_prediction(header, topic, model, prediction, region=region)
                         for prediction in regions.answers])


def from_latency(header: Header, topic: str, latency: FrameLatency) -> FrameLatencyMsg:
    """Return a frame's latency as a message that carries the image's own header."""
    return FrameLatencyMsg(
        header=header, image_topic=topic,
        capture_to_publish_ms=latency.capture_to_publish_ms, **dataclasses.asdict(latency))


def from_health(stamp: Time, node_name: str, statuses: Iterable[Status]) -> DiagnosticArray:
    """Return statuses as REP-107 has them: named 'node: part', one array a second."""
    return DiagnosticArray(header=Header(stamp=stamp), status=[
        DiagnosticStatus(
            # The field is a byte, which rclpy wants as bytes
            level=bytes([status.level]), name=f'{node_name}: {status.part}',
            message=status.message, hardware_id=status.hardware or platform.node(),
            values=[KeyValue(key=key, value=value) for key, value in status.values.items()])
        for status in statuses])


def to_vision_msgs(message: Classification) -> 'VisionClassification':
    """Return the same answer as vision_msgs/Classification, for nodes that speak that.

    It has no word for unknown: the nearest class would be taken for the answer.
    """
    result = VisionClassification(header=message.header)
    for label, score in zip(message.labels, message.scores) if message.known else ():
        result.results.append(ObjectHypothesis(class_id=label, score=score))
    return result


def to_label_info(message: Labels, threshold: float) -> 'LabelInfo':
    """Return the same labels as vision_msgs/LabelInfo.

    Args:
        message: the labels.
        threshold: the probability below which a class is left out of an answer.
    """
    return LabelInfo(header=message.header, threshold=threshold, class_map=[
        VisionClass(class_id=class_id, class_name=label)
        for class_id, label in enumerate(message.labels)])
