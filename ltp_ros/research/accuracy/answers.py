# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The top-k classes of a model, for each method at each keep ratio."""
import dataclasses
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Iterable, List, Mapping, Optional, Sequence

import numpy as np
import torch
from torch import nn

from ltp_ros.research.datasets import NPZ_ERRORS


@dataclass(frozen=True)
class Variant:
    """One method at one keep ratio."""

    method: str
    keep_ratio: float
    score: Optional[str] = None    # for 'ltp' only
    alpha: Optional[float] = None  # for the score 'srb' only
    zoom: bool = False  # whether it sees images through the zoom

    def __str__(self) -> str:
        alpha = '' if self.alpha is None else f' {self.alpha:g}'
        name = self.method if self.score is None else f'{self.method} {self.score}{alpha}'
        return f'{name} + zoom' if self.zoom else name

    @property
    def plain(self) -> 'Variant':
        """The same without zoom."""
        return dataclasses.replace(self, zoom=False)


UNPRUNED = Variant('none', 1.0)
UNREAD = -1  # in place of a class


def kinds_of(methods: Sequence[str], scores: Sequence[str],
             alphas: Sequence[float]) -> List[Variant]:
    """Return every valid combination of method, score and alpha, at keep ratio 1.

    Only the method 'ltp' has a score, and only the score 'srb' has an alpha.
    """
    return [Variant(method, 1.0, score, alpha) for method in methods
            for score in (scores if method == 'ltp' else [None])
            for alpha in (alphas if score == 'srb' else [None])]


def variants_of(methods: Sequence[str], keep_ratios: Sequence[float], scores: Sequence[str],
                alphas: Sequence[float]) -> List[Variant]:
    """Return the unpruned model, then every combination at every keep ratio below 1.

    At keep ratio 1 every method equals the unpruned model.
    """
    kinds = kinds_of([method for method in methods if method != UNPRUNED.method], scores, alphas)
    return [UNPRUNED, *(dataclasses.replace(kind, keep_ratio=keep_ratio)
                        for kind in kinds for keep_ratio in keep_ratios if keep_ratio < 1.0)]


def with_zoom(variants: Sequence[Variant]) -> List[Variant]:
    """Return each variant, and after it the same through the zoom."""
    return [dataclasses.replace(variant, zoom=zoom) for variant in variants
            for zoom in (False, True)]


def select(models: Mapping[str, nn.Module], variant: Variant) -> nn.Module:
    """Configure the model of the variant's method for the variant, and return it.

    Args:
        models: by method.
        variant: one whose method is among the models.
    """
    model = models[variant.method]
    model.patch_drop.keep_ratio = variant.keep_ratio
    if variant.score is not None:
        model.patch_drop.score = variant.score
    if variant.alpha is not None:
        model.patch_drop.alpha = variant.alpha
    return model


@torch.inference_mode()
def top_classes(models: Mapping[str, nn.Module], images: torch.Tensor,
                variants: Sequence[Variant], k: int = 5, seed: int = 0
                ) -> Dict[Variant, torch.Tensor]:
    """Return the top-k classes of each variant, (B, k) int64 on the CPU, best first.

    Equal logits are ordered by class. A model with fewer than k classes returns all of them. An
    image that could not be read is NaN, and its classes are UNREAD.

    Args:
        models: by method, in eval mode, with a `TokenReducer` in `patch_drop`.
        images: preprocessed, (B, 3, H, W); or without and with zoom, (B, 2, 3, H, W).
        variants: the variants to run.
        k: number of classes.
        seed: makes the score 'random' choose the same patches again.
    """
    found = {}
    unread = images.flatten(1)[:, 0].isnan().cpu()
    views = [view.contiguous() for view in images.unbind(1)] if images.ndim == 5 else [images]
    for variant in variants:
        if variant.score == 'random':
            torch.manual_seed(seed)
        # A stable sort, since topk leaves the order of equal logits open; float16 has many
        ranks = select(models, variant)(views[variant.zoom]).float().sort(
            dim=-1, descending=True, stable=True)
        found[variant] = ranks.indices[:, :k].cpu()
        found[variant][unread] = UNREAD
    return found


class AnswerFileError(ValueError):
    """A file of answers that this run cannot resume from; the message gives the reason."""


