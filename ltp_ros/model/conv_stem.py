# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Convolutional stem that stands in for timm's `PatchEmbed`, and the architecture that uses it.

A Transformer learns edges and textures slowly from few images; convolutions learn them fast
(Xiao et al., "Early Convolutions Help Transformers See Better", NeurIPS 2021). The stem runs
before the tokens exist, so token pruning does not touch it.

Interface: the constructor arguments and the attributes that timm's `VisionTransformer` uses of
its `embed_layer`. Nothing of timm is imported.
"""
import math
from typing import Any, Callable, Dict, Optional, Sequence, Tuple, Union

import torch
from torch import nn
from torch.nn import functional as F

# Arguments for timm's VisionTransformer, besides `embed_layer=ConvStem` and `num_classes`.
VIT_DEMO = {
    'img_size': 32, 'patch_size': 4, 'embed_dim': 192, 'depth': 4, 'num_heads': 3,
    'mlp_ratio': 2.0,
}


def whitening_filters(images: torch.Tensor, num_filters: int) -> torch.Tensor:
    """Return 3x3 filters (num_filters, C, 3, 3) that decorrelate the patches of `images`.

    The leading eigenvectors of the patch covariance, each scaled to unit output variance and
    followed by its negative, so that a rectifier after them loses nothing (after Jordan,
    "94% on CIFAR-10 in 3.29 Seconds on a Single A100", 2024).

    Args:
        images: (B, C, H, W), normalised as the model sees them.
        num_filters: even, at most 2 * 9 * C.
    """
    patches = F.unfold(images.float(), 3).transpose(1, 2).reshape(-1, images.shape[1] * 9)
    covariance = patches.T @ patches / len(patches)
    eigenvalues, eigenvectors = torch.linalg.eigh(covariance)  # ascending
    scaled = (eigenvectors / (eigenvalues + 1e-3).sqrt()).T.flip(0)[:num_filters // 2]
    return torch.cat([scaled, -scaled]).reshape(num_filters, images.shape[1], 3, 3)


class ConvNorm(nn.Module):
    """3x3 convolution, optional 2x2 max pooling, BatchNorm, GELU; a skip where shapes allow."""

    def __init__(self, in_chans: int, out_chans: int, pool: bool = False,
                 device: Optional[torch.device] = None, dtype: Optional[torch.dtype] = None):
        super().__init__()
        self.conv = nn.Conv2d(in_chans, out_chans, 3, padding=1, bias=False, device=device,
                              dtype=dtype)
        self.pool = nn.MaxPool2d(2) if pool else nn.Identity()
        self.norm = nn.BatchNorm2d(out_chans, device=device, dtype=dtype)
        self.act = nn.GELU()
        self.skip = not pool and in_chans == out_chans

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, in_chans, H, W) to (B, out_chans, H, W), halved where pooling."""
        y = self.act(self.norm(self.pool(self.conv(x))))
        return x + y if self.skip else y


