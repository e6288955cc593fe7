# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The model in training: construction, token dropping, accuracy, and the model card."""
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Sequence, Tuple

import torch
from torch import nn

from ltp_ros.model.data_config import DataConfig
from ltp_ros.model.preprocessing import Preprocessor
from ltp_ros.model.vit import (
    attach_pruner,
    create_vit,
    data_config,
    read_model_card,
    weights_of,
)
from ltp_ros.opening import computes_bfloat16
from ltp_ros.reduction.base import gather_tokens, keep_indices, num_keep_tokens
from ltp_ros.reduction.ltp import spatial_importance, srb_scores
from ltp_ros.research.accuracy.answers import Answers, Variant, answer_all
from ltp_ros.research.training.images import normalise

EVALUATION_BATCH = 500
CPU_INFO = Path('/proc/cpuinfo')
FAST_BFLOAT16_FLAGS = ('avx512_bf16', 'amx_bf16')


@dataclass
class BuiltModel:
    """A model and the contents of its model card."""

    vit: nn.Module
    architecture: str
    model_args: Mapping[str, object]
    config: DataConfig


def image_size(model: str, checkpoint: str = '') -> int:
    """Return the side of the images that a checkpoint was trained at, or else the model's own.

    Raises:
        ModelError: from `create_vit`.
    """
    vit = create_vit(model, checkpoint, method='none', pretrained=False, any_head=True)
    return int(vit.patch_embed.img_size[0])


def build_model(model: str, checkpoint: str, img_size: int, num_classes: int,
                statistics: Callable[[], Tuple[Tuple[float, ...], Tuple[float, ...]]],
                pretrained: bool = False) -> BuiltModel:
    """Create the model with a head for `num_classes`.

    Mean and standard deviation are those of the initial weights, from the checkpoint or, if
    `pretrained`, timm's; without any, they come from `statistics`.

    Raises:
        ModelError: from `create_vit`.
    """
    checkpoint = weights_of(model, checkpoint)
    if checkpoint or pretrained:
        card = read_model_card(checkpoint)
        vit = create_vit(model, checkpoint, input_size=img_size, any_head=True)
        if vit.num_classes != num_classes:
            vit.reset_classifier(num_classes)
        known = data_config(vit)
        mean, std = known.mean, known.std
    else:
        card = {}
        vit = create_vit(model, pretrained=False, input_size=img_size,
                         num_classes=num_classes)
        mean, std = statistics()
    config = DataConfig((img_size, img_size), mean, std, crop_pct=1.0)
    return BuiltModel(vit, card.get('architecture', model),
                      {**card.get('model_args', {}), 'img_size': img_size}, config)


def model_card(built: BuiltModel, class_names: List[str],
               training: Mapping[str, object]) -> Dict[str, object]:
    """Return the model card that goes beside the weights as JSON, with timm's keys."""
    config = built.config
    return {
        'architecture': built.architecture, 'model_args': built.model_args,
        'num_classes': built.vit.num_classes, 'label_names': class_names,
        'pretrained_cfg': {
            'input_size': [3, *config.input_size], 'interpolation': config.interpolation,
            'crop_pct': config.crop_pct, 'crop_mode': config.crop_mode,
            'mean': list(config.mean), 'std': list(config.std)},
        'training': training}


class TrainingPruner(nn.Module):
    """Drop patch tokens in timm's `patch_drop` slot while the positions are still being trained.

    `keep_ratio` applies to the whole batch. Tokens are chosen by the SRB score if `by_score` is
    set, else at random. The module has no weights.
    """

    def __init__(self, vit: nn.Module, alpha: float = 0.5):
        super().__init__()
        self._vit = (vit,)  # a tuple, so that the model is not registered as its own submodule
        self.alpha = alpha
        self.keep_ratio = 1.0
        self.by_score = False

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Drop patches of (B, P + N, D) with their positions added; return (B, P + K, D)."""
        num_prefix = self._vit[0].num_prefix_tokens
        prefix, patches = tokens[:, :num_prefix], tokens[:, num_prefix:]
        num_keep = num_keep_tokens(patches.shape[1], self.keep_ratio)
        if num_keep == patches.shape[1]:
            return tokens
        indices = keep_indices(self.scores(patches), num_keep)
        return torch.cat([prefix, gather_tokens(patches, indices)], dim=1)

    @torch.no_grad()
    def scores(self, patches: torch.Tensor) -> torch.Tensor:
        """Return the scores (B, N) of patches (B, N, D) with their positions added."""
        if not self.by_score:
            return torch.rand(patches.shape[:2], device=patches.device)
        positions = self._vit[0].pos_embed[0, -patches.shape[1]:].float()
        with torch.autocast(patches.device.type, enabled=False):
            return srb_scores(patches.float() - positions, spatial_importance(positions),
                              self.alpha)


def draw_pruning(rng: random.Random, lowest: float, share_full: float = 0.15,
                 share_scored: float = 0.5) -> Tuple[float, bool]:
    """Draw (keep_ratio, by_score) for a step; the keep ratio is 1 or uniform in [lowest, 1]."""
    full, by_score = rng.random() < share_full, rng.random() < share_scored
    return (1.0 if full else rng.uniform(lowest, 1.0)), by_score


def pruned_accuracy(vit: nn.Module, pixels: torch.Tensor, labels: torch.Tensor,
                    preprocessor: Preprocessor, keep_ratios: Sequence[float],
                    alpha: float = 0.5) -> Dict[str, float]:
    """Return top-1 in percent at each keep ratio, with the tokens chosen as at inference.

    `pixels` (n, 3, H, W) uint8 and `labels` (n,) are on the CPU; the model runs in float32.
    """
    slot, was_training = vit.patch_drop, vit.training
    device = attach_pruner(vit.eval(), alpha).patch_pos_embed.device
    batches = (normalise(some.to(device), preprocessor) for some in pixels.split(EVALUATION_BATCH))
    variants = {keep_ratio: Variant('ltp', keep_ratio, 'srb', alpha)
                for keep_ratio in keep_ratios}
    answers = Answers(list(variants.values()))
    answer_all({'ltp': vit}, batches, list(variants.values()), answers, k=1)
    vit.patch_drop = slot
    vit.train(was_training)
    return {f'{keep_ratio:g}': round(100.0 * float((answers[variant][:, 0] == labels).double(
        ).mean()), 3) for keep_ratio, variant in variants.items()}


def training_precision(precision: str, device: str) -> str:
    """Return 'float32' or 'bfloat16'; 'auto' is bfloat16 if the hardware supports it."""
    if precision != 'auto':
        return precision
    if device == 'cuda':
        fast = computes_bfloat16(torch.device(device))
    else:
        info = CPU_INFO.read_text(encoding='utf-8') if CPU_INFO.is_file() else ''
        fast = any(flag in info for flag in FAST_BFLOAT16_FLAGS)
    return 'bfloat16' if fast else 'float32'
