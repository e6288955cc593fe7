# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Decode the image messages of ROS into RGB arrays.

The answer is always a C-contiguous (H, W, 3) uint8 RGB array, or an `ImageError`. The encodings of
raw images are in `encodings`.

Compressed images are JPEG or PNG, by their first bytes. Pixels come as stored: EXIF
orientation is ignored, as in image_transport, so that `image` and `image/compressed` agree. The
order of the channels is the file's, unless `format` ends in 'compressed rgb8': that publisher gave
RGB to an encoder of BGR, and image_transport's subscriber swaps it back. A mosaic
('bayer_rggb8; png compressed ') is demosaiced. Damage inside a JPEG that has its end goes
unnoticed: OpenCV does not report it.
"""

import array
import contextlib
import struct
from dataclasses import dataclass
from typing import Any, Tuple, Union

import cv2
import numpy as np

from ltp_ros.frames.encodings import (
    DEPTH,
    LAYOUTS,
    NV24,
    ImageError,
    Layout,
    check_size,
    is_depth,
    layout_of,
    short,
)

Buffer = Union[bytes, bytearray, memoryview, 'array.array[int]', np.ndarray]

_JPEG_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
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
    if isinstance(image, RawImage):
        return _decode_raw(image)
    if isinstance(image, CompressedImage):
        return _decode_compressed(image)
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
    return _to_rgb(pixels, layout)


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
    file = data.tobytes()
    if file.startswith(b'\xff\xd8\xff'):
        height, width = _jpeg_size(file)
    elif file.startswith(b'\x89PNG\r\n\x1a\n'):
        height, width = _png_size(file)
    else:
        raise ImageError(f'data ({data.size} bytes, format {short(image.format)}) begins with '
                         f'{file[:8]!r}; expected a JPEG or PNG file: set the publisher to one')
    check_size(height, width, LAYOUTS['bgr8'], 'a compressed image')
    pixels = None
    with contextlib.suppress(cv2.error):  # damage is an error or None, as the version has it
        pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ImageError(f'data ({data.size} bytes, format {short(image.format)}) is damaged; '
                         'expected a whole JPEG or PNG file: look for a loss on the way')
    if pixels.dtype != np.uint8 and pixels.ndim == 2 and (
            source not in LAYOUTS or LAYOUTS[source].bytes_per_sample == 1):
        raise ImageError(f'data holds 16-bit grey, which may be depth: format '
                         f'{short(image.format)} does not say; publish grey as "mono16; png '
                         'compressed", or subscribe to the colour image')
    layout = _stored_layout(image.format, 1 if pixels.ndim == 2 else pixels.shape[2])
    check_size(height, width, layout, 'a compressed mosaic')
    return _to_rgb(pixels, layout)


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


def _to_rgb(pixels: np.ndarray, layout: Layout) -> np.ndarray:
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
