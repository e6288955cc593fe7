# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Unlabelled images from a folder, an .npz, a video or a ROS bag."""
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator, Sequence

import numpy as np

from ltp_ros.frames.decoding import CompressedImage, RawImage, decode
from ltp_ros.frames.encodings import ImageError
from ltp_ros.images import decode_rgb, spread, video_frames
from ltp_ros.research.datasets import DatasetError, open_images

if TYPE_CHECKING:
    from rosbags.highlevel import AnyReader  # optional
    from rosbags.interfaces import Connection

IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
BAG_SUFFIXES = ('.bag', '.mcap', '.db3')


def is_bag(path: Path) -> bool:
    """Return whether `path` is a ROS 1 or ROS 2 bag."""
    return path.suffix in BAG_SUFFIXES or (path / 'metadata.yaml').is_file()


def rgb_images(source: str, limit: int) -> Iterator[np.ndarray]:
    """Yield at most `limit` images, evenly spaced over the source, each (H, W, 3) uint8 RGB.

    Args:
        source: a folder of images, an .npz with jpeg and offsets, a video file, or a bag, from
            which all image topics are read.
        limit: maximum number of images, above 0.

    Raises:
        ImageFileError: if the source is none of these or holds no images, or if an image cannot
            be read.
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
        raise DatasetError(f'{source!r} does not exist; expected a folder of images, an .npz, a '
                           'video file or a bag')


def _from_bag(path: Path, limit: int) -> Iterator[np.ndarray]:
    try:
        from rosbags.highlevel import AnyReader, AnyReaderError  # noqa: PLC0415  optional
        from rosbags.typesys import Stores, get_typestore  # noqa: PLC0415
    except ImportError as error:
        raise DatasetError(f"'{path}' is a bag, and reading it needs rosbags: "
                           'pip install rosbags') from error
    try:
        with AnyReader([path], default_typestore=get_typestore(Stores.ROS2_HUMBLE)) as bag:
            topics = [connection for connection in bag.connections
                      if connection.msgtype in IMAGE_TYPES]
            if not topics:
                raise DatasetError(f"'{path}' has no topic of type {' or '.join(IMAGE_TYPES)}; "
                                   f'its topics: {", ".join(sorted(bag.topics)) or "none"}')
            yield from _messages(bag, topics, limit)
    except AnyReaderError as error:
        raise DatasetError(f"'{path}' cannot be read as a bag: {error}") from error


def _messages(bag: 'AnyReader', topics: 'Sequence[Connection]', limit: int
              ) -> Iterator[np.ndarray]:
    wanted = set(spread(sum(topic.msgcount for topic in topics), limit).tolist())
    for index, (topic, _, content) in enumerate(bag.messages(connections=topics)):
        if index not in wanted:
            continue
        message: Any = bag.deserialize(content, topic.msgtype)  # of a class made at run time
        try:
            yield decode(
                CompressedImage(message.format, message.data)
                if topic.msgtype == IMAGE_TYPES[1] else
                RawImage(message.height, message.width, message.encoding,
                         bool(message.is_bigendian), message.step, message.data))
        except ImageError as error:
            raise DatasetError(f'message {index} on {topic.topic}: {error}') from error

