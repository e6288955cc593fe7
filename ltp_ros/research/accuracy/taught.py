# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Accuracy, calibration and refusal of taught classes, in percent: pure numbers.

n pictures of known classes, m of none of them; C classes.
"""
import itertools
import math
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np
from scipy.stats import rankdata

from ltp_ros.research.accuracy.rows import wilson_interval
from ltp_ros.teaching.head import Head

BINS = 15
KNOWN_ACCEPTED = 0.95  # the share of known pictures at which those of none are counted

Row = Dict[str, Optional[float]]


class Bin(NamedTuple):
    """The answers whose probability lies in one of BINS intervals of equal width."""

    place: int          # 0..BINS - 1
    n: int
    probability: float  # the mean, 0..1
    accuracy: float     # share that is right, 0..1


class Verdicts(NamedTuple):
    """What a head makes of pictures."""

    best: np.ndarray         # (n,) int64, the most likely class of each
    probability: np.ndarray  # (n,) of that class, 0..1
    unknown: np.ndarray      # (n,) 0..1; see `Head.judge`


def judge(head: Head, features: Sequence[np.ndarray]) -> Verdicts:
    """Judge pictures by the features (D,) of each, as a classifier does."""
    found = [head.judge(each) for each in features]
    best = np.array([verdict.probabilities.argmax() for verdict in found], np.int64)
    return Verdicts(best, np.array([verdict.probabilities.max() for verdict in found]),
                    np.array([verdict.unknown for verdict in found]))


def reliability(probability: np.ndarray, right: np.ndarray) -> List[Bin]:
    """Return the BINS that are not empty, in order.

    Args:
        probability: of the class that is answered, (n,) in 0..1.
        right: whether the answer is right, (n,) bool.
    """
    places = np.clip(np.ceil(probability * BINS) - 1, 0, BINS - 1).astype(int)  # (low, high]
    found = []
    for place in range(BINS):
        inside = places == place
        if inside.any():
            found.append(Bin(place, int(inside.sum()), float(probability[inside].mean()),
                             float(right[inside].mean())))
    return found


def calibration_error(bins: Sequence[Bin]) -> float:
    """Return the expected calibration error (ECE) in percent.

    The mean over the answers of how far the probability of their bin is from its accuracy.
    """
    total = sum(each.n for each in bins)
    return 100.0 * sum(each.n * abs(each.probability - each.accuracy) for each in bins) / total


def auroc(known: np.ndarray, unknown: np.ndarray) -> float:
    """Return the area under the ROC curve in percent.

    How often a picture of none of the classes is stranger than one of a class; a tie counts half.

    Args:
        known: how strange the pictures of the classes are, (n,).
        unknown: how strange those of none of them are, (m,).
    """
    n, m = len(known), len(unknown)
    ranks = rankdata(np.concatenate([unknown, known]))[:m]
    return 100.0 * (float(ranks.sum()) - m * (m + 1) / 2) / (m * n)


def false_accepts(known: np.ndarray, unknown: np.ndarray) -> float:
    """Return the share of pictures of none that are accepted, in percent.

    At the lowest threshold that accepts KNOWN_ACCEPTED of the known ones. Arguments as of `auroc`.
    """
    threshold = np.sort(known)[math.ceil(round(KNOWN_ACCEPTED * len(known), 6)) - 1]
    return 100.0 * float((unknown <= threshold).mean())


def row_of(known: Verdicts, labels: np.ndarray, strangers: Optional[Verdicts]) -> Row:
    """Return the numbers of one head.

    Args:
        known: of the n pictures of its classes.
        labels: the class of each, (n,) int64.
        strangers: of the m pictures of none of them; None: there are none, and neither are the
            numbers that need them.
    """
    right = known.best == labels
    n, hits = len(right), int(right.sum())
    low, high = wilson_interval(hits, n)
    row: Row = {'n': n, 'top1': 100.0 * hits / n, 'top1_low': 100.0 * low,
                'top1_high': 100.0 * high,
                'ece': calibration_error(reliability(known.probability, right))}
    for name, of_known, of_strangers in (
            ('', known.unknown, None if strangers is None else strangers.unknown),
            ('_softmax', 1.0 - known.probability,
             None if strangers is None else 1.0 - strangers.probability)):
        row[f'auroc{name}'] = None if of_strangers is None else auroc(of_known, of_strangers)
        row[f'fpr95{name}'] = None if of_strangers is None else false_accepts(
            of_known, of_strangers)
    return row


def crossed(heads: Mapping[float, Head], features: Mapping[float, Sequence[np.ndarray]],
            labels: np.ndarray, strangers: Optional[Mapping[float, Sequence[np.ndarray]]]
            ) -> Iterator[Row]:
    """Yield a row for the head of every level, asked with the features of every level.

    Args:
        heads: by keep ratio.
        features: of the n pictures, by keep ratio.
        labels: (n,) int64.
        strangers: features of the m pictures of none of the classes, by keep ratio.
    """
    for taught, asked in itertools.product(heads, features):
        yield {'taught_keep_ratio': taught, 'keep_ratio': asked, **row_of(
            judge(heads[taught], features[asked]), labels,
            None if strangers is None else judge(heads[taught], strangers[asked]))}


def own_level(rows: Sequence[Mapping[str, Any]]) -> List[Mapping[str, Any]]:
    """Return the rows of heads that are asked at the level that they were taught at."""
    return [row for row in rows if row['taught_keep_ratio'] == row['keep_ratio']]
