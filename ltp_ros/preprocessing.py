# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Resize, crop and normalise an image on the device, as timm's evaluation transform does."""
import math
from dataclasses import dataclass
from typing import Tuple

import torch
import torch.nn.functional as F
from torch import nn

INTERPOLATIONS = ('nearest', 'bilinear', 'bicubic')
CROP_MODES = ('center', 'squash', 'border')
# The antialiased resize of uint8 came with torch 2.1; Jetsons may run 2.0
_HAS_INTEGER_RESIZE = tuple(int(n) for n in torch.__version__.split('.')[:2]) >= (2, 1)
_MAX_RESIZED_PIXELS = 2 ** 26
_MAX_GPU_SCALE = 16  # from about 45 on, the resize's weights do not fit in shared memory


@dataclass(frozen=True)
class DataConfig:
    """What a model expects of its input; the fields are those of timm's data config.

    Raises:
        ValueError: if the interpolation or the crop mode is none that this module knows.
    """

    input_size: Tuple[int, int]  # height, width in pixels
    mean: Tuple[float, ...]
    std: Tuple[float, ...]
    interpolation: str = 'bicubic'
    crop_pct: float = 0.875
    crop_mode: str = 'center'

    def __post_init__(self) -> None:
        for name, allowed in (('interpolation', INTERPOLATIONS), ('crop_mode', CROP_MODES)):
            if getattr(self, name) not in allowed:
                raise ValueError(f'{name} {getattr(self, name)!r} of the model is not supported; '
                                 f'expected one of {", ".join(allowed)}')

    def resize_size(self, height: int, width: int) -> Tuple[int, int]:
        """Return the (height, width) that an image of this size is resized to before the crop.

        The sizes and their roundings are those of timm's `create_transform`.
        """
        target = [math.floor(side / self.crop_pct) for side in self.input_size]
        if self.crop_mode == 'squash':
            return target[0], target[1]
        ratios = (height / target[0], width / target[1])
        if self.crop_mode == 'border' or target[0] != target[1]:
            ratio = max(ratios) if self.crop_mode == 'border' else min(ratios)
            return max(1, round(height / ratio)), max(1, round(width / ratio))
        # torchvision's Resize(int) truncates the longer side
        if height <= width:
            return target[0], int(target[0] * width / height)
        return int(target[0] * height / width), target[0]

    def crop_box(self, height: int, width: int) -> Tuple[float, float, float, float]:
        """Return what the model sees of such an image: top, left, height, width in its pixels."""
        resized = self.resize_size(height, width)
        scale_y, scale_x = height / resized[0], width / resized[1]
        crop_height, crop_width = self.input_size
        return (scale_y * (resized[0] - crop_height) / 2, scale_x * (resized[1] - crop_width) / 2,
                scale_y * crop_height, scale_x * crop_width)


class ImageSizeError(ValueError):
    """An image that cannot be brought to the size that the model wants."""


def halved(image: torch.Tensor, size: Tuple[int, int]) -> torch.Tensor:
    """Halve the sides of (1, 3, H, W) until none is too long for a GPU to resize to `size`."""
    while True:
        factors = tuple(2 if side > _MAX_GPU_SCALE * target else 1
                        for side, target in zip(image.shape[-2:], size))
        if factors == (1, 1):
            return image
        image = F.avg_pool2d(image, factors)


class Preprocessor(nn.Module):
    """Turn one (H, W, 3) uint8 RGB image into the model's input (1, 3, height, width).

    The resize is antialiased like PIL's, on whichever device holds the image.

    Raises:
        ImageSizeError: for an image so elongated that its resized form would not fit in memory.
    """

    def __init__(self, config: DataConfig, dtype: torch.dtype = torch.float32):
        super().__init__()
        self.config = config
        scale = torch.tensor(config.std).view(1, -1, 1, 1) * 255.0
        self.register_buffer('shift', torch.tensor(config.mean).view(1, -1, 1, 1) * 255.0)
        self.register_buffer('inverse_scale', 1.0 / scale)
        self.dtype = dtype

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Return the normalised crop of `rgb` (H, W, 3) uint8 as (1, 3, height, width)."""
        image = rgb.permute(2, 0, 1).unsqueeze(0)  # stays channels-last in memory: no copy
        resized = self.resize(image)
        cropped = self.crop(resized).float()
        return ((cropped - self.shift) * self.inverse_scale).to(self.dtype)

    def resize(self, image: torch.Tensor) -> torch.Tensor:
        """Resize (1, 3, H, W) uint8 to the size that the crop is taken from, in 0..255."""
        size = self.config.resize_size(image.shape[-2], image.shape[-1])
        if size == tuple(image.shape[-2:]):
            return image
        if size[0] * size[1] > _MAX_RESIZED_PIXELS:
            raise ImageSizeError(f'an image of {image.shape[-1]}x{image.shape[-2]} pixels is too '
                             'elongated to be resized for the model; crop it upstream')
        mode = self.config.interpolation
        if mode == 'nearest':
            return F.interpolate(image.float(), size, mode='nearest-exact')
        if image.device.type != 'cpu' or not _HAS_INTEGER_RESIZE:
            image = image.float()  # the integer kernel, where there is one, is the faster
        if image.device.type != 'cpu':
            image = halved(image, size)
        resized = F.interpolate(image, size, mode=mode, antialias=True, align_corners=False)
        # Bicubic overshoots; PIL and the integer kernel clip and round, so the float path does too
        return resized if resized.dtype == torch.uint8 else resized.round_().clamp_(0, 255)

    def crop(self, image: torch.Tensor) -> torch.Tensor:
        """Cut the centre out of (1, 3, H, W), padded with the mean where it is too small."""
        height, width = self.config.input_size
        pad_y = max(height - image.shape[-2], 0)
        pad_x = max(width - image.shape[-1], 0)
        if pad_y or pad_x:
            padded = self.shift.round().to(image.dtype).expand(
                1, -1, image.shape[-2] + pad_y, image.shape[-1] + pad_x).contiguous()
            padded[..., pad_y // 2:pad_y // 2 + image.shape[-2],
                   pad_x // 2:pad_x // 2 + image.shape[-1]] = image
            image = padded
        top = round((image.shape[-2] - height) / 2)
        left = round((image.shape[-1] - width) / 2)
        return image[..., top:top + height, left:left + width]
