# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Decode the image messages of ROS into RGB arrays.

The answer is always a C-contiguous (H, W, 3) uint8 RGB array, or an `ImageError`. The encodings of
raw images are in `encodings`.

Compressed images are JPEG or PNG, by their first bytes. Pixels come as stored: EXIF
orientation is ignored, as in image_transport, so that `image` and `image/compressed` agree. The
order of the channels is the file's, unless `format` ends in 'compressed rgb8': that publisher gave
RGB to an encoder of BGR, and image_transport's subscriber swaps it back. A mosaic
('bayer_rggb8; png compressed ') is demosaiced. Damage between the coded pixels of a JPEG goes
unnoticed, since many webcams leave stray bytes in good pictures.
"""

import array
from dataclasses import dataclass
from typing import Any, Union

import cv2
import numpy as np

from ltp_ros.files import short
from ltp_ros.frames.encodings import (
    DEPTH,
    LAYOUTS,
    NV24,
    ImageError,
    Layout,
    check_size,
    is_depth,
    layout_of,
)
from ltp_ros.frames.stored import GREY16, JPEG, PNG, may_be_depth, stored_pixels, to_rgb

# What a file may unpack to, which may itself be a thousand times smaller: bytes of pixels, where
# those of a PNG count twice, since they take twice as long. It takes about half a second, and has
# room for a JPEG of 8K.
MAX_UNPACKED = 2 ** 27

Buffer = Union[bytes, bytearray, memoryview, 'array.array[int]', np.ndarray]

# BT.601, video range, as COLOR_YUV2RGB_NV12: rows are R, G, B of Y, U, V and 1
_YUV_TO_RGB = np.array([[1.164383, 0.0, 1.596027, -222.9216],
                        [1.164383, -0.391762, -0.812968, 135.5754],
                        [1.164383, 2.017232, 0.0, -276.8358]])


@dataclass(frozen=True)
class RawImage:
    """The fields of sensor_msgs/Image, without the header."""

    height: int  # pixels
    width: int  # pixels
    encoding: str  # one of SUPPORTED_ENCODINGS
    is_bigendian: bool
    step: int  # bytes from one row to the next
    data: Buffer  # uint8, C-contiguous, at least step bytes for every row


@dataclass(frozen=True)
class CompressedImage:
    """The fields of sensor_msgs/CompressedImage, without the header."""

    format: str  # 'jpeg', or as image_transport writes it: 'rgb8; jpeg compressed bgr8'
    data: Buffer  # a whole JPEG or PNG file


def decode(image: Union[RawImage, CompressedImage]) -> np.ndarray:
    """Return the picture as a C-contiguous (H, W, 3) uint8 RGB array.

    An rgb8 image without padding is not copied: the array is a view of ``image.data``, read-only
    where the buffer is. Every other answer is a new array.

    Raises:
        ImageError: for whatever cannot be decoded; nothing else is raised for bad input.
    """
    try:
        if isinstance(image, RawImage):
            return _decode_raw(image)
        if isinstance(image, CompressedImage):
            return _decode_compressed(image)
    except (MemoryError, cv2.error) as error:
        raise ImageError(f'there is no memory for the pixels: {error}' if str(error) else
                         'there is no memory for the pixels') from error
    raise ImageError(f'{short(image)} is not an image; expected a RawImage or a CompressedImage')


def _decode_raw(image: RawImage) -> np.ndarray:
    layout = layout_of(image.encoding)
    height, width = _integer('height', image.height), _integer('width', image.width)
    check_size(height, width, layout, image.encoding)
    step, is_bigendian = _integer('step', image.step), _integer('is_bigendian', image.is_bigendian)
    row_bytes = width * layout.channels * layout.bytes_per_sample
    if step < row_bytes:
        raise ImageError(f'step is {short(step)}; a row of {width} {image.encoding} pixels takes '
                         f'{row_bytes} bytes: set step to the bytes from row to row')
    rows = height * layout.rows_per_two // 2
    data = _as_bytes(image.data)
    if data.size < rows * step:
        raise ImageError(f'data has {data.size} bytes; {width}x{height} {image.encoding} takes '
                         f'{short(rows * step)}, {rows} rows of step {short(step)}: publish the '
                         'whole buffer, and as height the rows of the picture')
    if layout is NV24:
        return _nv24_to_rgb(data, height, width, step)
    dtype = np.dtype(f'{">" if is_bigendian else "<"}u{layout.bytes_per_sample}')
    strides = (step, layout.channels * dtype.itemsize, dtype.itemsize)
    pixels = np.ndarray((rows, width, layout.channels), dtype, data, strides=strides)
    return to_rgb(pixels, layout)


def _nv24_to_rgb(data: np.ndarray, height: int, width: int, step: int) -> np.ndarray:
    """Convert a plane of Y and one of U and V as large, for which OpenCV has no code."""
    y = np.ndarray((height, width, 1), np.uint8, data, strides=(step, 1, 1))
    uv = np.ndarray((height, width, 2), np.uint8, data, height * step, (2 * step, 2, 1))
    return cv2.transform(np.concatenate((y, uv), axis=2), _YUV_TO_RGB)


def _decode_compressed(image: CompressedImage) -> np.ndarray:
    if not isinstance(image.format, str):
        raise ImageError(f'format is {short(image.format)}; expected a string such as "jpeg"')
    source = image.format.partition(';')[0].strip()
    if 'compressedDepth' in image.format or is_depth(source):
        raise ImageError(f'format {short(image.format)} is {DEPTH}')
    data = _as_bytes(image.data)
    start = data[:8].tobytes()
    if not start.startswith((JPEG, PNG)):
        raise ImageError(f'data ({data.size} bytes, format {short(image.format)}) begins with '
                         f'{start!r}; expected a JPEG or PNG file: set the publisher to one')
    pixels = stored_pixels(data, cv2.IMREAD_UNCHANGED, MAX_UNPACKED)
    if pixels is None:
        raise ImageError(f'data ({data.size} bytes, format {short(image.format)}) is damaged; '
                         'expected a whole JPEG or PNG file: look for a loss on the way')
    if may_be_depth(pixels) and (
            source not in LAYOUTS or LAYOUTS[source].bytes_per_sample == 1):
        raise ImageError(f'data holds {GREY16}: format {short(image.format)} does not say; '
                         'publish grey as "mono16; png compressed", or subscribe to the colour '
                         'image')
    layout = _stored_layout(image.format, 1 if pixels.ndim == 2 else pixels.shape[2])
    check_size(pixels.shape[0], pixels.shape[1], layout, 'a compressed mosaic')
    return to_rgb(pixels, layout)


def _stored_layout(image_format: str, channels: int) -> Layout:
    """Return the layout of the decoded pixels, from '<source>; <codec> compressed <stored>'.

    image_transport takes a colour image with no <stored> for RGB as well. It never writes that
    itself, and those who do ('bgr8; jpeg compressed') send ordinary files: read as such here.
    """
    source, _, rest = image_format.partition(';')
    stored = rest.partition('compressed')[2].strip()
    if channels == 1:
        name = stored or source.strip()
        return layout_of(name) if name.startswith('bayer_') else LAYOUTS['mono8']
    order = 'rgb' if stored.startswith('rgb') else 'bgr'
    return layout_of(order + ('8' if channels == 3 else 'a8'))


def _integer(name: str, value: object) -> int:
    if not isinstance(value, (int, np.integer, np.bool_)):
        raise ImageError(f'{name} is {short(value)}; expected an integer')
    return int(value)


def _as_bytes(data: Any) -> np.ndarray:
    """Return the buffer as a flat uint8 array that shares its memory."""
    try:
        if memoryview(data).format == 'B':
            return np.frombuffer(data, np.uint8)
    except (TypeError, ValueError, BufferError):  # no buffer, a closed one, one with gaps
        pass
    raise ImageError(f'data is {short(data)}; expected C-contiguous uint8 in bytes, bytearray, '
                     'memoryview, array.array or a numpy array')
