# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The variants and images of one run of `ltp_evaluate`, and their answers."""
import argparse
import itertools
import tempfile
import time
from pathlib import Path
from typing import Dict, Mapping, Optional, Sequence, Tuple

import numpy as np
import torch
from rich.progress import Progress
from torch import nn

from ltp_ros.config import REDUCTIONS, SCORES
from ltp_ros.images import EncodedImage, Unread
from ltp_ros.model import vit
from ltp_ros.model.card import weights_of
from ltp_ros.model.checkpoint import named_bytes
from ltp_ros.opening import resolve_precision
from ltp_ros.parameter import ConfigError
from ltp_ros.research.accuracy.answers import (
    UNPRUNED,
    Answers,
    Variant,
    answer_all,
    variants_of,
    with_zoom,
    woven,
)
from ltp_ros.research.accuracy.batches import Pixels, batches, model_classes
from ltp_ros.research.accuracy.costs import times_of
from ltp_ros.research.accuracy.sample import Sample, name_in
from ltp_ros.research.accuracy.sessions import Int8Model
from ltp_ros.research.datasets import open_image_set, open_images
from ltp_ros.settings import check
from ltp_ros.tools.support import ranks
from ltp_ros.tools.support.device import select_device
from ltp_ros.tuner.ladder_profile import model_hash

SAVE_EVERY_S = 30.0


class Evaluation:
    """The variants and images of one run; under torchrun each process runs a part of the images.

    Args:
        args: the parsed command line.
        rank: rank of this process.
        count: number of processes.

    Raises:
        ConfigError, ClassifierError, CompositeError, ImageFileError, ModelError: if an input
            cannot be used.
    """

    def __init__(self, args: argparse.Namespace, rank: int = 0, count: int = 1):
        self.args, self.rank, self.count = args, rank, count
        self.keep_ratios: Sequence[float] = check('keep_ratios', args.keep_ratios)
        self.alphas = [check('alpha', alpha) for alpha in dict.fromkeys(args.alpha)]
        self.device = select_device(args.device)
        self.precision = resolve_precision(args.precision, self.device)
        if self.precision == 'int8' and (args.backend, self.device.type) != ('onnx', 'cpu'):
            raise ConfigError('--precision int8 runs only in ONNX Runtime on the CPU: add '
                              '--backend onnx --device cpu')
        self.methods = [method for method in REDUCTIONS if 'all' in args.methods
                        or method in (UNPRUNED.method, *args.methods)]
        scores = SCORES if 'all' in args.scores else list(dict.fromkeys(args.scores))
        self.plain = variants_of(self.methods, self.keep_ratios, scores, self.alphas)
        self.variants = with_zoom(self.plain) if args.zoom else self.plain
        self.models: Dict[str, nn.Module] = {
            method: vit.create_vit(args.model, args.checkpoint, method=method,
                                   alpha=self.alphas[0], input_size=args.input_size,
                                   papr_checkpoint=args.papr_checkpoint)
            for method in self.methods}
        unpruned = self.models[UNPRUNED.method]
        self.data_config = vit.data_config(unpruned, args.crop_mode)
        self.num_patches: int = unpruned.patch_drop.num_patches
        images, labels = self._open(unpruned)
        self.images = Sample(images, args.limit, args.composite)
        self.labels = None if labels is None else torch.from_numpy(labels[self.images.indices])

    def _open(self, model: nn.Module) -> Tuple[Sequence[EncodedImage], Optional[np.ndarray]]:
        source = self.args.images
        if self.args.no_labels:
            return open_images(source), None
        weights = weights_of(self.args.model, self.args.checkpoint)
        names = vit.label_names(model, weights, self.args.labels)
        image_set = open_image_set(source)
        return image_set.images, model_classes(image_set, names, source)

    def times_ms(self, bar: Progress) -> Mapping[Variant, Optional[float]]:
        """Return the median time per image of each variant without zoom.

        Call this while the models are still on the CPU.
        """
        rounds = self.args.rounds
        if not rounds:
            return dict.fromkeys(self.plain)
        task = bar.add_task('timing', total=rounds + 2)
        return times_of(self.models, self.plain, self.data_config.input_size,
                        self.args.backend, self.precision, self.device.type, rounds,
                        lambda: bar.advance(task))

    def answers(self, bar: Progress) -> Answers:
        """Run every image with each variant; return the answers in the order of the images."""
        mine = self.images[self.rank::self.count]
        state = Path(self.args.state) if self.args.state else None
        if state is not None and self.count > 1:
            state = state.with_name(f'{state.stem}.{self.rank}-of-{self.count}{state.suffix}')
        found = Answers(self.variants, state, self._settings(len(mine)) if state else None)
        task = bar.add_task('evaluating', total=len(mine), completed=len(found))
        saved = time.monotonic()

        def progress(num_images: int) -> None:
            nonlocal saved
            bar.advance(task, num_images)
            if time.monotonic() - saved > SAVE_EVERY_S:
                found.save()
                saved = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            models, dtype = self._models_to_run(Path(folder))
            try:
                answer_all(models, batches(mine[len(found):], self.data_config, self.args.batch,
                                           self.args.workers, self.device, dtype,
                                           Unread(len(self.images)),
                                           found.sides if self.args.zoom else None),
                           self.variants, found, progress=progress)
            finally:
                found.save()
        return self._together(found)

    def _models_to_run(self, folder: Path) -> Tuple[Dict[str, nn.Module], torch.dtype]:
        if self.precision == 'int8':
            return {method: Int8Model(model, folder / method)
                    for method, model in self.models.items()}, torch.float32
        dtype = getattr(torch, self.precision)
        return {method: model.to(device=self.device, dtype=dtype)
                for method, model in self.models.items()}, dtype

    def _settings(self, num_images: int) -> Dict[str, object]:
        tensors = itertools.chain(*(named_bytes(model.state_dict())
                                    for model in self.models.values()))
        return {'model_hash': model_hash(tensors),
                'images': str(self.args.images), 'n': num_images, 'limit': self.args.limit,
                'crop_mode': self.data_config.crop_mode,
                'device': self.device.type, 'precision': self.precision,
                'batch': self.args.batch,
                'composite': self.args.composite, 'zoom': self.args.zoom}

    def _together(self, mine: Answers) -> Answers:
        rows = {variant: mine.rows(variant) for variant in self.variants}
        parts = ranks.gather((rows, torch.tensor(mine.sides, dtype=torch.float64)), self.count)
        everything = Answers(self.variants)
        everything.add({variant: woven([part[variant] for part, _ in parts])
                        for variant in self.variants})
        everything.sides = woven([sides for _, sides in parts]).tolist()
        return everything

    def unread(self, answers: Answers) -> Unread:
        """Return the images without an answer, also those of other processes and earlier runs.

        Raises:
            ImageFileError: if they are too many.
        """
        found, pixels = Unread(len(self.images)), Pixels(self.images, self.data_config)
        for index in (~answers.read).nonzero().flatten().tolist():
            found.add(name_in(self.images, index), pixels[index][1])
        return found
