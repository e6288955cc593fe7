# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A PNG taken apart, judged and put together again, for libpng to decode.

libpng writes to stderr what it dislikes, for each file again, and OpenCV offers no way to have
that elsewhere. What it is given here is sound: the pixels, unpacked by zlib, behind a header that
was checked. Colour profiles, times and the like stay outside; transparency does too, as the
picture has none. An animation is its still picture.
"""
import struct
import zlib
from typing import Callable, Dict, Iterator, List, NamedTuple, Tuple

import numpy as np

from ltp_ros.frames.encodings import ImageError

SIGNATURE = b'\x89PNG\r\n\x1a\n'
_PALETTE = 3  # a colour type
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), _PALETTE: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_CHANNELS = {0: 1, 2: 3, _PALETTE: 1, 4: 2, 6: 4}
_LAST_FILTER = 4
MAX_CHUNKS = 100_000  # far above what encoders make of the largest image
# The passes of an interlaced file: first column and row, and the steps from there
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
          (0, 1, 1, 2))


class Header(NamedTuple):
    """The fields of IHDR."""

    width: int
    height: int
    depth: int  # bits of a sample
    colour_type: int
    compression: int
    filter_method: int
    interlaced: int

    @property
    def is_known(self) -> bool:
        """Whether there are such files."""
        return (self.depth in _DEPTHS.get(self.colour_type, ()) and self.interlaced in (0, 1)
                and not self.compression and not self.filter_method)

    @property
    def pixel_bytes(self) -> int:
        """Bytes of a decoded pixel: at least three, since grey becomes a colour in the end."""
        return max(3, _CHANNELS[self.colour_type] * self.depth // 8)

    def scanlines(self) -> Iterator[Tuple[int, int]]:
        """Yield (rows, bytes of a row with its filter) of each pass over the picture."""
        for left, top, across, down in _ADAM7 if self.interlaced else ((0, 0, 1, 1),):
            columns, rows = -((left - self.width) // across), -((top - self.height) // down)
            if columns > 0 and rows > 0:
                yield rows, 1 + (columns * _CHANNELS[self.colour_type] * self.depth + 7) // 8


def sound_png(file: bytes, check: Callable[[int, int, int], None]) -> Tuple[bytes, bytes]:
    """Return a PNG with the pixels of a file and nothing to complain about, and the file's EXIF.

    Args:
        file: begins with SIGNATURE.
        check: called with height, width and twice the bytes of a decoded pixel, before anything is
            unpacked.

    Raises:
        ImageError: if `file` is damaged, or by `check`.
    """
    damaged = ImageError(f'the PNG of {len(file)} bytes is damaged; expected a whole file: look '
                         'for a loss on the way')
    chunks = _chunks(file)
    if len(chunks.get(b'IHDR', [b''])[0]) != 13 or b'IEND' not in chunks or b'IDAT' not in chunks:
        raise damaged
    header = Header(*struct.unpack('>IIBBBBB', chunks[b'IHDR'][0]))
    if not header.is_known:
        raise damaged
    check(header.height, header.width, 2 * header.pixel_bytes)
    pixels = _inflate(b''.join(chunks[b'IDAT']),
                      sum(rows * stride for rows, stride in header.scanlines()))
    if not pixels or not _filters_are_known(pixels, header):
        raise damaged
    parts = [SIGNATURE, _chunk(b'IHDR', bytes(chunks[b'IHDR'][0]))]
    if header.colour_type == _PALETTE:
        palette = bytes(chunks.get(b'PLTE', [b''])[0])
        if not palette or len(palette) % 3:
            raise damaged
        # Colours that the palette lacks are black, which libpng would complain about
        size = 3 << header.depth
        parts.append(_chunk(b'PLTE', palette[:size].ljust(size, b'\0')))
    parts += [_chunk(b'IDAT', zlib.compress(pixels, 0)), _chunk(b'IEND', b'')]
    return b''.join(parts), bytes(chunks.get(b'eXIf', [b''])[0])


def _chunks(file: bytes) -> Dict[bytes, List[memoryview]]:
    """Return the bodies of the chunks by name, up to IEND, without those of a wrong checksum.

    OpenCV 4.11 and newer believe a damaged chunk length and clear gigabytes for it, which takes
    seconds, before they find that the file is shorter.
    """
    found: Dict[bytes, List[memoryview]] = {}
    view, at = memoryview(file), len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        if b'IEND' in found or at + 12 > len(file):
            break
        length, name = struct.unpack_from('>I4s', file, at)
        end = at + 8 + length
        if end + 4 > len(file):
            break
        if zlib.crc32(view[at + 4:end]) == struct.unpack_from('>I', file, end)[0]:
            found.setdefault(name, []).append(view[at + 8:end])
        at = end + 4
    return found


def _chunk(name: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(body, zlib.crc32(name))
    return b''.join((struct.pack('>I4s', len(body), name), body, struct.pack('>I', checksum)))


def _inflate(packed: bytes, size: int) -> bytes:
    """Return `size` unpacked bytes, whatever follows; b'' if there are not as many."""
    inflater = zlib.decompressobj()
    try:
        unpacked = inflater.decompress(packed, size)
        inflater.decompress(inflater.unconsumed_tail, 1)  # zlib's checksum, behind the last byte
    except zlib.error:
        return b''
    return unpacked if len(unpacked) == size else b''


def _filters_are_known(pixels: bytes, header: Header) -> bool:
    at, samples = 0, np.frombuffer(pixels, np.uint8)
    for rows, stride in header.scanlines():
        if samples[at:at + rows * stride:stride].max() > _LAST_FILTER:
            return False
        at += rows * stride
    return True
