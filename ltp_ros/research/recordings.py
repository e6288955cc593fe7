# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Images without labels, as a robot's owner has them: a folder, an npz, a video, a bag."""
from pathlib import Path
from typing import Any, Iterator, Sequence, Tuple

import numpy as np

from ltp_ros.frames.decoding import CompressedImage, ImageError, RawImage, decode
from ltp_ros.images import decode_rgb, spread, video_frames
from ltp_ros.research.datasets import DatasetError, open_images

IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
BAG_SUFFIXES = ('.bag', '.mcap', '.db3')


def is_bag(path: Path) -> bool:
    """Return whether `path` is a bag of ROS 1 or 2."""
    return path.suffix in BAG_SUFFIXES or (path / 'metadata.yaml').is_file()


def rgb_images(source: str, limit: int) -> Iterator[np.ndarray]:
    """Yield at most `limit` images, evenly spread over the source, each (H, W, 3) uint8 RGB.

    Args:
        source: a folder of images in any order, an .npz with jpeg and offsets, a video file, or a
            bag, whose image topics are all taken.
        limit: above 0.

    Raises:
        ImageFileError: if it is none of these, holds no images, or one of them cannot be read.
    """
    path = Path(source)
    if is_bag(path):
        yield from _from_bag(path, limit)
    elif path.is_dir() or path.suffix == '.npz':
        images = open_images(path)
        for index in spread(len(images), limit):
            yield decode_rgb(images[index])
    elif path.is_file():
        yield from video_frames(str(path), limit)
    else:
        raise DatasetError(f'{source!r} is not there; expected a folder of images, an .npz, a '
                           'video file or a bag')


def _from_bag(path: Path, limit: int) -> Iterator[np.ndarray]:
    try:
        from rosbags.highlevel import AnyReader, AnyReaderError  # noqa: PLC0415  only for bags
        from rosbags.typesys import Stores, get_typestore  # noqa: PLC0415
    except ImportError as error:
        raise DatasetError(f"'{path}' is a bag, and rosbags, which reads them, is not here: "
                           'pip install rosbags') from error
    try:
        with AnyReader([path], default_typestore=get_typestore(Stores.ROS2_HUMBLE)) as bag:
            topics = [connection for connection in bag.connections
                      if connection.msgtype in IMAGE_TYPES]
            if not topics:
                raise DatasetError(f"'{path}' has no topic of {' or '.join(IMAGE_TYPES)}, but "
                                   f'{", ".join(sorted(bag.topics)) or "none at all"}')
            yield from _messages(bag, topics, limit)
    except AnyReaderError as error:
        raise DatasetError(f"'{path}' cannot be read as a bag: {error}") from error


def _messages(bag: Any, topics: Sequence[Any], limit: int) -> Iterator[np.ndarray]:
    wanted = set(spread(sum(topic.msgcount for topic in topics), limit).tolist())
    messages: Iterator[Tuple[Any, int, bytes]] = bag.messages(connections=topics)
    for index, (topic, _, content) in enumerate(messages):
        if index not in wanted:
            continue
        message = bag.deserialize(content, topic.msgtype)
        try:
            yield decode(
                CompressedImage(message.format, message.data)
                if topic.msgtype == IMAGE_TYPES[1] else
                RawImage(message.height, message.width, message.encoding,
                         bool(message.is_bigendian), message.step, message.data))
        except ImageError as error:
            raise DatasetError(f'message {index} on {topic.topic}: {error}') from error

