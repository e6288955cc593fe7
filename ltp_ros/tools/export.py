# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_export`: export a model to ONNX, and check every level of the ladder against torch.

By default it goes where a node looks for it, so that one with the same model starts without
exporting: one file for ONNX Runtime and OpenVINO on a CPU, one a level for TensorRT where there is
a GPU. Use --output to export a file a level for trtexec and other tools.
"""
import sys

from ltp_ros import programs

if __name__ == '__main__':  # before what takes seconds to import
    sys.exit(programs.ltp_export())

import argparse
import functools
import os
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, TypedDict

os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')  # as in the node, whose times are measured

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ltp_ros.backends import cache, choice
from ltp_ros.backends.eager import EagerBackend
from ltp_ros.backends.level_files import ladder_file, level_file, origin
from ltp_ros.backends.onnx import OnnxBackend
from ltp_ros.backends.onnx_export import export_ladder, export_level
from ltp_ros.backends.protocol import HOST, Backend
from ltp_ros.classifier import Classifier, ClassifierError
from ltp_ros.config import ClassifierConfig
from ltp_ros.files import expand
from ltp_ros.images import ImageFileError
from ltp_ros.model.card import ModelError
from ltp_ros.parameter import ConfigError
from ltp_ros.settings import check
from ltp_ros.tools.support import int8
from ltp_ros.tools.support.flags import add_ladder_flags, program_parser
from ltp_ros.tools.support.frame_sources import panned_samples
from ltp_ros.tools.support.output_files import check_writable, write_json
from ltp_ros.tools.support.progress import tracked
from ltp_ros.tools.support.provenance import provenance

FLAGS = ('model', 'checkpoint', 'input_size', 'method', 'score', 'papr_checkpoint', 'num_threads',
         'crop_mode', 'cache')
SAMPLE = 'chelsea'
TOLERANCE = 1e-3  # between probabilities; beyond it the exported model is a different one
NUM_FRAMES = 3


class Comparison(TypedDict):
    """How far two backends agree at one level."""

    max_difference: float  # between the probabilities of the best class
    same_label: bool
    same_patches: bool


class LevelRow(Comparison):
    """One exported level, compared with torch."""

    input_size: int  # pixels, the longer side
    keep_ratio: float
    file: str
    mib: float


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of `ltp_export`."""
    parser = program_parser('ltp_export', __doc__, FLAGS)
    add_ladder_flags(parser, 'the ladder')
    parser.add_argument('--int8', action='store_true',
                        help='also make the levels in 8 bits, check their answers on pictures '
                        'that they were not calibrated on, and have nodes on this machine with '
                        'backend and precision "auto" take the fastest way whose answers hold')
    parser.add_argument('--calibration', type=expand, default='', metavar='FOLDER',
                        help='pictures as the camera takes them, for --int8, at most '
                        f'{int8.MOST} of them; if omitted, views of three packaged photos')
    parser.add_argument('--once', action='store_true',
                        help='do nothing where --int8 was done before with the same model, '
                        'pictures, machine and libraries')
    parser.add_argument('--output', type=expand, metavar='FOLDER',
                        help='folder of the files; if omitted, where the onnx backend looks')
    return parser


def export_levels(args: argparse.Namespace
                  ) -> Tuple[Dict[str, str], List[LevelRow], List[int8.Row]]:
    """Export every level and compare it with torch; return the head of the JSON file and rows.

    The last are of --int8. There are none if --once is given and all was done before.
    """
    if (args.calibration or args.once) and not args.int8 or args.int8 and args.output:
        raise ConfigError('--calibration and --once go with --int8, which makes the files of a '
                          'node on this machine: leave --output out, and give --cache for '
                          'another place')
    config = {name: getattr(args, name) for name in FLAGS}
    config.update(device='cpu', precision='float32', alpha=check('alpha', args.alpha),
                  keep_ratios=check('keep_ratios', args.keep_ratios))
    classifier = Classifier(ClassifierConfig(backend='eager', **config))
    pictures = int8.pictures_in(args.calibration, print) if args.int8 else []
    folders: List[str] = []
    rows: List[LevelRow] = []
    checked: List[int8.Row] = []
    configs = classifier.model_configs  # several, if they differ in the size of their input
    for each in configs:
        model = Classifier(each) if len(configs) > 1 else classifier
        folder = Path(args.output) if args.output else choice.model_folder(
            args.cache, model.model_name, model.model_hash, each.method, each.score, each.alpha,
            each.image_sides)
        if folder is None:
            raise ConfigError('there is no home folder for the files; give --output FOLDER, or '
                              '--cache FOLDER for the onnx backend to find them in')
        if args.output and len(configs) > 1:
            folder = folder / '{}x{}'.format(*model.data_config.input_size)
        folders.append(str(folder))
        if not (args.once and int8.was_done(model, folder, pictures)):
            _export_model(args, model, folder, pictures, rows, checked)
    return {'program': 'ltp_export', **provenance('cpu'), 'model': classifier.model_name,
            'method': classifier.config.method, 'model_hash': classifier.model_hash,
            'folder': ', '.join(folders)}, rows, checked


