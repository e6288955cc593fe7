# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The encodings of raw images: how their bytes lie, which are taken, and the refusals.

What the names leave open (sensor_msgs/image_encodings.hpp, cv_bridge):

* 8UC1 is grey, 8UC3 is BGR and 8UC4 BGRA, OpenCV's order: the names are OpenCV's, cv_bridge shows
  them so. Its 16UC1 and 32FC1 are depth, or raw numbers: refused, at every door.
* mono16 is scaled by 255/65535, as in cv_bridge; no stretching, or the answer would hang on the
  brightest pixel. A camera that fills only the lower 10 or 12 bits gives a dark picture.
* yuv422 is UYVY, yuv422_yuy2 is YUYV. All YUV is BT.601 in video range, as OpenCV reads it.
* nv12, nv21: `height` is the picture's; height/2 rows of chroma with the same `step` follow. nv24:
  height rows of chroma with twice the `step`.
* A Bayer name spells the first two rows from the left; OpenCV's constant spells the second row
  from its second pixel on, so that bayer_rggb8 goes with COLOR_BayerBG2RGB.
* Alpha is dropped, not blended. Bytes behind the last row are ignored: drivers fill up pages.
"""
import re
from typing import NamedTuple, Optional, Tuple

import cv2

from ltp_ros.files import short

MAX_SIDE = 65535  # pixels; the limit of JPEG, and far beyond any camera
MAX_PIXELS = 2 ** 28  # 0.8 GB of RGB: a larger header is damage or an attack


class ImageError(ValueError):
    """An undecodable image; the message says what came, what is allowed and what to do."""


class Layout(NamedTuple):
    """How the bytes of an encoding lie, and the cv2.cvtColor code that makes them RGB."""

    channels: int  # samples a pixel and row
    code: Optional[int]  # None: RGB already
    bytes_per_sample: int = 1
    rows_per_two: int = 2  # rows of data for every two rows of the picture
    unit: Tuple[int, int] = (1, 1)  # height and width are multiples of these
    min_side: int = 1  # pixels


_BAYER = {'rggb': cv2.COLOR_BayerBG2RGB, 'bggr': cv2.COLOR_BayerRG2RGB,
          'gbrg': cv2.COLOR_BayerGR2RGB, 'grbg': cv2.COLOR_BayerGB2RGB}
NV24 = Layout(1, None, rows_per_two=6)
_UYVY = Layout(2, cv2.COLOR_YUV2RGB_UYVY, unit=(1, 2))
_YUYV = Layout(2, cv2.COLOR_YUV2RGB_YUY2, unit=(1, 2))
LAYOUTS = {
    'rgb8': Layout(3, None),
    'bgr8': Layout(3, cv2.COLOR_BGR2RGB),
    'rgba8': Layout(4, cv2.COLOR_RGBA2RGB),
    'bgra8': Layout(4, cv2.COLOR_BGRA2RGB),
    'mono8': Layout(1, cv2.COLOR_GRAY2RGB),
    'mono16': Layout(1, cv2.COLOR_GRAY2RGB, bytes_per_sample=2),
    '8UC1': Layout(1, cv2.COLOR_GRAY2RGB),
    '8UC3': Layout(3, cv2.COLOR_BGR2RGB),
    '8UC4': Layout(4, cv2.COLOR_BGRA2RGB),
    'rgb16': Layout(3, None, bytes_per_sample=2),
    'bgr16': Layout(3, cv2.COLOR_BGR2RGB, bytes_per_sample=2),
    'rgba16': Layout(4, cv2.COLOR_RGBA2RGB, bytes_per_sample=2),
    'bgra16': Layout(4, cv2.COLOR_BGRA2RGB, bytes_per_sample=2),
    'yuv422': _UYVY, 'uyvy': _UYVY,
    'yuv422_yuy2': _YUYV, 'yuyv': _YUYV,
    'nv12': Layout(1, cv2.COLOR_YUV2RGB_NV12, rows_per_two=3, unit=(2, 2)),
    'nv21': Layout(1, cv2.COLOR_YUV2RGB_NV21, rows_per_two=3, unit=(2, 2)),
    'nv24': NV24,
    # OpenCV leaves a mosaic of fewer than 3 rows or columns black without a word.
    **{f'bayer_{name}{8 * size}': Layout(1, code, size, min_side=3)
       for size in (1, 2) for name, code in _BAYER.items()},
}
SUPPORTED_ENCODINGS = tuple(LAYOUTS)
DEPTH = ('a depth map or another field of numbers, which has no colours to classify: subscribe to '
         'the colour image')
_OPENCV_TYPE = re.compile(r'(8|16|32|64)[USF]C\d+')


def layout_of(encoding: object) -> Layout:
    """Return how the bytes of an encoding lie; ImageError if it is not supported."""
    layout = LAYOUTS.get(encoding) if isinstance(encoding, str) else None
    if layout is None and is_depth(str(encoding)):
        raise ImageError(f'encoding {short(encoding)} is {DEPTH}')
    if layout is None:
        raise ImageError(f'encoding {short(encoding)} is not supported; expected one of '
                         f'{", ".join(SUPPORTED_ENCODINGS)}: have the driver publish one')
    return layout


def is_depth(encoding: str) -> bool:
    """Return whether an encoding is depth, or numbers of which only the publisher knows."""
    return encoding not in LAYOUTS and _OPENCV_TYPE.fullmatch(encoding) is not None


def check_size(height: int, width: int, layout: Layout, encoding: str) -> None:
    """Raise ImageError if no picture of an encoding has this size."""
    if not all(layout.min_side <= side <= MAX_SIDE for side in (height, width)):
        allowed = f'{layout.min_side} to {MAX_SIDE} pixels a side'
    elif height * width > MAX_PIXELS:
        allowed = f'at most {MAX_PIXELS} pixels'
    elif height % layout.unit[0] or width % layout.unit[1]:
        allowed = f'width a multiple of {layout.unit[1]}, height one of {layout.unit[0]}'
    else:
        return
    raise ImageError(f'width {short(width)}, height {short(height)}: {encoding} takes '
                     f'{allowed}; check the publisher')
