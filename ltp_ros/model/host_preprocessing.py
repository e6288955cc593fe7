# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What `preprocessing.Preprocessor` does on the CPU, without torch: half a gigabyte and seconds.

The same sums as those of torch's integer kernel, as sparse matrix products: the grey levels are
the same but for one pixel in ten thousand, which is one level off.
"""
import functools
from typing import Optional, Tuple

import cv2
import numpy as np
from scipy import sparse

from ltp_ros.model.data_config import DataConfig
from ltp_ros.region import Region

_MAX_SIZES = 64    # of cameras, and of boxes in their images, whose resize is remembered
_BAND = 128        # rows of an image at once, so that what is worked on stays in the cache
_WEIGHT_BITS = 15  # of torch's integer weights
_MOST_BITS = 22    # behind their point
_HALF_UP = 2.0 ** -16  # OpenCV rounds a half to the even number, torch up


class Weights:
    """One direction of a resize and the crop after it: which pixels count how much.

    Args:
        size: pixels of the image.
        resized: pixels that it is resized to.
        target: how many of them, from the middle, are left by the crop.
        interpolation: one of `data_config.INTERPOLATIONS`.

    `first` and `end` bound the pixels that count; `matrix` (target, end - first) is applied to
    them. Where `resized` is less than `target`, it has `resized` rows.
    """

    def __init__(self, size: int, resized: int, target: int, interpolation: str):
        start = round(max(resized - target, 0) / 2)  # as `Preprocessor.crop`
        pixels, weights = _taps(size, resized, interpolation)
        pixels, weights = (each[start:start + target] for each in (pixels, weights))
        used = weights != 0
        self.first, self.end = int(pixels[used].min()), int(pixels[used].max()) + 1
        rows = np.broadcast_to(np.arange(len(weights))[:, np.newaxis], weights.shape)
        self.matrix = sparse.csr_matrix(
            (weights[used].astype(np.float32), (rows[used], pixels[used] - self.first)),
            shape=(len(weights), self.end - self.first))

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Apply them to the rows of (end - first, n, 3) uint8; return (m, n, 3) uint8."""
        resized = self.matrix @ image.reshape(len(image), -1).astype(np.float32)
        rounded = cv2.add(resized, _HALF_UP, dtype=cv2.CV_8U)  # type: ignore[call-overload]
        return rounded.reshape(-1, *image.shape[1:])


def _taps(size: int, resized: int, interpolation: str) -> Tuple[np.ndarray, np.ndarray]:
    """Return which pixels each resized one is made of, and their weights, both (resized, n).

    The weights are torch's and PIL's, rounded as torch rounds them for uint8.
    """
    scale = size / resized
    centre = scale * (np.arange(resized)[:, np.newaxis] + 0.5)
    if interpolation == 'nearest':
        return np.minimum(centre.astype(np.int64), size - 1), np.ones((resized, 1))
    stretch = max(scale, 1.0)  # antialiased: wide enough for all that are under it
    reach = stretch * (2 if interpolation == 'bicubic' else 1)
    first = np.maximum((centre - reach + 0.5).astype(np.int64), 0)
    end = np.minimum((centre + reach + 0.5).astype(np.int64), size)
    pixels = first + np.arange((end - first).max())
    distance = np.abs(pixels - centre + 0.5) / stretch
    weights = np.where(pixels < end, _filter(distance, interpolation), 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    bits = next((bits for bits in range(_MOST_BITS)
                 if int(0.5 + weights.max() * 2 ** (bits + 1)) >= 2 ** _WEIGHT_BITS), _MOST_BITS)
    return pixels, np.trunc(weights * 2 ** bits + np.copysign(0.5, weights)) / 2 ** bits


def _filter(distance: np.ndarray, interpolation: str) -> np.ndarray:
    """Return the weight of a pixel at a distance from the centre, in resized pixels."""
    if interpolation == 'bilinear':
        return np.maximum(1.0 - distance, 0.0)
    near = (1.5 * distance - 2.5) * distance ** 2 + 1.0  # Keys' cubic with a = -0.5
    far = ((-0.5 * distance + 2.5) * distance - 4.0) * distance + 2.0
    return np.where(distance < 1, near, np.where(distance < 2, far, 0.0))


def _weights(config: DataConfig, height: int, width: int) -> Tuple[Weights, Weights]:
    """Return how the rows and the columns of images of this size are resized and cropped."""
    resized = config.resize_size(height, width)
    rows, columns = (Weights(*sides, config.interpolation)
                     for sides in zip((height, width), resized, config.input_size))
    return rows, columns


class HostPreprocessor:
    """Turn one (H, W, 3) uint8 RGB image into a model's input (1, 3, height, width) float32.

    Args:
        config: the input that the model expects.
    """

    def __init__(self, config: DataConfig):
        self.config = config
        mean, std = (255.0 * np.array(values) for values in (config.mean, config.std))
        self._margin = np.rint(mean).astype(np.uint8)  # where an image is smaller than the input
        levels = np.arange(256.0)[:, np.newaxis]
        self._normalised = ((levels - mean) / std).astype(np.float32)[np.newaxis]
        self._zoomed = config.zoomed
        self._weights = functools.lru_cache(_MAX_SIZES)(_weights)

    def __call__(self, rgb: np.ndarray, out: np.ndarray, box: Optional[Region] = None) -> None:
        """Write the normalised crop of an image, or all of a box in it, into `out`.

        Raises:
            ImageSizeError: if the image is too elongated.
        """
        config = self.config
        if box is not None:
            config, rgb = self._zoomed, rgb[box.slices]
        rows, columns = self._weights(config, *rgb.shape[:2])
        seen = rgb[rows.first:rows.end, columns.first:columns.end]
        narrow = np.empty((len(seen), columns.matrix.shape[0], 3), np.uint8)
        for top in range(0, len(seen), _BAND):
            band = slice(top, top + _BAND)
            # The columns first, as torch: it rounds between the two
            narrow[band] = cv2.transpose(columns(cv2.transpose(
                np.require(seen[band], requirements='C'))))
        crop = self._centred(rows(narrow))
        for plane, channel in zip(out[0], cv2.split(cv2.LUT(crop, self._normalised))):
            plane[:] = channel

    def _centred(self, crop: np.ndarray) -> np.ndarray:
        if crop.shape[:2] == self.config.input_size:
            return crop
        padded = np.empty((*self.config.input_size, 3), np.uint8)
        padded[:] = self._margin
        top, left = ((whole - part) // 2 for whole, part in zip(padded.shape, crop.shape[:2]))
        padded[top:top + crop.shape[0], left:left + crop.shape[1]] = crop
        return padded
