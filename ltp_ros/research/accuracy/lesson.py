# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Folders of pictures as classes to teach."""
from collections import Counter
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ltp_ros.files import is_content, plain, some_of
from ltp_ros.images import EncodedImage, Note, is_image_file, name_of, unread_pictures
from ltp_ros.research.datasets import LABELS_CSV, DatasetError, open_image_set
from ltp_ros.teaching.classes import Classes, check_label
from ltp_ros.teaching.examples import NONE, whole

NONE_FOLDER = 'none'  # in any case
ROUNDING = 4  # in 2 ** 14: features of a picture in float32 differ by less, whatever the backend


class Pictures(NamedTuple):
    """The pictures to teach."""

    images: Sequence[EncodedImage]
    labels: List[str]  # of each
    names: List[str]   # of each: its path below the folder


def label_of(name: str) -> str:
    """Return the label of a class folder, NONE for the one of pictures of none of them."""
    return NONE if name.lower() == NONE_FOLDER else name


def open_pictures(folder: str, note: Note) -> Pictures:
    """Return the pictures of class folders, or of an .npz.

    Args:
        folder: holds a folder for each class.
        note: called with what is left out.

    Raises:
        DatasetError, ltp_ros.teaching.classes.LabelError: if they cannot be used.
    """
    image_set = open_image_set(folder)
    class_names = image_set.class_names
    if not class_names:
        raise DatasetError(f'{folder!r} has a {LABELS_CSV}, which numbers its classes, and '
                           'classes are taught by name; expected a folder of class folders')
    for name in class_names:
        check_label(label_of(name))
    counts = Counter(image_set.labels.tolist())
    empty = [plain(name) for index, name in enumerate(class_names) if not counts[index]]
    if empty:
        note(f'without images, so not taught: {some_of(empty)}')
    beside = sorted(path.name for path in Path(folder).glob('*')
                    if is_content(path) and is_image_file(path))
    if beside:
        note(f'left out: {len(beside)} of the images lie beside the class folders, so they are of '
             f'no class: {some_of(map(plain, beside))}')
    unread = unread_pictures(Path(folder))
    if unread:
        note(f'left out: {unread}')
    return Pictures(image_set.images, [label_of(class_names[label]) for label in image_set.labels],
                    [image.relative_to(folder).as_posix() if isinstance(image, Path)
                     else name_of(image, index) for index, image in enumerate(image_set.images)])


def same_picture(row: np.ndarray, rows: np.ndarray) -> Optional[np.ndarray]:
    """Return the row (D,) of a picture as it was taught, None if it was not.

    Args:
        row: of the picture, (D,) int16; see `ltp_ros.teaching.examples.whole`.
        rows: of those that were taught, (n, D).
    """
    found = np.flatnonzero(abs(rows.astype(np.int32) - row).max(axis=1) <= ROUNDING)
    return rows[found[0]] if len(found) else None


class Lesson:
    """Teaches pictures that were not taught before, and remembers which picture each was.

    The same picture twice would be recognised whenever one of the two is left out.

    Args:
        classes: what is taught so far; taught in place.
    """

    def __init__(self, classes: Classes):
        self.classes = classes
        self.names: Dict[Tuple[str, bytes], str] = {}  # by label and row at the highest level
        self.num_taught = 0
        self.repeated: List[str] = []  # names of pictures that were taught before
        self._top = max(classes.keep_ratios)

    def add(self, label: str, features: Mapping[float, np.ndarray], name: str) -> None:
        """Teach a picture by its features (D,) at every level."""
        row = whole(features[self._top])
        before = self.classes.levels[self._top].classes if self.classes.levels else {}
        same = same_picture(row, before[label].kept) if label in before else None
        if same is None:
            self.classes.add(label, features)
            self.num_taught += 1
            same = row
        else:
            self.repeated.append(name)
        self.names.setdefault((label, same.tobytes()), name)

    def doubts(self, note: Note) -> None:
        """Tell what the user should know of the pictures."""
        if self.repeated:
            note(f'not taught again: {len(self.repeated)} pictures that look to the model just as '
                 f'another of their class: {some_of(map(plain, self.repeated))}')
        single = [plain(label) for label, count in self.classes.counts.items()
                  if label != NONE and count == 1]
        if single:
            note('taught with one picture, so that nothing tells how well it is recognised: '
                 f'{some_of(single)}; give at least 2 of each class, better 20')
