# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Labelled images on disk: class folders, a CSV beside the images, or JPEG bytes in an npz."""
import csv
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import List, Sequence, Union

import numpy as np

from ltp_ros.files import is_content, read_text, some_of
from ltp_ros.images import (
    IMAGE_SUFFIXES,
    EncodedImage,
    ImageFileError,
    image_files,
    is_image_file,
    unread_pictures,
)

# Of a file that is damaged, empty, or of other arrays
NPZ_ERRORS = (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error)
LABELS_CSV = 'labels.csv'
SPLITS = frozenset(('train', 'training', 'val', 'valid', 'validation', 'test', 'testing'))
EXPECTED = ('expected a folder of class folders, a folder of images with labels.csv (columns '
            'file, class_index), or an .npz with jpeg, offsets, labels and class_names')
UNLABELLED = 'without labels, which only ltp_evaluate --no-labels and ltp_adapt take'


class DatasetError(ImageFileError):
    """Images or labels that cannot be used; the message names them and the expected format."""


@dataclass(frozen=True)
class ImageSet:
    """Encoded images, each a path or the bytes (n,) uint8 of a file, with their labels."""

    images: Sequence[EncodedImage]
    labels: np.ndarray  # (len(images),) int64
    class_names: List[str]  # empty if the source does not name its classes

    def __len__(self) -> int:
        return len(self.images)


def open_image_set(path: Union[str, Path]) -> ImageSet:
    """Return the labelled images at `path`, still encoded.

    Class folders are numbered in alphabetical order, as by torchvision's ImageFolder, which is not
    used because it refuses a class without images, and decodes as the node does not.

    Raises:
        DatasetError: if `path` does not exist, has an unknown format or holds no images.
    """
    path = Path(path)
    if path.is_file() and path.suffix == '.npz':
        found = _from_npz(path)
    elif (path / LABELS_CSV).is_file():
        found = _from_csv(path)
    elif path.is_dir():
        found = _from_class_folders(path)
    elif is_image_file(path):
        raise DatasetError(f'{str(path)!r} is a single image {UNLABELLED}; {EXPECTED}')
    else:
        raise DatasetError(f'{str(path)!r} does not exist or has an unknown format; {EXPECTED}')
    if not len(found):
        lack = f'has images {UNLABELLED}' if image_files(path) else _no_images(path)
        raise DatasetError(f'{str(path)!r} {lack}; {EXPECTED}')
    return found


def open_images(path: Union[str, Path]) -> Sequence[EncodedImage]:
    """Return every image at `path`: a folder, searched with its subfolders, an .npz, or one image.

    Raises:
        DatasetError: if it holds no images.
    """
    path = Path(path)
    if path.is_file() and path.suffix == '.npz':
        return open_image_set(path).images
    found = image_files(path)
    if not found:
        lack = _no_images(path) if path.is_dir() else 'is not a folder with images'
        raise DatasetError(f'{str(path)!r} {lack}; expected a folder of '
                           f'{", ".join(IMAGE_SUFFIXES)}, or an .npz with jpeg and offsets')
    return found


def _no_images(folder: Path) -> str:
    unread = unread_pictures(folder)
    return 'has no images' + (f' but {unread}' if unread else '')


def _from_npz(path: Path) -> ImageSet:
    try:
        with np.load(str(path), allow_pickle=False) as arrays:
            jpeg, offsets = arrays['jpeg'], arrays['offsets'].astype(np.int64)
            labels = arrays['labels'].astype(np.int64)
            class_names = [str(name) for name in arrays['class_names']]
    except NPZ_ERRORS as error:
        raise DatasetError(f'{str(path)!r} cannot be used: {error}; {EXPECTED}') from error
    if len(offsets) != len(labels) + 1:
        raise DatasetError(f'{str(path)!r} has {len(labels)} labels and {len(offsets)} offsets; '
                           'expected one more offset than labels')
    images = [jpeg[start:stop] for start, stop in zip(offsets[:-1], offsets[1:])]
    return ImageSet(images, _checked(labels, class_names, path), class_names)


def _from_csv(folder: Path) -> ImageSet:
    table = folder / LABELS_CSV
    images, labels = [], []
    try:
        lines = read_text(table).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f'{str(table)!r} cannot be read: {error}; save it as UTF-8') from error
    # Spreadsheets write semicolons where the comma is the decimal point, and tabs
    delimiter = next((mark for mark in ';\t' if mark in ''.join(lines[:1])), ',')
    for row in csv.DictReader(lines, delimiter=delimiter, skipinitialspace=True):
        try:
            images.append(folder / row['file'].strip().replace('\\', '/'))  # as on Windows
            labels.append(int(row['class_index']))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise DatasetError(f'{str(table)!r}, row {len(labels) + 1}: {error!r}; expected the '
                               'columns file and class_index (an integer)') from error
    return ImageSet(images, _checked(np.array(labels, np.int64), [], table), [])


def _from_class_folders(folder: Path) -> ImageSet:
    class_names = sorted(entry.name for entry in folder.iterdir()
                         if entry.is_dir() and is_content(entry))
    members = [image_files(folder / name) for name in class_names]
    images = [image for some in members for image in some]
    parents = sorted({image.parent for image in images})
    if parents and not {folder / name for name in class_names}.intersection(parents) and (
            SPLITS.issuperset(map(str.lower, class_names))
            or len(class_names) == 1 < len(parents)):
        nearest = min(parents, key=lambda parent: len(parent.parts)).parent
        raise DatasetError(f'{str(folder)!r} holds {some_of(class_names)}, whose images lie in '
                           'folders deeper down; pass the folder that holds the classes, such as '
                           f'{str(nearest)!r}')
    for name, some in zip(class_names, members):
        if images and not some and unread_pictures(folder / name):
            raise DatasetError(f'the class {str(folder / name)!r} {_no_images(folder / name)}')
    labels = [index for index, some in enumerate(members) for _ in some]
    return ImageSet(images, np.array(labels, np.int64), class_names)


def _checked(labels: np.ndarray, class_names: List[str], source: Path) -> np.ndarray:
    highest = len(class_names) - 1 if class_names else np.iinfo(np.int64).max
    wrong = labels[(labels < 0) | (labels > highest)]
    if wrong.size:
        raise DatasetError(f'{str(source)!r} contains class index {wrong[0]}; expected 0 to '
                           f'{highest}')
    return labels
