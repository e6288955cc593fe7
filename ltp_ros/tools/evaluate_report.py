# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What `ltp_evaluate` shows of its result: the table, and the maps of the score."""
import argparse
from pathlib import Path
from typing import Any, Dict, Sequence

import torch
from rich.table import Table

from ltp_ros.accuracy.answers import Variant
from ltp_ros.accuracy.data import batches
from ltp_ros.accuracy.maps import draw_maps, draw_positions
from ltp_ros.benchmarks.figures import new_figure
from ltp_ros.config import snap
from ltp_ros.datasets import EncodedImage
from ltp_ros.vit import create_vit, data_config

SHOWN_LEVEL = 0.53  # maps show what is kept at the level nearest to it


def make_table(result: Dict[str, Any]) -> Table:
    """Return the rows as a table."""
    table = Table(title='{model} on {n} images, {precision}'.format(**result),
                  caption='in percent, with 95 % intervals; "diff": top-1 less that of the '
                  'unpruned model; "to ltp": agreement less that of ltp srb')
    for heading in ('method', 'keep', 'tokens', 'GMACs', 'ms', 'top-1', 'diff', 'top-5',
                    'agreement', 'to ltp'):
        table.add_column(heading, justify='left' if heading == 'method' else 'right')

    def number(row: Dict[str, Any], key: str, form: str, interval: bool = False) -> str:
        if row[key] is None:
            return ''
        low_high = f' {row[f"{key}_low"]:{form}}…{row[f"{key}_high"]:{form}}' if interval else ''
        return f'{row[key]:{form}}{low_high}'
    for row in result['rows']:
        name = str(Variant(row['method'], 1.0, row['score'], row['alpha']))
        table.add_row(name, f'{row["keep_ratio"]:g}', str(row['tokens_kept']),
                      number(row, 'gmacs', '.2f'), number(row, 'p50_ms', '.1f'),
                      number(row, 'top1', '.1f'), number(row, 'diff', '+.1f', True),
                      number(row, 'top5', '.1f'), number(row, 'agreement', '.1f'),
                      number(row, 'agreement_gain', '+.1f', True))
    return table


def write_maps(args: argparse.Namespace, methods: Sequence[str], images: Sequence[EncodedImage],
               folder: Path) -> None:
    """Write positions.png, and one picture an image, numbered in their order.

    Args:
        args: of the command line.
        methods: those that take patches out as a whole are shown beside LTP.
        images: what is drawn.
        folder: made if it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ltp = create_vit(args.model, args.checkpoint, alpha=args.alpha[0])
    others = {method: create_vit(args.model, args.checkpoint, method=method,
                                 papr_checkpoint=args.papr_checkpoint)
              for method in methods if method in ('mixed', 'papr')}
    path = folder / 'positions.png'
    figure = new_figure(str(path), 5, 4)
    draw_positions(figure, ltp)
    figure.savefig(str(path))
    pixels = batches(images, data_config(ltp), 1, args.workers, torch.device('cpu'),
                     torch.float32)
    for number, image in enumerate(pixels):
        path = folder / f'{number:05d}.png'
        figure = new_figure(str(path), 4 * (5 + len(others)), 4)
        draw_maps(figure, ltp, others, image, snap(SHOWN_LEVEL, args.keep_ratios))
        figure.savefig(str(path))
