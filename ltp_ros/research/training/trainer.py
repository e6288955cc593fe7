# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A training run: steps, epochs, and the state to resume from."""
import json
import random
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict

import torch
from torch.nn import functional as F

from ltp_ros.model.card import ModelError
from ltp_ros.model.preprocessing import Preprocessor
from ltp_ros.research.training.built_model import (
    TrainingPruner,
    build_model,
    draw_pruning,
    pruned_accuracy,
)
from ltp_ros.research.training.images import (
    TrainingData,
    augment,
    channel_statistics,
    epoch_order,
    normalise,
)
from ltp_ros.research.training.optim import make_optimizers, one_cycle
from ltp_ros.research.training.state import Progress, load_state, read_progress, save_state

VALIDATION_KEEP_RATIOS = (1.0, 0.53, 0.25)
WHITENING_IMAGES = 5000


@dataclass(frozen=True)
class Settings:
    """The settings that determine the final weights; a resumed run must have the same."""

    model: str = 'vit_demo'
    checkpoint: str = ''
    pretrained: bool = False
    img_size: int = 32
    epochs: int = 12
    batch: int = 0  # by the number of images
    lr: float = 6e-3
    weight_decay: float = 0.1
    label_smoothing: float = 0.1
    min_keep_ratio: float = 0.25
    hold_out: float = 0.02
    seed: int = 0


def batch_for(num_images: int) -> int:
    """Return images per step: 256 from 20,000 images on, half as many for each quarter of them.

    A run needs steps as much as it needs images in each: 450 images make 14 steps an epoch.
    """
    batch, enough = 256, 20_000
    while batch > 8 and num_images < enough:
        batch, enough = batch // 2, enough // 4
    return batch


