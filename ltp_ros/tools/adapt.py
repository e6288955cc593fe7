# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_adapt`: adapt a model to pruning by self-distillation on your own unlabelled images.

At each step the original model sees crops of the images with every token at its own input size,
and the model in training sees them with a share of the tokens, or at --input-size, and learns to
give the same answers. --keep-ratio adapts one level, as a ladder file names it; otherwise one
checkpoint serves the whole ladder of a method. The run ends when the held-out images no longer
improve, or on Ctrl-C, and writes the best weights so far. The original is left as it is.
"""
import sys

from ltp_ros import programs

if __name__ == '__main__':  # before what takes seconds to import
    sys.exit(programs.ltp_adapt())

import argparse
import contextlib
import copy
import dataclasses
import signal
import time
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from ltp_ros.classifier import ClassifierError
from ltp_ros.config import ClassifierConfig
from ltp_ros.files import expand
from ltp_ros.images import EncodedImage, ImageFileError, Note, Unread, read_images
from ltp_ros.model import vit
from ltp_ros.model.card import model_name, path_of, weights_of
from ltp_ros.model.data_config import DataConfig
from ltp_ros.model.input_sizes import has_tokens
from ltp_ros.parameter import ConfigError
from ltp_ros.research.accuracy.answers import Variant, kinds_of
from ltp_ros.research.accuracy.batches import batches, model_classes
from ltp_ros.research.datasets import DatasetError, open_image_set
from ltp_ros.research.recordings import rgb_images
from ltp_ros.research.training.adaptation import (
    EVALUATION_BATCH,
    TRAINED,
    Adapter,
    Recipe,
    Seer,
    larger,
)
from ltp_ros.research.training.adapted_file import write_adapted
from ltp_ros.research.training.built_model import training_precision
from ltp_ros.research.training.gains import gains
from ltp_ros.research.training.images import before_crop, hold_out, stack_inputs
from ltp_ros.settings import check
from ltp_ros.tools.reports.adapt_table import make_table
from ltp_ros.tools.support.device import select_device
from ltp_ros.tools.support.flags import (
    add_ladder_flags,
    checked,
    positive,
    positive_int,
    program_parser,
    seed,
)
from ltp_ros.tools.support.output_files import check_writable, write_json
from ltp_ros.tools.support.progress import shown
from ltp_ros.tools.support.provenance import provenance
from ltp_ros.tools.support.stopping import noting
from ltp_ros.tools.support.telling import teller

FLAGS = ('model', 'checkpoint', 'labels', 'input_size', 'crop_mode', 'score', 'papr_checkpoint',
         'device')
LEAST_IMAGES = 20
METHODS = ('ltp', 'mixed', 'papr', 'tome', 'none')


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of `ltp_adapt`."""
    parser = program_parser('ltp_adapt', __doc__, FLAGS)
    add = parser.add_argument
    add('images', type=expand, help='a folder of images, an .npz with jpeg and offsets, a video, '
        'or a bag (.mcap, .db3, .bag, or a folder of these; needs rosbags)')
    add('--topics', nargs='+', default=[], metavar='TOPIC',
        help='topics of a bag to take images from; if omitted, all with colour or grey images')
    add('--output', type=expand, default='adapted.safetensors', metavar='FILE',
        help='file for the weights; the model card goes beside it, as .json')
    add('--method', choices=METHODS, default=ClassifierConfig.method,
        help='token reduction method; start the node with the same one. With none, '
        'a model is adapted to a smaller --input-size')
    add_ladder_flags(parser, 'keep ratios to train at, in addition to 1.0')
    add('--keep-ratio', type=checked('keep_ratio'), metavar='RATIO', help='adapt to this level '
        'alone, instead of those of --keep-ratios')
    add('--train', choices=list(TRAINED), help='the weights to train: all, or the norms with the '
        'biases, whose file is small and names the original as its base; if omitted, norms with '
        '--keep-ratio or --method none, else all')
    add('--minutes', type=positive, default=15.0, help='time limit; the learning rate follows '
        'the clock where it is ahead of the steps')
    add('--steps', type=positive_int, default=Recipe.steps, help='maximum number of steps')
    add('--batch', type=positive_int, default=Recipe.batch, help='crops per step')
    add('--lr', type=positive, help='peak learning rate; if omitted, ' + ', '.join(
        f'{rate:g} for {trained}' for trained, rate in TRAINED.items()))
    add('--limit', type=positive_int, default=4000, metavar='N',
        help='maximum number of images, evenly spaced over the set; they are kept in memory')
    add('--hold-out', type=positive, default=0.1, metavar='SHARE',
        help='share of the images held out from training to decide when to stop')
    add('--val', type=expand, metavar='IMAGES', help='labelled images, as for ltp_evaluate, to '
        'compare the model on before and after; if omitted, the held-out images, without labels')
    add('--precision', choices=('auto', 'float32', 'bfloat16'), default='auto',
        help='auto: bfloat16 if the hardware supports it')
    add('--seed', type=seed, default=Recipe.seed, help='seed of all random numbers')
    return parser


