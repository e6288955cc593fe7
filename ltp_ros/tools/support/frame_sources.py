# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Image sources of `ltp_image_source`: iterators of (name, RGB image)."""
import functools
import itertools
import math
import os
import sys
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, Tuple, Union
from urllib.parse import urlsplit

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
PACKAGED = 'samples'  # the source that is all of them
SAMPLE_FOLDER = Path(__file__).parents[1] / 'samples'
PAN_FRAMES = 30  # per sample image, from the first view back to it
PAN_ZOOM = 1.2   # size of a sample image relative to the view
NamedImage = Tuple[str, np.ndarray]


def open_source(source: str, loop: bool, samples: Iterable[str], note: Note = ignore
                ) -> Iterator[NamedImage]:
    """Return the frames of a video file, an image folder, a camera, a stream, or 'samples'.

    Args:
        source: a path, a camera's number or device, an address such as 'rtsp://…', or 'samples'.
        loop: start over at the end; ignored for a camera.
        samples: names in `SAMPLES`, for the source 'samples'.
        note: called if images of a folder are left out; once, even if they are read in a loop.

    Raises:
        ImageFileError: if the source is not one of these, or yields no frame.
    """
    read: Callable[[], Iterator[NamedImage]]
    if source == PACKAGED:
        read = functools.partial(panned_samples, samples)
    elif is_camera(source):
        _check_device(source)
        read = functools.partial(named_video, int(source) if source.isdecimal() else source)
    elif source and (Path(source).is_dir() or is_image_file(Path(source))):
        read = functools.partial(folder_frames, Path(source), functools.lru_cache()(note))
    elif Path(source).is_file() or '://' in source:
        read = functools.partial(named_video, source)
    else:
        raise ImageFileError(
            f'source {source!r} is neither a file nor a folder; expected a video file, a folder '
            "of images, a camera's number or device such as /dev/video0, a stream such as "
            "rtsp://HOST/PATH, or 'samples'")
    return _frames(source, read, loop and not is_camera(source))


def absolute_source(source: str) -> str:
    """Return a source for a process in another folder: its path absolute, if it is one."""
    named = source in ('', PACKAGED) or is_camera(source) or '://' in source
    return source if named else os.path.abspath(source)


def is_camera(source: str) -> bool:
    """Return whether a source is the number or the device of a camera, which has no end."""
    path = Path(source)
    return source.isdecimal() or (
        source.startswith('/dev/') and not path.is_file() and not path.is_dir())


def _check_device(source: str) -> None:
    """Raise ImageFileError if a camera is missing or forbidden; OpenCV does not tell which."""
    if not sys.platform.startswith('linux'):
        return
    device = Path(f'/dev/video{int(source)}' if source.isdecimal() else source)
    if not device.exists():
        here = ', '.join(sorted(map(str, Path('/dev').glob('video*')))) or 'none'
        reason = f'there is no {device}; cameras here: {here}'
    elif not os.access(str(device), os.R_OK | os.W_OK):
        reason = f'{device} is not open to this user; add it to the group video'
    else:
        return
    raise ImageFileError(f'OpenCV cannot open the video {source}: {reason}')


def _frames(source: str, read: Callable[[], Iterator[NamedImage]],
            loop: bool) -> Iterator[NamedImage]:
    """Return the frames of one or all passes; raise now if there is none."""
    opened = read()  # once: a camera cannot be opened twice
    first = next(opened, None)
    if first is None:
        raise ImageFileError(f'source {source!r} contains no frame that OpenCV can read')
    more = (frame for _ in itertools.count() for frame in read()) if loop else iter(())
    return itertools.chain([first], opened, more)


def named_video(source: Union[str, int]) -> Iterator[NamedImage]:
    """Yield the frames of a video file, a stream or a camera, all under one name."""
    # Not the whole address, which may hold a password
    name = (f'camera {source}' if isinstance(source, int) else
            (urlsplit(source).hostname if '://' in source else None) or Path(source).stem)
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
