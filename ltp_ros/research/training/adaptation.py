# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Adaptation by self-distillation on unlabelled images.

At each step the original model (the teacher) sees crops with every token, and the model in
training sees them at a level of the ladder and learns to give the same output (Hinton et al.,
"Distilling the Knowledge in a Neural Network", 2015). The positional embedding stays frozen,
since the pruning score is computed from it.
"""
import copy
import math
import random
from dataclasses import dataclass
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.transforms import RandomResizedCrop

from ltp_ros.model.preprocessing import Preprocessor
from ltp_ros.reduction.base import gather_tokens
from ltp_ros.reduction.tome import TokenMerger
from ltp_ros.research.accuracy.answers import Answers, Variant, select, top_classes
from ltp_ros.research.accuracy.rows import gain
from ltp_ros.research.training.images import normalise

EVALUATION_BATCH = 50


@dataclass(frozen=True)
class Recipe:
    """The hyperparameters; together with the images they determine the adapted weights."""

    steps: int = 1500
    batch: int = 32
    lr: float = 5e-5
    weight_decay: float = 0.02
    feature_weight: float = 1.0  # of the features' cosine loss; the logits' divergence has 1
    token_weight: float = 3.0    # of the cosine loss of the patches seen in full
    crop_scale: float = 0.2      # smallest share of the image in a crop
    warm_up: float = 0.05        # share of the steps in which the learning rate rises
    checks: int = 10             # evenly spaced measurements on the held-out images
    patience: int = 4            # checks without improvement before the run stops
    seed: int = 0


class ModelOutput(NamedTuple):
    """The output of a model for a batch of images."""

    logits: torch.Tensor    # (B, classes)
    features: torch.Tensor  # (B, D), input of the classifier head
    tokens: torch.Tensor    # (B, P + K, D), after the last block and the norm


def answer(vit: nn.Module, pixels: torch.Tensor) -> ModelOutput:
    """Return the output of `vit` for images (B, 3, H, W)."""
    tokens = vit.forward_features(pixels)
    features = vit.forward_head(tokens, pre_logits=True)
    return ModelOutput(vit.head(features), features, tokens)


def distance(got: ModelOutput, wanted: ModelOutput, feature_weight: float) -> torch.Tensor:
    """Return the distance of logits and features from those wanted; a scalar, 0 if equal."""
    divergence = F.kl_div(got.logits.float().log_softmax(-1),
                          wanted.logits.float().log_softmax(-1), log_target=True,
                          reduction='batchmean')
    return divergence + feature_weight * turn(got.features, wanted.features)


def turn(got: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return 1 - the mean cosine between the vectors (..., D) of two tensors; a scalar."""
    return 1.0 - F.cosine_similarity(got.float(), wanted.float(), dim=-1).mean()


