# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures as files: folders, encoded images, videos, webcams. Always (H, W, 3) uint8 RGB."""
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Callable, Iterable, Iterator, List, Optional, Tuple, Union

import cv2
import numpy as np

from ltp_ros.files import some_of, walk
from ltp_ros.frames.encodings import LAYOUTS, ImageError
from ltp_ros.frames.stored import GREY16, may_be_depth, stored_pixels, to_rgb

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.ppm', '.tif', '.tiff')
UNREAD_SUFFIXES = ('.heic', '.heif', '.avif', '.gif', '.jxl', '.jp2', '.jfif', '.dng')
EXPECTED = ('colours or 8-bit grey; if it is a photo, save it with 8 bits: cv2.convertScaleAbs('
            'pixels, alpha=255 / pixels.max())')

MAX_UNREAD = 0.1  # share of a set; with more, the set is not what it should be

EncodedImage = Union[Path, np.ndarray]  # a file, or the bytes (n,) uint8 of one
Note = Callable[[str], None]  # tells the user a sentence
Fits = Callable[[int, int], object]  # raises ValueError for a (height, width) of no use


class ImageFileError(ValueError):
    """Unusable pictures; the message names them and the expected form."""


def is_image_file(path: Path) -> bool:
    """Return whether a path is a file with the ending of an image."""
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()


def image_files(path: Path) -> List[Path]:
    """Return the images in a folder and its subfolders, in order, or the one that it is."""
    return [path] if is_image_file(path) else walk(path, IMAGE_SUFFIXES)


def unread_pictures(path: Path) -> str:
    """Return how many pictures in a folder have an ending that is not read; '' if none."""
    endings = Counter(file.suffix.lower() for file in walk(path, UNREAD_SUFFIXES))
    counts = ', '.join(f'{count} {ending}' for ending, count in sorted(endings.items()))
    return f'{counts}, which are not read: convert them to JPEG or PNG' if counts else ''


def decode_rgb(image: EncodedImage) -> np.ndarray:
    """Return an image file, given by its path or its bytes, as (H, W, 3) uint8 RGB.

    Raises:
        ImageFileError: if it cannot be read as an image.
    """
    try:
        # imdecode for both: imread cannot open every path on every platform
        encoded = np.fromfile(str(image), np.uint8) if isinstance(image, Path) else image
        return _picture_of(stored_pixels(encoded, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH))
    except (OSError, ImageError) as error:
        name = str(image) if isinstance(image, Path) else f'an entry of {image.size} bytes'
        raise ImageFileError(f'{name} cannot be read as an image: {error}') from error


def _picture_of(pixels: Optional[np.ndarray]) -> np.ndarray:
    if pixels is None:
        raise ImageError('it is damaged, or of a format that OpenCV does not know')
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ImageError(f'it holds numbers of type {pixels.dtype}, not {EXPECTED}')
    if may_be_depth(pixels):
        raise ImageError(f'it holds {GREY16}, not {EXPECTED}')
    return to_rgb(pixels, LAYOUTS['mono8' if pixels.ndim == 2 else 'bgr8'])


class Unread:
    """Counts the images of a set that cannot be used, and refuses when they are too many.

    Args:
        total: number of images in the set.
    """

    def __init__(self, total: int):
        self._total = total
        self._names: List[str] = []
        self._first_reason = ''

    def __len__(self) -> int:
        return len(self._names)

    def __str__(self) -> str:
        return (f'{len(self)} of {self._total} images cannot be used: {some_of(self._names)}; the '
                f'first: {self._first_reason}')

    def add(self, name: str, reason: object) -> None:
        """Count an image.

        Raises:
            ImageFileError: if now more than a tenth cannot be used, or none can. A single image
                never spoils a set.
        """
        self._names.append(name)
        self._first_reason = self._first_reason or str(reason)
        if len(self) == self._total or len(self) > max(1, MAX_UNREAD * self._total):
            raise ImageFileError(f'{self}. At most {100 * MAX_UNREAD:g} % may be left out')


def any_size(height: int, width: int) -> None:
    """Accept every size: the default `Fits`."""


def read_images(images: Iterable[EncodedImage], total: int, note: Note,
                fits: Fits = any_size) -> Iterator[Tuple[int, np.ndarray]]:
    """Yield (index, RGB image) of every image that can be used; note the others at the end.

    Args:
        images: the images of a set.
        total: their number.
        note: called at the end if images are left out.
        fits: called with the height and width of each image.

    Raises:
        ImageFileError: if too many cannot be used; see `Unread`.
    """
    yield from readable(((index, name_of(image, index), partial(decode_rgb, image))
                         for index, image in enumerate(images)), total, note, fits)


def readable(images: Iterable[Tuple[int, str, Callable[[], np.ndarray]]], total: int, note: Note,
             fits: Fits = any_size) -> Iterator[Tuple[int, np.ndarray]]:
    """Do as `read_images`, with images given by index, name and how each is decoded to RGB."""
    unread = Unread(total)
    for index, name, decode in images:
        try:
            rgb = decode()
            fits(*rgb.shape[:2])
        except ValueError as error:
            unread.add(name, error)
        else:
            yield index, rgb
    if unread:
        note(f'left out: {unread}')


def ignore(sentence: str) -> None:
    """Tell nobody: a `Note` for where the user knows already."""


def name_of(image: EncodedImage, index: int) -> str:
    """Return how to call an image of a set."""
    return str(image) if isinstance(image, Path) else f'image {index}'


def spread(count: int, limit: Optional[int]) -> np.ndarray:
    """Return at most `limit` indices below `count`, ascending and evenly spaced."""
    limit = min(limit or count, count)
    return np.arange(limit) * count // max(limit, 1)


def video_frames(source: Union[str, int], limit: Optional[int] = None) -> Iterator[np.ndarray]:
    """Yield the frames of a video file (path) or a webcam (number), each (H, W, 3) RGB.

    Args:
        source: path or number.
        limit: at most so many frames, evenly spread over the file; None: all of them.

    Raises:
        ImageFileError: if OpenCV cannot open it, or with a limit if its length is unknown.
    """
    capture = cv2.VideoCapture(source)
    try:
        if not capture.isOpened():
            raise ImageFileError(f'OpenCV cannot open the video {source!r}')
        if limit is None:
            while True:
                success, bgr = capture.read()
                if not success:
                    return
                yield cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        length = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        if not length:
            raise ImageFileError(f'{source!r} is not a video with a known number of frames')
        wanted = set(spread(length, limit).tolist())
        for index in range(max(wanted) + 1):
            if not capture.grab():
                return
            if index in wanted:
                success, bgr = capture.retrieve()
                if success:  # else the frame is damaged
                    yield cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    finally:
        capture.release()
