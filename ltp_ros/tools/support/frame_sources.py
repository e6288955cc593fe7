# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Where the pictures of `ltp_image_source` come from: iterators of (name, RGB image)."""
import functools
import itertools
import math
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, Tuple, Union

import cv2
import numpy as np

from ltp_ros.images import IMAGE_SUFFIXES, ImageFileError, decode_rgb, video_frames

# Pictures inside this package, and words that a correct label may contain
SAMPLES: Dict[str, Tuple[str, ...]] = {
    'chelsea': ('cat',),
    'coffee': ('coffee', 'espresso', 'cup'),
    'rocket': ('rocket', 'missile', 'shuttle'),
}
SAMPLE_FOLDER = Path(__file__).parents[1] / 'samples'
PAN_FRAMES = 30  # a sample crosses the view in so many frames
PAN_ZOOM = 1.2  # how much larger than the view a sample is shown
NamedImage = Tuple[str, np.ndarray]


def open_source(source: str, loop: bool, samples: Iterable[str]) -> Iterator[NamedImage]:
    """Return the frames of a video file, a folder of pictures, a webcam, or 'samples'.

    Args:
        source: a path, the number of a webcam, or 'samples'.
        loop: begin again at the end; a webcam has none.
        samples: which of `SAMPLES`, for that source.

    Raises:
        ImageFileError: if the source is none of these or holds no pictures.
    """
    read: Callable[[], Iterator[NamedImage]]
    if source == 'samples':
        read = functools.partial(panned_samples, samples)
    elif source.isdecimal():
        webcam = named_video(int(source))
        return itertools.chain([next(webcam)], webcam)  # it is there, or an error now
    elif source and Path(source).is_dir():
        read = functools.partial(folder_frames, Path(source))
    elif Path(source).is_file():
        read = functools.partial(named_video, source)
    else:
        raise ImageFileError(
            f"source {source!r} is neither a file nor a folder; expected a video file, a folder "
            "of pictures, the number of a webcam, or 'samples'")
    first = next(read(), None)
    if first is None:
        raise ImageFileError(f'source {source!r} holds no frame that OpenCV can read')
    passes = itertools.count() if loop else range(1)
    return (frame for _ in passes for frame in read())


def named_video(source: Union[str, int]) -> Iterator[NamedImage]:
    """Yield the frames of a video file (path) or a webcam (number), all under one name."""
    name = f'camera {source}' if isinstance(source, int) else Path(source).stem
    return ((name, rgb) for rgb in video_frames(source))


def folder_frames(folder: Path) -> Iterator[NamedImage]:
    """Yield the pictures of a folder in the order of their names, each under its own."""
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            yield path.stem, decode_rgb(path)


def panned_samples(names: Iterable[str]) -> Iterator[NamedImage]:
    """Yield the packaged pictures, each moved across the frame as by a panning camera."""
    for name in names:
        for rgb in pan(decode_rgb(SAMPLE_FOLDER / f'{name}.jpg'), (480, 640), PAN_FRAMES):
            yield name, rgb


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