class Adaptation:
    """The model, images and settings of one run, loaded and checked before it begins.

    Raises:
        ConfigError, ClassifierError, ImageFileError, ModelError: if one of them cannot be used.
    """

    def __init__(self, args: argparse.Namespace, console: Console, note: Note):
        self.args, self.device = args, select_device(args.device)
        self.ladder = self._levels()
        teacher = self._model('none', 0)
        student = self._model(args.method, args.input_size)
        if args.method == 'mixed' and self.of_one_level and student.patch_drop.fuse is None:
            student.patch_drop.add_fuse()
        weights = weights_of(args.model, args.checkpoint)
        self.names = vit.label_names(student, weights, args.labels)
        self.student, self.teacher = (
            Seer(model.to(self.device), vit.data_config(model, args.crop_mode), self.device)
            for model in (student, teacher))
        self.before = copy.deepcopy(student)
        kept_for = larger(self.student.config, self.teacher.config)
        self.val = self._open_val(kept_for, note)
        with contextlib.nullcontext() if args.quiet else console.status('reading images'):
            pixels = stack_inputs(
                rgb_images(args.images, args.limit, note, kept_for.resize_size, args.topics),
                before_crop(kept_for))
        if len(pixels) < LEAST_IMAGES:
            raise DatasetError(f'{args.images!r} has {len(pixels)} images; expected at least '
                               f'{LEAST_IMAGES}, better a few hundred')
        if not args.hold_out < 1.0:
            raise ConfigError(f'hold-out {args.hold_out} is not allowed; it must be below 1')
        learned, held = hold_out(len(pixels), max(args.hold_out, 1 / len(pixels)), args.seed)
        self.trained = args.train or ('norms' if self.of_one_level else 'all')
        recipe = Recipe(steps=args.steps, batch=args.batch, seed=args.seed,
                        lr=args.lr or TRAINED[self.trained])
        self.precision = training_precision(args.precision, self.device.type)
        self.adapter = Adapter(self.student, self.teacher, self.ladder, pixels[learned],
                               pixels[held], recipe, self.precision, self.trained)
        self.num_images = len(learned)

    @property
    def of_one_level(self) -> bool:
        """Whether one level is adapted rather than a ladder."""
        return self.args.keep_ratio is not None or self.args.method == 'none'

    def _levels(self) -> List[Variant]:
        args = self.args
        alpha = check('alpha', args.alpha)
        kind, = kinds_of([args.method], [args.score], [alpha])
        if args.method == 'none' and args.keep_ratio not in (None, 1.0):
            raise ConfigError(f'keep-ratio {args.keep_ratio:g} is not allowed with the method '
                              'none, which keeps every token')
        ratios = {args.keep_ratio or 1.0}
        if not self.of_one_level:
            ratios.update(check('keep_ratios', args.keep_ratios))
        if ratios == {1.0} and not args.input_size:
            raise ConfigError('there is nothing to adapt to: every token at the size of the '
                              'original; give --input-size or --keep-ratio')
        return [dataclasses.replace(kind, keep_ratio=ratio)
                for ratio in sorted(ratios, reverse=True)]

    def _model(self, method: str, input_size: int) -> nn.Module:
        args = self.args
        model = vit.create_vit(args.model, args.checkpoint, method=method, score=args.score,
                               alpha=args.alpha, input_size=input_size,
                               papr_checkpoint=args.papr_checkpoint)
        if not has_tokens(model):
            raise ConfigError(f'the model is no Vision Transformer but a {type(model).__name__}, '
                              'whose tokens ltp_adapt cannot compare; give another model')
        return model

    def _open_val(self, config: DataConfig, note: Note
                  ) -> Optional[Tuple[Sequence[EncodedImage], torch.Tensor]]:
        """Return the images of --val that can be read: now, not only after the training."""
        if not self.args.val:
            return None
        image_set = open_image_set(self.args.val)
        classes = model_classes(image_set, self.names, self.args.val)
        read = [index for index, _ in read_images(image_set.images, len(image_set), note,
                                                  config.resize_size)]
        return [image_set.images[index] for index in read], torch.from_numpy(classes[read])

    def learn(self, bar: Progress, stop: Sequence[int]) -> float:
        """Train until steps, minutes or improvements run out, or `stop` is not empty.

        Returns:
            The duration in seconds.
        """
        adapter, recipe = self.adapter, self.adapter.recipe
        task = bar.add_task('adapting', total=1.0)
        started, next_check = time.monotonic(), 1
        share = 0.0
        while share < 1.0 and not stop:
            loss = adapter.train_step(share)
            by_clock = (time.monotonic() - started) / (60.0 * self.args.minutes)
            share = min(1.0, max(adapter.step / recipe.steps, by_clock))
            bar.update(task, completed=share, description=(
                f'step {adapter.step}, distance {loss:.3f}, held out {adapter.best:.3f}'))
            if share >= next_check / recipe.checks:
                next_check = int(share * recipe.checks) + 1
                if not adapter.check():
                    break
        adapter.finish()
        return time.monotonic() - started

    def compare(self) -> Sequence[Mapping[str, object]]:
        """Return the gain at each level on --val or, without it, on the held-out images."""
        images, labels = self.adapter.held_batches(), None
        if self.val is not None:
            encoded, labels = self.val
            whole, own = (batches(encoded, each.config, EVALUATION_BATCH, 0, self.device,
                                  torch.float32, Unread(len(encoded)))
                          for each in (self.teacher, self.student))
            images = zip(whole, own)
        return gains(self.teacher.vit, self.before, self.student.vit, self.ladder, images, labels)

    def write(self, record: Dict[str, object]) -> None:
        """Write the weights, or those alone that were trained, and the model card."""
        args, student = self.args, self.student
        more: Dict[str, object] = {'training': record}
        if self.of_one_level:
            more.update(method=args.method, keep_ratio=self.ladder[0].keep_ratio,
                        input_size=student.config.input_size[0])
        write_adapted(Path(args.output), args.model, args.checkpoint, student.vit, student.config,
                      self.names, more, self.adapter.learning if self.trained == 'norms' else ())

    @property
    def use(self) -> str:
        """How the written level or ladder is used."""
        args, output = self.args, self.args.output
        if not self.of_one_level:
            return f'the node takes it as checkpoint:={output} method:={args.method}'
        return (f'in a ladder file it is the level {{checkpoint: {output}, method: {args.method}, '
                f'keep_ratio: {self.ladder[0].keep_ratio:g}, '
                f'input_size: {self.student.config.input_size[0]}}}')


