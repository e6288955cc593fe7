# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures as files: folders, encoded images, videos, webcams. Always (H, W, 3) uint8 RGB."""
from pathlib import Path
from typing import Iterator, List, Optional, Union

import cv2
import numpy as np

from ltp_ros.files import walk

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.ppm', '.tif', '.tiff')

EncodedImage = Union[Path, np.ndarray]  # a file, or the bytes (n,) uint8 of one


class ImageFileError(ValueError):
    """Unusable pictures; the message names them and the expected form."""


def image_files(folder: Path) -> List[Path]:
    """Return the images in a folder and its subfolders, in order; see `files.walk`."""
    return walk(folder, IMAGE_SUFFIXES)


def decode_rgb(image: EncodedImage) -> np.ndarray:
    """Return an image file, given by its path or its bytes, as (H, W, 3) uint8 RGB.

    Raises:
        ImageFileError: if it cannot be read as an image.
    """
    # imdecode for both: imread cannot open every path on every platform
    encoded = np.fromfile(str(image), np.uint8) if isinstance(image, Path) else image
    bgr = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
    if bgr is None:
        name = str(image) if isinstance(image, Path) else f'an entry of {encoded.size} bytes'
        raise ImageFileError(f'{name} cannot be read as an image')
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def spread(count: int, limit: Optional[int]) -> np.ndarray:
    """Return at most `limit` indices below `count`, ascending and evenly spaced."""
    limit = min(limit or count, count)
    return np.arange(limit) * count // max(limit, 1)


def video_frames(source: Union[str, int], limit: Optional[int] = None) -> Iterator[np.ndarray]:
    """Yield the frames of a video file (path) or a webcam (number), each (H, W, 3) RGB.

    Args:
        source: path or number.
        limit: at most so many frames, evenly spread over the file; None: all of them.

    Raises:
        ImageFileError: if OpenCV cannot open it, or with a limit if its length is unknown.
    """
    capture = cv2.VideoCapture(source)
    try:
        if not capture.isOpened():
            raise ImageFileError(f'OpenCV cannot open the video {source!r}')
        if limit is None:
            while True:
                success, bgr = capture.read()
                if not success:
                    return
                yield cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        length = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        if not length:
            raise ImageFileError(f'{source!r} is not a video with a known number of frames')
        wanted = set(spread(length, limit).tolist())
        for index in range(max(wanted) + 1):
            if not capture.grab():
                return
            if index in wanted:
                yield cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB)
    finally:
        capture.release()
