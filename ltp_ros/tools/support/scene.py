# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_profile IMAGES`: the pictures of a scene, and what an answer to them is judged by."""
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ltp_ros.images import EncodedImage, Fits, Note, decode_rgb, read_images, spread
from ltp_ros.model.labels import numbered_names
from ltp_ros.research.accuracy.batches import model_classes
from ltp_ros.research.accuracy.lesson import label_of
from ltp_ros.research.datasets import (
    LABELS_CSV,
    DatasetError,
    ImageSet,
    open_image_set,
    open_images,
)
from ltp_ros.research.ladder_search.folds import taught_hits
from ltp_ros.teaching.examples import NONE

TOP1, TAUGHT, AGREEMENT = 'top-1', 'top-1 of taught classes', 'agreement with the unpruned model'
LEAST_TAUGHT = 4   # pictures of a class: each half of them teaches, and is asked
FIRST_TAUGHT = 12  # of a class, in the first round
IN_MEMORY = 2 ** 30  # bytes of decoded pictures


class Answer(NamedTuple):
    """What a candidate makes of a picture."""

    class_id: int
    features: np.ndarray  # (D,) float32


class Scene:
    """Pictures in the order in which they are asked, mixed so that the first speak for all.

    Args:
        images: encoded, all of them readable.
        truth: the class of each (n,) int64, of the model's or of those to teach; None: unknown.
        metric: one of TOP1, TAUGHT, AGREEMENT.
        aspect: the median of width by height.
    """

    def __init__(self, images: Sequence[EncodedImage], truth: Optional[np.ndarray], metric: str,
                 aspect: float):
        self.images, self.truth, self.metric, self.aspect = images, truth, metric, aspect
        self.agreed: List[int] = []  # the answers of the best level, which all should give
        self._kept: Dict[int, np.ndarray] = {}
        self._room = IN_MEMORY

    def __len__(self) -> int:
        return len(self.images)

    @property
    def first_round(self) -> int:
        """How many pictures the first round needs; 0: as few as it likes."""
        if self.metric != TAUGHT or self.truth is None:
            return 0
        return FIRST_TAUGHT * len(np.unique(self.truth))

    def rgb(self, index: int) -> np.ndarray:
        """Return a picture (H, W, 3) uint8; as many as fit in IN_MEMORY are decoded once."""
        if index in self._kept:
            return self._kept[index]
        rgb = decode_rgb(self.images[index])
        if rgb.nbytes <= self._room:
            self._room -= rgb.nbytes
            self._kept[index] = rgb
        return rgb

    def some(self, most: int, offset: int = 0) -> List[np.ndarray]:
        """Return up to `most` of the pictures, every second: those from `offset` 0, or from 1."""
        return [self.rgb(index) for index in range(offset, len(self), 2)[:most]]

    def hits(self, answers: Sequence[Answer]) -> np.ndarray:
        """Return which of the first pictures are answered right, (n,) bool, n > 0."""
        count = len(answers)
        if self.metric == TAUGHT and self.truth is not None:
            return taught_hits(np.stack([each.features for each in answers]), self.truth[:count])
        ids = np.array([each.class_id for each in answers])
        wanted = np.array(self.agreed[:count]) if self.truth is None else self.truth[:count]
        return np.asarray(ids == wanted)


def open_scene(source: str, labels: List[str], limit: Optional[int], use_labels: bool,
               fits: Fits, note: Note) -> Scene:
    """Return the pictures of a folder, with what tells which answers are right.

    Its labels where they are classes of the model; else, where it has folders of several pictures
    each, these are classes to teach; else only the model itself can tell.

    Args:
        source: a folder, an .npz, or one picture.
        labels: names of the model's classes.
        limit: at most so many pictures, evenly spread; None: all.
        use_labels: whether to ask the folder.
        fits: as of `read_images`.
        note: called with what the user should know.

    Raises:
        DatasetError, ltp_ros.images.ImageFileError: if there are no pictures, or too many of them
            cannot be used.
    """
    images, truth, metric = _labelled(source, labels, note) if use_labels else (
        open_images(source), None, AGREEMENT)
    if metric == TAUGHT and truth is not None:
        images = [images[index] for index in np.flatnonzero(truth >= 0).tolist()]
        truth = truth[truth >= 0]
    chosen = spread(len(images), limit)
    usable, aspects = [], []
    for index, rgb in read_images([images[each] for each in chosen], len(chosen), note, fits):
        usable.append(int(chosen[index]))
        aspects.append(rgb.shape[1] / rgb.shape[0])
    if metric == TAUGHT and truth is not None and not _enough(truth[usable]):
        note(f'with --limit {limit} a class is left with less than {LEAST_TAUGHT} pictures: '
             'without labels')
        truth, metric = None, AGREEMENT
    order = _mixed(usable, truth)
    return Scene([images[index] for index in order], None if truth is None else truth[order],
                 metric, float(np.median(aspects)))


def _labelled(source: str, labels: List[str], note: Note
              ) -> Tuple[Sequence[EncodedImage], Optional[np.ndarray], str]:
    try:
        image_set = open_image_set(source)
    except DatasetError as error:
        if _should_tell(source):
            note(f'without labels, since {error}')
        return open_images(source), None, AGREEMENT
    truth = _to_teach(image_set, len(open_images(source)))
    # `model_classes` takes as many classes as the model's for those, whatever they are called
    if truth is not None and not {*image_set.class_names} & {*labels} and (
            labels != numbered_names(len(labels))):
        return image_set.images, truth, TAUGHT
    try:
        return image_set.images, model_classes(image_set, labels, source), TOP1
    except DatasetError as error:
        if truth is not None:
            return image_set.images, truth, TAUGHT
        if _should_tell(source):
            note(f'without labels, since {error}')
        return open_images(source), None, AGREEMENT


def _should_tell(source: str) -> bool:
    """Return whether pictures were meant to have labels."""
    return (Path(source) / LABELS_CSV).is_file() or Path(source).suffix == '.npz'


def _to_teach(image_set: ImageSet, num_images: int) -> Optional[np.ndarray]:
    """Return the class of each picture (n,) as one to teach, -1 for none; None: they are none.

    Folders whose pictures are a part of all, or that hold a few each, were hardly meant as such.
    """
    of_none = [index for index, name in enumerate(image_set.class_names)
               if label_of(name) == NONE]
    truth = np.where(np.isin(image_set.labels, of_none), -1, image_set.labels)
    return truth if image_set.class_names and len(truth) == num_images and _enough(truth) else None


def _enough(truth: np.ndarray) -> bool:
    _, counts = np.unique(truth[truth >= 0], return_counts=True)
    return len(counts) > 1 and int(counts.min()) >= LEAST_TAUGHT


def _mixed(indices: Sequence[int], truth: Optional[np.ndarray]) -> np.ndarray:
    """Return indices in a random order, the same each time; classes take turns."""
    order = np.random.default_rng(0).permutation(np.array(indices))
    if truth is None:
        return order
    turns = np.zeros(len(order), np.int64)
    for label in np.unique(truth[order]):
        of_class = np.flatnonzero(truth[order] == label)
        turns[of_class] = np.arange(len(of_class))
    return order[np.argsort(turns, kind='stable')]
