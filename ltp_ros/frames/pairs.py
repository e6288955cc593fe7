# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Which image a detector's boxes belong to, by their stamps. No ROS, no clock."""
from collections import deque
from dataclasses import dataclass, replace
from typing import Any, Deque, Optional, Tuple

from ltp_ros.frames.crops import Box
from ltp_ros.frames.latency import NS_PER_MS
from ltp_ros.frames.mailbox import Frame

MOST_BYTES = 2 ** 28   # of the images that wait for their boxes; the oldest goes first
MOST_IMAGES = 60       # two seconds of a camera
MOST_ARRAYS = 10       # that wait for an image, which seldom comes after its boxes


@dataclass(frozen=True)
class PictureWithBoxes:
    """What stands for the message of a frame whose boxes are to be answered."""

    picture: Any        # the message of the image
    detections: Any     # that of the detector
    boxes: Tuple[Box, ...]

    @property
    def header(self) -> Any:
        """The header of the image."""
        return self.picture.header


@dataclass(frozen=True)
class Detections:
    """One array of a detector as it came in."""

    message: Any
    boxes: Tuple[Box, ...]
    stamp_ns: int


class Pairs:
    """Hands on each image with its boxes, as soon as both are there.

    An image and an array belong together if their stamps do not differ by more than `slop_ns`;
    where there are several such images, the nearest. Each is used once, and what is older than
    the last pair is given up.

    Args:
        slop_ns: 0: the stamps must be equal.
    """

    def __init__(self, slop_ns: int = 0):
        self._slop_ns = slop_ns
        self._images: Deque[Tuple[int, Frame]] = deque(maxlen=MOST_IMAGES)
        self._bytes = 0
        self._arrays: Deque[Detections] = deque(maxlen=MOST_ARRAYS)
        self.newest_image_ns = self.newest_array_ns = 0  # stamps, to tell why nothing fits
        self.lost = 0  # arrays that no image was found for

    def add_image(self, stamp_ns: int, frame: Frame) -> Optional[Frame]:
        """Take an image; return it with its boxes if those were there before."""
        self.newest_image_ns = stamp_ns
        fitting = [array for array in self._arrays
                   if abs(array.stamp_ns - stamp_ns) <= self._slop_ns]
        if not fitting:
            self._keep(stamp_ns, frame)
            return None
        nearest = min(fitting, key=lambda array: abs(array.stamp_ns - stamp_ns))
        while self._arrays:
            older = self._arrays.popleft()
            if older is nearest:
                break
            self.lost += 1
        return _paired(frame, nearest, frame.receive_ns)

    def add_detections(self, array: Detections, receive_ns: int) -> Optional[Frame]:
        """Take an array; return it with its image if that was there before.

        `receive_ns`: when it came, on the clock of `Frame.receive_ns`.
        """
        self.newest_array_ns = array.stamp_ns
        fitting = [(abs(stamp_ns - array.stamp_ns), index)
                   for index, (stamp_ns, _) in enumerate(self._images)
                   if abs(stamp_ns - array.stamp_ns) <= self._slop_ns]
        if not fitting:
            self.lost += len(self._arrays) == MOST_ARRAYS
            self._arrays.append(array)
            return None
        for _ in range(min(fitting)[1]):
            self._forget_oldest()
        return _paired(self._forget_oldest(), array, receive_ns)

    def _keep(self, stamp_ns: int, frame: Frame) -> None:
        while self._images and (len(self._images) == MOST_IMAGES or
                                self._bytes + _size(frame) > MOST_BYTES):
            self._forget_oldest()
        self._images.append((stamp_ns, frame))
        self._bytes += _size(frame)

    def _forget_oldest(self) -> Frame:
        _, frame = self._images.popleft()
        self._bytes -= _size(frame)
        return frame


def _size(frame: Frame) -> int:
    return len(frame.message.data)


def _paired(frame: Frame, array: Detections, receive_ns: int) -> Frame:
    """Return the frame that comes when both are there: older by what it waited for its boxes."""
    waited_ms = (receive_ns - frame.receive_ns) / NS_PER_MS
    # Simulated milliseconds are no real ones: the wait is left out, not added to them
    age_ms = frame.age_at_receive_ms + (0.0 if frame.simulated else waited_ms)
    return replace(frame, message=PictureWithBoxes(frame.message, array.message, array.boxes),
                   receive_ns=receive_ns, age_at_receive_ms=age_ms)
