# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""From the pictures that were taught to a head: class probabilities, and how unknown a picture is.

Each class is a Gaussian around its mean; all have one covariance, as in linear discriminant
analysis. It is drawn towards a multiple of the identity by as much as as many pictures weigh as
there are features, so that one picture is enough. Pictures of none of the classes are one more
Gaussian.
"""
import math
from dataclasses import dataclass
from typing import List, NamedTuple, Tuple

import numpy as np
from scipy.linalg import lapack
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, ndtr

from ltp_ros.teaching.examples import NONE, SCALE, Examples, whole

LEFT_OUT = 512       # pictures that are judged without themselves, of all classes
TEMPERATURES = (1.0, 1000.0)  # no surer than the Gaussians, however few pictures say so
# Where there are too few pictures to tell
TYPICAL_SPREAD = 0.5  # mean squared distance from the mean of a class, of features of length 1
LEAST_SPREAD = 0.2    # of one view, many times, nothing is learnt about the others
TYPICAL_TEMPERATURE = 100.0
TYPICAL_DEVIATION = 0.15  # of the logarithm of distances
TYPICAL_WEIGHT = 4    # in pictures


class Verdict(NamedTuple):
    """What a head makes of a picture."""

    probabilities: np.ndarray  # (C,) float64; what is missing to 1 is that of none of them
    unknown: float             # 0..1; see `Head.judge`


class LeftOut(NamedTuple):
    """How the pictures that were taught are judged without themselves."""

    truth: np.ndarray     # (n,) indices of the classes, and of NONE
    energies: np.ndarray  # (n, C or C + 1): squared Mahalanobis distances from the means


class Spread(NamedTuple):
    """A normal distribution."""

    mean: float
    deviation: float

    def standard(self, values: np.ndarray) -> np.ndarray:
        """Return values (n,) in deviations from the mean."""
        return (values - self.mean) / self.deviation

    def below(self, values: np.ndarray) -> np.ndarray:
        """Return the share that lies below each of the values (n,)."""
        return ndtr(self.standard(values))


@dataclass(frozen=True)
class Head:
    """The taught classes at one level of the ladder.

    Probabilities are those of Gaussians of equal weight, at a temperature by which pictures that
    were left out are most likely.
    """

    labels: Tuple[str, ...]   # of the C classes, in alphabetical order
    whitening: np.ndarray     # (D, D) float32, triangular: features -> Mahalanobis space
    means: np.ndarray         # (C or C + 1, D) float32, there; the last of NONE, if taught
    temperature: float
    distances: Spread         # logarithms of distances from the nearest class
    strangeness: Spread       # see `strangeness`
    left_out: LeftOut

    def judge(self, features: np.ndarray) -> Verdict:
        """Judge a picture by its features (D,).

        `unknown` is the share of the pictures of known classes that are less strange, if each is
        left out: nearer to a class, by the Mahalanobis distance, and less like those of none.
        """
        row = whole(features).astype(np.float32) / SCALE
        energies = squared_distances((self.whitening @ row)[None], self.means)
        found = strangeness(energies, len(self.labels), self.temperature, self.distances,
                            len(row))
        odds = np.exp(0.5 * (energies[0].min() - energies[0]) / self.temperature)
        probabilities = odds[:len(self.labels)] / odds.sum()
        return Verdict(probabilities, float(self.strangeness.below(found)[0]))

    def own_accuracy(self, label: str) -> Tuple[float, str]:
        """Return how well the pictures of a class are recognised when left out.

        Returns:
            The share of them that is named right, NaN if there are fewer than two of it; and the
            class that most of the others are taken for, '' if there are none.
        """
        index = self.labels.index(label)
        rows = self.left_out.truth == index
        if not rows.any():
            return math.nan, ''
        taken = self.left_out.energies[rows][:, :len(self.labels)].argmin(axis=1)
        others = taken[taken != index]
        worst = self.labels[np.bincount(others).argmax()] if len(others) else ''
        return float((taken == index).mean()), worst


def fit(examples: Examples) -> Head:
    """Return the head of what was taught: at least one class."""
    labels = tuple(sorted(label for label in examples.classes if label != NONE))
    names = [*labels, NONE] if NONE in examples.classes else list(labels)
    counts = np.array([examples.classes[name].count for name in names], np.float64)
    totals = np.stack([examples.classes[name].total for name in names]) / SCALE
    means = totals / counts[:, None]
    num_features = examples.num_features
    within = examples.second / SCALE ** 2 - (totals.T / counts) @ totals
    freedom = float(counts.sum()) - len(names)
    spread = max((np.trace(within) + TYPICAL_SPREAD) / (freedom + 1.0), LEAST_SPREAD)
    weight = freedom + num_features
    within[np.diag_indices(num_features)] += spread  # num_features * spread / num_features
    # LAPACK itself: half the time, of which a node has little
    lower, fault = lapack.dpotrf(within / weight, lower=1)
    if fault:
        raise ValueError('these second moments are of no pictures')
    whitening = lapack.dtrtri(lower, lower=1)[0].astype(np.float32)
    centres = means.astype(np.float32) @ whitening.T
    left_out = _leave_out(examples, names, counts, whitening, centres, weight)
    temperature = _temperature(left_out)
    known = left_out.energies[left_out.truth < len(labels)]
    distances = _spread(log_distances(known, len(labels), num_features),
                        0.5 * math.log(2 * num_features), TYPICAL_DEVIATION)
    strange = _spread(strangeness(known, len(labels), temperature, distances, num_features),
                      0.0, 1.0)
    return Head(labels, whitening, centres, temperature, distances, strange, left_out)


def squared_distances(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return those (n, C) of points (n, D) from centres (C, D), float64."""
    found = ((points ** 2).sum(axis=1, keepdims=True) - 2.0 * points @ centres.T
             + (centres ** 2).sum(axis=1)).astype(np.float64)
    return np.maximum(found, 0.0)


