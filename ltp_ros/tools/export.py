# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_export`: write a model as ONNX, one file a level of the ladder, checked against torch.

The files go where the backend onnx looks for them, so that a node with the same model starts
without exporting; or into a folder of your choice, for trtexec and others.
"""
import argparse
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ltp_ros.backends import choice
from ltp_ros.backends.onnx_export import export_level, level_file
from ltp_ros.classifier import Classifier, ClassifierError
from ltp_ros.config import ClassifierConfig, ConfigError, check
from ltp_ros.model.vit import ModelError
from ltp_ros.tools.support.flags import add_ladder_flags, program_parser
from ltp_ros.tools.support.frame_sources import panned_samples
from ltp_ros.tools.support.output_files import check_writable, write_json
from ltp_ros.tools.support.provenance import provenance

FLAGS = ('model', 'checkpoint', 'method', 'score', 'papr_checkpoint', 'cache')
PICTURE = 'chelsea'
TOLERANCE = 1e-3  # of a probability; more is another model
NUM_FRAMES = 3


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of `ltp_export`."""
    parser = program_parser('ltp_export', __doc__, FLAGS)
    add_ladder_flags(parser, 'the ladder')
    parser.add_argument('--output', metavar='FOLDER',
                        help='none: where the backend onnx looks')
    return parser


def export_ladder(args: argparse.Namespace) -> Dict[str, Any]:
    """Write every level and compare it with torch; return what was found as plain numbers."""
    config = {name: getattr(args, name) for name in FLAGS}
    config.update(device='cpu', precision='float32', alpha=check('alpha', args.alpha),
                  keep_ratios=check('keep_ratios', args.keep_ratios))
    eager = Classifier(ClassifierConfig(backend='eager', **config))
    folder = Path(args.output) if args.output else choice.model_folder(
        args.cache, eager.model_name, eager.model_hash, eager.config.method,
        eager.config.score, eager.config.alpha)
    onnx = choice.create('onnx', 'float32', eager.backend.model, eager.data_config,
                           torch.device('cpu'), folder)
    pictures = [rgb for _, rgb in zip(range(NUM_FRAMES), frames())]
    rows = []
    for keep_ratio in track(eager.config.ladder, 'exporting', console=Console(stderr=True),
                            disable=args.quiet):
        path = level_file(folder, keep_ratio)
        export_level(eager.backend.model, keep_ratio, path)
        rows.append({'keep_ratio': keep_ratio, 'file': str(path),
                     'mib': path.stat().st_size / 2 ** 20,
                     **compare(eager.backend, onnx, pictures, keep_ratio)})
    return {'program': 'ltp_export', **provenance('cpu'), 'model': eager.model_name,
            'method': eager.config.method, 'model_hash': eager.model_hash, 'folder': str(folder),
            'rows': rows}


def frames() -> Iterator[np.ndarray]:
    """Yield pictures of a cat, RGB."""
    return (rgb for _, rgb in panned_samples((PICTURE,)))


def compare(eager: Any, onnx: Any, pictures: List[np.ndarray],
            keep_ratio: float) -> Dict[str, Any]:
    """Return how far the probabilities of two backends lie apart, and whether they agree."""
    apart, same_label, same_patches = 0.0, True, True
    for rgb in pictures:
        (mine, ids, kept), (other, other_ids, other_kept) = (
            backend(rgb, keep_ratio, 1) for backend in (eager, onnx))
        apart = max(apart, float(np.abs(mine - other).max()))
        same_label = same_label and ids[0] == other_ids[0]
        same_patches = same_patches and np.array_equal(kept, other_kept)
    return {'max_difference': apart, 'same_label': bool(same_label), 'same_patches': same_patches}


def main(argv: Optional[List[str]] = None) -> int:
    """Run `ltp_export`; return the exit code, 0 if every level gives torch's answers."""
    args = build_parser().parse_args(argv)
    errors = Console(stderr=True)
    try:
        check_writable(args.json)
        result = export_ladder(args)
    except (ClassifierError, ConfigError, ModelError, ImportError, RuntimeError,
            OSError) as error:
        errors.print(f'ltp_export: {error}', soft_wrap=True, markup=False, highlight=False)
        return 2
    except KeyboardInterrupt:
        return 130
    table = Table(title='{model}, {method}'.format(**result), caption=result['folder'])
    for heading in ('keep ratio', 'MiB', 'largest difference', 'label', 'patches'):
        table.add_column(heading, justify='right')
    for row in result['rows']:
        table.add_row(f'{row["keep_ratio"]:g}', f'{row["mib"]:.1f}',
                      f'{row["max_difference"]:.1e}', 'same' if row['same_label'] else 'OTHER',
                      'same' if row['same_patches'] else 'OTHER')
    Console().print(table)
    write_json(args.json, result)
    if not all(row['same_label'] and row['max_difference'] < TOLERANCE for row in result['rows']):
        errors.print('ltp_export: a level gives other answers than torch; do not use these files')
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
