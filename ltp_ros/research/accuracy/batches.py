# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Batches of preprocessed images, and their labels as classes of the model."""
import math
from typing import Iterator, List, Optional, Sequence, Tuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ltp_ros.images import EncodedImage, ImageFileError, Unread, decode_rgb
from ltp_ros.model.data_config import DataConfig, ImageSizeError
from ltp_ros.model.labels import names_shared
from ltp_ros.model.preprocessing import Preprocessor
from ltp_ros.research.accuracy.sample import name_in
from ltp_ros.research.datasets import LABELS_CSV, DatasetError, ImageSet
from ltp_ros.zoom.gaze import Zoom


class Pixels(Dataset):
    """Decodes and preprocesses each image as the node does, on the CPU: (3, H, W) float32.

    With zoom (2, 3, H, W): as without, and through the zoom. An image that cannot be used is NaN
    throughout; beside it stands why, '' for the others. Then follows the side of the box that the
    model looks at, as a share of the shorter side of the image: 1 without a box.

    Args:
        images: encoded, of any sizes.
        config: input size and normalisation of the model.
        zoom: whether to zoom.
    """

    def __init__(self, images: Sequence[EncodedImage], config: DataConfig, zoom: bool = False):
        self._images = images
        self._preprocessor = Preprocessor(config)
        self._zoom = Zoom(config) if zoom else None
        views = (2,) if zoom else ()
        self._unread = torch.full((*views, 3, *config.input_size), math.nan)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Tuple[torch.Tensor, str, float]:
        try:
            rgb = decode_rgb(self._images[index])
            pixels = self._preprocessor(torch.from_numpy(rgb))[0]
        except (ImageFileError, ImageSizeError) as error:
            return self._unread, str(error), math.nan
        if self._zoom is None:
            return pixels, '', 1.0
        box = self._zoom.box(rgb)
        if box is None:
            return torch.stack((pixels, pixels)), '', 1.0
        zoomed = self._preprocessor(torch.from_numpy(rgb), box=box)[0]
        return torch.stack((pixels, zoomed)), '', box.side_of(rgb.shape)


def batches(images: Sequence[EncodedImage], config: DataConfig, batch: int, workers: int,
            device: torch.device, dtype: torch.dtype, unread: Unread,
            sides: Optional[List[float]] = None) -> Iterator[torch.Tensor]:
    """Yield (B, 3, H, W) on the device, in order; with 0 workers this process decodes.

    Images that cannot be used are NaN, and counted in `unread`. If `sides` are given, yield
    (B, 2, 3, H, W), without and with zoom, and append the side of each box to them; see `Pixels`.

    Raises:
        ImageFileError: if they are too many.
    """
    loader = DataLoader(Pixels(images, config, sides is not None), batch_size=batch,
                        num_workers=workers, pin_memory=device.type == 'cuda')
    done = 0
    for pixels, reasons, of_boxes in loader:
        for index, reason in enumerate(reasons, done):
            if reason:
                unread.add(name_in(images, index), reason)
        done += len(reasons)
        if sides is not None:
            sides.extend(of_boxes.tolist())
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
