# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Whether looking where something is beats its simplest rivals: scenes and rows.

Picture by picture, all rivals for each, so that no more than one is held. Answers of classes that
were taught are pooled over the draws; a picture that is asked in several counts as often, so that
their intervals are a little too narrow.
"""
import itertools
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np
import torch

from ltp_ros.classifier import Classifier
from ltp_ros.images import EncodedImage, Note, decode_rgb, name_of, readable, spread
from ltp_ros.research.accuracy.rows import gain, wilson_interval
from ltp_ros.research.accuracy.taught import judge
from ltp_ros.research.benchmarks import BenchmarkError
from ltp_ros.research.benchmarks.runners import interleave
from ltp_ros.research.benchmarks.zoom_rivals import ATTENTION, CENTRE, Rival, Seen, see
from ltp_ros.research.composites import Composites
from ltp_ros.teaching.classes import Classes

HALVES = ('tuning', 'test', 'both')
FRAME = (640, 480)  # width and height of the pictures that are timed
TIMED = 5           # how many of them, in turns
Row = Dict[str, Any]
Advance = Callable[[], None]


class Scene(NamedTuple):
    """Pictures of a set with their labels; each is made when it is asked for."""

    name: str
    picture: Callable[[int], np.ndarray]  # (H, W, 3) uint8 RGB of an index
    names: Sequence[str]
    labels: np.ndarray  # (n,) of the whole set
    chosen: np.ndarray  # (m,) indices of those that are asked

    def pictures(self, note: Note, classifier: Classifier) -> Iterator[Tuple[int, np.ndarray]]:
        """Yield (index, picture) of those that can be used; note the others.

        Raises:
            ltp_ros.images.ImageFileError: if too many cannot.
        """
        return readable(((index, self.names[index], partial(self.picture, index))
                         for index in self.chosen.tolist()), len(self.chosen), note,
                        classifier.data_config.resize_size)


def half_of(images: Sequence[EncodedImage], half: str) -> np.ndarray:
    """Return the indices of a half: of the images sorted by name, every other, or all of them."""
    order = sorted(range(len(images)), key=lambda index: (
        str(images[index]) if isinstance(images[index], Path) else '', index))
    start, step = {'tuning': (0, 2), 'test': (1, 2), 'both': (0, 1)}[half]
    return np.array(order[start::step], np.int64)


def scenes_of(images: Sequence[EncodedImage], labels: np.ndarray, composites: Sequence[str],
              half: str, limit: Optional[int], name: str = 'pictures') -> List[Scene]:
    """Return the pictures as they are, and the composites made of all of them.

    Args:
        images: the whole set.
        labels: of each, (n,).
        composites: descriptions, see `Composites`.
        half: one of HALVES, which is asked.
        limit: at most so many of it, evenly spaced.
        name: of the pictures themselves.

    Raises:
        BenchmarkError: if there are none.
        ltp_ros.research.composites.CompositeError: if a description cannot be followed.
    """
    chosen = half_of(images, half)
    chosen = chosen[spread(len(chosen), limit)]
    if not len(chosen):
        raise BenchmarkError(f'the half {half!r} of {len(images)} images is empty')
    names = list(itertools.starmap(name_of, zip(images, itertools.count())))

    def as_it_is(index: int) -> np.ndarray:
        return decode_rgb(images[index])
    made = [(text, Composites(images, text).compose) for text in dict.fromkeys(composites)]
    return [Scene(each, picture, names, labels, chosen)
            for each, picture in [(name, as_it_is), *made]]


def own_rows(scene: Scene, rivals: Sequence[Rival], note: Note, advance: Advance) -> List[Row]:
    """Return a row for each rival: how often the model's own classes are right."""
    seen, labels = _see_all(scene, rivals, note, advance)
    hits = [[bool(each.best == label) for each, label in zip(column, labels)]
            for column in zip(*seen)]
    return rows_of(scene.name, rivals, hits, _sides(seen))


def taught_rows(scene: Scene, rivals: Sequence[Rival], photos: int, draws: int, note: Note,
                advance: Advance) -> List[Row]:
    """Return a row for each rival: how often classes that were taught are right.

    All of a half: what is taught and what is asked.

    Args:
        scene: pictures of class folders.
        rivals: each is taught by the features in its own boxes.
        photos: pictures of each class that are taught; all others are asked.
        draws: how often others are taught.
        note: called if fewer are taught, and with what is left out.
        advance: called after every picture, and after every rival in every draw.

    Raises:
        BenchmarkError: if there are fewer than two classes, or one of them has one picture.
    """
    seen, labels = _see_all(scene, rivals, note, advance)
    counts = np.unique(labels, return_counts=True)[1]
    if len(counts) < 2 or counts.min() < 2:
        raise BenchmarkError(f'{scene.name}: expected two classes at least, and two pictures of '
                             'each in the half that is asked')
    if photos >= counts.min():
        photos = int(counts.min()) // 2
        note(f'{scene.name}: no more than {photos} photos a class are taught, since the smallest '
             f'has {counts.min()}')
    hits: List[List[bool]] = [[] for _ in rivals]
    for draw in range(draws):
        for right, rival, column in zip(hits, rivals, zip(*seen)):
            ratio, = rival.classifier.config.levels
            right.extend(taught_hits([each.features for each in column], labels, ratio, photos,
                                     draw))
            advance()
    return rows_of(scene.name, rivals, hits, _sides(seen))


