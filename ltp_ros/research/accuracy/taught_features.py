# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The features of a set of pictures at every level, as a robot would have them."""
from typing import Callable, Dict, Iterator, Sequence, Tuple

import numpy as np

from ltp_ros.classifier import Classifier
from ltp_ros.images import EncodedImage, Note
from ltp_ros.research.accuracy.sample import read


def features_of(classifier: Classifier, images: Sequence[EncodedImage], note: Note,
                progress: Callable[[int], None]) -> Iterator[Tuple[int, Dict[float, np.ndarray]]]:
    """Yield (index, features (D,) by keep ratio) of every picture that can be used.

    Args:
        classifier: its ladder are the levels.
        images: encoded.
        note: called at the end if pictures are left out.
        progress: called with the number of pictures that are done.

    Raises:
        ltp_ros.images.ImageFileError: if too many cannot be used.
    """
    for index, rgb in read(images, note, classifier.data_config.resize_size):
        yield index, classifier.features(rgb)
        progress(index + 1)
