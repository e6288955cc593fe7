# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures as files: folders, encoded images, videos, webcams. Always (H, W, 3) uint8 RGB."""
from pathlib import Path
from typing import Iterator, List, Optional, Union

import cv2
import numpy as np

from ltp_ros.files import walk
from ltp_ros.frames.encodings import LAYOUTS, ImageError
from ltp_ros.frames.stored import GREY16, may_be_depth, stored_pixels, to_rgb

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.ppm', '.tif', '.tiff')
EXPECTED = ('colours or 8-bit grey; if it is a photo, save it with 8 bits: cv2.convertScaleAbs('
            'pixels, alpha=255 / pixels.max())')

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
    try:
        # imdecode for both: imread cannot open every path on every platform
        encoded = np.fromfile(str(image), np.uint8) if isinstance(image, Path) else image
        return _picture_of(stored_pixels(encoded, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH))
    except (OSError, ImageError) as error:
        name = str(image) if isinstance(image, Path) else f'an entry of {image.size} bytes'
        raise ImageFileError(f'{name} cannot be read as an image: {error}') from error


def _picture_of(pixels: Optional[np.ndarray]) -> np.ndarray:
    if pixels is None:
        raise ImageError('it is damaged, or of a format that OpenCV does not know')
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ImageError(f'it holds numbers of type {pixels.dtype}, not {EXPECTED}')
    if may_be_depth(pixels):
        raise ImageError(f'it holds {GREY16}, not {EXPECTED}')
    return to_rgb(pixels, LAYOUTS['mono8' if pixels.ndim == 2 else 'bgr8'])


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
