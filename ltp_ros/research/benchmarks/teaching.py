# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""How good taught classes are, over the number of pictures of each: pure numbers, in percent.

D features, C classes. Means over draws with fixed seeds, in which more pictures include the fewer.
"""
import itertools
from typing import Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ltp_ros.config import ClassifierConfig
from ltp_ros.files import plain
from ltp_ros.images import Note, spread
from ltp_ros.research.accuracy.taught import auroc, calibration_error, judge, reliability
from ltp_ros.research.benchmarks import BenchmarkError
from ltp_ros.teaching.examples import NONE, Examples
from ltp_ros.teaching.head import Head, fit

TOGETHER = 3          # classes that are taught where the others are unknown
NEGATIVES = 20        # pictures that are taught as none of the classes
UNKNOWN_COUNTS = (20, 50)
REFUSED_ABOVE = ClassifierConfig.unknown_threshold
PENALTIES = (0.1, 1.0, 10.0)  # of the ridge regression, by n trace / D of the covariance

Rows = Sequence[np.ndarray]  # features (n, D) of each class, or (D,) of each picture
Numbers = Dict[str, float]
Advance = Callable[[], None]


class Part(NamedTuple):
    """Pictures that are taught, and all others of the same classes."""

    taught: Rows             # (count, D) of each class
    asked: List[np.ndarray]  # (D,) of each
    truth: np.ndarray        # (n,) int64, indices of the classes


def allowed_counts(counts: Sequence[int], sizes: Mapping[str, int], note: Note) -> List[int]:
    """Return the counts, ascending, that leave a picture of each class to ask.

    Raises:
        BenchmarkError: if there are none, or fewer than two classes.
    """
    if len(sizes) < 2:
        raise BenchmarkError('there are fewer than two classes; expected a folder of each')
    label, size = min(sizes.items(), key=lambda item: item[1])
    found = [count for count in sorted({*counts}) if count < size]
    words = f'{plain(label)} has {size} usable images, and one at least has to be asked'
    if not found:
        raise BenchmarkError(f'{words}; give fewer to --counts')
    if max(counts) >= size:
        note(f'no more than {found[-1]} photos a class are taught: {words}')
    return found


def orders(sizes: Sequence[int], draw: int) -> List[np.ndarray]:
    """Return the order in which a draw takes the pictures of each class, by their number."""
    return list(map(np.random.default_rng(draw).permutation, sizes))


def split(classes: Rows, order: Sequence[np.ndarray], count: int) -> Part:
    """Return the first `count` pictures of each class, in this order, and the rest."""
    rest = [rows[places[count:]] for rows, places in zip(classes, order)]
    return Part([rows[places[:count]] for rows, places in zip(classes, order)], list(
        np.concatenate(rest)), np.repeat(np.arange(len(rest)), [len(each) for each in rest]))


def head_of(taught: Rows, none: Rows = ()) -> Head:
    """Return the head of classes, in this order, and of features (D,) of none of them."""
    examples = Examples(taught[0].shape[1])
    for index, rows in enumerate([none, *taught]):
        for row in rows:  # heads sort the labels
            examples.add(f'{index:05d}' if index else NONE, examples.row(row))
    return fit(examples)


def unit(features: Sequence[np.ndarray]) -> np.ndarray:
    """Return features (D,) scaled to unit length, (n, D) float64."""
    found = np.asarray(features, np.float64)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def mean_distances(taught: Rows, asked: Sequence[np.ndarray]) -> np.ndarray:
    """Return the Euclidean distances (n, C) of pictures from the means of the classes."""
    means = [unit(list(rows)).mean(axis=0) for rows in taught]
    return np.linalg.norm(unit(asked)[:, None] - means, axis=2)


def ridge_scores(taught: Rows, asked: Sequence[np.ndarray]) -> np.ndarray:
    """Return the scores (n, C) of a ridge regression to one-hot targets.

    Of PENALTIES, that with the least squared error on taught pictures, each left out in turn.
    """
    rows = unit([row for each in taught for row in each])
    targets = np.repeat(np.eye(len(taught)), [len(each) for each in taught], axis=0)
    centre, offset = rows.mean(axis=0), targets.mean(axis=0)
    u, s, vt = np.linalg.svd(rows - centre, full_matrices=False)
    wanted = u.T @ (targets - offset)

    def error(penalty: float) -> float:
        shrunk = s ** 2 / (s ** 2 + penalty)
        left = 1.0 - 1.0 / len(rows) - (u ** 2) @ shrunk
        residual = targets - offset - u @ (shrunk[:, None] * wanted)
        return float(((residual / left[:, None]) ** 2).sum())

    penalty = min((s ** 2).sum() / rows.shape[1] * np.array(PENALTIES), key=error)
    return (unit(asked) - centre) @ vt.T @ ((s / (s ** 2 + penalty))[:, None] * wanted) + offset


def known_rows(levels: Mapping[float, Rows], counts: Sequence[int], draws: int,
               advance: Advance) -> Iterator[Dict[str, Optional[float]]]:
    """Yield how often and how surely pictures are recognised, for each count and level.

    Args:
        levels: the pictures, by keep ratio.
        counts: how many of each class are taught.
        draws: how many.
        advance: called after every draw.
    """
    top = max(levels)
    for count in counts:
        found: Dict[float, List[Numbers]] = {ratio: [] for ratio in levels}
        for draw in range(draws):
            order = orders([len(rows) for rows in levels[top]], draw)
            full = head_of(split(levels[top], order, count).taught)
            for ratio, classes in levels.items():
                found[ratio].append(_known(split(classes, order, count), full))
            advance()
        for ratio, rows in found.items():
            yield {'count': count, 'keep_ratio': ratio, 'draws': draws, **_means(rows),
                   'top1_std': float(np.std([row['top1'] for row in rows], ddof=1))
                   if draws > 1 else None}


def _known(part: Part, full: Head) -> Numbers:
    verdicts = judge(head_of(part.taught), part.asked)
    right = verdicts.best == part.truth
    answers = {'top1': verdicts.best, 'top1_full_head': judge(full, part.asked).best,
               'top1_nearest_mean': mean_distances(part.taught, part.asked).argmin(axis=1),
               'top1_ridge': ridge_scores(part.taught, part.asked).argmax(axis=1)}
    return {**{name: 100.0 * float((best == part.truth).mean()) for name, best in answers.items()},
            'ece': calibration_error(reliability(verdicts.probability, right)),
            'known_refused': 100.0 * float((verdicts.unknown > REFUSED_ABOVE).mean())}


def combinations(num_classes: int, most: int) -> List[Tuple[int, ...]]:
    """Return which TOGETHER classes are taught in each draw; none if no others are left."""
    ways = list(itertools.combinations(range(num_classes), TOGETHER))
    return [ways[place] for place in spread(len(ways), most)] if num_classes > TOGETHER else []


def unknown_rows(levels: Mapping[float, Rows], unrelated: Optional[Mapping[float, np.ndarray]],
                 counts: Sequence[int], draws: int, advance: Advance) -> Iterator[Numbers]:
    """Yield how well pictures of other classes are told from those of TOGETHER that are taught.

    All numbers of a draw are of the same pictures: those of one of the other classes that are
    taught as none, NEGATIVES or half of them, are never asked; `unseen` are those of the rest.
    `unrelated`: features (n, D) of pictures of anything else, by keep ratio.
    """
    sizes = [len(rows) for rows in levels[max(levels)]]
    extra = [len(unrelated[max(levels)])] if unrelated else []
    ways = combinations(len(sizes), draws)
    for count in counts:
        found: Dict[float, List[Numbers]] = {ratio: [] for ratio in levels}
        for draw, way in enumerate(ways):
            order = orders([*sizes, *extra], draw)
            others = [index for index in range(len(sizes)) if index not in way]
            near = others[draw % len(others)]
            taken = order[near][:min(NEGATIVES, sizes[near] // 2)]
            for ratio, classes in levels.items():
                part = split([classes[index] for index in way],
                             [order[index] for index in way], count)
                far = [row for index in others if index != near for row in classes[index]]
                none: Dict[str, Rows] = {'auroc': [], 'auroc_negatives': [*classes[near][taken]]}
                if unrelated:
                    none['auroc_unrelated'] = [*unrelated[ratio][order[-1][:NEGATIVES]]]
                rest = np.delete(classes[near], taken, axis=0)
                found[ratio].append(_unknown(part, rest, far, none))
            advance()
        for ratio, rows in found.items():
            yield {'count': count, 'keep_ratio': ratio, 'draws': len(ways), **_means(rows)}


def _unknown(part: Part, near: np.ndarray, far: Rows, none: Mapping[str, Rows]) -> Numbers:
    strangers, found = [*near, *far], {}
    for name, rows in none.items():
        head = head_of(part.taught, rows)
        known, unknown = judge(head, part.asked), judge(head, strangers)
        found[name] = auroc(known.unknown, unknown.unknown)
        if far:
            found[f'{name}_unseen'] = auroc(known.unknown, unknown.unknown[len(near):])
        if name == 'auroc':
            found['auroc_softmax'] = auroc(-known.probability, -unknown.probability)
    return {**found, 'auroc_nearest_mean': auroc(*(
        mean_distances(part.taught, rows).min(axis=1) for rows in (part.asked, strangers)))}


def _means(rows: Sequence[Numbers]) -> Numbers:
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
