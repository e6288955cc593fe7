# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Training images as tensors: decoding, hold-out split, and augmentation per batch."""
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterable, Iterator, List, Tuple

import numpy as np
import torch
from torch.nn import functional as F

from ltp_ros.files import some_of
from ltp_ros.images import EncodedImage, Note, ignore, read_images, unread_pictures
from ltp_ros.model.data_config import DataConfig
from ltp_ros.model.preprocessing import Preprocessor
from ltp_ros.research.datasets import EXPECTED, DatasetError, ImageSet, open_image_set


@dataclass
class TrainingData:
    """Decoded images (n, 3, H, W) uint8 and labels (n,) int64, on the CPU."""

    pixels: torch.Tensor
    labels: torch.Tensor
    val_pixels: torch.Tensor
    val_labels: torch.Tensor
    class_names: List[str]


Track = Callable[[Iterable[EncodedImage]], Iterable[EncodedImage]]


def load_data(images: str, val: str = '', *, img_size: int, held_share: float = 0.0, seed: int = 0,
              track: Track = iter, note: Note = ignore) -> TrainingData:
    """Decode the images at (img_size, img_size) and split them.

    Args:
        images: training images, in any format that `open_image_set` reads.
        val: validation images, likewise; if empty, a share of `images` is held out.
        img_size: height and width in pixels.
        held_share: share to hold out, 0..1.
        seed: determines which images are held out.
        track: wraps the sequence of images, for a progress bar.
        note: called if images are left out, or classes have none.

    Raises:
        DatasetError: if the images cannot be used, or the class names of the two sets differ.
    """
    image_set = open_image_set(images)
    class_names = image_set.class_names or [
        f'class {index}' for index in range(int(image_set.labels.max()) + 1)]
    if len(class_names) < 2:
        raise DatasetError(f'{images!r} has one class, {class_names[0]!r}, so there is nothing to '
                           f'tell apart; {EXPECTED}')
    empty = sorted(set(range(len(image_set.class_names))).difference(image_set.labels.tolist()))
    if empty:
        note('without images, so never an answer: '
             f'{some_of(class_names[index] for index in empty)}')
    unread = unread_pictures(Path(images))
    if unread:
        note(f'left out: {unread}')
    pixels, labels = load_images(image_set, img_size, track, note)
    train, held = hold_out(len(labels), 0.0 if val else held_share, seed)
    if not len(train):
        raise DatasetError(f'{images!r} has {len(labels)} images, and the hold-out leaves none '
                           'for training; add images or hold out fewer')
    data = TrainingData(pixels[train], labels[train], pixels[held], labels[held], class_names)
    if val:
        val_set = open_image_set(val)
        if val_set.class_names and val_set.class_names != class_names:
            raise DatasetError(f'{val!r} has the classes {val_set.class_names}; expected those '
                               f'of {images!r}: {class_names}')
        data.val_pixels, data.val_labels = load_images(val_set, img_size, track, note)
    return data


def load_images(image_set: ImageSet, img_size: int, track: Track, note: Note
                ) -> Tuple[torch.Tensor, torch.Tensor]:
    """Return the images that can be used, as `stack_inputs` does, and their labels (n,) int64."""
    size = (img_size, img_size)
    used: List[int] = []

    def rgb_images() -> Iterator[np.ndarray]:
        for index, rgb in read_images(track(image_set.images), len(image_set), note,
                                      middle_of(size).resize_size):
            used.append(index)
            yield rgb
    pixels = stack_inputs(rgb_images(), middle_of(size))
    return pixels, torch.from_numpy(image_set.labels[used])


def middle_of(size: Tuple[int, int]) -> DataConfig:
    """Return how to resize and crop an image to `size`, losing as little as possible."""
    return DataConfig(size, (0.0,) * 3, (1.0,) * 3, crop_pct=1.0)


def before_crop(config: DataConfig) -> DataConfig:
    """Return how to make the pictures that `config` crops the middle of."""
    return dataclasses.replace(config, input_size=config.resize_size(*config.input_size),
                               crop_pct=1.0)


def stack_inputs(rgb_images: Iterable[np.ndarray], config: DataConfig) -> torch.Tensor:
    """Resize and crop images (H, W, 3) uint8; return (n, 3, *config.input_size) uint8."""
    preprocessor = Preprocessor(config)
    inputs = [torch.empty(0, 3, *config.input_size, dtype=torch.uint8)]
    for rgb in rgb_images:
        image = torch.from_numpy(np.require(rgb, requirements=['C', 'W'])).permute(2, 0, 1)[None]
        inputs.append(preprocessor.crop(preprocessor.resize(image)).to(torch.uint8))
    return torch.cat(inputs)


def channel_statistics(pixels: torch.Tensor) -> Tuple[Tuple[float, ...], Tuple[float, ...]]:
    """Return the mean and standard deviation of each channel of (n, 3, H, W) uint8, in 0..1."""
    counts = [np.bincount(pixels[:, channel].numpy().ravel(), minlength=256)
              for channel in range(pixels.shape[1])]
    levels = np.arange(256) / 255.0
    means = [np.average(levels, weights=count) for count in counts]
    stds = [np.average((levels - mean) ** 2, weights=count) ** 0.5
            for mean, count in zip(means, counts)]
    # Images of a single grey level must not cause a division by zero
    return (tuple(round(float(mean), 4) for mean in means),
            tuple(round(max(float(std), 1e-3), 4) for std in stds))


def hold_out(num_images: int, share: float, seed: int) -> Tuple[torch.Tensor, torch.Tensor]:
    """Return the indices (training, validation), with a random `share` in 0..1 held out."""
    order = torch.randperm(num_images, generator=torch.Generator().manual_seed(seed))
    num_held = int(round(share * num_images))
    return order[num_held:], order[:num_held]


def epoch_order(num_images: int, epoch: int, seed: int) -> torch.Tensor:
    """Return the order of the images in an epoch, determined by `epoch` and `seed`."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(num_images, generator=generator)


def normalise(pixels: torch.Tensor, preprocessor: Preprocessor) -> torch.Tensor:
    """Normalise (B, 3, H, W) uint8 to the model's input: float32, channels last in memory."""
    scaled = (pixels.float() - preprocessor.shift) * preprocessor.inverse_scale
    return scaled.contiguous(memory_format=torch.channels_last)


def augment(images: torch.Tensor, pad: int, flip: bool = True) -> torch.Tensor:
    """Shift each image of (B, C, H, W) by up to `pad` pixels, mirroring borders; flip half."""
    batch, _, height, width = images.shape
    device = images.device
    rows = torch.arange(height, device=device) + torch.randint(
        0, 2 * pad + 1, (batch, 1), device=device)
    columns = torch.arange(width, device=device) + torch.randint(
        0, 2 * pad + 1, (batch, 1), device=device)
    if flip:
        flipped = torch.rand(batch, 1, device=device) < 0.5
        columns = torch.where(flipped, columns.flip(1), columns)
    padded = F.pad(images, (pad, pad, pad, pad), 'reflect').permute(0, 2, 3, 1)
    which = torch.arange(batch, device=device).view(-1, 1, 1)
    return padded[which, rows.unsqueeze(2), columns.unsqueeze(1)].permute(0, 3, 1, 2)
