# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Images and parameters that nobody should send, to see what becomes of them.

Each follows from a seed and its number alone, so that one that breaks something can be made again.
"""
import math
import random
import struct
import zlib
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import cv2
import numpy as np

from ltp_ros.frames.decoding import CompressedImage, RawImage
from ltp_ros.frames.encodings import LAYOUTS, SUPPORTED_ENCODINGS
from ltp_ros.settings import fields

EDGES = (0, 1, 2, 3, 255, 256, 32767, 32768, 65535, 65536, 2 ** 24, 2 ** 31 - 1, 2 ** 31,
         2 ** 32 - 1)
ENCODINGS = (*SUPPORTED_ENCODINGS, '', 'RGB8', 'rgb8 ', 'rgb8\n', '16UC1', '32FC1', '8UC2',
             '64FC1000', 'yuv420', 'jpeg', 'bayer_rggb', 'é' * 40, 'x' * 5000, '%s%n', '../../x')
FORMATS = ('jpeg', 'png', '', 'rgb8; jpeg compressed bgr8', 'rgb8; png compressed rgb8',
           'bayer_rggb8; png compressed ', 'bayer_grbg16; jpeg compressed bayer_grbg16',
           'mono16; png compressed ', '16UC1; compressedDepth png', 'h264', ';;;', 'x' * 5000)
FRAME_IDS = ('camera', '', '/', ' ', 'é', '\n[ERROR] fake', '%s%n', 'x' * 5000)
SECONDS = (0, 1, -1, 2 ** 31 - 1, -2 ** 31, 1_700_000_000)
NANOSECONDS = (0, 1, 999_999_999, 1_000_000_000, 2 ** 32 - 1)
# How often each kind comes
_SHARES = {'good raw': 2, 'raw': 5, 'good png': 1, 'file': 8, 'noise': 1, 'bomb': 0.3,
           'strange': 2}
RAW_KINDS, FILE_KINDS = ('good raw', 'raw'), ('good png', 'file', 'noise', 'bomb')
ALL_KINDS = tuple(_SHARES)
# No message can hold these, but `decode` is public
STRANGE: Tuple[object, ...] = (None, -1, 2 ** 64, 10 ** 400, float('nan'), float('inf'), 1.5,
                               'wide', b'', [1], (), {})

Image = Union[RawImage, CompressedImage]


class HostileImage(NamedTuple):
    """An image message."""

    kind: str
    image: Image
    stamp: Tuple[int, int]  # seconds (int32), nanoseconds (uint32)
    frame_id: str
    picture: Optional[np.ndarray] = None  # (H, W, 3) RGB that it has to show; None: it is no image


def hostile_image(seed: int, number: int, kinds: Sequence[str] = ALL_KINDS) -> HostileImage:
    """Return one image.

    Args:
        seed: of the run.
        number: of the image.
        kinds: of images to choose from.
    """
    rng = random.Random(f'{seed} {number}')
    kind, = rng.choices(kinds, [_SHARES[kind] for kind in kinds])
    image, picture = _MAKERS[kind](rng)
    return HostileImage(kind, image, (rng.choice(SECONDS), rng.choice(NANOSECONDS)),
                        rng.choice(FRAME_IDS), picture)


def hostile_parameter(rng: random.Random) -> Tuple[str, object]:
    """Return the name of a parameter, or almost one, and a value for it."""
    name, default = rng.choice(_DEFAULTS)
    if rng.random() < 0.05:
        name = rng.choice((name[:-1], name.upper(), '', 'qos_overrides.x', f'{name}.{name}'))
    value = rng.choice((
        default, *EDGES, -1, 2 ** 63 - 1, -2 ** 63, 0.0, -0.0, 0.5, 1e308, 5e-324, -1.5,
        float('nan'), float('inf'), True, False, '', 'x' * 5000, '~', '/dev/zero', '[0.5, 1]',
        '{a: b', '!!python/object:os.system x', [], [0.5, 1.0], [1.0, 1.0], [float('nan')] * 4,
        [0.0, 0.0, 1.0, 1.0], [0.1] * 4, ['a', 'a'], ['image/compressed'], [True], [0] * 1000))
    return name, value


_DEFAULTS = [(field.name, list(field.default) if isinstance(field.default, tuple)
              else field.default) for _, field in fields()]
Made = Tuple[Image, Optional[np.ndarray]]


_NOISE = np.random.default_rng(0).integers(0, 256, 2 ** 17, dtype=np.uint8)


def _pixels(rng: random.Random, *shape: int) -> np.ndarray:
    at = rng.randrange(len(_NOISE) // 2)
    return _NOISE[at:at + math.prod(shape)].reshape(shape)


def _good_raw(rng: random.Random) -> Made:
    rgb = _pixels(rng, rng.randrange(16, 64), rng.randrange(16, 64), 3)
    padding = rng.choice((0, 0, 1, 8))
    rows = np.pad(rgb.reshape(len(rgb), -1), ((0, 0), (0, padding)))
    height, width, _ = rgb.shape
    return RawImage(height, width, 'rgb8', False, rows.shape[1], rows.tobytes()), rgb


def _plausible_raw(rng: random.Random) -> RawImage:
    """Return an image of a random encoding whose fields fit together."""
    encoding = rng.choice(SUPPORTED_ENCODINGS)
    layout = LAYOUTS[encoding]
    height, width = (2 * rng.randrange(2, 24) for _ in range(2))
    step = width * layout.channels * layout.bytes_per_sample + rng.choice((0, 0, 1, 64))
    data = _pixels(rng, height * layout.rows_per_two // 2 * step).tobytes()
    return RawImage(height, width, encoding, rng.random() < 0.5, step, data)


def _raw(rng: random.Random) -> Made:
    """Return a plausible image, or one of which some fields are others."""
    image = _plausible_raw(rng)
    changes: Dict[str, object] = {}
    for name in rng.sample(('height', 'width', 'step', 'encoding', 'data'), rng.randrange(4)):
        value = getattr(image, name)
        if name == 'data':
            changes[name] = rng.choice((value[:rng.randrange(len(value))], value[:-1], b'',
                                        value + value[:77]))
        elif name == 'encoding':
            changes[name] = rng.choice(ENCODINGS)
        else:
            changes[name] = rng.choice((*EDGES, value - 1, value + 1, 2 * value))
    return RawImage(**{**vars(image), **changes}), None


def _good_png(rng: random.Random) -> Made:
    rgb = _pixels(rng, rng.randrange(16, 40), rng.randrange(16, 40), 3)
    return CompressedImage('png', _encoded('.png', rgb[..., ::-1])), rgb


def _encoded(suffix: str, pixels: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(suffix, pixels, list(options))[1].tobytes()


def _some_files() -> List[bytes]:
    """Return small sound files of several kinds."""
    noise = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    bgr = cv2.resize(noise, (72, 54), interpolation=cv2.INTER_CUBIC)
    wide = bgr.astype(np.uint16) * 257
    return [
        _encoded('.jpg', bgr), _encoded('.jpg', bgr[..., 0]),
        _encoded('.jpg', bgr, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        _encoded('.jpg', bgr, cv2.IMWRITE_JPEG_RST_INTERVAL, 2, cv2.IMWRITE_JPEG_OPTIMIZE, 1),
        *(_encoded('.png', pixels) for pixels in (bgr, bgr[..., 0], wide, wide[..., 0])),
        _encoded('.png', np.dstack((bgr, bgr[..., :1]))),
        _encoded('.png', bgr[..., 0] // 128 * 255, cv2.IMWRITE_PNG_BILEVEL, 1),
        _encoded('.bmp', bgr[:5, :5]), _encoded('.tiff', bgr[:5, :5])]


_FILES = _some_files()
_PNG = _FILES[4]
SIGNATURES = (b'\xff\xd8\xff', _PNG[:8], _PNG[:33], b'GIF89a', b'BM', b'II*\0', b'')


def _cut(rng: random.Random, file: bytearray) -> None:
    del file[rng.randrange(len(file)):]


def _other_bytes(rng: random.Random, file: bytearray) -> None:
    for _ in range(rng.choice((1, 1, 3, 30))):
        at = rng.randrange(min(200, len(file)) if rng.random() < 0.5 else len(file))
        file[at] = rng.choice((0, 255, rng.randrange(256), file[at] ^ 1 << rng.randrange(8)))


def _edge_number(rng: random.Random, file: bytearray) -> None:
    number, size = rng.choice(EDGES), rng.choice((1, 2, 4))
    at = rng.randrange(min(300, len(file)))
    file[at:at + size] = (number % 256 ** size).to_bytes(size, 'big')


def _piece_again(rng: random.Random, file: bytearray) -> None:
    start, end = sorted(rng.choices(range(len(file)), k=2))
    file[start:start] = file[start:end] * rng.choice((1, 1, 20))


def _piece_less(rng: random.Random, file: bytearray) -> None:
    start, end = sorted(rng.choices(range(len(file)), k=2))
    del file[start:end]


def _other_end(rng: random.Random, file: bytearray) -> None:
    other = rng.choice(_FILES)
    file[rng.randrange(len(file)):] = other[rng.randrange(len(other)):]


_CHANGES: Sequence[Callable[[random.Random, bytearray], None]] = (
    _cut, _other_bytes, _other_bytes, _edge_number, _edge_number, _piece_again, _piece_less,
    _other_end)


def _file(rng: random.Random) -> Made:
    """Return a sound file with some changes."""
    file = bytearray(rng.choice(_FILES))
    for _ in range(rng.choice((0, 1, 1, 2, 4))):
        if file:
            rng.choice(_CHANGES)(rng, file)
    if file.startswith(SIGNATURES[1]) and rng.random() < 0.7:
        with_checksums(file)
    return CompressedImage(rng.choice(FORMATS), bytes(file)), None


def with_checksums(png: bytearray) -> None:
    """Make the checksums of a PNG fit its chunks, as far as it has any."""
    at = 8
    while at + 12 <= len(png):
        end = at + 8 + int.from_bytes(png[at:at + 4], 'big')
        if end + 4 <= len(png):
            png[end:end + 4] = struct.pack('>I', zlib.crc32(png[at + 4:end]))
        at = end + 4


def _noise(rng: random.Random) -> Made:
    """Return random bytes behind the start of a file."""
    size = rng.choice((0, 1, 20, 500))
    return CompressedImage(rng.choice(FORMATS),
                           rng.choice(SIGNATURES) + _pixels(rng, size).tobytes()), None


def _bomb(rng: random.Random) -> Made:
    """Return a small file that tells, or is, a large picture."""
    height, width = (rng.choice((1, 3, 100, 2000, 8000, 16384, 60000, 65535)) for _ in range(2))
    if rng.random() < 0.5:
        file = bytearray(_PNG)
        file[16:24] = struct.pack('>II', width, height)
        file[24:26] = rng.choice((b'\1\0', b'\x08\2', b'\x10\6'))
        packed = _ZEROS if rng.random() < 0.02 else _FEW_ZEROS
        file[33:] = b''.join((struct.pack('>I4s', len(packed), b'IDAT'), packed, bytes(8), b'IEND',
                              bytes(4)))
        with_checksums(file)
    else:
        file = bytearray(_FILES[rng.choice((0, 2))])
        at = max(file.find(b'\xff\xc0'), file.find(b'\xff\xc2')) + 5
        file[at:at + 4] = struct.pack('>HH', height, width)
        if rng.random() < 0.3:  # long enough for its size, or of many scans
            at = file.rindex(b'\xff\xda')
            file[at:-2] = bytes(file[at:-2]) * rng.choice((50, 200, 2000))
    return CompressedImage(rng.choice(FORMATS), bytes(file)), None


_ZEROS = zlib.compress(bytes(2 ** 25))
_FEW_ZEROS = zlib.compress(bytes(2 ** 16))


def _strange(rng: random.Random) -> Made:
    """Return an image of which some fields are of a type that no message can hold."""
    raw = rng.random() < 0.7
    image: Image = _plausible_raw(rng) if raw else CompressedImage('jpeg', _FILES[0])
    names = rng.sample(list(vars(image)), rng.choice((1, 1, 2)))
    return type(image)(**{**vars(image), **{name: rng.choice(STRANGE) for name in names}}), None


_MAKERS: Dict[str, Callable[[random.Random], Made]] = {
    'good raw': _good_raw, 'good png': _good_png, 'raw': _raw, 'file': _file, 'noise': _noise,
    'bomb': _bomb, 'strange': _strange}
