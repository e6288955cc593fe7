# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Resize, crop and normalise an image on the device, as timm's evaluation transform does."""
from typing import Optional, OrderedDict, Tuple

import torch
import torch.nn.functional as F
from torch import nn

from ltp_ros.model.data_config import DataConfig
from ltp_ros.region import Region

# The antialiased resize of uint8 came with torch 2.1; Jetsons may run 2.0
_HAS_INTEGER_RESIZE = tuple(int(n) for n in torch.__version__.split('.')[:2]) >= (2, 1)
_MAX_SIZES = 16  # of cameras, and of boxes in their images, whose resize is remembered


def resize_weights(size: int, resized: int, mode: str, device: torch.device) -> torch.Tensor:
    """Return the antialiased resize of `size` pixels to `resized` as a matrix (resized, size).

    The weights are PIL's, made on the device: a box that moves brings new sizes all the time.
    """
    scale = size / resized
    centres = scale * (torch.arange(resized, device=device) + 0.5)
    pixels = torch.arange(size, device=device) + 0.5
    distance = (pixels - centres.unsqueeze(1)).abs() / max(scale, 1.0)
    if mode == 'bilinear':
        weights = (1.0 - distance).clamp_min(0.0)
    else:
        near = (1.5 * distance - 2.5) * distance ** 2 + 1.0  # Keys' cubic with a = -0.5
        far = ((-0.5 * distance + 2.5) * distance - 4.0) * distance + 2.0
        weights = near * (distance < 1) + far * ((distance >= 1) & (distance < 2))
    return weights / weights.sum(dim=1, keepdim=True)


class Preprocessor(nn.Module):
    """Turn one (H, W, 3) uint8 RGB image into the model's input (1, 3, height, width).

    The resize is antialiased like PIL's, on whichever device holds the image. On a CPU torch's
    integer kernel does it. The kernel of a GPU looks at every pixel under each of the output's
    (1369 for one of 4K), so there the resize and the crop are two matrix products.
    """

    def __init__(self, config: DataConfig, dtype: torch.dtype = torch.float32):
        super().__init__()
        self.config, self._zoomed = config, config.zoomed
        scale = torch.tensor(config.std).view(1, -1, 1, 1) * 255.0
        self.register_buffer('shift', torch.tensor(config.mean).view(1, -1, 1, 1) * 255.0)
        self.register_buffer('inverse_scale', 1.0 / scale)
        self.dtype = dtype
        self._products: OrderedDict[Tuple[object, ...], Tuple[torch.Tensor, torch.Tensor]] = (
            OrderedDict())

    def forward(self, rgb: torch.Tensor, out: Optional[torch.Tensor] = None,
                box: Optional[Region] = None) -> torch.Tensor:
        """Return the normalised crop of `rgb` (H, W, 3) uint8 as (1, 3, height, width).

        Args:
            rgb: the image.
            out: written and returned, if given.
            box: the part of the image that is seen whole; None: the config's crop.

        Raises:
            ImageSizeError: if the image is too elongated.
        """
        config = self.config
        if box is not None:
            config, rgb = self._zoomed, rgb[box.slices]
        image = rgb.permute(2, 0, 1).unsqueeze(0)
        if image.device.type == 'cpu' or self.config.interpolation == 'nearest':
            cropped = self.crop(self.resize(image, config)).float()
        else:
            cropped = self.crop(self.resize_by_products(image, config)).float()
        if out is None:
            out = torch.empty(cropped.shape, dtype=self.dtype, device=cropped.device)
        return torch.mul(cropped - self.shift, self.inverse_scale, out=out)

    def resize(self, image: torch.Tensor, config: Optional[DataConfig] = None) -> torch.Tensor:
        """Resize (1, 3, H, W) uint8 to the size that the crop is taken from, in 0..255."""
        config = config or self.config
        size = config.resize_size(image.shape[-2], image.shape[-1])
        if size == tuple(image.shape[-2:]):
            return image
        mode = config.interpolation
        if mode == 'nearest':
            return F.interpolate(image.float(), size, mode='nearest-exact')
        if not _HAS_INTEGER_RESIZE:
            image = image.float()
        resized = F.interpolate(image, size, mode=mode, antialias=True, align_corners=False)
        # Bicubic overshoots; PIL and the integer kernel clip and round, so the float path does too
        return resized if resized.dtype == torch.uint8 else resized.round_().clamp_(0, 255)

    def resize_by_products(self, image: torch.Tensor,
                           config: Optional[DataConfig] = None) -> torch.Tensor:
        """Return of `resize` the part that `crop` leaves, to the nearest grey level.

        In half precision if the model is, so that the tensor cores do it: 255 fits exactly.
        """
        config = config or self.config
        if config.resize_size(*image.shape[-2:]) == tuple(image.shape[-2:]):
            return image
        dtype = torch.float16 if self.dtype == torch.float16 else torch.float32
        rows, columns = self._weights(image, dtype, config)
        pixels = image.to(dtype, memory_format=torch.contiguous_format)
        # Clipped between the two as well, as by PIL and the integer kernel: bicubic overshoots
        narrow = (pixels @ columns).clamp_(0, 255)
        return (rows @ narrow).round_().clamp_(0, 255)

    def _weights(self, image: torch.Tensor, dtype: torch.dtype, config: DataConfig
                 ) -> Tuple[torch.Tensor, torch.Tensor]:
        size = (*image.shape[-2:], dtype, image.device, config.crop_pct)
        if size not in self._products:
            resized = config.resize_size(*image.shape[-2:])
            weights = []
            for side, resized_side, target in zip(image.shape[-2:], resized,
                                                  config.input_size):
                start = round(max(resized_side - target, 0) / 2)  # as `crop`
                matrix = resize_weights(side, resized_side, config.interpolation, image.device)
                weights.append(matrix[start:start + target].to(dtype))
            while len(self._products) >= _MAX_SIZES:
                self._products.popitem(last=False)
            self._products[size] = weights[0], weights[1].t().contiguous()
        self._products.move_to_end(size)
        return self._products[size]

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
