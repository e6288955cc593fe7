# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Reports of `ltp_evaluate`: the table and the score maps."""
import argparse
from pathlib import Path
from typing import Any, Mapping, Sequence

import torch
from rich import box
from rich.table import Table

from ltp_ros.config import snap
from ltp_ros.images import EncodedImage, Unread
from ltp_ros.model.vit import create_vit, data_config
from ltp_ros.research.accuracy.answers import Variant
from ltp_ros.research.accuracy.batches import batches
from ltp_ros.research.accuracy.maps import draw_maps, draw_positions
from ltp_ros.research.benchmarks.figures import new_figure

SHOWN_LEVEL = 0.53  # the maps show the tokens kept at the level nearest to it


def make_table(head: Mapping[str, object], rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return the rows as a table of 80 characters."""
    table = Table(title='{model} on {n} images, {precision}'.format(**head),
                  caption='left: patches kept; diff: top-1 minus that of the unpruned model;\n'
                  'vs. ltp: agreement minus that of ltp srb, with its 95 % interval; in percent',
                  box=box.SIMPLE_HEAD, padding=0)
    columns = {'keep': 'keep_ratio', 'left': 'tokens_kept', 'GMACs': 'gmacs', 'ms': 'p50_ms',
               'top-1': 'top1', 'diff': 'diff', 'top-5': 'top5', 'agree': 'agreement',
               'vs. ltp': 'agreement_gain'}
    formats = {'keep': 'g', 'left': 'd', 'GMACs': '.2f', 'diff': '+.1f', 'vs. ltp': '+.1f'}
    for heading in ('method', *columns):
        # The last is the widest, and goes on in a second line where the numbers are large
        table.add_column(heading, justify='left' if heading == 'method' else 'right',
                         no_wrap=heading != 'vs. ltp')
    for row in rows:
        cells = ['' if row[key] is None else format(row[key], formats.get(heading, '.1f'))
                 for heading, key in columns.items()]
        if cells[-1]:
            cells[-1] += ' ({agreement_gain_low:+.1f} {agreement_gain_high:+.1f})'.format(**row)
        table.add_row(str(Variant(row['method'], 1.0, row['score'], row['alpha'])), *cells)
    return table


def write_maps(args: argparse.Namespace, methods: Sequence[str], images: Sequence[EncodedImage],
               folder: Path) -> None:
    """Write positions.png, and one numbered picture per image.

    Args:
        args: the parsed command line.
        methods: those of the run; 'mixed' and 'papr' are drawn beside LTP.
        images: the images to draw.
        folder: created if it does not exist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ltp = create_vit(args.model, args.checkpoint, alpha=args.alpha[0], input_size=args.input_size)
    others = {method: create_vit(args.model, args.checkpoint, method=method,
                                 input_size=args.input_size,
                                 papr_checkpoint=args.papr_checkpoint)
              for method in methods if method in ('mixed', 'papr')}
    path = folder / 'positions.png'
    figure = new_figure(str(path), 5, 4)
    draw_positions(figure, ltp)
    figure.savefig(str(path))
    pixels = batches(images, data_config(ltp, args.crop_mode), 1, args.workers,
                     torch.device('cpu'), torch.float32, Unread(len(images)))
    for number, image in enumerate(pixels):
        if image.isnan().any():  # it cannot be read
            continue
        path = folder / f'{number:05d}.png'
        figure = new_figure(str(path), 4 * (5 + len(others)), 4.5)
        draw_maps(figure, ltp, others, image, snap(SHOWN_LEVEL, args.keep_ratios))
        figure.savefig(str(path))
