# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Unlabelled images from a folder, an .npz, a video or a ROS bag."""
import contextlib
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator, List, Sequence, Tuple, Union

import numpy as np

from ltp_ros.files import is_content
from ltp_ros.frames.decoding import CompressedImage, RawImage, decode
from ltp_ros.frames.encodings import ImageError
from ltp_ros.images import (
    Fits,
    ImageFileError,
    Note,
    any_size,
    ignore,
    is_image_file,
    read_images,
    readable,
    spread,
    unread_pictures,
    video_frames,
)
from ltp_ros.research.datasets import DatasetError, open_images

if TYPE_CHECKING:
    from rosbags.highlevel import AnyReader  # optional
    from rosbags.interfaces import Connection

IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
STORAGE_SUFFIXES = ('.mcap', '.db3')
BAG_SUFFIXES = ('.bag', *STORAGE_SUFFIXES)
METADATA = 'metadata.yaml'
PROBED = 5  # messages of a topic at as many places: tells its kind from damaged messages
MEND = ('If the recording was cut off, mend it: `ros2 bag reindex FOLDER`; a single file: `mcap '
        'recover FILE`, `sqlite3 FILE .recover`')


def is_bag(path: Path) -> bool:
    """Return whether `path` is a ROS 1 or ROS 2 bag, or a folder with the files of one."""
    return (path.suffix in BAG_SUFFIXES or (path / METADATA).is_file()
            or bool(_storage_files(path)))


def rgb_images(source: str, limit: int, note: Note = ignore, fits: Fits = any_size,
               topics: Sequence[str] = ()) -> Iterator[np.ndarray]:
    """Yield at most `limit` images, evenly spaced over the source, each (H, W, 3) uint8 RGB.

    Args:
        source: a folder of images, an .npz with jpeg and offsets, a video file, or a bag.
        limit: maximum number of images, above 0.
        note: called if images, or topics of a bag, are left out.
        fits: called with the height and width of each image, except those of a video.
        topics: those of a bag to read; empty: all that have images in colour or grey.

    Raises:
        ImageFileError: if the source is none of these or holds no images, or if too many of them
            cannot be used.
    """
    path = Path(source)
    if not path.exists():
        raise DatasetError(f'{source!r} does not exist; expected a folder of images, an .npz, a '
                           'video file or a bag')
    if is_bag(path):
        yield from _from_bag(path, limit, note, fits, topics)
    elif topics:
        raise DatasetError(f'{source!r} is not a bag and has no topics; leave out --topics')
    elif path.is_dir() or path.suffix == '.npz' or is_image_file(path):
        images, unread = open_images(path), unread_pictures(path)
        if unread:
            note(f'left out: {unread}')
        chosen = [images[index] for index in spread(len(images), limit)]
        yield from (rgb for _, rgb in read_images(chosen, len(chosen), note, fits))
    else:
        yield from video_frames(str(path), limit)


def _storage_files(folder: Path) -> List[Path]:
    return sorted(entry for suffix in STORAGE_SUFFIXES for entry in folder.glob(f'*{suffix}')
                  if is_content(entry))


def bag_files(path: Path) -> List[Path]:
    """Return the files that hold the messages of a bag."""
    return [path] if path.is_file() else _storage_files(path)


@contextlib.contextmanager
def opened_bag(path: Path) -> 'Iterator[AnyReader]':
    """Open a bag for a block that reads it, and does nothing else that may fail.

    Raises:
        DatasetError: if rosbags is not installed, or the bag cannot be read, now or in the block.
    """
    try:
        from rosbags.highlevel import AnyReader  # noqa: PLC0415  optional
        from rosbags.typesys import Stores, get_typestore  # noqa: PLC0415
    except ImportError as error:
        raise DatasetError(f"'{path}' is a bag, and reading it needs rosbags: "
                           'pip install rosbags') from error
    # A recording that was cut off has no metadata, or an empty file; its parts can be read alone
    metadata = path / METADATA
    whole = path.is_file() or (metadata.is_file() and metadata.stat().st_size > 0)
    try:
        with AnyReader([path] if whole else _storage_files(path),
                       default_typestore=get_typestore(Stores.ROS2_HUMBLE)) as bag:
            yield bag
    except ImageFileError:
        raise
    except Exception as error:  # of rosbags, of its storages or their compression, by version
        reason = str(error).rstrip('.')
        raise DatasetError(f"'{path}' cannot be read as a bag: {reason}. {MEND}") from error