def log_distances(energies: np.ndarray, known: int, num_features: int) -> np.ndarray:
    """Return the logarithm (n,) of the distance to the nearest of the known classes.

    Args:
        energies: (n, C or C + 1), squared distances.
        known: of them the first so many count.
        num_features: D; the root of a quarter of it, half of what is usual, is as near as can be:
            views of one moment say nothing of others.
    """
    return 0.5 * np.log(np.maximum(energies[:, :known].min(axis=1), num_features / 4))


def strangeness(energies: np.ndarray, known: int, temperature: float, distances: Spread,
                num_features: int) -> np.ndarray:
    """Return how strange pictures are (n,): far from every class, or like those of none.

    The distance to the nearest class in deviations, and where pictures of none were taught the
    logarithm of the odds that it is one. Simpler rules were measured beside it: docs/teaching.md.
    """
    found = distances.standard(log_distances(energies, known, num_features))
    if energies.shape[1] > known:
        odds = -0.5 * energies / temperature
        best = odds[:, :known].max(axis=1)  # scipy's logsumexp takes 0.1 ms, a frame 5
        found = found + odds[:, known] - best - np.log(
            np.exp(odds[:, :known] - best[:, None]).sum(axis=1))
    return found


def _spread(values: np.ndarray, mean: float, deviation: float) -> Spread:
    """Return the spread of values; few of them are drawn towards this mean and deviation.

    The mean of them counts in full: only where there is none is the other taken.
    """
    number = len(values)
    if number < 2:
        return Spread(mean, deviation)
    variance = (number * values.var() + TYPICAL_WEIGHT * deviation ** 2) / (
        number + TYPICAL_WEIGHT)
    return Spread(float(values.mean()), math.sqrt(variance))


def _leave_out(examples: Examples, names: List[str], counts: np.ndarray, whitening: np.ndarray,
               centres: np.ndarray, weight: float) -> LeftOut:
    """Judge some pictures of each class by what would be known without each of them.

    Without one, its mean and the covariance change by one vector, and so in closed form (the
    formula of Sherman and Morrison); the spread that the covariance is drawn to is left as it is.
    """
    most = max(2, LEFT_OUT // len(names))
    every_nth = max(1, most * len(names) // LEFT_OUT)
    rows, truth = [], []
    for index, name in enumerate(names):
        if counts[index] >= 2 and index % every_nth == 0:  # a class of one would not be there
            kept = examples.classes[name].kept[:most]
            rows.append(kept)
            truth += [index] * len(kept)
    if not rows:
        return LeftOut(np.zeros(0, np.int64), np.zeros((0, len(names))))
    owner = np.array(truth)
    seen = (np.concatenate(rows).astype(np.float32) / SCALE) @ whitening.T
    every = np.arange(len(owner))
    energies = squared_distances(seen, centres)
    own = seen - centres[owner]            # d, of each picture from the mean of its class
    length = (own ** 2).sum(axis=1, dtype=np.float64)
    number = counts[owner]
    share = number / (number - 1.0) / weight  # of d d^T in the covariance
    left = np.maximum(1.0 - share * length, 1e-6)
    # (seen - centre) . d for every class, by what is there already
    along = (own * seen).sum(axis=1, keepdims=True) - own @ centres.T
    energies += (share / left)[:, None] * along.astype(np.float64) ** 2
    energies[every, owner] = (number / (number - 1.0)) ** 2 * length / left
    return LeftOut(owner, energies)


def _temperature(left_out: LeftOut) -> float:
    """Return the temperature at which the pictures left out are most likely what they are."""
    if len(left_out.truth) == 0 or left_out.energies.shape[1] < 2:
        return TYPICAL_TEMPERATURE
    every = np.arange(len(left_out.truth))

    def surprise(log_temperature: float) -> float:
        odds = log_softmax(-0.5 * left_out.energies / math.exp(log_temperature), axis=1)
        return -float(odds[every, left_out.truth].mean())

    bounds = tuple(map(math.log, TEMPERATURES))
    return math.exp(minimize_scalar(surprise, bounds=bounds, method='bounded',
                                    options={'xatol': 0.01}).x)
