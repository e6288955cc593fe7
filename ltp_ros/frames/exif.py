# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Which side of a photo is up, by its EXIF."""
import struct

import cv2
import numpy as np

_ORDER = {b'II': '<', b'MM': '>'}
_ORIENTATION = 0x0112


def orientation(exif: bytes) -> int:
    """Return the orientation, 1 to 8, that an EXIF block tells; 1, upright, if it tells none."""
    order = _ORDER.get(exif[:2])
    if order is None:
        return 1
    try:
        at, = struct.unpack_from(f'{order}I', exif, 4)
        count, = struct.unpack_from(f'{order}H', exif, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack_from(f'{order}HHIH', exif, entry)
            if tag == _ORIENTATION:
                return value if 1 <= value <= 8 else 1
    except struct.error:  # the block is cut off
        pass
    return 1


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Return pixels (H, W) or (H, W, C) that are stored in an orientation of 1 to 8 upright."""
    if orientation >= 5:
        pixels = cv2.transpose(pixels)
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    return pixels if flip is None else cv2.flip(pixels, flip)
