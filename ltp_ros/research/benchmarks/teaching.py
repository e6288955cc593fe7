# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""How good taught classes are, over the number of pictures of each: pure numbers, in percent.

D features, C classes. Every number is a mean over draws with fixed seeds. In a draw, the pictures
of a class that fewer are taught of are among those that more are taught of, at every level.
"""
import itertools
from typing import Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ltp_ros.images import spread
from ltp_ros.research.accuracy.taught import auroc, calibration_error, judge, reliability
from ltp_ros.teaching.examples import NONE, Examples
from ltp_ros.teaching.head import Head, fit

TOGETHER = 3          # classes that are taught where the others are unknown
NEGATIVES = 20        # pictures that are taught as none of the classes
UNKNOWN_COUNTS = (20, 50)
REFUSED_ABOVE = 0.95  # `Verdict.unknown` of a picture that is refused
PENALTIES = (0.1, 1.0, 10.0)  # of the ridge regression, by the mean variance of a feature

Level = Sequence[np.ndarray]  # features (n, D) of the pictures of each class
Row = Dict[str, Optional[float]]


class Part(NamedTuple):
    """Pictures that are taught, and all others of the same classes."""

    taught: List[np.ndarray]  # (count, D) of each class
    asked: np.ndarray         # (n, D)
    truth: np.ndarray         # (n,) int64, indices of the classes


def orders(sizes: Sequence[int], draw: int) -> List[np.ndarray]:
    """Return the order in which a draw takes the pictures of each class, by their number."""
    rng = np.random.default_rng(draw)
    return [rng.permutation(size) for size in sizes]


def split(classes: Level, order: Sequence[np.ndarray], count: int) -> Part:
    """Return the first `count` pictures of each class, in this order, and the rest."""
    rest = [rows[places[count:]] for rows, places in zip(classes, order)]
    return Part([rows[places[:count]] for rows, places in zip(classes, order)],
                np.concatenate(rest), np.repeat(np.arange(len(rest)), [len(each) for each in rest]))


def head_of(taught: Level, none: Sequence[np.ndarray] = ()) -> Head:
    """Return the head of classes, in this order, and of features (D,) of none of them."""
    examples = Examples(taught[0].shape[1])
    for index, rows in enumerate(taught):
        for row in rows:
            examples.add(f'{index:05d}', examples.row(row))  # heads sort by label
    for row in none:
        examples.add(NONE, examples.row(row))
    return fit(examples)


def unit(features: np.ndarray) -> np.ndarray:
    """Return features (n, D) scaled to unit length, float64."""
    return features / np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)


def mean_distances(taught: Level, asked: np.ndarray) -> np.ndarray:
    """Return the Euclidean distances (n, C) of pictures from the means of the classes."""
    means = np.stack([unit(rows).mean(axis=0) for rows in taught])
    return np.linalg.norm(unit(asked)[:, None] - means, axis=2)


def ridge_scores(taught: Level, asked: np.ndarray) -> np.ndarray:
    """Return the scores (n, C) of a ridge regression to one-hot targets.

    Of PENALTIES, times n trace / D of the covariance, that with the least squared error on the
    taught pictures, each left out in turn.
    """
    rows, targets = unit(np.concatenate(taught)), np.repeat(
        np.eye(len(taught)), [len(each) for each in taught], axis=0)
    centre, offset = rows.mean(axis=0), targets.mean(axis=0)
    u, s, vt = np.linalg.svd(rows - centre, full_matrices=False)
    wanted = u.T @ (targets - offset)

    def error(penalty: float) -> float:
        shrunk = s ** 2 / (s ** 2 + penalty)
        leverage = (u ** 2) @ shrunk + 1.0 / len(rows)
        residual = targets - offset - u @ (shrunk[:, None] * wanted)
        return float((residual ** 2 / (1.0 - leverage[:, None]) ** 2).sum())

    penalty = min((factor * float((s ** 2).sum()) / rows.shape[1] for factor in PENALTIES),
                  key=error)
    weights = vt.T @ ((s / (s ** 2 + penalty))[:, None] * wanted)
    return (unit(asked) - centre) @ weights + offset


def known_rows(levels: Mapping[float, Level], counts: Sequence[int], draws: int,
               advance: Callable[[], None]) -> Iterator[Row]:
    """Yield how often and how surely pictures are recognised, for each count and level.

    Args:
        levels: the pictures, by keep ratio.
        counts: how many of each class are taught; each leaves one to ask.
        draws: how many.
        advance: called after every draw.
    """
    top = max(levels)
    sizes = [len(rows) for rows in levels[top]]
    for count in counts:
        found: Dict[float, List[Dict[str, float]]] = {ratio: [] for ratio in levels}
        for draw in range(draws):
            order = orders(sizes, draw)
            full = head_of(split(levels[top], order, count).taught)
            for ratio, classes in levels.items():
                part = split(classes, order, count)
                found[ratio].append(_known(part, full, full if ratio == top else
                                           head_of(part.taught)))
            advance()
        for ratio, rows in found.items():
            yield {'count': count, 'keep_ratio': ratio, 'draws': draws, **_means(rows),
                   'top1_std': float(np.std([row['top1'] for row in rows], ddof=1))
                   if draws > 1 else None}


def _known(part: Part, full: Head, own: Head) -> Dict[str, float]:
    verdicts = judge(own, part.asked)
    right = verdicts.best == part.truth

    def share(answers: np.ndarray) -> float:
        return 100.0 * float((answers == part.truth).mean())

    return {'top1': 100.0 * float(right.mean()),
            'top1_full_head': share(judge(full, part.asked).best),
            'top1_nearest_mean': share(mean_distances(part.taught, part.asked).argmin(axis=1)),
            'top1_ridge': share(ridge_scores(part.taught, part.asked).argmax(axis=1)),
            'ece': calibration_error(reliability(verdicts.probability, right)),
            'known_refused': 100.0 * float((verdicts.unknown > REFUSED_ABOVE).mean())}


def combinations(num_classes: int, most: int) -> List[Tuple[int, ...]]:
    """Return which TOGETHER classes are taught in each draw, evenly spread over all ways."""
    ways = list(itertools.combinations(range(num_classes), TOGETHER))
    return [ways[place] for place in spread(len(ways), most)]


def unknown_rows(levels: Mapping[float, Level], unrelated: Optional[Mapping[float, np.ndarray]],
                 counts: Sequence[int], draws: int, advance: Callable[[], None]
                 ) -> Iterator[Row]:
    """Yield how well pictures of other classes are told from those of TOGETHER that are taught.

    Every number of a draw is of the same pictures: those of one of the other classes that are
    taught as none, NEGATIVES or half of them, are never asked.

    Args:
        levels: the pictures, of more than TOGETHER classes, by keep ratio.
        unrelated: features (n, D) of pictures to teach as none, by keep ratio; or None.
        counts: how many of each class are taught.
        draws: how many at most; each has other classes.
        advance: called after every draw.
    """
    sizes = [len(rows) for rows in levels[max(levels)]]
    extra = [len(unrelated[max(levels)])] if unrelated else []
    ways = combinations(len(sizes), draws)
    for count in counts:
        found: Dict[float, List[Dict[str, float]]] = {ratio: [] for ratio in levels}
        for draw, way in enumerate(ways):
            order = orders([*sizes, *extra], draw)
            others = [index for index in range(len(sizes)) if index not in way]
            near = others[draw % len(others)]
            negatives = order[near][:min(NEGATIVES, sizes[near] // 2)]
            for ratio, classes in levels.items():
                part = split([classes[index] for index in way],
                             [order[index] for index in way], count)
                strangers = np.concatenate([
                    np.delete(classes[index], negatives if index == near else [], axis=0)
                    for index in others])
                none = {'auroc_negatives': classes[near][negatives]}
                if unrelated:
                    none['auroc_unrelated'] = unrelated[ratio][order[-1][:NEGATIVES]]
                found[ratio].append(_unknown(part, strangers, none))
            advance()
        for ratio, rows in found.items():
            yield {'count': count, 'keep_ratio': ratio, 'draws': len(ways), **_means(rows)}


def _unknown(part: Part, strangers: np.ndarray, none: Mapping[str, np.ndarray]
             ) -> Dict[str, float]:
    head = head_of(part.taught)
    known, unknown = judge(head, part.asked), judge(head, strangers)
    near, far = (mean_distances(part.taught, asked).min(axis=1)
                 for asked in (part.asked, strangers))
    found = {'auroc': auroc(known.unknown, unknown.unknown),
             'auroc_softmax': auroc(-known.probability, -unknown.probability),
             'auroc_nearest_mean': auroc(near, far)}
    for name, rows in none.items():
        head = head_of(part.taught, list(rows))
        found[name] = auroc(judge(head, part.asked).unknown, judge(head, strangers).unknown)
    return found


def _means(rows: Sequence[Mapping[str, float]]) -> Dict[str, float]:
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
