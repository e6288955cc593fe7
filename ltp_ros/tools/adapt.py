# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_adapt`: adapt a model to pruning by self-distillation on your own unlabelled images.

At each step the original model sees crops of the images with every token, and the model in
training sees them with a share of the tokens and learns to give the same answers. The run ends
when the held-out images no longer improve, or on Ctrl-C, and writes the best weights so far.
"""
import sys

from ltp_ros import programs

if __name__ == '__main__':  # before what takes seconds to import
    sys.exit(programs.ltp_adapt())

import argparse
import contextlib
import dataclasses
import signal
import time
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ltp_ros.classifier import ClassifierError
from ltp_ros.config import METHODS, ClassifierConfig, ConfigError, check
from ltp_ros.files import expand
from ltp_ros.images import EncodedImage, ImageFileError, Note, Unread, read_images
from ltp_ros.model import vit
from ltp_ros.model.card import model_name, weights_of
from ltp_ros.model.data_config import DataConfig
from ltp_ros.model.preprocessing import Preprocessor
from ltp_ros.research.accuracy.answers import kinds_of
from ltp_ros.research.accuracy.batches import batches, model_classes
from ltp_ros.research.datasets import DatasetError, open_image_set
from ltp_ros.research.recordings import rgb_images
from ltp_ros.research.training.adaptation import EVALUATION_BATCH, Adapter, Recipe, gains
from ltp_ros.research.training.built_model import BuiltModel, model_card, training_precision
from ltp_ros.research.training.images import before_crop, hold_out, stack_inputs
from ltp_ros.research.training.state import export_model
from ltp_ros.tools.support.device import select_device
from ltp_ros.tools.support.flags import (
    add_ladder_flags,
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
    add('--method', choices=[method for method in METHODS if method != 'none'],
        default=ClassifierConfig.method,
        help='token reduction method; start the node with the same one')
    add_ladder_flags(parser, 'keep ratios to train at, in addition to 1.0')
    add('--minutes', type=positive, default=15.0, help='time limit; the learning rate follows '
        'the clock where it is ahead of the steps')
    add('--steps', type=positive_int, default=Recipe.steps, help='maximum number of steps')
    add('--batch', type=positive_int, default=Recipe.batch, help='crops per step')
    add('--lr', type=positive, default=Recipe.lr, help='peak learning rate')
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
        self.args = args
        alpha = check('alpha', args.alpha)
        ratios = sorted({1.0, *check('keep_ratios', args.keep_ratios)}, reverse=True)
        kind, = kinds_of([args.method], [args.score], [alpha])
        self.ladder = [dataclasses.replace(kind, keep_ratio=ratio) for ratio in ratios]
        device = select_device(args.device)
        weights = weights_of(args.model, args.checkpoint)
        self.card = vit.read_model_card(weights)
        model = vit.create_vit(args.model, args.checkpoint, method=args.method, score=args.score,
                               alpha=alpha, input_size=args.input_size,
                               papr_checkpoint=args.papr_checkpoint)
        self.names = vit.label_names(model, weights, args.labels)
        self.config: DataConfig = vit.data_config(model, args.crop_mode)
        self.val = self._open_val(note)
        with contextlib.nullcontext() if args.quiet else console.status('reading images'):
            pixels = stack_inputs(
                rgb_images(args.images, args.limit, note, self.config.resize_size, args.topics),
                before_crop(self.config))
        if len(pixels) < LEAST_IMAGES:
            raise DatasetError(f'{args.images!r} has {len(pixels)} images; expected at least '
                               f'{LEAST_IMAGES}, better a few hundred')
        if not args.hold_out < 1.0:
            raise ConfigError(f'hold-out {args.hold_out} is not allowed; it must be below 1')
        learned, held = hold_out(len(pixels), max(args.hold_out, 1 / len(pixels)), args.seed)
        recipe = Recipe(steps=args.steps, batch=args.batch, lr=args.lr, seed=args.seed)
        self.precision = training_precision(args.precision, device.type)
        self.adapter = Adapter(model.to(device), self.ladder, Preprocessor(self.config).to(device),
                               pixels[learned], pixels[held], recipe, self.precision)
        self.num_images = len(learned)
        self.device = device

    def _open_val(self, note: Note) -> Optional[Tuple[Sequence[EncodedImage], torch.Tensor]]:
        """Return the images of --val that can be read: now, not only after the training."""
        if not self.args.val:
            return None
        image_set = open_image_set(self.args.val)
        classes = model_classes(image_set, self.names, self.args.val)
        read = [index for index, _ in read_images(image_set.images, len(image_set), note,
                                                  self.config.resize_size)]
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
        adapter = self.adapter
        images: Iterator[torch.Tensor] = adapter.held_batches()
        labels = None
        if self.val is not None:
            encoded, labels = self.val
            images = batches(encoded, self.config, EVALUATION_BATCH, 0, self.device,
                             torch.float32, Unread(len(encoded)))
        return gains(adapter.teacher, adapter.vit, self.ladder, images, labels)

    def write(self, record: Dict[str, object]) -> None:
        """Write the weights and the model card."""
        architecture = self.card.get('architecture', self.args.model)
        model_args = dict(self.card.get('model_args', {}))
        if self.args.input_size:
            model_args['img_size'] = self.args.input_size
        built = BuiltModel(self.adapter.vit, architecture, model_args, self.config)
        export_model(Path(self.args.output).with_suffix(''), self.adapter.vit,
                     model_card(built, self.names, record))


def make_table(head: Mapping[str, object], rows: Sequence[Mapping[str, object]]) -> Table:
    """Return the gain at each level as a table."""
    table = Table(title='{method} on {n} images of {on}'.format(**head),
                  caption='in percent, gains with 95 % intervals; agreement: with the original '
                  'model at keep ratio 1')
    keys = [key for key in ('top1', 'agreement') if f'{key}_gain' in rows[0]]
    table.add_column('keep ratio', justify='right')
    for key in keys:
        for heading in ('before', 'after', 'gain'):
            table.add_column(f'{key} {heading}', justify='right')
    for row in rows:
        cells = [f'{row["keep_ratio"]:g}']
        for key in keys:
            cells += [f'{row[f"{key}_before"]:.1f}', f'{row[f"{key}_after"]:.1f}',
                      '{:+.1f} {:+.1f}…{:+.1f}'.format(
                          *(row[f'{key}_gain{end}'] for end in ('', '_low', '_high')))]
        table.add_row(*cells)
    return table


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
            'model': model_name(args.model, args.checkpoint),
            'checkpoint': Path(args.checkpoint).name, 'images': Path(args.images).name,
            'images_learned': adaptation.num_images, 'steps': adaptation.adapter.step,
            'seconds': round(seconds, 1), 'recipe': vars(adaptation.adapter.recipe),
            'on': Path(args.val).name if args.val else 'the held-out set',
            'n': rows[0]['n'], 'rows': rows}
        adaptation.write(result)
        Console().print(make_table(result, rows))
        Console().print(f'Wrote {args.output}; the node takes it as checkpoint:={args.output} '
                        f'method:={args.method}', soft_wrap=True, highlight=False)
        write_json(args.json, result)
    except (ConfigError, ClassifierError, ImageFileError, vit.ModelError, OSError) as error:
        tell(str(error))
        return 2
    return 0
