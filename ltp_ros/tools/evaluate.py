# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_evaluate`: measure the accuracy of each method at each keep ratio, or of taught classes.

To split the images over N GPUs: `torchrun --nproc-per-node N -m ltp_ros.tools.evaluate`.
"""
import sys

from ltp_ros import programs

if __name__ == '__main__':  # before what takes seconds to import
    sys.exit(programs.ltp_evaluate())

import argparse
import itertools
import os
import tempfile
import time
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')  # as in the node, whose times are measured

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from ltp_ros.config import METHODS, SCORES, ConfigError, check
from ltp_ros.files import expand
from ltp_ros.images import EncodedImage, ImageFileError, Note, Unread, name_of, spread
from ltp_ros.model import vit
from ltp_ros.model.card import model_name, weights_of
from ltp_ros.opening import ClassifierError, resolve_precision
from ltp_ros.research.accuracy.answers import (
    UNPRUNED,
    AnswerFileError,
    Answers,
    Variant,
    answer_all,
    select,
    variants_of,
    woven,
)
from ltp_ros.research.accuracy.batches import Pixels, batches, model_classes
from ltp_ros.research.accuracy.costs import gmacs_of, times_of
from ltp_ros.research.accuracy.plot import draw
from ltp_ros.research.accuracy.rows import accuracy_row, ltp_beside
from ltp_ros.research.accuracy.sessions import Int8Model
from ltp_ros.research.benchmarks.figures import PlotError, new_figure
from ltp_ros.research.datasets import open_image_set, open_images
from ltp_ros.tools.reports.evaluation import make_table, write_maps
from ltp_ros.tools.support import ranks, taught
from ltp_ros.tools.support.device import select_device
from ltp_ros.tools.support.flags import (
    MODEL_FLAGS,
    add_ladder_flags,
    positive_int,
    program_parser,
    whole_number,
)
from ltp_ros.tools.support.output_files import check_writable, write_json
from ltp_ros.tools.support.progress import shown
from ltp_ros.tools.support.provenance import provenance
from ltp_ros.tools.support.telling import teller
from ltp_ros.tuner.ladder_profile import model_hash

SAVE_EVERY_S = 30.0
ERRORS = (ConfigError, ClassifierError, ImageFileError, AnswerFileError, vit.ModelError, PlotError,
          OSError)


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of `ltp_evaluate`."""
    parser = program_parser('ltp_evaluate', __doc__, (*MODEL_FLAGS, 'papr_checkpoint'))
    add = parser.add_argument
    add('images', type=expand, help='a folder of class folders, a folder of images with '
        'labels.csv (file, class_index), or an .npz with jpeg, offsets, labels and class_names')
    add('--no-labels', action='store_true', help='take any folder of unlabelled images and report '
        'only the agreement with the unpruned model')
    add('--methods', nargs='+', choices=(*METHODS, 'all'), default=['ltp'],
        help='token reduction methods; the unpruned model is always included')
    add('--scores', nargs='+', choices=(*SCORES, 'all'), default=['srb'],
        help='token-ranking criteria of the ltp method')
    add_ladder_flags(parser, 'keep ratios to evaluate', several_alphas=True)
    add('--batch', type=positive_int, default=64, help='images per batch')
    add('--workers', type=whole_number, default=0, metavar='N', help='decoder processes; 0: none')
    add('--limit', type=positive_int, metavar='N', help='use only N of the images, evenly spaced')
    add('--state', type=expand, metavar='FILE', help='save the answers here, and go on from them')
    add('--rounds', type=whole_number, default=0, metavar='N', help='also time each variant on '
        'one image in N interleaved rounds; 0: no timing')
    add('--backend', choices=('eager', 'graph', 'onnx'), default='eager',
        help='backend to time; the answers come from eager, with --precision int8 from onnx')
    add('--plot', type=expand, metavar='FILE', help='plot accuracy over GMACs, time and alpha; '
        'with --classes calibration, and heads asked at other levels')
    add('--maps', type=expand, metavar='FOLDER', help='for each image, draw the score maps and '
        'the tokens that each method keeps at the keep ratio nearest to 0.53; see --limit')
    add('--classes', type=expand, metavar='FILE', help='evaluate the classes of a file of '
        'ltp_teach, each in the folder of its name, with one method and --backend')
    add('--unknown', type=expand, metavar='FOLDER', help='with --classes: pictures of none of '
        'them, to measure how many are taken for one')
    return parser


