# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Some pictures of a set, or composites of them, of which only one at a time is in memory."""
import copy
from functools import partial
from typing import Any, Iterator, Mapping, Optional, Sequence, Tuple

import numpy as np

from ltp_ros.images import EncodedImage, Fits, Note, decode_rgb, name_of, readable, spread
from ltp_ros.research.composites import Composites


class Sample(Sequence[EncodedImage]):
    """Pictures of a set, evenly spaced over it.

    Args:
        images: the set.
        limit: at most so many of them; None: all.
        composite: makes composites of them, see `Composites`; '': as they are.

    Raises:
        ltp_ros.research.composites.CompositeError: if there are no such composites.
    """

    def __init__(self, images: Sequence[EncodedImage], limit: Optional[int] = None,
                 composite: str = ''):
        self.indices = spread(len(images), limit)  # in the set
        self._originals = images
        self._images = Composites(images, composite) if composite else images

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        if not isinstance(index, slice):
            return self._images[int(self.indices[index])]
        found = copy.copy(self)
        found.indices = self.indices[index]
        return found

    def name(self, index: int) -> str:
        """Return how to call a picture; of a composite, the one that is shrunk."""
        return name_of(self._originals[int(self.indices[index])], index)


def counted(result: Mapping[str, Any]) -> str:
    """Return how many images of which kind a JSON file of `ltp_evaluate` is about, for a title."""
    composite = result['composite']
    return f'{result["n"]} composites {composite}' if composite else f'{result["n"]} images'


def name_in(images: Sequence[EncodedImage], index: int) -> str:
    """Return how to call a picture of a set, without making it."""
    return images.name(index) if isinstance(images, Sample) else name_of(images[index], index)


def read(images: Sequence[EncodedImage], note: Note, fits: Fits
         ) -> Iterator[Tuple[int, np.ndarray]]:
    """Do as `ltp_ros.images.read_images`; a composite of a damaged picture is left out too."""
    def decoded(index: int) -> np.ndarray:
        return decode_rgb(images[index])
    return readable(((index, name_in(images, index), partial(decoded, index))
                     for index in range(len(images))), len(images), note, fits)