class ConvStem(nn.Module):
    """Turn images (B, C, H, W) into tokens (B, N, D) with convolutions.

    One 3x3 layer at full resolution, then one stage for each halving, then a 1x1 projection.

    Args:
        img_size: height and width in pixels, or one number for both; None takes any size.
        patch_size: pixels a token stands for on each side; 2 ** (len(widths) - 1).
        in_chans: C.
        embed_dim: D.
        norm_layer: normalisation of the tokens, none by default.
        flatten: return (B, N, D); False keeps the layout of `output_fmt`.
        output_fmt: 'NCHW' or 'NHWC', implies not flattened.
        bias: of the projection.
        strict_img_size: refuse any size but `img_size`.
        dynamic_img_pad: pad at the right and the bottom to whole patches.
        widths: channels of the first layer and of each stage.

    Raises:
        ValueError: `patch_size` and `widths` disagree.
    """

    def __init__(self, img_size: Union[int, Tuple[int, int], None] = 32, patch_size: int = 4,
                 in_chans: int = 3, embed_dim: int = 192,
                 norm_layer: Optional[Callable[[int], nn.Module]] = None, flatten: bool = True,
                 output_fmt: Optional[str] = None, bias: bool = True,
                 strict_img_size: bool = True, dynamic_img_pad: bool = False,
                 widths: Sequence[int] = (32, 64, 192),
                 device: Optional[torch.device] = None, dtype: Optional[torch.dtype] = None):
        super().__init__()
        self.patch_size = _pair(patch_size)
        reduction = 2 ** (len(widths) - 1)
        if self.patch_size != (reduction, reduction):
            raise ValueError(f'patch_size {patch_size} does not fit widths {tuple(widths)}, '
                             f'which reduce by {reduction}')
        self.img_size: Optional[Tuple[int, int]] = None
        self.grid_size: Optional[Tuple[int, int]] = None
        self.num_patches: Optional[int] = None
        self.set_input_size(img_size)
        self.flatten = flatten and output_fmt is None
        self.output_fmt = output_fmt or 'NCHW'
        self.strict_img_size = strict_img_size
        self.dynamic_img_pad = dynamic_img_pad

        dd: Dict[str, Any] = {'device': device, 'dtype': dtype}
        self.whiten = nn.Conv2d(in_chans, widths[0], 3, padding=1, bias=False, **dd)
        layers = []
        for width_in, width_out in zip(widths[:-1], widths[1:]):
            layers += [ConvNorm(width_in, width_out, pool=True, **dd),
                       ConvNorm(width_out, width_out, **dd)]
        self.stages = nn.Sequential(*layers)
        self.proj = nn.Conv2d(widths[-1], embed_dim, 1, bias=bias, **dd)
        self.norm = norm_layer(embed_dim, **dd) if norm_layer else nn.Identity()

    def set_input_size(self, img_size: Union[int, Tuple[int, int], None] = None,
                       patch_size: Optional[int] = None) -> None:
        """Change the image size that the token grid is made for; None leaves it as it is.

        Raises:
            ValueError: another patch size, which the stem cannot have.
        """
        if patch_size is not None and _pair(patch_size) != self.patch_size:
            raise ValueError(f'patch_size {patch_size} is not possible; the stem reduces by '
                             f'{self.patch_size}')
        if img_size is not None:
            self.img_size = _pair(img_size)
            self.grid_size = (self.img_size[0] // self.patch_size[0],
                              self.img_size[1] // self.patch_size[1])
            self.num_patches = self.grid_size[0] * self.grid_size[1]

    def feat_ratio(self, as_scalar: bool = True) -> Union[int, Tuple[int, int]]:
        """Return the pixels of one token on each side."""
        return max(self.patch_size) if as_scalar else self.patch_size

    def dynamic_feat_size(self, img_size: Tuple[int, int]) -> Tuple[int, int]:
        """Return the token grid (rows, columns) for an image of `img_size` pixels."""
        rounded = math.ceil if self.dynamic_img_pad else math.floor
        return (rounded(img_size[0] / self.patch_size[0]),
                rounded(img_size[1] / self.patch_size[1]))

    @torch.no_grad()
    def init_whitening(self, images: torch.Tensor) -> None:
        """Set the first layer from normalised training images (B, C, H, W) and freeze it."""
        self.whiten.weight.copy_(whitening_filters(images, self.whiten.out_channels))
        self.whiten.weight.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, H, W) to tokens (B, N, D), row by row.

        Raises:
            ValueError: the image size is not the one the stem was made for.
        """
        height, width = x.shape[-2:]
        if self.strict_img_size and self.img_size and (height, width) != self.img_size:
            raise ValueError(f'image of {height}x{width} does not match the model, '
                             f'{self.img_size[0]}x{self.img_size[1]}')
        if self.dynamic_img_pad:
            x = F.pad(x, (0, -width % self.patch_size[1], 0, -height % self.patch_size[0]))
        x = self.proj(self.stages(F.gelu(self.whiten(x))))
        if self.flatten:
            x = x.flatten(2).transpose(1, 2)
        elif self.output_fmt == 'NHWC':
            x = x.permute(0, 2, 3, 1)
        return self.norm(x)


def _pair(value: Union[int, Sequence[int]]) -> Tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))