def main(argv: Optional[List[str]] = None) -> int:
    """Run `ltp_adapt`; return the exit code."""
    args = build_parser().parse_args(argv)
    console = Console(stderr=True)
    tell = teller(console, 'ltp_adapt')
    try:
        output = Path(args.output)
        if output.suffix != '.safetensors':
            raise ConfigError(f'output {args.output!r} is not allowed; it must end in '
                              '.safetensors')
        if args.checkpoint and output.resolve() == path_of(args.checkpoint).resolve():
            raise ConfigError(f'output {args.output!r} is not allowed; it is the original, which '
                              'stays as it is')
        if args.json and Path(args.json) == output.with_suffix('.json'):
            raise ConfigError(f'json {args.json!r} is not allowed; the model card goes there')
        check_writable(args.json, args.output)
        adaptation = Adaptation(args, console, tell)
        columns = (TextColumn('{task.description}'), BarColumn(), TimeRemainingColumn())
        with noting(signal.SIGINT) as stop, shown(Progress(
                *columns, console=console, disable=args.quiet)) as bar:
            seconds = adaptation.learn(bar, stop)
        rows = adaptation.compare()
        result: Dict[str, object] = {
            'program': 'ltp_adapt', **provenance(adaptation.device.type),
            'precision': adaptation.precision, 'method': args.method,
            'trained': adaptation.trained,
            'input_size': adaptation.student.config.input_size[0],
            'model': model_name(args.model, args.checkpoint),
            'checkpoint': Path(args.checkpoint).name, 'images': Path(args.images).name,
            'images_learned': adaptation.num_images, 'steps': adaptation.adapter.step,
            'seconds': round(seconds, 1), 'recipe': vars(adaptation.adapter.recipe),
            'on': Path(args.val).name if args.val else 'the held-out set',
            'n': rows[0]['n'], 'rows': rows}
        adaptation.write(result)
        Console().print(make_table(result, rows))
        Console().print(f'Wrote {args.output}; {adaptation.use}', soft_wrap=True, highlight=False,
                        markup=False)
        write_json(args.json, result)
    except (ConfigError, ClassifierError, ImageFileError, vit.ModelError, OSError) as error:
        tell(str(error))
        return 2
    return 0
