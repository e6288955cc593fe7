# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Small objects on a calm ground: each picture of a set, shrunk, on a canvas made of another."""
from typing import Sequence

import cv2
import numpy as np

from ltp_ros.images import EncodedImage, decode_rgb

CANVAS = 480  # pixels a side, as the short side of most robots' cameras
BLUR = 15.0   # standard deviation, pixels of the canvas
GROUNDS = ('blur', 'flat', 'sharp')


class CompositeError(ValueError):
    """A description of composites that cannot be followed."""


class Composites(Sequence[EncodedImage]):
    """The pictures of a set, each at a random place of a canvas; the same for the same seed.

    Each is made when it is asked for, as the bytes of a bitmap.

    Args:
        images: at least two.
        description: 'SHARE:GROUND': of the canvas's width, 0.05 to 1, that a picture takes, and
            one of GROUNDS: another picture of the set blurred, its mean colour, or as it is.
        seed: of the places and grounds.

    Raises:
        CompositeError: if the description is not such, or there is one image alone.
    """

    def __init__(self, images: Sequence[EncodedImage], description: str, seed: int = 0):
        share, _, self._ground = description.partition(':')
        try:
            self._share = float(share)
        except ValueError:
            self._share = 0.0
        if not 0.05 <= self._share <= 1.0 or self._ground not in GROUNDS:
            raise CompositeError(
                f'composites {description!r} are not allowed; expected SHARE:GROUND, with a share '
                f'of the width from 0.05 to 1 and {", ".join(GROUNDS)}, such as 0.45:blur')
        if len(images) < 2:
            raise CompositeError('a composite needs a second picture for its ground; give a '
                                 'folder of at least two')
        self._images, self._seed = images, seed

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        bgr = cv2.cvtColor(self.compose(range(len(self))[index]), cv2.COLOR_RGB2BGR)
        return cv2.imencode('.bmp', bgr)[1].reshape(-1)

    def compose(self, index: int) -> np.ndarray:
        """Return a composite (CANVAS, CANVAS, 3) uint8 RGB.

        Raises:
            ltp_ros.images.ImageFileError: if one of its two pictures cannot be read.
        """
        rng = np.random.default_rng([self._seed, index])
        other = (index + 1 + int(rng.integers(len(self) - 1))) % len(self)
        canvas = self._canvas(decode_rgb(self._images[other]))
        side = round(self._share * CANVAS)
        top, left = rng.integers(0, CANVAS - side + 1, 2)
        canvas[top:top + side, left:left + side] = cv2.resize(
            decode_rgb(self._images[index]), (side, side), interpolation=cv2.INTER_AREA)
        return canvas

    def _canvas(self, rgb: np.ndarray) -> np.ndarray:
        if self._ground == 'flat':
            return np.full((CANVAS, CANVAS, 3), np.rint(rgb.mean(axis=(0, 1))), np.uint8)
        canvas = cv2.resize(rgb, (CANVAS, CANVAS), interpolation=cv2.INTER_CUBIC)
        return cv2.GaussianBlur(canvas, (0, 0), BLUR) if self._ground == 'blur' else canvas
