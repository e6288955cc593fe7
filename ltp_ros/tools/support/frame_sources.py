# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Image sources of `ltp_image_source`: iterators of (name, RGB image)."""
import functools
import itertools
import math
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, Tuple, Union

import cv2
import numpy as np

from ltp_ros.images import (
    ImageFileError,
    Note,
    decode_rgb,
    ignore,
    image_files,
    is_image_file,
    read_images,
    video_frames,
)

# The images in this package, with words for their subject: a correct label contains one of them
SAMPLES: Dict[str, Tuple[str, ...]] = {
    'chelsea': ('cat',),
    'coffee': ('coffee', 'espresso', 'cup'),
    'rocket': ('rocket', 'missile', 'shuttle'),
}
SAMPLE_FOLDER = Path(__file__).parents[1] / 'samples'
PAN_FRAMES = 30  # per sample image, from the first view back to it
PAN_ZOOM = 1.2   # size of a sample image relative to the view
NamedImage = Tuple[str, np.ndarray]


def open_source(source: str, loop: bool, samples: Iterable[str], note: Note = ignore
                ) -> Iterator[NamedImage]:
    """Return the frames of a video file, an image folder, a webcam, or 'samples'.

    Args:
        source: a path, a webcam number, or 'samples'.
        loop: start over at the end; ignored for a webcam.
        samples: names in `SAMPLES`, for the source 'samples'.
        note: called if images of a folder are left out; once, even if they are read in a loop.

    Raises:
        ImageFileError: if the source is not one of these, or yields no frame.
    """
    read: Callable[[], Iterator[NamedImage]]
    if source == 'samples':
        read = functools.partial(panned_samples, samples)
    elif source.isdecimal():
        webcam = named_video(int(source))
        return itertools.chain([next(webcam)], webcam)  # raises now if the webcam is missing
    elif source and (Path(source).is_dir() or is_image_file(Path(source))):
        read = functools.partial(folder_frames, Path(source), functools.lru_cache()(note))
    elif Path(source).is_file():
        read = functools.partial(named_video, source)
    else:
        raise ImageFileError(
            f"source {source!r} is neither a file nor a folder; expected a video file, a folder "
            "of images, a webcam number, or 'samples'")
    first = next(read(), None)
    if first is None:
        raise ImageFileError(f'source {source!r} contains no frame that OpenCV can read')
    passes = itertools.count() if loop else range(1)
    return (frame for _ in passes for frame in read())


def named_video(source: Union[str, int]) -> Iterator[NamedImage]:
    """Yield the frames of a video file (path) or webcam (number), all under one name."""
    name = f'camera {source}' if isinstance(source, int) else Path(source).stem
    return ((name, rgb) for rgb in video_frames(source))


def folder_frames(folder: Path, note: Note) -> Iterator[NamedImage]:
    """Yield the images of a folder and its subfolders, or a single one, each under its own name.

    Raises:
        ImageFileError: if too many cannot be read.
    """
    paths = image_files(folder)
    return ((paths[index].stem, rgb) for index, rgb in read_images(paths, len(paths), note))


def panned_samples(names: Iterable[str]) -> Iterator[NamedImage]:
    """Yield views of each sample image, as a panning camera would see it."""
    for name in names:
        for rgb in pan(decode_rgb(SAMPLE_FOLDER / f'{name}.jpg'), (480, 640), PAN_FRAMES):
            yield name, rgb


def pan(image: np.ndarray, size: Tuple[int, int], num_frames: int) -> Iterator[np.ndarray]:
    """Yield `num_frames` views of (height, width) `size` along a closed path over an image."""
    scale = PAN_ZOOM * max(size[0] / image.shape[0], size[1] / image.shape[1])
    large = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    room_y, room_x = large.shape[0] - size[0], large.shape[1] - size[1]
    for index in range(num_frames):
        angle = 2 * math.pi * index / num_frames
        top = round(room_y * (0.5 - 0.5 * math.cos(angle)))
        left = round(room_x * (0.5 - 0.5 * math.sin(angle)))
        yield large[top:top + size[0], left:left + size[1]]
