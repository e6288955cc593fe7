# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of LTP on an image: the score, its two terms, and the patches kept."""
from typing import TYPE_CHECKING, Mapping, Tuple

import numpy as np
import torch
from torch import nn

from ltp_ros.frames.overlay import DIMMED, kept_mask
from ltp_ros.model.data_config import DataConfig
from ltp_ros.reduction.ltp import TokenPruner, min_max, srb_scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes  # optional
    from matplotlib.figure import Figure


def draw_positions(figure: 'Figure', model: nn.Module) -> None:
    """Draw a heatmap of the norms of the positional embedding (LTP-ViT, Fig. 3).

    Args:
        figure: an empty matplotlib Figure.
        model: with a `TokenPruner` in `patch_drop`.
    """
    axes = figure.subplots()
    norms = model.patch_drop.patch_pos_embed.float().norm(dim=-1)
    _heatmap(figure, axes, norms.cpu(), model.patch_embed.grid_size)
    axes.set_title('norm of the positional embedding')


@torch.inference_mode()
def score_maps(model: nn.Module, pixels: torch.Tensor) -> Tuple[torch.Tensor, ...]:
    """Return Norm(R), Norm(I) and S of one image, each (N,): LTP-ViT, eqs. (2) to (4).

    Args:
        model: with a `TokenPruner` in `patch_drop`.
        pixels: its input (1, 3, H, W).
    """
    reducer: TokenPruner = model.patch_drop
    patches = model.patch_embed(pixels)
    scores = srb_scores(patches, reducer.importance, reducer.alpha)[0]
    redundant = -srb_scores(patches, reducer.importance, alpha=0.0)[0]
    return redundant.cpu(), reducer.importance.cpu(), scores.cpu()


@torch.inference_mode()
def seen_pixels(model: nn.Module, pixels: torch.Tensor) -> np.ndarray:
    """Return `pixels` as (H, W, 3) in 0..1, with the patches not seen in full dimmed.

    Args:
        model: with a `TokenReducer` in `patch_drop`, set to a keep ratio.
        pixels: its input (1, 3, H, W).
    """
    reducer = model.patch_drop
    before, reducer.trace = reducer.trace, True
    model(pixels)
    reducer.trace = before
    size = tuple(pixels.shape[-2:])
    whole = DataConfig(size, mean=(), std=(), crop_pct=1.0)  # already cropped
    mask = kept_mask(size, reducer.last_keep_indices[0].cpu().numpy(),
                     model.patch_embed.grid_size, whole)
    image = min_max(pixels[0].float().cpu().flatten()).view(pixels.shape[1:]).permute(1, 2, 0)
    return np.where(mask[..., None], image, DIMMED * image)


def draw_maps(figure: 'Figure', model: nn.Module, others: Mapping[str, nn.Module],
              pixels: torch.Tensor, keep_ratio: float) -> None:
    """Draw one image, its redundancy, importance and score, and the patches each method keeps.

    Args:
        figure: an empty matplotlib Figure.
        model: with a `TokenPruner` in `patch_drop`.
        others: models of other methods, by method.
        pixels: the preprocessed image (1, 3, H, W).
        keep_ratio: keep ratio of every method.
    """
    grid_size = model.patch_embed.grid_size
    models = {'ltp': model, **others}
    panels = figure.subplots(1, 4 + len(models))
    titles = ('redundancy R', 'spatial importance I', f'score S, alpha {model.patch_drop.alpha:g}')
    model.patch_drop.keep_ratio = 1.0
    panels[0].imshow(seen_pixels(model, pixels))
    panels[0].set_title('input of the model')
    for axes, values, title in zip(panels[1:], score_maps(model, pixels), titles):
        _heatmap(figure, axes, values, grid_size)
        axes.set_title(title)
    for axes, (method, each) in zip(panels[4:], models.items()):
        each.patch_drop.keep_ratio = keep_ratio
        axes.imshow(seen_pixels(each, pixels))
        axes.set_title(f'{method} at {keep_ratio:g}')
    for axes in panels:
        axes.set(xticks=[], yticks=[])
    figure.tight_layout()


def _heatmap(figure: 'Figure', axes: 'Axes', values: torch.Tensor,
             grid_size: Tuple[int, int]) -> None:
    shown = axes.imshow(values.view(grid_size).numpy(), cmap='viridis')
    figure.colorbar(shown, ax=axes, shrink=0.6)
