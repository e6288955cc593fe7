# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A picture as the bytes of a file, from a message or a disk: checked, decoded, made RGB.

Whatever the file is, nothing goes to stderr: who reads it tells what is wrong, and how often.
"""
import contextlib
import threading
from typing import Iterator, Optional

import cv2
import numpy as np

from ltp_ros.frames import exif, jpeg, png
from ltp_ros.frames.encodings import LAYOUTS, ImageError, Layout, check_size

JPEG, PNG = jpeg.START, png.SIGNATURE  # their first bytes
GREY16 = '16-bit grey, which may be depth'
_one_at_a_time = threading.Lock()


def stored_pixels(data: np.ndarray, flags: int,
                  max_unpacked: Optional[int] = None) -> Optional[np.ndarray]:
    """Decode a file, having checked a JPEG or PNG before.

    Args:
        data: its bytes (n,) uint8.
        flags: of cv2.imdecode.
        max_unpacked: bytes of the pixels, at most, where those of a PNG count twice; None: as
            many as the largest image has.

    Returns:
        (H, W) if grey, else (H, W, C); None if it cannot be decoded.

    Raises:
        ImageError: if the JPEG or PNG is not whole, or the size is absurd.
    """
    def check(height: int, width: int, cost: int) -> None:
        check_size(height, width, LAYOUTS['bgr8'], 'a compressed image')
        if max_unpacked is not None and height * width * cost > max_unpacked:
            raise ImageError(f'width {width}, height {height}: a compressed image of this kind '
                             f'takes at most {max_unpacked // cost} pixels; publish a smaller one')

    file = data.tobytes()
    if file.startswith(JPEG):
        header = jpeg.read_header(file, check)
        pixels, block = jpeg.decode_jpeg(header), header.exif
    elif file.startswith(PNG):
        file, block = png.sound_png(file, check)
        pixels = _imdecode(np.frombuffer(file, np.uint8), flags)
    else:
        with _opencv_muted():
            return _imdecode(data, flags)
    if pixels is None or flags & cv2.IMREAD_IGNORE_ORIENTATION:
        return pixels
    return exif.upright(pixels, exif.orientation(block))


def _imdecode(data: np.ndarray, flags: int) -> Optional[np.ndarray]:
    with contextlib.suppress(cv2.error):  # damage is an error or None, as the version has it
        return cv2.imdecode(data, flags)
    return None


@contextlib.contextmanager
def _opencv_muted() -> Iterator[None]:
    """Silence OpenCV's own log, which is one for all threads, for files that no camera sends."""
    logging = getattr(cv2.utils, 'logging', None)  # OpenCV 4.5 has none in Python
    if logging is None:
        yield
        return
    with _one_at_a_time:
        level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
        try:
            yield
        finally:
            logging.setLogLevel(level)


def may_be_depth(pixels: np.ndarray) -> bool:
    """Return whether pixels may be measurements: one number each, of more than 8 bits."""
    return pixels.ndim == 2 and pixels.dtype != np.uint8


def to_rgb(pixels: np.ndarray, layout: Layout) -> np.ndarray:
    """Return uint8 or uint16 pixels of a layout as C-contiguous (H, W, 3) uint8 RGB."""
    if pixels.dtype != np.uint8:
        native = np.require(pixels, np.uint16, ['C', 'A'])
        pixels = cv2.convertScaleAbs(native, alpha=255 / 65535)
    if layout.code is None:
        return np.ascontiguousarray(pixels)
    return cv2.cvtColor(pixels, layout.code)