class Answers:
    """The answers so far, in the order of the images, optionally saved to a file.

    Args:
        variants: the variants to run.
        path: an .npz file, replaced atomically. If it exists, its answers are loaded.
        settings: JSON values that determine the answers; an existing file must have the same.

    Raises:
        AnswerFileError: if the file has other settings or is not a file of answers.
    """

    def __init__(self, variants: Sequence[Variant], path: Optional[Path] = None,
                 settings: Optional[Mapping[str, object]] = None):
        self._path = path
        self._settings: Dict[str, object] = {
            **(settings or {}), 'variants': [dataclasses.asdict(variant) for variant in variants]}
        # Of the boxes, with zoom: see `Pixels`. Those of a batch are there before its answers
        self.sides: List[float] = []
        self._parts: Dict[Variant, List[torch.Tensor]] = {variant: [] for variant in variants}
        if path is not None and path.is_file():
            self._load(path)

    def __len__(self) -> int:
        """Return the number of images, those that could not be read included."""
        return sum(len(part) for part in next(iter(self._parts.values())))

    def __getitem__(self, variant: Variant) -> torch.Tensor:
        """Return the top classes (n, k) of a variant for the images that could be read."""
        return self.rows(variant)[self.read]

    @property
    def read(self) -> torch.Tensor:
        """Whether each image could be read, (len(self),) bool."""
        return self.rows(next(iter(self._parts)))[:, 0] != UNREAD

    def rows(self, variant: Variant) -> torch.Tensor:
        """Return the top classes of a variant for every image; UNREAD where it is not read."""
        return torch.cat(self._parts[variant])

    @property
    def mean_side(self) -> Optional[float]:
        """The mean of `sides` over the images that could be read; None without zoom."""
        sides = np.array(self.sides[:len(self)])
        return float(sides[self.read.numpy()].mean()) if len(sides) else None

    def add(self, found: Mapping[Variant, torch.Tensor]) -> None:
        """Append the top classes (B, k) of the next images, of every variant."""
        for variant, parts in self._parts.items():
            parts.append(found[variant])

    def save(self) -> None:
        """Write the file if a path was given and there are answers."""
        if self._path is None or not len(self):
            return
        buffer = io.BytesIO()
        np.savez(buffer, settings=json.dumps(self._settings), sides=self.sides[:len(self)],
                 classes=torch.stack([self.rows(variant) for variant in self._parts]).numpy())
        partial = self._path.with_name(self._path.name + '.part')
        partial.write_bytes(buffer.getvalue())
        os.replace(str(partial), str(self._path))

    def _load(self, path: Path) -> None:
        try:
            with np.load(str(path), allow_pickle=False) as arrays:
                settings = json.loads(str(arrays['settings']))
                classes = torch.from_numpy(arrays['classes'])
                self.sides = arrays['sides'].tolist()
        except NPZ_ERRORS as error:
            raise AnswerFileError(f"'{path}' is not a file of answers: {error}; remove it or "
                                  'name another file') from error
        for name, value in self._settings.items():
            if settings.get(name) != value:
                raise AnswerFileError(
                    f"'{path}' was made with {name}={settings.get(name)!r:.200}, not "
                    f'{value!r:.200}; use the same settings or another file')
        for variant, part in zip(self._parts, classes):
            self._parts[variant].append(part)


def answer_all(models: Mapping[str, nn.Module], batches: Iterable[torch.Tensor],
               variants: Sequence[Variant], answers: Answers, k: int = 5,
               progress: Callable[[int], None] = lambda num_images: None) -> None:
    """Run every batch with each variant, and add the top classes to `answers`.

    Args:
        models: as for `top_classes`.
        batches: the images that follow those in `answers`, each as there, with any B.
        variants: those of `answers`.
        answers: the answers so far.
        k: number of classes.
        progress: called with the number of images after each batch.
    """
    for images in batches:
        answers.add(top_classes(models, images, variants, k, seed=len(answers)))
        progress(len(images))


def woven(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Interleave the parts: part i holds every len(parts)-th image, starting at image i."""
    woven = parts[0].new_empty(sum(map(len, parts)), *parts[0].shape[1:])
    for number, part in enumerate(parts):
        woven[number::len(parts)] = part
    return woven
