# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What is kept of the pictures that were taught: sums that forget as exactly as they learn.

Features are rounded to whole numbers, and sums of whole numbers below 2**53 are exact in float64:
the order of the pictures does not matter, and a picture that is taken out again leaves no trace.
"""
import bisect
import hashlib
from dataclasses import dataclass
from typing import Any, Dict, Optional, Sequence

import numpy as np

SCALE = 2 ** 14  # of the whole numbers: a feature is 1 at most, and so fits in 16 bits
NONE = ''        # the label of pictures of none of the classes


class NotTaughtError(ValueError):
    """A label or a picture that was not taught cannot be forgotten."""


def whole(features: np.ndarray) -> np.ndarray:
    """Return features (D,) scaled to unit length, as whole numbers (D,) int16.

    Raises:
        ValueError: if they have no direction: NaN, infinite, or all zero.
    """
    length = float(np.linalg.norm(features.astype(np.float64)))
    if not 0.0 < length < np.inf:  # NaN too
        raise ValueError('the features of this picture are not finite, or all zero')
    return np.rint(features * (SCALE / length)).astype(np.int16)


@dataclass
class Moments:
    """The pictures of one class.

    As many as there are features are kept as they are: they take less room than the matrix of
    their second moments, and are left out in turn to judge the rest. Which ones that are does not
    depend on the order in which they came.
    """

    count: int
    total: np.ndarray  # (D,) float64
    kept: np.ndarray   # (n, D) int16, n <= D, in the order of their hashes
    rest: Optional[np.ndarray] = None  # (D, D) float64: second moments of those that are not kept

    @classmethod
    def empty(cls, num_features: int) -> 'Moments':
        """Return those of no picture."""
        return cls(0, np.zeros(num_features), np.zeros((0, num_features), np.int16))

    def add(self, row: np.ndarray) -> None:
        """Add a picture, given by its whole numbers (D,)."""
        self.count += 1
        self.total += row
        place = self._place(row)
        self.kept = np.insert(self.kept, place, row, axis=0)
        num_features = len(row)
        if len(self.kept) > num_features:
            self.kept, last = self.kept[:-1], self.kept[-1]
            if self.rest is None:
                self.rest = np.zeros((num_features, num_features))
            self.rest += second_moments(last[None])

    def remove(self, row: np.ndarray) -> None:
        """Take a picture out again.

        Raises:
            NotTaughtError: if it is not there; where only sums are left of some pictures, one
                that was not among them is noticed only if it is the last.
        """
        place = self._place(row)
        if place < len(self.kept) and (self.kept[place] == row).all():
            self.kept = np.delete(self.kept, place, axis=0)
        elif self.rest is not None:
            self.rest -= second_moments(row[None])
        else:
            raise NotTaughtError('this picture was not taught as an example of that class')
        self.count -= 1
        self.total -= row
        if self.count == len(self.kept):
            self.rest = None

    def second(self) -> np.ndarray:
        """Return the second moments (D, D) of all its pictures, float64."""
        found = second_moments(self.kept)
        return found if self.rest is None else found + self.rest

    def _place(self, row: np.ndarray) -> int:
        return bisect.bisect_left(_Hashes(self.kept), _hash(row))


class _Hashes(Sequence[bytes]):
    """The hashes of rows, of which a search looks at a few."""

    def __init__(self, rows: np.ndarray):
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        return _hash(self._rows[index])


def _hash(row: np.ndarray) -> bytes:
    return hashlib.blake2b(row.tobytes(), digest_size=8).digest()


def second_moments(rows: np.ndarray) -> np.ndarray:
    """Return the sum of the outer products of rows (n, D) of whole numbers: (D, D) float64."""
    values = rows.astype(np.float64)
    return values.T @ values


class Examples:
    """The pictures that were taught at one level of the ladder, by class.

    Args:
        num_features: D.
    """

    def __init__(self, num_features: int):
        self.num_features = num_features
        self.classes: Dict[str, Moments] = {}  # by label; under NONE those of none of the classes
        self.second = np.zeros((num_features, num_features))  # second moments of all, float64

    def __len__(self) -> int:
        return sum(moments.count for moments in self.classes.values())

    def row(self, features: np.ndarray) -> np.ndarray:
        """Return features (D,) as they are kept: see `whole`.

        Raises:
            ValueError: if they are not D finite numbers.
        """
        if features.shape != (self.num_features,):
            raise ValueError(f'features of shape {features.shape} are not the '
                             f'({self.num_features},) of those taught before')
        return whole(features)

    def add(self, label: str, row: np.ndarray) -> None:
        """Add a picture; see `row`."""
        self.classes.setdefault(label, Moments.empty(self.num_features)).add(row)
        self.second += second_moments(row[None])

    def remove(self, label: str, row: np.ndarray) -> None:
        """Forget a picture.

        Raises:
            NotTaughtError: if it was not taught; see `Moments.remove`.
        """
        moments = self.classes.get(label, Moments.empty(self.num_features))
        moments.remove(row)
        self.second -= second_moments(row[None])
        if not moments.count:
            del self.classes[label]

    def forget(self, label: str) -> None:
        """Forget a class that is there."""
        self.second -= self.classes.pop(label).second()
