# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Made-up films for the zoom: whether it sees more over time, and how calm its box is.

A picture moves in front of another one, blurred, and each frame has noise of its own. All moves
are by whole pixels, so that where the thing is is known exactly. Frames are made one by one.
"""
from typing import Callable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np

from ltp_ros.classifier import Classifier
from ltp_ros.images import Note, spread
from ltp_ros.region import Region
from ltp_ros.research.benchmarks.zoom import FRAME, Advance, Row, Scene
from ltp_ros.research.composites import BLUR
from ltp_ros.zoom.gaze import Gaze

KINDS = ('still', 'shake', 'pan', 'fast')
FRAMES = 48       # of a film
SHARE = 0.4       # of a frame's height that the thing takes
AWAY = (60, 100)  # pixels that it may be from the middle at first: down and across
PAD = 40          # pixels of ground beyond each side of a frame, for the shake
SHAKE = 3.0       # standard deviation of where the camera points, pixels
PAN = 4.0         # pixels a frame
SWING, PACE = 112.0, 1 / 6  # pixels and radians a frame: at most SWING * PACE pixels a frame
NOISE = 4.0       # standard deviation, grey levels


class Film(NamedTuple):
    """What a film is made of; the same for all kinds."""

    thing: np.ndarray   # (S, S, 3) uint8
    ground: np.ndarray  # a frame and PAD beyond each side, uint8
    seed: int           # of where the thing is, how it moves, and the noise

    def frames(self, kind: str, noise: float = NOISE) -> Iterator[Tuple[np.ndarray, Region]]:
        """Yield (frame (H, W, 3) uint8, where the thing is in it); the same each time."""
        (width, height), side = FRAME, len(self.thing)
        rng = np.random.default_rng(self.seed)
        start = np.array([height - side, width - side]) / 2 + rng.uniform(-1, 1, 2) * AWAY
        thing, camera = motion(kind, rng)
        for (top, left), (down, right) in zip(np.rint(start + thing).astype(int) + camera, camera):
            rgb = self.ground[PAD - down:PAD - down + height, PAD - right:PAD - right + width]
            rgb, place = rgb.copy(), Region(int(top), int(left), side, side)
            rgb[place.slices] = self.thing
            if noise:
                grains = rng.standard_normal(rgb.shape, np.float32) * np.float32(noise)
                rgb = np.clip(np.rint(rgb + grains), 0, 255).astype(np.uint8)
            yield rgb, place


def motion(kind: str, rng: np.random.Generator) -> Tuple[np.ndarray, np.ndarray]:
    """Return how far the thing has moved over the ground, and all of it in the frame.

    Both (FRAMES, 2), down and right in pixels; the second in whole ones, no more than PAD.
    """
    way, count = rng.choice([-1, 1]), np.arange(FRAMES)
    across = {'pan': PAN * np.minimum(count, FRAMES - count), 'fast': SWING * np.sin(PACE * count)}
    thing = np.stack([np.zeros(FRAMES), way * across.get(kind, np.zeros(FRAMES))], axis=1)
    shaken = rng.normal(0.0, SHAKE if kind == 'shake' else 0.0, (FRAMES, 2))
    return thing, np.clip(np.rint(shaken), -PAD, PAD).astype(int)


def film_of(picture: np.ndarray, other: np.ndarray, seed: int) -> Film:
    """Return a film of a picture (H, W, 3) uint8 in front of another."""
    (width, height), side = FRAME, round(SHARE * FRAME[1])
    ground = cv2.resize(other, (width + 2 * PAD, height + 2 * PAD),
                        interpolation=cv2.INTER_CUBIC)
    return Film(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA),
                cv2.GaussianBlur(ground, (0, 0), BLUR), seed)


class Answer(NamedTuple):
    """What the model makes of a frame."""

    best: int     # class id
    seen: Region  # of the frame


class Shot(NamedTuple):
    """A frame of a film, without and with zoom."""

    place: Region  # of the thing
    centre: Answer
    zoom: Answer


def watch(film: Film, kind: str, classifier: Classifier, noise: float = NOISE) -> List[Shot]:
    """Return what the model makes of each frame; its gaze starts anew."""
    gaze = Gaze(classifier.zoom)

    def answer(rgb: np.ndarray, box: Optional[Region]) -> Answer:
        found = classifier.classify(rgb, top_k=1, score_threshold=0.0, box=box)
        return Answer(found.class_ids[0], found.seen)
    shots = []
    for rgb, place in film.frames(kind, noise):
        centre, box = answer(rgb, None), gaze.follow(rgb)
        shots.append(Shot(place, centre, answer(rgb, box) if box else centre))
    return shots


def moved(regions: Sequence[Region]) -> np.ndarray:
    """Return the way of the edge that goes furthest from each frame to the next, pixels."""
    edges = np.array([(top, left, top + high, left + wide) for top, left, high, wide in regions])
    return np.abs(np.diff(edges, axis=0)).max(axis=1)


def share_seen(place: Region, seen: Region) -> float:
    """Return which share of the thing lies in a region."""
    high, wide = (max(0, min(first + size, start + extent) - max(first, start))
                  for first, size, start, extent in zip(place[:2], place[2:], seen[:2], seen[2:]))
    return high * wide / (place.height * place.width)


def row_of(kind: str, labels: Sequence[int], films: Sequence[Sequence[Shot]]) -> Row:
    """Return the row of a kind, all in percent.

    Each number with zoom has one of the same name with `_centre`, of the centre crop:

        top1: frames that are right.
        flips: frames whose best class is not that of the frame before.
        held: mean share of the thing that the model saw.

    Of the zoom alone, the way of the edge that goes furthest from a frame to the next, of the
    frame's height: `moved`, the mean; `beyond_p99` and `beyond_max`, how far it goes beyond the
    way of the thing.

    Args:
        kind: one of KINDS.
        labels: of each film.
        films: their frames.
    """
    def of_frames(value: Callable[[Shot, int], float]) -> float:
        return 100.0 * float(np.mean([value(shot, label) for label, shots in zip(labels, films)
                                      for shot in shots]))

    def flips(best: Callable[[Shot], int]) -> float:
        return 100.0 * float(np.mean([best(now) != best(then) for shots in films
                                      for then, now in zip(shots, shots[1:])]))
    ways = np.concatenate([moved([shot.zoom.seen for shot in shots]) for shots in films])
    own = np.concatenate([moved([shot.place for shot in shots]) for shots in films])
    beyond = np.maximum(ways - own, 0)
    percent = 100.0 / FRAME[1]
    return {
        'kind': kind, 'films': len(films), 'frames': sum(map(len, films)),
        'top1_centre': of_frames(lambda shot, label: shot.centre.best == label),
        'top1': of_frames(lambda shot, label: shot.zoom.best == label),
        'flips_centre': flips(lambda shot: shot.centre.best),
        'flips': flips(lambda shot: shot.zoom.best),
        'moved': percent * float(ways.mean()),
        'beyond_p99': percent * float(np.percentile(beyond, 99)),
        'beyond_max': percent * float(beyond.max()),
        'held_centre': of_frames(lambda shot, label: share_seen(shot.place, shot.centre.seen)),
        'held': of_frames(lambda shot, label: share_seen(shot.place, shot.zoom.seen))}


def film_rows(scene: Scene, count: int, classifier: Classifier, note: Note,
              advance: Advance) -> List[Row]:
    """Return a row for each kind, of the same films.

    Args:
        scene: whose pictures they are made of; the ground of each is the picture of the one
            before.
        count: at most so many pictures of it, evenly spaced.
        classifier: that watches them.
        note: called with what is left out.
        advance: called after every film.

    Raises:
        ltp_ros.images.ImageFileError: if too many pictures cannot be used.
    """
    chosen = scene.chosen[spread(len(scene.chosen), count)]
    pictures = list(scene._replace(chosen=chosen).pictures(note, classifier))
    if len(pictures) < 2:
        note('left out: films, since they need a second picture for their ground')
        return []
    labels = [int(scene.labels[index]) for index, _ in pictures]
    watched: List[List[List[Shot]]] = [[] for _ in KINDS]
    for (index, picture), (_, other) in zip(pictures, [pictures[-1], *pictures]):
        film = film_of(picture, other, index)
        for kind, found in zip(KINDS, watched):
            found.append(watch(film, kind, classifier))
            advance()
    return [row_of(kind, labels, found) for kind, found in zip(KINDS, watched)]
