# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_profile IMAGES`: what the zoom does to the answers on a user's own pictures."""
from pathlib import Path
from typing import Any, Callable, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ltp_ros.classifier import Classifier
from ltp_ros.images import EncodedImage, Note, read_images, spread
from ltp_ros.research.accuracy.batches import model_classes
from ltp_ros.research.accuracy.rows import paired_interval
from ltp_ros.research.datasets import LABELS_CSV, DatasetError, open_image_set, open_images
from ltp_ros.tuner.ladder_profile import ALL_TOKENS


class Labelled(NamedTuple):
    """Pictures, and which class of the model each shows; None: that is not known."""

    images: Sequence[EncodedImage]
    classes: Optional[np.ndarray]  # (n,) int64


class ZoomEffect(NamedTuple):
    """With all tokens; shares in percent."""

    num_images: int
    num_boxes: int        # pictures in which something stands out
    side: float           # mean of the boxes, share of the picture's shorter side; 1: no box
    changed: float        # answers that are others through the zoom
    score: float          # mean of the best score
    score_zoomed: float
    top1: Optional[float]
    top1_zoomed: Optional[float]
    gain_low: Optional[float]  # 95 % interval of the gain
    gain_high: Optional[float]

    @property
    def sentence(self) -> str:
        """What it means to the user."""
        found = (f'zoom: something stands out in {self.num_boxes} of {self.num_images} images, '
                 f'the box takes {self.side:.0%} of the shorter side in the mean, and '
                 f'{self.changed:.0f} % of the answers change')
        if self.top1 is None or self.top1_zoomed is None:
            return (f'{found} (best score {self.score:.2f} -> {self.score_zoomed:.2f}). Whether '
                    'for the better only labels can say: give class folders that are named as '
                    'the classes of the model, or a labels.csv')
        gain = self.top1_zoomed - self.top1
        right = (f'{found}; right are {self.top1:.1f} -> {self.top1_zoomed:.1f} % ({gain:+.1f}, '
                 f'95 % interval {self.gain_low:+.1f} to {self.gain_high:+.1f})')
        if self.gain_low is not None and self.gain_low > 0:
            return f'{right}: it helps here, start the node with zoom:=true'
        if self.gain_high is not None and self.gain_high < 0:
            return f'{right}: it harms here, leave it off'
        return f'{right}: so many images show no difference; leave it off'


def open_labelled(source: str, classifier: Classifier, limit: Optional[int],
                  note: Note) -> Labelled:
    """Return pictures of a folder, evenly spread over it, with their classes where it tells them.

    `note`: called with the reason where it was meant to tell them and cannot.

    Raises:
        DatasetError: if there are no pictures.
    """
    try:
        image_set = open_image_set(source)
        classes = model_classes(image_set, classifier.model_labels, source)
        return Labelled(*_some(image_set.images, limit, classes))
    except DatasetError as error:
        images = open_images(source)
        if (Path(source) / LABELS_CSV).is_file() or Path(source).suffix == '.npz':
            note(f'without labels, since {error}')
        return Labelled(*_some(images, limit))


def _some(images: Sequence[EncodedImage], limit: Optional[int],
          classes: Optional[np.ndarray] = None
          ) -> Tuple[List[EncodedImage], Optional[np.ndarray]]:
    chosen = spread(len(images), limit)
    return [images[index] for index in chosen], None if classes is None else classes[chosen]


def measure(classifier: Classifier, pictures: Labelled, progress: Callable[[], None],
            note: Note) -> ZoomEffect:
    """Return what the zoom does to the answers of a classifier that is warmed up."""
    answers: List[Tuple[int, int]] = []  # class ids without and with it
    scores: List[Tuple[float, float]] = []
    sides: List[float] = []
    used: List[int] = []
    for index, rgb in read_images(pictures.images, len(pictures.images), note,
                                  classifier.data_config.resize_size):
        box = classifier.zoom.box(rgb)
        plain = classifier.classify(rgb, ALL_TOKENS, top_k=1, score_threshold=0.0, box=None)
        zoomed = plain if box is None else classifier.classify(
            rgb, ALL_TOKENS, top_k=1, score_threshold=0.0, box=box)
        answers.append((plain.class_ids[0], zoomed.class_ids[0]))
        scores.append((plain.scores[0], zoomed.scores[0]))
        sides.append(box.side_of(rgb.shape) if box else 1.0)
        used.append(index)
        progress()
    before, after = np.array(answers).T
    low = high = top1 = top1_zoomed = None
    if pictures.classes is not None:
        truth = pictures.classes[used]
        low, high = (100.0 * end for end in paired_interval(*_hits(truth, after, before)))
        top1, top1_zoomed = (100.0 * float(np.mean(each == truth)) for each in (before, after))
    mean_scores = np.mean(scores, axis=0)
    return ZoomEffect(
        len(used), sum(side < 1.0 for side in sides), float(np.mean(sides)),
        100.0 * float(np.mean(before != after)), float(mean_scores[0]), float(mean_scores[1]),
        top1, top1_zoomed, low, high)


def _hits(truth: np.ndarray, *answers: np.ndarray) -> List[Any]:
    import torch  # noqa: PLC0415  the interval is one of tensors
    return [torch.from_numpy(each == truth) for each in answers]

