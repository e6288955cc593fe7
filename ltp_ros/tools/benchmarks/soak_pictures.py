# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The images of `ltp_benchmark soak`, told apart by their frame_id, and the right answers."""
import os
from typing import Dict, Iterator, Optional, Sequence, Tuple

import cv2
import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from ltp_ros.classifier import Classifier
from ltp_ros.config import snap
from ltp_ros.frames.encodings import LAYOUTS, ImageError
from ltp_ros.model.data_config import ImageSizeError
from ltp_ros.msg import Classification
from ltp_ros.research.benchmarks.soak import TOLERANCE, Answer, difference
from ltp_ros.research.hostile import hostile_image
from ltp_ros.ros import messages
from ltp_ros.ros.images import from_pixels
from ltp_ros.tools.benchmarks.fuzz_node import message_of

SIZES = ((640, 480), (320, 240), (1280, 720), (64, 48), (1920, 1080), (38, 62))  # width, height
DAMAGED = 40
TOP_K = 5


def of_many_kinds(rgb: np.ndarray) -> Iterator[Image]:
    """Yield an image in every encoding whose samples lie pixel by pixel, each in another size."""
    encodings = [name for name, layout in LAYOUTS.items() if layout.rows_per_two == 2]
    for index, encoding in enumerate(encodings):
        layout, size = LAYOUTS[encoding], SIZES[index % len(SIZES)]
        num_bytes = layout.channels * layout.bytes_per_sample
        # The bytes of one encoding taken for those of another: an odd picture, but a picture
        pixels = cv2.resize(rgb, size)[..., np.arange(num_bytes) % 3]
        yield from_pixels(Header(frame_id=f'{encoding} {size[0]}x{size[1]}'), pixels, encoding)


def damage(seed: int) -> Iterator[Image]:
    """Yield images with a field or their bytes changed at random; some are still images."""
    for index in range(DAMAGED):
        message = message_of(hostile_image(seed, index, ['raw']))
        message.header.frame_id = f'damaged {index}'
        yield message


class Reference:
    """What the node must say to each image: the answers of a classifier outside of ROS.

    Args:
        classifier: as the node has it.
        images: with frame_ids that tell them apart.
        levels: the keep ratios that the node may use.
    """

    def __init__(self, classifier: Classifier, images: Sequence[Image], levels: Sequence[float]):
        self._levels = tuple(levels)
        self._right: Dict[Tuple[str, float], Optional[Answer]] = {
            (image.header.frame_id, level): _answer(classifier, image, level)
            for image in images for level in levels}
        self.compared = 0
        self.largest_difference = 0.0

    def fault(self, message: Classification) -> str:
        """Return why an answer is wrong; '' if it is right.

        An answer may hold fewer classes than the reference, since `top_k` changes meanwhile.
        """
        key = message.header.frame_id, snap(message.keep_ratio, self._levels)
        image = f'the image {key[0]!r} at keep_ratio {key[1]:g}'
        if key not in self._right:
            return (f'{image} was answered, which is none of this program; does another one '
                    f'publish in ROS domain {os.environ.get("ROS_DOMAIN_ID", 0)}?')
        right, given = self._right[key], Answer(tuple(message.class_ids), tuple(message.scores))
        if right is None:
            return f'{image} was answered with {given}, though it is not one'
        self.compared += 1
        found = difference(given, right)
        self.largest_difference = max(self.largest_difference, found)
        return '' if found <= TOLERANCE else (
            f'{image}: {given}, while the classifier outside of ROS says {right}')


def _answer(classifier: Classifier, image: Image, level: float) -> Optional[Answer]:
    """Return the right answer; None if it must be refused."""
    try:
        prediction = classifier.classify(messages.to_rgb(image), level, TOP_K)
    except (ImageError, ImageSizeError):
        return None
    return Answer(prediction.class_ids, prediction.scores)
