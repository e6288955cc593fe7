# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Where the pictures of `ltp_image_source` come from: iterators of (name, BGR image)."""
import functools
import itertools
import math
from pathlib import Path
from typing import Callable, Dict, Iterator, Tuple, Union

import cv2
import numpy as np

from ltp_ros.datasets import IMAGE_SUFFIXES

# Pictures that come inside scikit-image (no download), and words that a right label may hold.
SAMPLES: Dict[str, Tuple[str, ...]] = {
    'chelsea': ('cat',),
    'coffee': ('coffee', 'espresso', 'cup'),
    'rocket': ('rocket', 'missile', 'shuttle'),
}
PAN_FRAMES = 30  # a sample crosses the view in so many frames
PAN_ZOOM = 1.2  # how much larger than the view a sample is shown
NamedImage = Tuple[str, np.ndarray]


class SourceError(ValueError):
    """A source that cannot be read; the message says what came and what is allowed."""


def open_source(source: str, loop: bool, samples: Tuple[str, ...]) -> Iterator[NamedImage]:
    """Return the frames of a video file, a folder of pictures, a webcam, or 'samples'.

    Args:
        source: a path, the number of a webcam, or 'samples'.
        loop: begin again at the end; a webcam has none.
        samples: which of `SAMPLES`, for that source.

    Raises:
        SourceError: if the source is none of these or holds no pictures.
    """
    read: Callable[[], Iterator[NamedImage]]
    if source == 'samples':
        read = functools.partial(panned_samples, samples)
    elif source.isdecimal():
        webcam = video_frames(int(source))
        return itertools.chain([next(webcam)], webcam)  # it is there, or an error now
    elif source and Path(source).is_dir():
        read = functools.partial(folder_frames, Path(source))
    elif Path(source).is_file():
        read = functools.partial(video_frames, source)
    else:
        raise SourceError(f"source {source!r} is no file and no folder; expected a video file, a "
                          "folder of pictures, the number of a webcam, or 'samples'")
    first = next(read(), None)
    if first is None:
        raise SourceError(f'source {source!r} holds no frame that OpenCV can read')
    passes = itertools.count() if loop else range(1)
    return (frame for _ in passes for frame in read())


def video_frames(source: Union[str, int]) -> Iterator[NamedImage]:
    """Yield the frames of a video file (path) or a webcam (number), all under one name."""
    capture = cv2.VideoCapture(source)
    try:
        if not capture.isOpened():
            raise SourceError(f'OpenCV cannot open the video {source!r}')
        name = f'camera {source}' if isinstance(source, int) else Path(source).stem
        while True:
            success, image = capture.read()
            if not success:
                return
            yield name, image
    finally:
        capture.release()


def folder_frames(folder: Path) -> Iterator[NamedImage]:
    """Yield the pictures of a folder in the order of their names, each under its own."""
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise SourceError(f'OpenCV cannot read the picture {str(path)!r}')
        yield path.stem, image


def panned_samples(names: Tuple[str, ...]) -> Iterator[NamedImage]:
    """Yield scikit-image's sample pictures, each moved across the frame as by a panning camera."""
    from skimage import data  # noqa: PLC0415  a second to import, and only this source needs it
    for name in names:
        picture = getattr(data, name)()[..., :3]
        for image in pan(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), (480, 640), PAN_FRAMES):
            yield name, image


def pan(picture: np.ndarray, size: Tuple[int, int], num_frames: int) -> Iterator[np.ndarray]:
    """Yield `num_frames` views of (height, width) `size` that wander over a picture and back."""
    scale = PAN_ZOOM * max(size[0] / picture.shape[0], size[1] / picture.shape[1])
    large = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    room_y, room_x = large.shape[0] - size[0], large.shape[1] - size[1]
    for index in range(num_frames):
        angle = 2 * math.pi * index / num_frames
        top = round(room_y * (0.5 - 0.5 * math.cos(angle)))
        left = round(room_x * (0.5 - 0.5 * math.sin(angle)))
        yield large[top:top + size[0], left:left + size[1]]
