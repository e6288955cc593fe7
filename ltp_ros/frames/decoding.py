# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Decode the image messages of ROS into RGB arrays.

The answer is always a C-contiguous (H, W, 3) uint8 RGB array, or an `ImageError`. What the names
of the encodings leave open (sensor_msgs/image_encodings.hpp, cv_bridge):

* 8UC1 is grey and 8UC3 is BGR, OpenCV's order: the names are OpenCV's, cv_bridge shows them so.
* mono16 is scaled by 255/65535, as in cv_bridge; no stretching, or the answer would hang on the
  brightest pixel. A camera that fills only the lower 10 or 12 bits gives a dark picture.
* yuv422 is UYVY, yuv422_yuy2 is YUYV. All YUV is BT.601 in video range, as OpenCV reads it.
* nv12, nv21: `height` is the picture's; height/2 rows of chroma with the same `step` follow.
* A Bayer name spells the first two rows from the left; OpenCV's constant spells the second row
  from its second pixel on, so that bayer_rggb8 goes with COLOR_BayerBG2RGB.
* Alpha is dropped, not blended. Bytes behind the last row are ignored: drivers fill up pages.

Compressed images are JPEG or PNG, by their first bytes. Pixels come as stored: EXIF
orientation is ignored, as in image_transport, so that `image` and `image/compressed` agree. The
order of the channels is the file's, unless `format` ends in 'compressed rgb8': that publisher gave
RGB to an encoder of BGR, and image_transport's subscriber swaps it back. A mosaic
('bayer_rggb8; png compressed ') is demosaiced. Damage inside a JPEG that has its end goes
unnoticed: OpenCV does not report it.
"""

import array
import contextlib
import reprlib
import struct
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional, Tuple, Union

import cv2
import numpy as np

Buffer = Union[bytes, bytearray, memoryview, 'array.array[int]', np.ndarray]

MAX_SIDE = 65535  # pixels; the limit of JPEG, and far beyond any camera
MAX_PIXELS = 2 ** 28  # 0.8 GB of RGB: a larger header is damage or an attack
_JPEG_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class ImageError(ValueError):
    """An undecodable image; the message says what came, what is allowed and what to do."""


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


class _Layout(NamedTuple):
    """How the bytes of an encoding lie, and the cv2.cvtColor code that makes them RGB."""

    channels: int  # samples a pixel and row
    code: Optional[int]  # None: RGB already
    bytes_per_sample: int = 1
    rows_per_two: int = 2  # rows of data for every two rows of the picture
    unit: Tuple[int, int] = (1, 1)  # height and width are multiples of these
    min_side: int = 1  # pixels


_BAYER = {'rggb': cv2.COLOR_BayerBG2RGB, 'bggr': cv2.COLOR_BayerRG2RGB,
          'gbrg': cv2.COLOR_BayerGR2RGB, 'grbg': cv2.COLOR_BayerGB2RGB}
_UYVY = _Layout(2, cv2.COLOR_YUV2RGB_UYVY, unit=(1, 2))
_YUYV = _Layout(2, cv2.COLOR_YUV2RGB_YUY2, unit=(1, 2))
_LAYOUTS = {
    'rgb8': _Layout(3, None),
    'bgr8': _Layout(3, cv2.COLOR_BGR2RGB),
    'rgba8': _Layout(4, cv2.COLOR_RGBA2RGB),
    'bgra8': _Layout(4, cv2.COLOR_BGRA2RGB),
    'mono8': _Layout(1, cv2.COLOR_GRAY2RGB),
    'mono16': _Layout(1, cv2.COLOR_GRAY2RGB, bytes_per_sample=2),
    '8UC1': _Layout(1, cv2.COLOR_GRAY2RGB),
    '8UC3': _Layout(3, cv2.COLOR_BGR2RGB),
    'yuv422': _UYVY, 'uyvy': _UYVY,
    'yuv422_yuy2': _YUYV, 'yuyv': _YUYV,
    'nv12': _Layout(1, cv2.COLOR_YUV2RGB_NV12, rows_per_two=3, unit=(2, 2)),
    'nv21': _Layout(1, cv2.COLOR_YUV2RGB_NV21, rows_per_two=3, unit=(2, 2)),
    # OpenCV leaves a mosaic of fewer than 3 rows or columns black without a word.
    **{f'bayer_{name}8': _Layout(1, code, min_side=3) for name, code in _BAYER.items()},
}
SUPPORTED_ENCODINGS = tuple(_LAYOUTS)


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
    raise ImageError(f'{_short(image)} is not an image; expected a RawImage or a CompressedImage')


def _decode_raw(image: RawImage) -> np.ndarray:
    layout = _layout_of(image.encoding)
    height, width = _integer('height', image.height), _integer('width', image.width)
    _check_size(height, width, layout, image.encoding)
    step, is_bigendian = _integer('step', image.step), _integer('is_bigendian', image.is_bigendian)
    row_bytes = width * layout.channels * layout.bytes_per_sample
    if step < row_bytes:
        raise ImageError(f'step is {_short(step)}; a row of {width} {image.encoding} pixels takes '
                         f'{row_bytes} bytes: set step to the bytes from row to row')
    rows = height * layout.rows_per_two // 2
    data = _as_bytes(image.data)
    if data.size < rows * step:
        raise ImageError(f'data has {data.size} bytes; {width}x{height} {image.encoding} takes '
                         f'{_short(rows * step)}, {rows} rows of step {_short(step)}: publish the '
                         'whole buffer, and as height the rows of the picture')
    dtype = np.dtype(f'{">" if is_bigendian else "<"}u{layout.bytes_per_sample}')
    strides = (step, layout.channels * dtype.itemsize, dtype.itemsize)
    pixels = np.ndarray((rows, width, layout.channels), dtype, data, strides=strides)
    return _to_rgb(pixels, layout)


def _decode_compressed(image: CompressedImage) -> np.ndarray:
    if not isinstance(image.format, str):
        raise ImageError(f'format is {_short(image.format)}; expected a string such as "jpeg"')
    if 'compressedDepth' in image.format:
        raise ImageError(f'format {_short(image.format)} is a depth map, which has no colours to '
                         'classify; expected JPEG or PNG: subscribe to the colour image')
    data = _as_bytes(image.data)
    file = data.tobytes()
    if file.startswith(b'\xff\xd8\xff'):
        height, width = _jpeg_size(file)
    elif file.startswith(b'\x89PNG\r\n\x1a\n'):
        height, width = _png_size(file)
    else:
        raise ImageError(f'data ({data.size} bytes, format {_short(image.format)}) begins with '
                         f'{file[:8]!r}; expected a JPEG or PNG file: set the publisher to one')
    _check_size(height, width, _LAYOUTS['bgr8'], 'a compressed image')
    pixels = None
    with contextlib.suppress(cv2.error):  # damage is an error or None, as the version has it
        pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ImageError(f'data ({data.size} bytes, format {_short(image.format)}) is damaged; '
                         'expected a whole JPEG or PNG file: look for a loss on the way')
    layout = _stored_layout(image.format, 1 if pixels.ndim == 2 else pixels.shape[2])
    _check_size(height, width, layout, 'a compressed mosaic')
    return _to_rgb(pixels, layout)


def _stored_layout(image_format: str, channels: int) -> _Layout:
    """Return the layout of the decoded pixels, from '<source>; <codec> compressed <stored>'.

    image_transport takes a colour image with no <stored> for RGB as well. It never writes that
    itself, and those who do ('bgr8; jpeg compressed') send ordinary files: read as such here.
    """
    source, _, rest = image_format.partition(';')
    stored = rest.partition('compressed')[2].strip()
    if channels == 1:
        name = stored or source.strip()
        return _layout_of(name) if name.startswith('bayer_') else _LAYOUTS['mono8']
    order = 'rgb' if stored.startswith('rgb') else 'bgr'
    return _layout_of(order + ('8' if channels == 3 else 'a8'))


def _to_rgb(pixels: np.ndarray, layout: _Layout) -> np.ndarray:
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


def _layout_of(encoding: object) -> _Layout:
    layout = _LAYOUTS.get(encoding) if isinstance(encoding, str) else None
    if layout is None:
        raise ImageError(f'encoding {_short(encoding)} is not supported; expected one of '
                         f'{", ".join(SUPPORTED_ENCODINGS)}: convert upstream with image_proc')
    return layout


def _check_size(height: int, width: int, layout: _Layout, encoding: str) -> None:
    if not all(layout.min_side <= side <= MAX_SIDE for side in (height, width)):
        allowed = f'{layout.min_side} to {MAX_SIDE} pixels a side'
    elif height * width > MAX_PIXELS:
        allowed = f'at most {MAX_PIXELS} pixels'
    elif height % layout.unit[0] or width % layout.unit[1]:
        allowed = f'width a multiple of {layout.unit[1]}, height one of {layout.unit[0]}'
    else:
        return
    raise ImageError(f'width {_short(width)}, height {_short(height)}: {encoding} takes '
                     f'{allowed}; check the publisher')


def _integer(name: str, value: object) -> int:
    if not isinstance(value, (int, np.integer, np.bool_)):
        raise ImageError(f'{name} is {_short(value)}; expected an integer')
    return int(value)


def _as_bytes(data: Any) -> np.ndarray:
    """Return the buffer as a flat uint8 array that shares its memory."""
    try:
        if memoryview(data).format == 'B':
            return np.frombuffer(data, np.uint8)
    except (TypeError, ValueError, BufferError):  # no buffer, a closed one, one with gaps
        pass
    raise ImageError(f'data is {_short(data)}; expected C-contiguous uint8 in bytes, bytearray, '
                     'memoryview, array.array or a numpy array')


def _short(value: object) -> str:
    """Return a repr that fits an error message; Python refuses to print very long integers."""
    if isinstance(value, int) and value.bit_length() > 64:
        return f'an integer of {value.bit_length()} bits'
    return reprlib.repr(value)
