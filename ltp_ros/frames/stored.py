# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A picture as the bytes of a file, from a message or a disk: checked, decoded, made RGB."""
import contextlib
import struct
from typing import Optional, Tuple

import cv2
import numpy as np

from ltp_ros.frames.encodings import LAYOUTS, ImageError, Layout, check_size

JPEG, PNG = b'\xff\xd8\xff', b'\x89PNG\r\n\x1a\n'  # their first bytes
GREY16 = '16-bit grey, which may be depth'
_JPEG_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def stored_pixels(data: np.ndarray, flags: int) -> Optional[np.ndarray]:
    """Decode a file, having checked a JPEG or PNG before.

    Args:
        data: its bytes (n,) uint8.
        flags: of cv2.imdecode.

    Returns:
        (H, W) if grey, else (H, W, C); None if OpenCV cannot decode it.

    Raises:
        ImageError: if the JPEG or PNG is not whole, or the size is absurd.
    """
    file = data.tobytes()
    if file.startswith((JPEG, PNG)):
        height, width = _jpeg_size(file) if file.startswith(JPEG) else _png_size(file)
        check_size(height, width, LAYOUTS['bgr8'], 'a compressed image')
    with contextlib.suppress(cv2.error):  # damage is an error or None, as the version has it
        return cv2.imdecode(data, flags)
    return None


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


def _jpeg_size(file: bytes) -> Tuple[int, int]:
    """Return (height, width) of a JPEG, having checked that its end marker is there.

    Pillow opens a file lazily and checks neither this nor the chunks of a PNG.
    Without it OpenCV below 4.11 fills the missing rows with leftovers and reports nothing. The
    marker is looked for behind the first scan header: a segment before that may hold a thumbnail
    with an end of its own, and the coded pixels after it escape every ff.
    """
    size = (0, 0)
    at = file.find(b'\xff', 2)
    while 0 <= at < len(file) - 3 and file[at + 1] != 0xDA:  # start of scan
        if file[at + 1] in _JPEG_START_OF_FRAME:
            size = struct.unpack('>HH', file[at + 5:at + 9].ljust(4, b'\0'))
        is_fill_byte = file[at + 1] == 0xFF
        at += 1 if is_fill_byte else 2 + int.from_bytes(file[at + 2:at + 4], 'big')
        at = file.find(b'\xff', at)
    if at < 0 or file.rfind(b'\xff\xd9', at) < 0:
        raise ImageError(f'the JPEG of {len(file)} bytes has no end marker (ff d9); expected a '
                         'whole file: look for a loss on the way')
    return size


def _png_size(file: bytes) -> Tuple[int, int]:
    """Return (height, width) of a PNG, having checked that its chunks reach to its end.

    OpenCV 4.11 and newer believe a damaged chunk length and clear gigabytes for it, which takes
    seconds, before they find that the file is shorter.
    """
    at, name = 8, b''
    while name != b'IEND' and at + 12 <= len(file):
        length, name = struct.unpack_from('>I4s', file, at)
        at += 12 + length
    if name != b'IEND' or at > len(file) or len(file) < 24:
        raise ImageError(f'the PNG of {len(file)} bytes is damaged; expected a whole file: look '
                         'for a loss on the way')
    width, height = struct.unpack_from('>II', file, 16)
    return height, width