class Evaluation:
    """The variants and images of one run; under torchrun each process runs a part of the images.

    Args:
        args: the parsed command line.
        rank: rank of this process.
        count: number of processes.

    Raises:
        ConfigError, ClassifierError, ImageFileError, ModelError: if an input cannot be used.
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
        self.methods = [method for method in METHODS if method in (UNPRUNED.method, *args.methods)
                        or 'all' in args.methods]
        scores = SCORES if 'all' in args.scores else list(dict.fromkeys(args.scores))
        self.variants = variants_of(self.methods, self.keep_ratios, scores, self.alphas)
        self.models: Dict[str, nn.Module] = {
            method: vit.create_vit(args.model, args.checkpoint, method=method,
                                   alpha=self.alphas[0], input_size=args.input_size,
                                   papr_checkpoint=args.papr_checkpoint)
            for method in self.methods}
        unpruned = self.models[UNPRUNED.method]
        self.data_config = vit.data_config(unpruned, args.crop_mode)
        self.num_patches: int = unpruned.patch_drop.num_patches
        images, labels = self._open(unpruned)
        chosen = spread(len(images), args.limit)
        self.labels = None if labels is None else torch.from_numpy(labels[chosen])
        self.images: List[EncodedImage] = [images[index] for index in chosen]

    def _open(self, model: nn.Module) -> Tuple[Sequence[EncodedImage], Optional[np.ndarray]]:
        source = self.args.images
        if self.args.no_labels:
            return open_images(source), None
        weights = weights_of(self.args.model, self.args.checkpoint)
        names = vit.label_names(model, weights, self.args.labels)
        image_set = open_image_set(source)
        return image_set.images, model_classes(image_set, names, source)

    def times_ms(self, bar: Progress) -> Mapping[Variant, Optional[float]]:
        """Return the median time per image; call this while the models are still on the CPU."""
        rounds = self.args.rounds
        if not rounds:
            return dict.fromkeys(self.variants)
        task = bar.add_task('timing', total=rounds + 2)
        return times_of(self.models, self.variants, self.data_config.input_size,
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
                                           Unread(len(self.images))),
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
        tensors = itertools.chain(*map(vit.tensors_of, self.models.values()))
        return {'model_hash': model_hash(tensors),
                'images': str(self.args.images), 'n': num_images, 'limit': self.args.limit,
                'crop_mode': self.data_config.crop_mode,
                'device': self.device.type, 'precision': self.precision,
                'batch': self.args.batch}

    def _together(self, mine: Answers) -> Answers:
        rows = {variant: mine.rows(variant) for variant in self.variants}
        parts = ranks.gather(rows, self.count)
        everything = Answers(self.variants)
        everything.add({variant: woven([part[variant] for part in parts])
                        for variant in self.variants})
        return everything

    def unread(self, answers: Answers) -> Unread:
        """Return the images without an answer, also those of other processes and earlier runs.

        Raises:
            ImageFileError: if they are too many.
        """
        found, pixels = Unread(len(self.images)), Pixels(self.images, self.data_config)
        for index in (~answers.read).nonzero().flatten().tolist():
            found.add(name_of(self.images[index], index), pixels[index][1])
        return found


def evaluate(evaluation: Evaluation, bar: Progress, note: Note
             ) -> Tuple[Dict[str, object], List[Dict[str, object]]]:
    """Run the evaluation; return the head and the rows of the JSON file.

    Args:
        evaluation: the variants and images.
        bar: shows the progress.
        note: called at the end if images are left out.
    """
    args, variants = evaluation.args, evaluation.variants
    head = provenance(evaluation.device.type)  # now, since the commit may change during a long run
    gmacs = gmacs_of(evaluation.models, variants, evaluation.data_config.input_size)
    times_ms = evaluation.times_ms(bar)
    answers = evaluation.answers(bar)
    unread = evaluation.unread(answers)
    if unread and evaluation.rank == 0:
        note(f'left out: {unread}')

    def row(variant: Variant) -> Dict[str, object]:
        return {'method': variant.method, 'score': variant.score,
                'keep_ratio': variant.keep_ratio, 'alpha': variant.alpha,
                'tokens_kept': select(evaluation.models, variant).patch_drop.num_keep,
                **accuracy_row(answers, variant, ltp_beside(variant, variants),
                               evaluation.labels),
                'gmacs': gmacs[variant], 'p50_ms': times_ms[variant]}
    return {
        'program': 'ltp_evaluate', **head, 'precision': evaluation.precision,
        'model': model_name(args.model, args.checkpoint), 'checkpoint': args.checkpoint,
        'crop_mode': evaluation.data_config.crop_mode,
        'backend': args.backend if args.rounds else None, 'rounds': args.rounds,
        'images': args.images, 'n': len(evaluation.images) - len(unread), 'unread': len(unread),
        'tokens_total': evaluation.num_patches}, [row(variant) for variant in variants]


def main(argv: Optional[List[str]] = None) -> int:
    """Run `ltp_evaluate`; return the exit code."""
    parser = build_parser()
    args = parser.parse_args(argv)
    given = [name for name, value in vars(args).items() if value != parser.get_default(name)]
    errors = Console(stderr=True)
    tell = teller(errors, 'ltp_evaluate')
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    rank, count = ranks.join()
    try:
        check_writable(args.json, args.plot, args.state)
        figure = new_figure(args.plot, 13, 5) if args.plot else None
        if args.classes or args.unknown:
            if count > 1:
                raise ConfigError('--classes runs in one process; leave torchrun out')
            taught.run(args, given, Progress(TextColumn('{task.description}'), *columns,
                                             console=errors, disable=args.quiet), tell, figure)
            return 0
        evaluation = Evaluation(args, rank, count)
        with shown(Progress(*columns, console=errors,
                            disable=args.quiet or rank > 0)) as bar:
            head, rows = evaluate(evaluation, bar, tell)
        if rank == 0:
            result = {**head, 'rows': rows}
            Console().print(make_table(head, rows))
            write_json(args.json, result)
            if figure:
                draw(figure, result)
                figure.savefig(args.plot)
            if args.maps:
                write_maps(args, evaluation.methods, evaluation.images, Path(args.maps))
    except ERRORS as error:
        tell(str(error))
        return 2
    except KeyboardInterrupt:
        tell('interrupted' + ('; run the same command to resume' if args.state else ''))
        return 130
    finally:
        ranks.leave(count)
    return 0