class Trainer:
    """Model, optimisers and progress of a run. Each step seeds the random generators itself.

    Another thread may `save` at any time, also in the middle of a step.

    Args:
        settings: those that determine the final weights.
        data: from `load_data`.
        stem: path of the output files, without extensions.
        device: 'cuda' or 'cpu'.
        precision: 'float32' or 'bfloat16'.
        minutes: time limit of the steps; 0 for none.
    """

    def __init__(self, settings: Settings, data: TrainingData, stem: Path, device: str,
                 precision: str, minutes: float = 0.0):
        settings = replace(settings, batch=settings.batch or batch_for(len(data.pixels)))
        self.settings, self.data, self.stem, self.minutes = settings, data, stem, minutes
        self.device, self.precision = device, precision
        torch.manual_seed(settings.seed)
        self.built = build_model(
            settings.model, settings.checkpoint, settings.img_size, len(data.class_names),
            lambda: channel_statistics(data.pixels), settings.pretrained)
        self.vit = self.built.vit.to(device, memory_format=torch.channels_last).train()
        self.preprocessor = Preprocessor(self.built.config).to(device)
        self._prepare_stem()
        if device == 'cpu':
            for block in self.vit.blocks:
                block.attn.fused_attn = False  # plain products: the backward pass is twice as fast
        self.pruner = self.vit.patch_drop = TrainingPruner(self.vit)
        self.optimizers = make_optimizers(self.vit, settings.lr, settings.weight_decay)
        self.progress: Progress = {
            'step': 0, 'seconds': 0.0, 'loss_sum': 0.0, 'correct': 0, 'seen': 0, 'history': []}
        self._order_of_epoch = (-1, torch.empty(0))
        self._between_steps = threading.Lock()
        self._buffers = self._copy_buffers()

    def _prepare_stem(self) -> None:
        whiten = getattr(self.vit.patch_embed, 'init_whitening', None)
        if whiten and self.settings.checkpoint:
            self.vit.patch_embed.whiten.weight.requires_grad_(False)  # that of the checkpoint
        elif whiten:
            some = self.data.pixels[:WHITENING_IMAGES].to(self.device)
            whiten(normalise(some, self.preprocessor))

    @property
    def steps_per_epoch(self) -> int:
        """Number of full batches in an epoch; the remaining images of its order are skipped."""
        return max(1, len(self.data.pixels) // self.settings.batch)

    @property
    def total_steps(self) -> int:
        """Number of steps in all epochs."""
        return self.steps_per_epoch * self.settings.epochs

    def share_done(self) -> float:
        """Return the share of the run that is done, 0..1: by steps or by time, if that is more."""
        by_clock = self.progress['seconds'] / (60.0 * self.minutes) if self.minutes else 0.0
        return min(1.0, max(self.progress['step'] / self.total_steps, by_clock))

    def step(self) -> float:
        """Take one optimiser step; return its loss."""
        number = self.progress['step']
        seed = self.settings.seed * 1_000_003 + number
        torch.manual_seed(seed)
        self.pruner.keep_ratio, self.pruner.by_score = draw_pruning(
            random.Random(seed), self.settings.min_keep_ratio)
        chosen = self._batch_indices(number)
        images = normalise(self.data.pixels[chosen].to(self.device), self.preprocessor)
        images = augment(images, pad=max(1, self.settings.img_size // 10))
        labels = self.data.labels[chosen].to(self.device)

        lr = self.settings.lr * one_cycle(self.share_done())
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
            for group in optimizer.param_groups:
                group['lr'] = lr
        with torch.autocast(self.device, torch.bfloat16, enabled=self.precision == 'bfloat16'):
            logits = self.vit(images).float()
        loss = F.cross_entropy(logits, labels, label_smoothing=self.settings.label_smoothing)
        loss.backward()
        with self._between_steps:
            for optimizer in self.optimizers:
                optimizer.step()
            self._buffers = self._copy_buffers()
            self.progress['step'] += 1
            self.progress['seen'] += len(labels)
            self.progress['loss_sum'] += loss.item() * len(labels)
            self.progress['correct'] += int((logits.argmax(dim=1) == labels).sum())
        return loss.item()

    def _copy_buffers(self) -> Dict[str, torch.Tensor]:
        """Return the statistics of BatchNorm, which the forward pass of a step changes already."""
        parameters = dict(self.vit.named_parameters())
        return {name: value.clone() for name, value in self.vit.state_dict().items()
                if name not in parameters}

    def _batch_indices(self, step: int) -> torch.Tensor:
        epoch, number = divmod(step, self.steps_per_epoch)
        if self._order_of_epoch[0] != epoch:
            self._order_of_epoch = (
                epoch, epoch_order(len(self.data.pixels), epoch, self.settings.seed))
        start = number * self.settings.batch
        return self._order_of_epoch[1][start:start + self.settings.batch]

    def epoch_is_over(self) -> bool:
        """Return whether an epoch, or the run, has ended and is not in the log yet."""
        step, history = self.progress['step'], self.progress['history']
        ended = step % self.steps_per_epoch == 0 or self.share_done() == 1.0
        return step > 0 and ended and not (history and history[-1]['step'] == step)

    def end_epoch(self) -> Dict[str, object]:
        """Measure the accuracy, save the state and append a line to the log; return the line."""
        seen = max(1, self.progress['seen'])
        line: Dict[str, object] = {
            'epoch': round(self.progress['step'] / self.steps_per_epoch, 3),
            'step': self.progress['step'], 'seconds': round(self.progress['seconds'], 1),
            'loss': round(self.progress['loss_sum'] / seen, 4),
            'train_top1': round(100.0 * self.progress['correct'] / seen, 2)}
        if len(self.data.val_labels):
            line['val_top1'] = pruned_accuracy(
                self.vit, self.data.val_pixels, self.data.val_labels, self.preprocessor,
                VALIDATION_KEEP_RATIOS)
        with self._between_steps:
            self.progress['loss_sum'], self.progress['correct'] = 0.0, 0
            self.progress['seen'] = 0
            self.progress['history'].append(line)
        self.save()
        # Rewritten as a whole, so that it agrees with the state even if the program is killed
        log = ''.join(json.dumps(entry) + '\n' for entry in self.progress['history'])
        Path(f'{self.stem}.log.jsonl').write_text(log, encoding='utf-8')
        return line

    @property
    def state_path(self) -> Path:
        """The file to resume from."""
        return Path(f'{self.stem}.state.safetensors')

    def save(self) -> None:
        """Write the state to resume from: that after the last step."""
        with self._between_steps:
            save_state(self.state_path, self.vit, self.optimizers,
                       {**self.progress, 'settings': vars(self.settings)}, self._buffers)

    def resume(self) -> None:
        """Restore the saved state.

        Raises:
            ModelError: if there is none, or it was made with other settings.
        """
        if not self.state_path.is_file():
            raise ModelError(f'{self.state_path} does not exist, so there is no run to continue; '
                             'leave out --resume, or name the --output of the run')
        saved = read_progress(self.state_path)['settings']
        for name, asked in vars(self.settings).items():
            if saved.get(name, asked) != asked:
                raise ModelError(f'{self.state_path} was made with {name}={saved[name]!r}, not '
                                 f'{asked!r}; use the same settings or another --output')
        restored = load_state(self.state_path, self.vit, self.optimizers)
        del restored['settings']
        self.progress = restored
        self._buffers = self._copy_buffers()
