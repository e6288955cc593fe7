# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the answers of a faster way to run a model are still those of the model."""
from typing import NamedTuple, Sequence

import numpy as np
from scipy.spatial.distance import jensenshannon
from scipy.stats import mannwhitneyu

from ltp_ros.backends.protocol import Answering

MAX_DIVERGENCE = 0.02  # bits, the mean over the pictures; 1 is the most there can be
MAX_LOSS = 0.03        # of the share of pairs told apart
TOP_K = 100            # classes of an answer
BLOCKS = 8             # a side, that an unknown picture is cut into


class Check(NamedTuple):
    """How far the answers of one backend are from those of another."""

    pictures: int
    divergence: float  # Jensen-Shannon, bits, mean
    agreement: float   # share of pictures with the same best class
    apart: float       # share of pairs, a picture and an unknown one, in which it is the surer
    apart_before: float

    @property
    def fault(self) -> str:
        """Why the backend must not be taken, as a clause; '' if it may."""
        if not self.divergence <= MAX_DIVERGENCE:  # NaN too
            return (f'its answers diverge by {self.divergence:.4f} bits, and {MAX_DIVERGENCE} '
                    'are allowed')
        if not self.apart >= self.apart_before - MAX_LOSS:
            return (f'it tells {self.apart:.0%} of unknown pictures apart instead of '
                    f'{self.apart_before:.0%}, and {MAX_LOSS:.0%} less are allowed')
        return ''

    def __str__(self) -> str:
        return (f'on {self.pictures} pictures {self.agreement:.0%} of the labels are those of '
                f'float32, divergence {self.divergence:.4f} bits, unknown ones told apart '
                f'{self.apart:.0%} (float32 {self.apart_before:.0%})')


def check(reference: Answering, candidate: Answering, pictures: Sequence[np.ndarray],
          num_classes: int) -> Check:
    """Compare the answers of two backends without token reduction.

    Unknown to any model are the pictures with their parts in disorder: a model in 8 bits may name
    the same classes and yet be as sure of those.

    Args:
        reference: in float32.
        candidate: of the same model.
        pictures: each (H, W, 3) uint8 RGB, at least one.
        num_classes: C, of the model.
    """
    unknown = [disordered(rgb, seed) for seed, rgb in enumerate(pictures)]
    known_by, unknown_by = (
        [[_probabilities(backend, rgb, num_classes) for rgb in each]
         for backend in (reference, candidate)] for each in (pictures, unknown))
    divergences = [jensenshannon(ours, theirs, base=2) ** 2 for ours, theirs in zip(*known_by)]
    labels = np.array([[answer.argmax() for answer in answers] for answers in known_by])
    before, after = (
        mannwhitneyu([answer.max() for answer in known], [answer.max() for answer in strange]
                     ).statistic / len(pictures) ** 2
        for known, strange in zip(known_by, unknown_by))
    return Check(len(pictures), float(np.mean(divergences)),
                 float((labels[0] == labels[1]).mean()), float(after), float(before))


def disordered(rgb: np.ndarray, seed: int) -> np.ndarray:
    """Return a picture (H, W, 3) cut into BLOCKS x BLOCKS parts that are put back in disorder."""
    height, width = (max(1, size // BLOCKS) for size in rgb.shape[:2])
    rows, columns = rgb.shape[0] // height, rgb.shape[1] // width
    parts = rgb[:rows * height, :columns * width].reshape(
        rows, height, columns, width, 3).swapaxes(1, 2).reshape(-1, height, width, 3)
    parts = parts[np.random.default_rng(seed).permutation(len(parts))]
    return np.ascontiguousarray(parts.reshape(rows, columns, height, width, 3).swapaxes(
        1, 2).reshape(rows * height, columns * width, 3))


def _probabilities(backend: Answering, rgb: np.ndarray, num_classes: int) -> np.ndarray:
    """Return (C,) float64: those that the answer does not hold share what is left."""
    answer = backend(rgb, 1.0, min(TOP_K, num_classes))
    left = max(0.0, 1.0 - float(answer.scores.sum()))
    probabilities = np.full(num_classes, left / max(1, num_classes - len(answer.scores)))
    probabilities[answer.class_ids] = answer.scores
    return probabilities
