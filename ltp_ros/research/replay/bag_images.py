# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The images of a bag as a node would receive them, in the order in which they were recorded."""
import hashlib
import heapq
import os
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Container,
    Dict,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Union,
)

import numpy as np

from ltp_ros.files import is_content
from ltp_ros.frames.decoding import CompressedImage, RawImage, decode
from ltp_ros.frames.encodings import ImageError
from ltp_ros.images import Note
from ltp_ros.research.datasets import DatasetError
from ltp_ros.research.recordings import (
    BAG_SUFFIXES,
    METADATA,
    bag_files,
    deserialized,
    image_topics,
    is_bag,
    opened_bag,
    picture_of,
    usable,
)

if TYPE_CHECKING:
    from rosbags.interfaces import Connection  # optional

COMPRESSED = '/compressed'  # what image_transport adds to the topic of a camera
END = 2 ** 20  # bytes of each end of a file that tell it from others: a bag may have terabytes


class Header(NamedTuple):
    """std_msgs/Header."""

    sec: int
    nanosec: int
    frame_id: str

    @property
    def stamp_ns(self) -> int:
        """The stamp in nanoseconds."""
        return self.sec * 1_000_000_000 + self.nanosec


class BagImage(NamedTuple):
    """One image message of a bag."""

    number: int  # among those that are replayed, from 0
    topic: str  # of the camera
    record_ns: int
    header: Optional[Header]  # None: the message is damaged
    picture: Union[RawImage, CompressedImage, ImageError]  # still encoded, or what is wrong

    def rgb(self) -> np.ndarray:
        """Return it as (H, W, 3) uint8 RGB; ImageError if it cannot be decoded."""
        if isinstance(self.picture, ImageError):
            raise self.picture
        return decode(self.picture)


class Chosen(NamedTuple):
    """What of a bag is replayed."""

    cameras: Dict[str, str]  # topic in the bag -> that of the camera, as a node tells it
    total: int      # images
    duration_s: float


def bags_of(path: Path) -> List[Path]:
    """Return the bags in a folder, or the one that it is.

    Raises:
        DatasetError: if there is none.
    """
    if not path.exists():
        raise DatasetError(f"'{path}' does not exist; expected a bag: {', '.join(BAG_SUFFIXES)}, "
                           'a folder of ros2 bag, or a folder of bags')
    found = [entry for entry in sorted(path.iterdir()) if is_content(entry) and is_bag(entry)
             ] if path.is_dir() else []
    whole = (path / METADATA).is_file()
    # Files alone are one recording, which was split and has lost its metadata
    if is_bag(path) and (whole or not any(entry.is_dir() for entry in found)):
        return [path]
    if not found:
        raise DatasetError(f"'{path}' is not a bag; expected one of {', '.join(BAG_SUFFIXES)}, a "
                           'folder of ros2 bag, or a folder of bags')
    return found


def choose(path: Path, topics: Sequence[str], note: Note) -> Chosen:
    """Return what of a bag is replayed.

    Args:
        path: of a bag.
        topics: those to read; empty: all that have images in colour or grey, and of a camera that
            was recorded both raw and compressed the raw ones.
        note: called with the topics that are left out, and why.

    Raises:
        DatasetError: if a topic has no images, or there are none, or the bag cannot be read.
    """
    with opened_bag(path) as bag:
        found = image_topics(bag, path, topics)
        if not topics:
            found = _once(usable(bag, path, found, note), note)
        names = {topic.topic for topic in found}
        return Chosen({name: camera_of(name, names) for name in sorted(names)},
                      sum(topic.msgcount for topic in found), bag.duration / 1e9)


def camera_of(name: str, names: Container[str]) -> str:
    """Return the topic of the camera whose images are on a topic, one of `names`."""
    base = name[:-len(COMPRESSED)] if name.endswith(COMPRESSED) else name
    return name if base in names else base


def _once(topics: 'Sequence[Connection]', note: Note) -> 'List[Connection]':
    names = {topic.topic for topic in topics}
    twice = sorted(name for name in names if name.endswith(COMPRESSED)
                   and name[:-len(COMPRESSED)] in names)
    if twice:
        note(f'left out: {", ".join(twice)} (the same images are there raw; --topics asks for '
             'either)')
    return [topic for topic in topics if topic.topic not in twice]


def images(path: Path, chosen: Chosen) -> Iterator[BagImage]:
    """Yield the images of a bag, in the order of their record times.

    Raises:
        DatasetError: if the bag cannot be read.
    """
    with opened_bag(path) as bag:
        wanted = [topic for topic in bag.connections if topic.topic in chosen.cameras]
        for number, (topic, record_ns, content) in enumerate(_in_order(wanted)):
            camera = chosen.cameras[topic.topic]
            try:
                message = deserialized(bag, topic, content)
            except ImageError as error:
                yield BagImage(number, camera, record_ns, None, error)
                continue
            stamp = message.header.stamp
            header = Header(int(stamp.sec), int(stamp.nanosec), str(message.header.frame_id))
            yield BagImage(number, camera, record_ns, header, picture_of(message))


def _in_order(wanted: 'Sequence[Connection]') -> Iterator[Any]:
    """Yield (connection, nanoseconds, bytes); those of one moment in the same order each time.

    `AnyReader.messages` goes through the files of a bag in the order of their addresses in memory.
    """
    parts: Dict[int, List[Any]] = {}
    for topic in wanted:
        parts.setdefault(id(topic.owner), []).append(topic)
    return heapq.merge(*(topics[0].owner.messages(connections=topics)
                         for topics in parts.values()), key=lambda message: message[1])


def fingerprint(path: Path) -> Dict[str, List[object]]:
    """Return the size and a hash of both ends of each file of a bag, by name."""
    return {file.name: [file.stat().st_size, _digest(file)] for file in bag_files(path)}


def _digest(path: Path) -> str:
    with path.open('rb') as file:
        found = hashlib.sha256(file.read(END))
        file.seek(max(file.seek(0, os.SEEK_END) - END, 0))
        found.update(file.read(END))
    return found.hexdigest()