class Adapter:
    """The model in training, its teacher, and the state of the run.

    Args:
        vit: with a `TokenReducer` in `patch_drop`, in eval mode, on its device; trained in place.
        ladder: levels of its method, one drawn at each step; the first keeps every token.
        preprocessor: of the model, on its device.
        pixels: training images (n, 3, H, W) uint8 on the CPU, of the size that the preprocessor
            crops from; at least one.
        held: held-out images in the same format, at least one.
        recipe: the hyperparameters.
        precision: 'float32', or 'bfloat16' if the device supports it.
    """

    def __init__(self, vit: nn.Module, ladder: Sequence[Variant], preprocessor: Preprocessor,
                 pixels: torch.Tensor, held: torch.Tensor, recipe: Recipe,
                 precision: str = 'float32'):
        self.vit, self.ladder, self.recipe = vit, list(ladder), recipe
        self._preprocessor, self._pixels, self._held = preprocessor, pixels, held
        self._device = preprocessor.shift.device
        self._autocast = precision == 'bfloat16'
        self.teacher = copy.deepcopy(vit).requires_grad_(False)
        if self._device.type == 'cpu':
            for block in vit.blocks:
                block.attn.fused_attn = False  # plain products: the backward pass is twice as fast
        learning = [parameter for name, parameter in vit.named_parameters()
                    if name != 'pos_embed' and not name.startswith('patch_drop.')]
        vit.requires_grad_(False)
        for parameter in learning:
            parameter.requires_grad_(True)
        # A merged token has no single patch to compare with
        self._compares_tokens = not isinstance(vit.patch_drop, TokenMerger)
        vit.patch_drop.trace = True
        self._optimizer = torch.optim.AdamW(learning, lr=recipe.lr,
                                            weight_decay=recipe.weight_decay)
        self._crop = RandomResizedCrop(preprocessor.config.input_size, (recipe.crop_scale, 1.0),
                                       antialias=True)
        self.step = 0
        self.best = self.held_distance()
        self._best_weights = self._weights()
        self._checks_without_gain = 0

    def _set(self, model: nn.Module, variant: Variant) -> nn.Module:
        return select({variant.method: model}, variant)

    def train_step(self, share_done: float) -> float:
        """Take one step; return its loss.

        Args:
            share_done: progress of the run, 0..1, which sets the learning rate.
        """
        recipe = self.recipe
        torch.manual_seed(recipe.seed * 1_000_003 + self.step)
        variant = random.Random(recipe.seed * 1_000_003 + self.step).choice(self.ladder)
        chosen = torch.randint(len(self._pixels), (recipe.batch,))
        crops = torch.stack([self._augmented(self._pixels[index]) for index in chosen])
        images = cut_mix(normalise(crops.to(self._device), self._preprocessor))
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._autocast):
            with torch.no_grad():
                wanted = answer(self._set(self.teacher, self.ladder[0]), images)
            got = answer(self._set(self.vit, variant), images)
        loss = distance(got, wanted, recipe.feature_weight)
        if self._compares_tokens:
            loss = loss + recipe.token_weight * self._token_distance(got, wanted)
        for group in self._optimizer.param_groups:
            group['lr'] = recipe.lr * cosine(share_done, recipe.warm_up)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        self.step += 1
        return float(loss.detach())

    def _token_distance(self, got: ModelOutput, wanted: ModelOutput) -> torch.Tensor:
        first, kept = self.vit.num_prefix_tokens, self.vit.patch_drop.last_keep_indices
        if not kept.shape[1]:
            return got.tokens.new_zeros(())
        return turn(got.tokens[:, first:first + kept.shape[1]],
                    gather_tokens(wanted.tokens[:, first:], kept))

    def _augmented(self, square: torch.Tensor) -> torch.Tensor:
        crop = self._crop(square)
        return crop.flip(-1) if torch.rand(()) < 0.5 else crop

    def held_batches(self) -> Iterator[torch.Tensor]:
        """Yield the preprocessed held-out images, (B, 3, H, W)."""
        for some in self._held.split(EVALUATION_BATCH):
            yield normalise(self._preprocessor.crop(some.to(self._device)), self._preprocessor)

    @torch.inference_mode()
    def held_distance(self) -> float:
        """Return the mean distance on the held-out images, over the ladder."""
        total = 0.0
        for images in self.held_batches():
            wanted = answer(self._set(self.teacher, self.ladder[0]), images)
            for variant in self.ladder:
                got = answer(self._set(self.vit, variant), images)
                total += len(images) * float(distance(got, wanted, self.recipe.feature_weight))
        return total / (len(self._held) * len(self.ladder))

    def check(self) -> bool:
        """Measure, keep the weights if they are the best so far, return whether to continue."""
        now = self.held_distance()
        if now < self.best:
            self.best, self._checks_without_gain = now, 0
            self._best_weights = self._weights()
        else:
            self._checks_without_gain += 1
        return self._checks_without_gain < self.recipe.patience

    def finish(self) -> None:
        """Load the best weights of all checks, the original ones included, into the model."""
        self.vit.load_state_dict(self._best_weights)

    def _weights(self) -> Dict[str, torch.Tensor]:
        return {name: value.detach().cpu().clone()
                for name, value in self.vit.state_dict().items()}


def gains(before: nn.Module, after: nn.Module, ladder: Sequence[Variant],
          batches: Iterable[torch.Tensor], labels: Optional[torch.Tensor] = None
          ) -> List[Dict[str, Optional[float]]]:
    """Return the gain from adaptation at each level, in percent of n images.

    Args:
        before: the original model.
        after: the adapted model.
        ladder: levels of one method; the first keeps every token.
        batches: preprocessed images (B, 3, H, W).
        labels: those of all images, read or not, if known.

    Returns:
        A row for each level: keep_ratio, n, and for 'agreement' (with the original model,
        unpruned) and, with labels, 'top1': `_before`, `_after`, and `_gain` with its paired
        bootstrap interval.
    """
    old, new = Answers(ladder), Answers(ladder)
    for images in batches:
        for model, answers in ((before, old), (after, new)):
            answers.add(top_classes({ladder[0].method: model}, images, ladder, k=1))
    rows = []
    for variant in ladder:
        row: Dict[str, Optional[float]] = {
            'keep_ratio': variant.keep_ratio, 'n': len(old[variant])}
        wanted = {'agreement': old[ladder[0]][:, 0]}
        if labels is not None:
            wanted['top1'] = labels[old.read]
        for name, right in wanted.items():
            ours, theirs = new[variant][:, 0] == right, old[variant][:, 0] == right
            row.update({f'{name}_before': 100.0 * float(theirs.float().mean()),
                        f'{name}_after': 100.0 * float(ours.float().mean()),
                        **gain(f'{name}_gain', ours, theirs)})
        rows.append(row)
    return rows


def cut_mix(images: torch.Tensor) -> torch.Tensor:
    """Paste a random rectangle of the previous image into every other image of (B, C, H, W).

    Yun et al., "CutMix", 2019. It multiplies the variety of a few hundred images. Torchvision's
    needs labels to mix, and torch 2.1.
    """
    height, width = images.shape[-2:]
    share = float(torch.rand(()).sqrt())
    rows, columns = int(share * height), int(share * width)
    top = int(torch.randint(height - rows + 1, ()))
    left = int(torch.randint(width - columns + 1, ()))
    mixed = images.clone()
    mixed[::2, :, top:top + rows, left:left + columns] = images.roll(1, 0)[
        ::2, :, top:top + rows, left:left + columns]
    return mixed


def cosine(share_done: float, warm_up: float) -> float:
    """Return the share of the peak learning rate: linear warm-up, then half a cosine down to 0."""
    if share_done < warm_up:
        return max(share_done, 1e-3) / warm_up
    return 0.5 * (1.0 + math.cos(math.pi * (share_done - warm_up) / (1.0 - warm_up)))
