# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Adaptation by self-distillation on unlabelled images.

At each step the original model (the teacher) sees crops with every token at its own input size,
and the model in training sees them at a level, which may have another input size, and learns to
give the same output (Hinton et al., "Distilling the Knowledge in a Neural Network", 2015). The
positional embedding stays frozen, since the pruning score is computed from it.
"""
import math
import random
from dataclasses import dataclass
from typing import Dict, Iterator, List, Sequence, Tuple

import torch
from torch import nn
from torchvision.transforms import RandomResizedCrop

from ltp_ros.model.adapted import FUSE
from ltp_ros.model.data_config import DataConfig
from ltp_ros.model.input_sizes import grid_of
from ltp_ros.model.preprocessing import Preprocessor
from ltp_ros.reduction.tome import TokenMerger
from ltp_ros.research.accuracy.answers import Variant, select
from ltp_ros.research.training.distances import ModelOutput, answer, beside, distance, turn
from ltp_ros.research.training.images import normalise

EVALUATION_BATCH = 50
# What is trained -> its peak learning rate
TRAINED = {'all': 5e-5, 'norms': 2e-3}


@dataclass(frozen=True)
class Recipe:
    """The hyperparameters; together with the images they determine the adapted weights."""

    steps: int = 1500
    batch: int = 32
    lr: float = TRAINED['all']
    fuse_lr: float = 3e-4        # of the layer that `QuadMerger.add_fuse` makes of zeros
    weight_decay: float = 0.02   # if all weights are trained
    feature_weight: float = 1.0  # of the features' cosine loss; the logits' divergence has 1
    token_weight: float = 3.0    # of the cosine loss of the patches, see `beside`
    crop_scale: float = 0.2      # smallest share of the image in a crop
    warm_up: float = 0.05        # share of the steps in which the learning rate rises
    checks: int = 10             # evenly spaced measurements on the held-out images
    patience: int = 4            # checks without improvement before the run stops
    seed: int = 0


class Seer:
    """A model, and how it is shown an image.

    Args:
        vit: with a `TokenReducer` in `patch_drop`, in eval mode, on `device`.
        config: its input.
        device: where it runs.
    """

    def __init__(self, vit: nn.Module, config: DataConfig, device: torch.device):
        self.vit, self.config = vit, config
        self._middle, self._whole = (Preprocessor(each).to(device)
                                     for each in (config, config.zoomed))

    @property
    def device(self) -> torch.device:
        """Where the model runs."""
        return self._middle.shift.device

    def middle_of(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return its input for images (B, 3, H, W) uint8 that `before_crop` describes."""
        return self._prepared(pixels, self._middle)

    def whole_of(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return its input for images (B, 3, H, W) uint8 that are seen without a margin."""
        return self._prepared(pixels, self._whole)

    def _prepared(self, pixels: torch.Tensor, preprocessor: Preprocessor) -> torch.Tensor:
        resized = preprocessor.resize(pixels)  # where they lie: a GPU has no such kernel
        return normalise(preprocessor.crop(resized.to(self.device)), preprocessor)


def larger(one: DataConfig, other: DataConfig) -> DataConfig:
    """Return the config whose input has more pixels: images kept for it do for both."""
    return max(one, other, key=lambda config: math.prod(config.input_size))


def learning(vit: nn.Module, trained: str) -> List[str]:
    """Return the names of the parameters to train: of 'all', or 'norms' with the biases.

    The positions are not among them, nor a reducer's, but for the layer made to be trained.
    """
    return [name for name, parameter in vit.named_parameters()
            if name == FUSE or name != 'pos_embed' and not name.startswith('patch_drop.')
            and (trained == 'all' or parameter.ndim < 2)]


class Adapter:
    """The model in training, its teacher, and the state of the run.

    Args:
        student: trained in place.
        teacher: the original model with every token.
        ladder: levels of the student's method, one drawn at each step.
        pixels: training images (n, 3, H, W) uint8 on the CPU, as `before_crop` describes them for
            the `larger` of the two; at least one.
        held: held-out images in the same format, at least one.
        recipe: the hyperparameters.
        precision: 'float32', or 'bfloat16' if the device supports it.
        trained: one of TRAINED.
    """

    def __init__(self, student: Seer, teacher: Seer, ladder: Sequence[Variant],
                 pixels: torch.Tensor, held: torch.Tensor, recipe: Recipe,
                 precision: str = 'float32', trained: str = 'all'):
        self.student, self.teacher, self.vit = student, teacher, student.vit
        self.ladder, self.recipe = list(ladder), recipe
        self._pixels, self._held = pixels, held
        self._autocast = precision == 'bfloat16'
        teacher.vit.requires_grad_(False)
        vit = student.vit.requires_grad_(False)
        if student.device.type == 'cpu':
            for block in vit.blocks:
                block.attn.fused_attn = False  # plain products: the backward pass is twice as fast
        self.learning = learning(vit, trained)
        for name in self.learning:
            vit.get_parameter(name).requires_grad_(True)
        # A token that was merged between the blocks has no place of its own
        self._compares_tokens = not isinstance(vit.patch_drop, TokenMerger)
        vit.patch_drop.trace = True
        self._rates = [recipe.lr, recipe.fuse_lr]
        self._optimizer = torch.optim.AdamW(
            [{'params': [vit.get_parameter(name) for name in self.learning
                         if (name == FUSE) == fuse]} for fuse in (False, True)],
            lr=recipe.lr, weight_decay=recipe.weight_decay if trained == 'all' else 0.0)
        self._crop = RandomResizedCrop(larger(student.config, teacher.config).input_size,
                                       (recipe.crop_scale, 1.0), antialias=True)
        self.step = 0
        self.best = self.held_distance()
        self._best_weights = self._weights()
        self._checks_without_gain = 0

    def _at(self, variant: Variant) -> nn.Module:
        return select({variant.method: self.vit}, variant)

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
        crops = cut_mix(crops)
        with torch.autocast(self.student.device.type, torch.bfloat16, enabled=self._autocast):
            with torch.no_grad():
                wanted = answer(self.teacher.vit, self.teacher.whole_of(crops))
            got = answer(self._at(variant), self.student.whole_of(crops))
        loss = distance(got, wanted, recipe.feature_weight)
        if self._compares_tokens:
            loss = loss + recipe.token_weight * self._token_distance(got, wanted)
        for group, peak in zip(self._optimizer.param_groups, self._rates):
            group['lr'] = peak * cosine(share_done, recipe.warm_up)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        self.step += 1
        return float(loss.detach())

    def _token_distance(self, got: ModelOutput, wanted: ModelOutput) -> torch.Tensor:
        first, original = self.vit.num_prefix_tokens, self.teacher.vit
        return turn(got.tokens[:, first:], beside(
            wanted.tokens[:, first:], grid_of(original), self.vit.patch_drop, grid_of(self.vit)))

    def _augmented(self, square: torch.Tensor) -> torch.Tensor:
        crop = self._crop(square)
        return crop.flip(-1) if torch.rand(()) < 0.5 else crop

    def held_batches(self) -> Iterator[Tuple[torch.Tensor, torch.Tensor]]:
        """Yield the preprocessed held-out images, (B, 3, H, W), for teacher and student."""
        for some in self._held.split(EVALUATION_BATCH):
            yield self.teacher.middle_of(some), self.student.middle_of(some)

    @torch.inference_mode()
    def held_distance(self) -> float:
        """Return the mean distance on the held-out images, over the ladder."""
        total = 0.0
        for whole, images in self.held_batches():
            wanted = answer(self.teacher.vit, whole)
            for variant in self.ladder:
                got = answer(self._at(variant), images)
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
