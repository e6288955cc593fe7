# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Decode JPEGs in silence.

libjpeg, as OpenCV has it, writes to stderr what is wrong with a file, for each file again.
simplejpeg is the same decoder without that, and as fast. Where it is not installed, and for the
four inks of print, Pillow does the work, which is silent too and takes up to twice as long.
"""
import contextlib
import io
import re
import struct
from typing import Callable, List, NamedTuple, Optional

import numpy as np

from ltp_ros.frames.encodings import ImageError

try:
    import simplejpeg
except ImportError:
    simplejpeg = None

START = b'\xff\xd8\xff'
MAX_SEGMENTS = 1000  # before the first scan: a colour profile has up to 255
INK_BYTES = 8  # that count for a pixel of the four inks of print, which take as long
MAX_SCANS = 100  # of a progressive file: each costs a pass over the picture, however short it is
# Even a block of 64 pixels that equals the one before takes a bit
PIXELS_PER_BYTE = 512

_NO_FILL = re.compile(b'[^\xff]')
_ALONE = frozenset((0x00, 0x01, *range(0xD0, 0xD9)))  # markers without a length
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ARITHMETIC = 0xC8  # coded so from this marker on
_START_OF_SCAN, _END = 0xDA, b'\xff\xd9'
_EXIF = b'Exif\0\0'
# What the picture does not depend on: comments, and the segments of applications but JFIF's and
# Adobe's, which tell the colours
_IDLE = frozenset((*range(0xE1, 0xEE), 0xEF, 0xFE))


class Header(NamedTuple):
    """What stands before the first scan."""

    components: int
    exif: bytes
    slim: bytes  # the file without the segments that the picture does not depend on


def read_header(file: bytes, check: Callable[[int, int, int], None]) -> Header:
    """Return the header of a JPEG, having checked that the file can be whole.

    The end marker is looked for behind the first scan header: a segment before that may hold a
    thumbnail with an end of its own, and the coded pixels after it escape every ff.

    Args:
        file: begins with START.
        check: called with height, width and the bytes of a decoded pixel.

    Raises:
        ImageError: if it has no end, is too short for its size, or has very many scans; or by
            `check`.
    """
    frame, exif, arithmetic = (0, 0, 0), b'', False
    kept: List[bytes] = [START[:2]]
    at, segments = _next_marker(file, 2), 0
    while 0 <= at < len(file) - 3 and file[at + 1] != _START_OF_SCAN:
        marker = file[at + 1]
        segments += 1
        if segments > MAX_SEGMENTS:
            raise ImageError(f'the JPEG has more than {MAX_SEGMENTS} segments before its picture; '
                             'save it without the metadata')
        if marker in _ALONE:
            at += 2
        elif marker == _END[1]:
            break
        else:
            end = at + 2 + max(2, int.from_bytes(file[at + 2:at + 4], 'big'))
            body = file[at + 4:end]
            if marker in _START_OF_FRAME and not any(frame):
                frame = struct.unpack('>xHHB', body[:6].ljust(6, b'\0'))
                arithmetic = marker > _ARITHMETIC
            if marker == 0xE1 and body.startswith(_EXIF) and not exif:
                exif = body[len(_EXIF):]
            if marker not in _IDLE:
                kept.append(file[at:end])
            at = end
        at = _next_marker(file, at)
    if not 0 <= at < len(file) - 3 or file[at + 1] != _START_OF_SCAN or file.rfind(_END, at) < 0:
        raise ImageError(f'the JPEG of {len(file)} bytes has no end marker (ff d9); expected a '
                         'whole file: look for a loss on the way')
    height, width, components = frame
    check(height, width, 3 if components < 4 else INK_BYTES)
    if height * width > PIXELS_PER_BYTE * (len(file) - at) and not arithmetic:
        raise ImageError(f'the JPEG of {len(file)} bytes is too short for {width}x{height} '
                         'pixels; expected a whole file: look for a loss on the way')
    scans = file.count(bytes((0xFF, _START_OF_SCAN)), at)
    if scans > MAX_SCANS:
        raise ImageError(f'the JPEG has {scans} scans; at most {MAX_SCANS} are allowed: save it '
                         'as a baseline JPEG')
    return Header(components, exif, b''.join((*kept, file[at:])))


def _next_marker(file: bytes, at: int) -> int:
    """Return where the next marker begins, without the fill before it; -1 if there is none."""
    at = file.find(b'\xff', at)
    end_of_fill = _NO_FILL.search(file, at) if at >= 0 else None
    return end_of_fill.start() - 1 if end_of_fill else -1


def decode_jpeg(header: Header) -> Optional[np.ndarray]:
    """Return the pixels (H, W) of a grey file, else (H, W, 3) BGR; None if it cannot be decoded.

    Damage between the coded pixels goes unnoticed, as in OpenCV: many webcams leave stray bytes in
    good pictures.
    """
    if simplejpeg is not None and header.components != 4:
        grey = header.components == 1
        # It refuses rare but sound headers as well, which are left to Pillow
        with contextlib.suppress(ValueError):
            pixels = simplejpeg.decode_jpeg(header.slim, 'GRAY' if grey else 'BGR', strict=False)
            return pixels[..., 0] if grey else pixels
    try:
        return _by_pillow(header.slim)
    except (ValueError, OSError):
        return None


def _by_pillow(file: bytes) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(file), formats=('JPEG',)) as image:
            if image.mode == 'L':
                return np.asarray(image)
            if image.mode == 'RGB':
                bgr = image.tobytes('raw', 'BGR')
                return np.frombuffer(bgr, np.uint8).reshape(image.height, image.width, 3)
            inks = np.asarray(image)  # how much of cyan, magenta, yellow and black
    except Image.DecompressionBombError as error:
        raise ValueError(str(error)) from error
    paper = 255 - inks[..., 3].astype(np.uint16)
    pixels = np.empty((*paper.shape, 3), np.uint8)
    for channel, ink in enumerate((2, 1, 0)):
        pixels[..., channel] = paper - (inks[..., ink] * paper >> 8)
    return pixels
