# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Batches of preprocessed images, and their labels as classes of the model."""
import itertools
import math
from typing import Iterator, List, Sequence, Tuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ltp_ros.images import EncodedImage, ImageFileError, Unread, decode_rgb, name_of
from ltp_ros.model.data_config import DataConfig, ImageSizeError
from ltp_ros.model.labels import names_shared
from ltp_ros.model.preprocessing import Preprocessor
from ltp_ros.research.datasets import LABELS_CSV, DatasetError, ImageSet


class Pixels(Dataset):
    """Decodes and preprocesses each image as the node does, on the CPU: (3, H, W) float32.

    An image that cannot be used is NaN throughout; beside it stands why, '' for the others.

    Args:
        images: encoded, of any sizes.
        config: input size and normalisation of the model.
    """

    def __init__(self, images: Sequence[EncodedImage], config: DataConfig):
        self._images = images
        self._preprocessor = Preprocessor(config)
        self._unread = torch.full((3, *config.input_size), math.nan)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Tuple[torch.Tensor, str]:
        try:
            rgb = torch.from_numpy(decode_rgb(self._images[index]))
            return self._preprocessor(rgb)[0], ''
        except (ImageFileError, ImageSizeError) as error:
            return self._unread, str(error)


def batches(images: Sequence[EncodedImage], config: DataConfig, batch: int, workers: int,
            device: torch.device, dtype: torch.dtype, unread: Unread) -> Iterator[torch.Tensor]:
    """Yield (B, 3, H, W) on the device, in order; with 0 workers this process decodes.

    Images that cannot be used are NaN, and counted in `unread`.

    Raises:
        ImageFileError: if they are too many.
    """
    loader = DataLoader(Pixels(images, config), batch_size=batch, num_workers=workers,
                        pin_memory=device.type == 'cuda')
    names = itertools.starmap(name_of, zip(images, itertools.count()))
    for pixels, reasons in loader:
        for reason, name in zip(reasons, names):
            if reason:
                unread.add(name, reason)
        yield pixels.to(device, non_blocking=True).to(dtype)


def model_classes(image_set: ImageSet, names: List[str], source: str) -> np.ndarray:
    """Return the label of every image as a class of the model, (n,) int64.

    Classes are matched by name if the model has all of the names, else by position. A name that
    several classes of the model have (ImageNet's cranes) decides nothing.

    Args:
        image_set: the images with the labels of their source.
        names: class names of the model.
        source: where the images come from, for the error message.

    Raises:
        DatasetError: if the classes do not match those of the model.
    """
    own = image_set.class_names
    if own == names:  # even if two are equal
        return image_set.labels
    shared = names_shared(names)
    for name in own:
        if name in shared:
            raise DatasetError(
                f'{source!r} has a class {name!r}, and the model has several of this name: '
                f'{", ".join(map(str, shared[name]))}; say which in a {LABELS_CSV} beside the '
                'images, with the columns file and class_index')
    unknown = [name for name in own if name not in names]
    if own and not unknown:
        return np.array([names.index(name) for name in own], np.int64)[image_set.labels]
    if own and (len(unknown) < len(own) or len(own) != len(names)):
        raise DatasetError(
            f'{source!r} has {len(own)} classes; the model has {len(names)}, and none named '
            f'{unknown[0]!r}; name the classes as the model does, or pass --labels')
    highest = int(image_set.labels.max())
    if highest >= len(names):
        raise DatasetError(f'{source!r} contains class index {highest}, but the model has '
                           f'{len(names)} classes, 0 to {len(names) - 1}')
    return image_set.labels
