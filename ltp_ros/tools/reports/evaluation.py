# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Reports of `ltp_evaluate`: the table and the score maps."""
import argparse
from pathlib import Path
from typing import Any, Container, Mapping, Sequence

import torch
from rich import box
from rich.table import Table

from ltp_ros.config import snap
from ltp_ros.images import EncodedImage, Unread
from ltp_ros.model.vit import create_vit, data_config
from ltp_ros.research.accuracy.answers import Variant
from ltp_ros.research.accuracy.batches import batches
from ltp_ros.research.accuracy.maps import draw_maps, draw_positions
from ltp_ros.research.accuracy.sample import counted
from ltp_ros.research.benchmarks.figures import new_figure

GAINS = {'vs. ltp': 'agreement_gain', 'zoom gain': 'zoom_gain'}  # columns with an interval
WIDTH = 76  # at least: a narrow table would break its caption
SHOWN_LEVEL = 0.53  # the maps show the tokens kept at the level nearest to it


def make_table(head: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return the rows as a table of 80 characters, without columns that hold nothing.

    Args:
        head: of the JSON file.
        rows: of it.
    """
    columns = {'keep': 'keep_ratio', 'left': 'tokens_kept', 'GMACs': 'gmacs', 'ms': 'p50_ms',
               'top-1': 'top1', 'diff': 'diff', 'top-5': 'top5', 'agree': 'agreement',
               **GAINS}
    columns = {heading: key for heading, key in columns.items()
               if any(row[key] is not None for row in rows)}
    table = Table(title=f'{head["model"]} on {counted(head)}, {head["precision"]}',
                  caption=_caption(head, columns), box=box.SIMPLE_HEAD, padding=0,
                  min_width=WIDTH)
    formats = {'keep': 'g', 'left': 'd', 'GMACs': '.2f', 'diff': '+.1f', 'vs. ltp': '+.1f',
               'zoom gain': '+.1f'}
    for heading in ('method', *columns):
        # These are the widest, and go on in a second line where the numbers are large
        table.add_column(heading, justify='left' if heading == 'method' else 'right',
                         no_wrap=heading not in GAINS)
    for row in rows:
        cells = ['' if row[key] is None else format(row[key], formats.get(heading, '.1f'))
                 for heading, key in columns.items()]
        for place, key in enumerate(columns.values()):
            if key in GAINS.values() and cells[place]:
                cells[place] += f' ({row[f"{key}_low"]:+.1f} {row[f"{key}_high"]:+.1f})'
        # One with zoom follows the same without
        table.add_row('  + zoom' if row['zoom'] else str(
            Variant(row['method'], 1.0, row['score'], row['alpha'])), *cells)
    return table


def _caption(head: Mapping[str, Any], columns: Container[str]) -> str:
    lines = ['left: patches kept']
    if 'diff' in columns:
        lines[0] += '; diff: top-1 minus that of the unpruned model'
    if 'vs. ltp' in columns:
        lines.append('vs. ltp: agreement minus that of ltp srb, with its 95 % interval')
    if head['zoom_side'] is not None:
        lines += ['+ zoom: the same through the zoom, which leaves '
                  f'{100 * head["zoom_side"]:.0f} % of the shorter side',
                  f'{"diff and agree" if "diff" in columns else "agree"}: with zoom, against the '
                  'unpruned model with zoom']
    if 'zoom gain' in columns:
        lines.append('zoom gain: top-1 minus that of the row above, with its 95 % interval')
    return ';\n'.join([*lines, 'in percent'])


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