def _from_bag(path: Path, limit: int, note: Note, fits: Fits, topics: Sequence[str]
              ) -> Iterator[np.ndarray]:
    with opened_bag(path) as bag:
        found = usable(bag, path, image_topics(bag, path, topics), note)
        yield from _messages(bag, found, limit, note, fits)


def image_topics(bag: 'AnyReader', path: Path, topics: Sequence[str]) -> 'List[Connection]':
    """Return those of `topics`, by default all that have images of any kind.

    Raises:
        DatasetError: if there are none, or one of `topics` has none.
    """
    found = [topic for topic in bag.connections if topic.msgtype in IMAGE_TYPES]
    if not found:
        raise DatasetError(f"'{path}' has no topic of type {' or '.join(IMAGE_TYPES)}; its "
                           f'topics: {", ".join(sorted(bag.topics)) or "none"}')
    names = sorted({topic.topic for topic in found})
    for name in topics:
        if name not in names:
            raise DatasetError(f"'{path}' has no images on {name!r}; topics with images: "
                               f'{", ".join(names)}')
    return [topic for topic in found if topic.topic in (topics or names)]


def usable(bag: 'AnyReader', path: Path, topics: 'Sequence[Connection]', note: Note
           ) -> 'List[Connection]':
    """Return those on topics with an image in colour or grey; note the other topics and why.

    Raises:
        DatasetError: if there are none.
    """
    used, left_out = [], {}
    for name in dict.fromkeys(topic.topic for topic in topics):
        parts = [topic for topic in topics if topic.topic == name]  # one for each file of it
        reasons = ['it has no messages']
        for topic, content in _probes(bag, parts):
            try:
                decode(picture_of(deserialized(bag, topic, content)))
            except ValueError as error:
                reasons.append(str(error))
            else:
                used += parts
                break
        else:
            left_out[name] = reasons[-1]
    if left_out:
        note('left out: ' + '; '.join(f'{name} ({why})' for name, why in left_out.items()))
    if not used:
        raise DatasetError(f"'{path}' has no images in colour or grey")
    return used


def _probes(bag: 'AnyReader', parts: 'Sequence[Connection]'
            ) -> 'Iterator[Tuple[Connection, bytes]]':
    for place in range(PROBED):
        start = bag.start_time + place * bag.duration // PROBED
        for topic, _, content in islice(bag.messages(connections=parts, start=start), PROBED):
            yield topic, content


def _messages(bag: 'AnyReader', topics: 'Sequence[Connection]', limit: int, note: Note,
              fits: Fits) -> Iterator[np.ndarray]:
    wanted = set(spread(sum(topic.msgcount for topic in topics), limit).tolist())
    messages = (
        (index, f'message {index} on {topic.topic}', partial(_decoded, bag, topic, content))
        for index, (topic, _, content) in enumerate(bag.messages(connections=topics))
        if index in wanted)
    yield from (rgb for _, rgb in readable(messages, len(wanted), note, fits))


def _decoded(bag: 'AnyReader', topic: 'Connection', content: bytes) -> np.ndarray:
    return decode(picture_of(deserialized(bag, topic, content)))


def deserialized(bag: 'AnyReader', topic: 'Connection', content: bytes) -> Any:
    """Return a message of a bag, of a class that is made at run time.

    Raises:
        ImageError: if it is damaged.
    """
    try:
        return bag.deserialize(content, topic.msgtype)
    except Exception as error:  # of rosbags or of struct, by version
        raise ImageError(f'the message is damaged: {error}') from error


def picture_of(message: Any) -> Union[RawImage, CompressedImage]:
    """Return the picture in an image message of a bag, still encoded."""
    if hasattr(message, 'format'):
        return CompressedImage(message.format, message.data)
    return RawImage(message.height, message.width, message.encoding, bool(message.is_bigendian),
                    message.step, message.data)