def drawn(labels: np.ndarray, photos: int, draw: int) -> Tuple[np.ndarray, np.ndarray]:
    """Return the indices of the pictures that a draw teaches, and of all others."""
    rng = np.random.default_rng(draw)
    taught = np.concatenate([rng.permutation(np.flatnonzero(labels == label))[:photos]
                             for label in np.unique(labels)])
    return taught, np.setdiff1d(np.arange(len(labels)), taught)


def taught_hits(features: Sequence[np.ndarray], labels: np.ndarray, keep_ratio: float,
                photos: int, draw: int) -> List[bool]:
    """Return whether each picture that a draw asks is recognised.

    Args:
        features: (D,) of each picture.
        labels: (n,) of each.
        keep_ratio: the level that they were seen at.
        photos: pictures of each class that are taught.
        draw: its number, the seed.
    """
    taught, asked = drawn(labels, photos, draw)
    classes = Classes((keep_ratio,))
    for index in taught:
        classes.add(f'{labels[index]:05d}', {keep_ratio: features[index]})
    classes.settle()
    best = judge(classes.heads[keep_ratio], [features[index] for index in asked]).best
    return [bool(hit) for hit in np.unique(labels)[best] == labels[asked]]


def rows_of(scene: str, rivals: Sequence[Rival], hits: Sequence[Sequence[bool]],
            sides: Sequence[float]) -> List[Row]:
    """Return a row for each rival, in percent, without times.

    Args:
        scene: its name.
        rivals: the first is what those without a centre crop of their size are compared with.
        hits: whether each answer of each rival is right, in the same order for all.
        sides: mean side of the box of each, in shares of the picture's shorter side.
    """
    found = []
    for rival, right, side in zip(rivals, hits, sides):
        place = next((index for index, other in enumerate(rivals) if other.name == CENTRE
                      and other.classifier is rival.classifier), 0)
        low, high = wilson_interval(sum(right), len(right))
        found.append({
            'scene': scene, 'rival': rival.name,
            'input_size': rival.classifier.data_config.input_size[0],
            'num_tokens': rival.num_tokens, 'n': len(right),
            'top1': 100.0 * sum(right) / len(right), 'top1_low': 100.0 * low,
            'top1_high': 100.0 * high,
            **gain('gain', torch.tensor(right), torch.tensor(hits[place])
                   if rival.name != CENTRE else None), 'box_side': side})
    return found


def _see_all(scene: Scene, rivals: Sequence[Rival], note: Note, advance: Advance
             ) -> Tuple[List[List[Seen]], np.ndarray]:
    """Return what each rival makes of each picture that can be read, and the labels (n,)."""
    seen, labels = [], []
    for index, rgb in scene.pictures(note, rivals[0].classifier):
        seen.append(see(rivals, rgb))
        labels.append(scene.labels[index])
        advance()
    return seen, np.array(labels, np.int64)


def _sides(seen: Sequence[Sequence[Seen]]) -> List[float]:
    return [float(np.mean([each.side for each in column])) for column in zip(*seen)]


def timed_frames(scene: Scene) -> List[np.ndarray]:
    """Return TIMED pictures of a scene, as a camera of 640x480 would send them."""
    chosen = scene.chosen[spread(len(scene.chosen), TIMED)].tolist()
    return [cv2.resize(scene.picture(index), FRAME, interpolation=cv2.INTER_LINEAR)
            for index in chosen]


def times_of(rivals: Sequence[Rival], frames: Sequence[np.ndarray], rounds: int,
             advance: Advance) -> List[Row]:
    """Return the time of each rival, from the picture to the answer: `ms` and `time_share`.

    Medians over interleaved rounds; a share is that of the first rival's time in the same round.
    Both are None with no rounds, and for the attention box: its map is a by-product of the run
    on the frame before, so what it costs is reading it out, which the exported models have no
    output for; a run of the model in torch only to have it would say nothing of that.
    """
    timed = [rival for rival in rivals if rival.name != ATTENTION]

    def run_of(rival: Rival) -> Callable[[], None]:
        turns = itertools.cycle(frames)

        def run() -> None:
            rgb = next(turns)
            rival.classifier.classify(rgb, top_k=1, box=rival.look(rgb))
        return run
    nothing: Row = {'ms': None, 'time_share': None}
    if not rounds:
        return [nothing for _ in rivals]
    times = interleave([run_of(rival) for rival in timed], rounds, len(frames), advance)
    found = iter([{'ms': median(own), 'time_share': median(
        mine / first for mine, first in zip(own, times[0]))} for own in times])
    return [nothing if rival.name == ATTENTION else next(found) for rival in rivals]
