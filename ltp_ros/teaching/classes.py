# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The classes that were taught, at every level of the ladder."""
from typing import Dict, List, Mapping, Optional, Sequence, Set

import numpy as np

from ltp_ros.files import is_control, short
from ltp_ros.teaching.examples import NONE, Examples, NotTaughtError
from ltp_ros.teaching.head import Head, fit

MAX_LABEL = 200   # letters
NONE_NAME = 'none'  # of the folder of pictures of none of the classes
MAX_CLASSES = 10_000


class LabelError(ValueError):
    """A name that no class can have."""


class Classes:
    """What was taught, and the heads that were made of it.

    Features with fewer tokens lie elsewhere, so that a head is right only at the level that it was
    taught at: a picture is taught at all of them.

    Args:
        keep_ratios: the levels.
    """

    def __init__(self, keep_ratios: Sequence[float]):
        self.keep_ratios = tuple(keep_ratios)
        self.levels: Dict[float, Examples] = {}  # by keep ratio; {} before the first picture
        self.heads: Mapping[float, Head] = {}  # as of the last `settle`; {}: there is no class
        self._fitted: Dict[float, Head] = {}  # of what was taught since, too
        # How its pictures were seen: through the zoom, or not; None: that is not known
        self.ways: Set[Optional[bool]] = set()

    @property
    def counts(self) -> Dict[str, int]:
        """How many pictures of each class, and of NONE, were taught, by label."""
        for examples in self.levels.values():
            return {label: moments.count for label, moments in sorted(examples.classes.items())}
        return {}

    @property
    def zoom(self) -> Optional[bool]:
        """Whether all pictures were seen through the zoom; None: some, or it is not known."""
        return next(iter(self.ways)) if len(self.ways) == 1 else None

    @property
    def labels(self) -> List[str]:
        """The names of the classes, in alphabetical order: class id 0, 1, ..."""
        return [label for label in self.counts if label != NONE]

    @property
    def num_features(self) -> int:
        """D; 0 before the first picture."""
        return next((examples.num_features for examples in self.levels.values()), 0)

    def add(self, label: str, features: Mapping[float, np.ndarray]) -> None:
        """Teach a picture, by its features (D,) at every level, all or nothing.

        Args:
            label: of its class, new or not; NONE: it shows none of them.
            features: by keep ratio.

        Raises:
            LabelError: if no class can have this name, or there are too many.
            ValueError: if features are missing or not finite.
        """
        check_label(label)
        counts = self.counts
        if label not in counts and len(counts) >= MAX_CLASSES:
            raise LabelError(f'there are {MAX_CLASSES} classes, and no more can be taught')
        levels = self.levels or {ratio: Examples(len(features[ratio]))
                                 for ratio in self.keep_ratios}
        rows = {ratio: examples.row(features[ratio]) for ratio, examples in levels.items()}
        self.levels = levels
        for ratio, examples in levels.items():
            examples.add(label, rows[ratio])
        self._fitted.clear()

    def remove(self, label: str, features: Mapping[float, np.ndarray]) -> None:
        """Forget a picture, given by the same features again.

        Raises:
            NotTaughtError: if it was not taught.
        """
        for ratio, examples in self.levels.items():
            examples.remove(label, examples.row(features[ratio]))
        self._fitted.clear()

    def forget(self, label: str) -> None:
        """Forget a class, or with NONE the pictures of none of them.

        Raises:
            NotTaughtError: if there is no such class.
        """
        if label not in self.counts:
            raise NotTaughtError(f'there is no class {short(label)}' if label else
                                 'no pictures of none of the classes were taught')
        for examples in self.levels.values():
            examples.forget(label)
        self._fitted.clear()

    def fit(self, keep_ratio: float) -> None:
        """Make the head of a level anew, if something has changed; `settle` then shows it."""
        if keep_ratio not in self._fitted and self.labels:
            self._fitted[keep_ratio] = fit(self.levels[keep_ratio])

    def settle(self) -> None:
        """Show in `heads` what was taught and forgotten, at all levels at once."""
        for keep_ratio in self.levels:
            self.fit(keep_ratio)
        self.heads = dict(self._fitted)


def check_label(label: str) -> None:
    """Raise LabelError if a class cannot have this name; NONE is allowed."""
    fault = ''
    if label != label.strip():
        fault = 'it begins or ends with a space'
    elif len(label) > MAX_LABEL:
        fault = f'it has {len(label)} letters, and {MAX_LABEL} are allowed'
    elif label.lower() == NONE_NAME:
        fault = 'it stands for pictures of none of the classes'
    elif any(map(is_control, label)):
        fault = 'its control characters would steer a terminal'
    if fault:
        raise LabelError(f'{short(label)} cannot be the name of a class: {fault}')