def _export_model(args: argparse.Namespace, classifier: Classifier, folder: Path,
                  pictures: Sequence[np.ndarray], rows: List[LevelRow],
                  checked: List[int8.Row]) -> None:
    """Export the levels of one model, and append to `rows` and `checked`."""
    # As a node here reads them: TensorRT wants each size in a file of its own
    one_file = not (args.output or torch.cuda.is_available())
    if args.output:  # what is there may be of another model
        for each in [ladder_file(folder), *(level_file(folder, keep_ratio)
                                            for keep_ratio in classifier.config.levels)]:
            each.unlink(missing_ok=True)
    rows += export_all(classifier, folder, one_file, args.quiet)
    if args.int8:
        checked += int8.make(classifier, folder, pictures, print, alone=not args.once)


def export_all(classifier: Classifier, folder: Path, one_file: bool,
               quiet: bool) -> List[LevelRow]:
    """Export what is not there of a classifier with the backend 'eager'; compare all of it.

    Args:
        classifier: its ladder is exported.
        folder: of the files.
        one_file: whether one has all levels, where the method can.
        quiet: whether to hide the progress bar.
    """
    eager = classifier.backend
    assert isinstance(eager, EagerBackend)  # as configured; its model is exported
    onnx = choice.create('onnx', 'float32', eager.model, classifier.data_config, HOST, folder)
    assert isinstance(onnx, OnnxBackend)
    onnx.one_file = one_file and bool(eager.model.patch_drop.counts)
    images = [rgb for _, rgb in zip(range(NUM_FRAMES), frames())]
    rows: List[LevelRow] = []
    path = ladder_file(folder)
    for keep_ratio in tracked(classifier.config.levels, 'exporting', Progress(
            console=Console(stderr=True), disable=quiet)):
        if not onnx.one_file:
            path = level_file(folder, keep_ratio)
            cache.ensure(path, origin(int8=False),
                         functools.partial(export_level, eager.model, keep_ratio), print)
        elif not rows:
            cache.ensure(path, origin(int8=False),
                         functools.partial(export_ladder, eager.model), print)
        rows.append({'input_size': max(classifier.data_config.input_size),
                     'keep_ratio': keep_ratio, 'file': str(path),
                     'mib': path.stat().st_size / 2 ** 20,
                     **compare(eager, onnx, images, keep_ratio)})
    return rows


def frames() -> Iterator[np.ndarray]:
    """Yield views of a cat as (H, W, 3) uint8 RGB."""
    return (rgb for _, rgb in panned_samples((SAMPLE,)))


def compare(eager: Backend, onnx: Backend, images: List[np.ndarray],
            keep_ratio: float) -> Comparison:
    """Compare two backends on some images at one level."""
    difference, same_label, same_patches = 0.0, True, True
    for rgb in images:
        ours, theirs = (backend(rgb, keep_ratio, 1) for backend in (eager, onnx))
        difference = max(difference, float(np.abs(ours.scores - theirs.scores).max()))
        same_label = same_label and bool(ours.class_ids[0] == theirs.class_ids[0])
        same_patches = same_patches and np.array_equal(ours.keep_indices, theirs.keep_indices)
    return {'max_difference': difference, 'same_label': same_label, 'same_patches': same_patches}


def make_table(head: Mapping[str, str], rows: Sequence[LevelRow]) -> Table:
    """Return the exported levels as a table."""
    table = Table(title='{model}, {method}'.format(**head), caption=head['folder'])
    for heading in ('pixels', 'keep ratio', 'MiB', 'largest difference', 'label', 'patches'):
        table.add_column(heading, justify='right')
    for row in rows:
        table.add_row(str(row['input_size']), f'{row["keep_ratio"]:g}', f'{row["mib"]:.1f}',
                      f'{row["max_difference"]:.1e}',
                      'same' if row['same_label'] else 'DIFFERENT',
                      'same' if row['same_patches'] else 'DIFFERENT')
    return table


def main(argv: Optional[List[str]] = None) -> int:
    """Run `ltp_export`; return the exit code: 0 if every level agrees with torch."""
    args = build_parser().parse_args(argv)
    errors = Console(stderr=True)
    try:
        check_writable(args.json)
        head, rows, checked = export_levels(args)
    except (ClassifierError, ConfigError, ModelError, ImportError, RuntimeError,
            OSError, ImageFileError, ValueError) as error:
        errors.print(f'ltp_export: {error}', soft_wrap=True, markup=False, highlight=False)
        return 2
    except KeyboardInterrupt:
        return 130
    if rows:
        Console().print(make_table(head, rows))
    else:
        Console().print(f'done before, for these pictures: {head["folder"]}', soft_wrap=True,
                        markup=False, highlight=False)
    if checked:
        Console().print(int8.make_table(checked))
    write_json(args.json, {**head, 'rows': rows, 'int8': [row._asdict() for row in checked]})
    if not all(row['same_label'] and row['max_difference'] < TOLERANCE for row in rows):
        errors.print('ltp_export: at least one level disagrees with torch; do not use these files')
        return 1
    return 0
