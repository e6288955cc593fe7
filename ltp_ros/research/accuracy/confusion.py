# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Which classes that were taught are taken for which, and the pictures that stand in the way."""
from typing import List, NamedTuple

import numpy as np

from ltp_ros.teaching.examples import Examples
from ltp_ros.teaching.head import Head

OFTEN = 0.1  # share of the pictures of a class; with fewer, two classes are not called confused


class Confusion(NamedTuple):
    """Pictures of a class that are nearer to another one when they are left out."""

    label: str
    taken_for: str
    share: float      # of the pictures of the class that were left out
    rows: np.ndarray  # (n, D) int16, as `Examples` keeps them; those farthest astray first


def judged(head: Head, label: str) -> int:
    """Return how many pictures of a class were left out in turn, to judge the others."""
    return int((head.left_out.truth == head.labels.index(label)).sum())


def confusions(head: Head, examples: Examples, label: str) -> List[Confusion]:
    """Return for which other classes the pictures of one are taken, the most frequent first.

    Args:
        head: made of the examples.
        examples: of one level.
        label: of the class.
    """
    own = head.labels.index(label)
    energies = head.left_out.energies[head.left_out.truth == own][:, :len(head.labels)]
    if not len(energies):
        return []
    kept = examples.classes[label].kept[:len(energies)]  # the order in which they are left out
    taken = energies.argmin(axis=1)
    astray = energies[:, own] - energies.min(axis=1)
    found = []
    for other in sorted(set(taken.tolist()) - {own}):
        members = np.flatnonzero(taken == other)
        members = members[np.argsort(-astray[members], kind='stable')]
        found.append(Confusion(label, head.labels[other], len(members) / len(energies),
                               kept[members]))
    return sorted(found, key=lambda confusion: -confusion.share)
