# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The images that a timm classifier can be given: of which sizes, and in how many cells."""
import math
from typing import Any, Dict, Mapping, Tuple, Union

import torch
from timm.data import resolve_model_data_config
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from ltp_ros.config import Sides
from ltp_ros.model.card import ModelError

CONV_STEP = 16     # pixels by which the input of a ConvNet is made smaller
CONV_STRIDE = 32   # of its last layer, where it does not say
# What positions gain in strength with the share of the patches that is missing: with 144 of 224
# pixels DeiT-tiny is right on 69 % of photos, and on 62 without (docs/accuracy.md)
POSITION_GAIN = 0.25
FLEXIBLE = 'flexivit'  # models that were trained with patches of any size
FLEXIBLE_PATCHES = (48, 40, 30, 24, 20, 16, 15, 12, 10, 8)  # Beyer et al., "FlexiViT", CVPR 2023


def both(size: Union[int, Sides]) -> Sides:
    """Return height and width of a size that may be one number for both."""
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def has_tokens(model: nn.Module) -> bool:
    """Return whether a model is a Vision Transformer, whose patches are tokens throughout."""
    return isinstance(model, VisionTransformer)


def takes_size(model: nn.Module) -> bool:
    """Return whether a model is made for one size of its input, which timm can set."""
    return has_tokens(model) or hasattr(model, 'set_input_size')


def fixed(model: nn.Module) -> bool:
    """Return whether a model can be given images of one size alone, as LeViT."""
    cfg: Mapping[str, Any] = getattr(model, 'pretrained_cfg', None) or {}
    return not takes_size(model) and bool(cfg.get('fixed_input_size'))


def sides_of(model: nn.Module) -> Sides:
    """Return height and width of a model's input in pixels."""
    embed = getattr(model, 'patch_embed', None)
    if takes_size(model) and embed is not None and getattr(embed, 'img_size', None):
        return both(tuple(embed.img_size))
    return both(tuple(resolve_model_data_config(model)['input_size'][1:]))


def grid_of(model: nn.Module) -> Sides:
    """Return rows and columns of a model's patches; of another network, of its last features."""
    if has_tokens(model):
        return both(tuple(model.patch_embed.grid_size))
    stages = getattr(model, 'feature_info', None) or [{}]
    stride = stages[-1].get('reduction', CONV_STRIDE) if isinstance(stages, list) else CONV_STRIDE
    height, width = sides_of(model)
    return math.ceil(height / stride), math.ceil(width / stride)


def step_of(model: nn.Module) -> Sides:
    """Return by how many pixels the sides of a model's input can differ; 0: not at all."""
    if fixed(model):
        return 0, 0
    if has_tokens(model):
        return both(tuple(model.patch_embed.patch_size))
    return (CONV_STRIDE, CONV_STRIDE) if takes_size(model) else (CONV_STEP, CONV_STEP)


def patch_sizes_of(model: nn.Module) -> Tuple[int, ...]:
    """Return the sizes of patches that a model can be run with at its input; () : one alone."""
    cfg: Mapping[str, Any] = getattr(model, 'pretrained_cfg', None) or {}
    if not str(cfg.get('architecture', '')).startswith(FLEXIBLE):
        return ()
    height, width = sides_of(model)
    return tuple(size for size in FLEXIBLE_PATCHES if not (height % size or width % size))


def arguments(size: Union[int, Sides], outline: nn.Module) -> Dict[str, object]:
    """Return timm's arguments for a Vision Transformer whose input has this size.

    Its weights are resampled as they are loaded; those of other networks afterwards, by `resize`.
    """
    height, width = both(size)
    if not height or not has_tokens(outline):
        return {}
    return {'img_size': height if height == width else (height, width)}


def resize(model: nn.Module, size: Union[int, Sides]) -> None:
    """Have another network than a Vision Transformer take images of a size, if it has to know.

    Raises:
        ModelError: if timm cannot resample it to that.
    """
    if not both(size)[0] or has_tokens(model) or not takes_size(model):
        return
    try:
        with torch.no_grad():
            model.set_input_size(img_size=both(size))
    except Exception as error:  # of timm, by the kind of network
        raise ModelError(f'timm cannot give a {type(model).__name__} images of {both(size)} '
                         f'pixels (height, width): {error}. Take another input_size') from error


def set_patch_size(model: nn.Module, patch_size: int) -> None:
    """Resample the patch embedding and the positions of a FlexiViT to patches of this size."""
    with torch.no_grad():
        model.set_input_size(patch_size=(patch_size, patch_size))


def strengthen_positions(model: nn.Module, trained: nn.Module) -> None:
    """Scale the positions of a Vision Transformer that is given a smaller image than it knew.

    Args:
        model: with positions that were resampled to its grid.
        trained: the same, with the grid that it was trained with.
    """
    if not has_tokens(model) or model.pos_embed is None:
        return
    share = math.prod(grid_of(model)) / math.prod(grid_of(trained))
    if share < 1.0:
        first = 0 if model.no_embed_class else model.num_prefix_tokens
        with torch.no_grad():
            model.pos_embed[:, first:] *= 1.0 + POSITION_GAIN * (1.0 - share)


def remember(model: nn.Module, size: Union[int, Sides]) -> None:
    """Have timm's data config of a model without a size of its own tell the one it is given."""
    height, width = both(size)
    if height and not takes_size(model):
        model.pretrained_cfg = {**(getattr(model, 'pretrained_cfg', None) or {}),
                                'input_size': (3, height, width)}


def check(model: nn.Module, name: str, sides: Sides, patch_size: int) -> None:
    """Raise ModelError if a model cannot be given images, or patches, of a size."""
    own = sides_of(model)
    if sides[0] and sides != own and fixed(model):
        raise ModelError(f'{name} takes images of {own[1]}x{own[0]} pixels alone, not of '
                         f'{sides[1]}x{sides[0]}; leave input_size at 0')
    if patch_size and patch_size not in patch_sizes_of(model):
        allowed = patch_sizes_of(model)
        raise ModelError(f'{name} has no patches of {patch_size} pixels; ' + (
            f'it may have {", ".join(map(str, allowed))}' if allowed else
            'only a FlexiViT has patches of several sizes'))


class Enclosed(nn.Module):
    """Another network than a Vision Transformer whose own `patch_drop` is not what ours is.

    It has the attributes of the network.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        network.patch_drop = None
        self.network = network

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == 'network':  # not there yet, as in a copy that is being made
                raise
            return getattr(self.network, name)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the logits (B, C) of images (B, 3, H, W)."""
        return self.network(pixels)
