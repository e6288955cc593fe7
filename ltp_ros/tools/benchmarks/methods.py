# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark methods`: compare the speed of LTP, its peers and the unpruned model.

This times the forward pass alone, from a normalised batch to the logits, in every backend and
number format selected. All runs of one batch size are interleaved, and ratios are taken within a
round. Without a checkpoint the weights are random, which does not affect the times.
"""
import argparse
import os
import time
from typing import Dict, List, Mapping, Sequence, Tuple

import torch
from rich import box
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from ltp_ros.config import REDUCTIONS
from ltp_ros.files import expand
from ltp_ros.model.card import model_name
from ltp_ros.model.vit import create_vit
from ltp_ros.research.benchmarks.batches import measure_batch, steps_of
from ltp_ros.research.benchmarks.figures import new_figure
from ltp_ros.research.benchmarks.methods import (
    LTP,
    NO_REDUCTION,
    SAME_GMACS,
    contenders_of,
    paper_keep_ratio,
)
from ltp_ros.research.benchmarks.methods_plot import draw
from ltp_ros.tools.support.device import select_device
from ltp_ros.tools.support.flags import checked, common_flags, positive_int
from ltp_ros.tools.support.output_files import check_writable, write_json
from ltp_ros.tools.support.provenance import provenance

NAME = 'methods'
PARENTS = [common_flags(('model', 'checkpoint', 'input_size', 'papr_checkpoint', 'device',
                         'num_threads'))]
PRECISIONS = {'eager': ('float32', 'float16', 'bfloat16'),
              'graph': ('float32', 'float16', 'bfloat16'), 'onnx': ('float32', 'int8'),
              'openvino': ('float32', 'bfloat16', 'float16')}
DEFAULT_PAIRS = {'cpu': ('eager:float32', 'eager:bfloat16', 'onnx:float32', 'onnx:int8',
                         'openvino:float32', 'openvino:bfloat16'),
                 'cuda': ('graph:float16', 'eager:float16')}
MIN_ROUNDS = 5


def parse_pair(text: str) -> str:
    """Parse 'backend:precision'."""
    backend, _, precision = text.partition(':')
    if precision not in PRECISIONS.get(backend, ()):
        allowed = '; '.join(f'{name}: {", ".join(found)}' for name, found in PRECISIONS.items())
        raise argparse.ArgumentTypeError(f'{text!r} is not allowed; expected {allowed}')
    return text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags specific to this command."""
    add = parser.add_argument
    add('--methods', nargs='+', choices=(*REDUCTIONS, 'all'), default=['all'],
        help='methods to compare; the unpruned model is always included')
    add('--keep-ratios', nargs='+', type=checked('keep_ratio'), metavar='RATIO',
        help="keep ratios of LTP; if omitted, the paper's setting (2.34 GMACs for ViT-S, 8.89 for "
        'ViT-B, 55 %% for others)')
    add('--batch', nargs='+', type=positive_int, default=[1], metavar='B',
        help='batch sizes')
    add('--run', nargs='+', type=parse_pair, metavar='BACKEND:PRECISION',
        help='if omitted: ' + '; '.join(f'{" ".join(pairs)} on {device}'
                                  for device, pairs in DEFAULT_PAIRS.items()))
    add('--rounds', type=positive_int, default=50,
        help=f'rounds at batch size 1; fewer at larger batch sizes, at least {MIN_ROUNDS}')
    add('--plot', type=expand, metavar='FILE',
        help='plot latency, pruning step and memory over the batch size')


def measure(args: argparse.Namespace,
            bar: Progress) -> Tuple[Dict[str, object], List[Dict[str, object]]]:
    """Measure every contender; return the head and the rows of the JSON file."""
    device = select_device(args.device).type
    if args.num_threads:
        torch.set_num_threads(args.num_threads)
    pairs = list(dict.fromkeys(args.run or DEFAULT_PAIRS[device]))
    wanted = REDUCTIONS if 'all' in args.methods else args.methods
    torch.manual_seed(0)
    models = {method: create_vit(args.model, args.checkpoint, method=method,
                                 pretrained=False, input_size=args.input_size,
                                 papr_checkpoint=args.papr_checkpoint)
              for method in dict.fromkeys((NO_REDUCTION, *(m for m in REDUCTIONS if m in wanted)))}
    name = model_name(args.model, args.checkpoint)
    pixels = torch.randn(1, 3, *models[NO_REDUCTION].patch_embed.img_size)
    keep_ratios = args.keep_ratios
    if not keep_ratios:
        reference = models.get(LTP) or create_vit(
            args.model, args.checkpoint, pretrained=False, input_size=args.input_size)
        keep_ratios = [paper_keep_ratio(name, reference, pixels)]
    contenders = contenders_of(models, keep_ratios, pixels)
    rows: List[Dict[str, object]] = []
    started, load = time.strftime('%Y-%m-%dT%H:%M:%S%z'), os.getloadavg()
    for batch in args.batch:
        rounds = max(args.rounds // batch, MIN_ROUNDS)
        task = bar.add_task(f'batch {batch}', total=steps_of(pairs, contenders, rounds))

        def progress(done: str, task: TaskID = task, batch: int = batch) -> None:
            bar.update(task, advance=1, description=f'batch {batch}: {done}')
        rows += measure_batch(models, contenders, pairs, batch, device, rounds, progress)
    return {'program': 'ltp_benchmark methods', **provenance(device), 'model': name,
            'checkpoint': args.checkpoint, 'cores': os.cpu_count(), 'load_at_start': load,
            'started': started,
            'num_patches': models[NO_REDUCTION].patch_drop.num_patches}, rows


def make_table(head: Mapping[str, object], rows: Sequence[Mapping[str, object]]) -> Table:
    """Return the rows as a table of 80 characters."""
    table = Table(
        title='{model} on {hardware}'.format(**head),
        caption='*: at the same GMACs as LTP, others at its keep ratio. Times in ms; '
        'prune: the pruning step alone;\nx: time relative to unpruned on the same backend, per '
        'round; MiB: peak of the forward pass', box=box.SIMPLE_HEAD, padding=0)
    columns = {
        'batch': '{batch}', 'run': '{run}', 'method': '{shown}', 'keep': '{keep_ratio:.2f}',
        'GMAC': '{gmacs:.2f}', 'p50': '{p50_ms:.1f}', 'p95': '{p95_ms:.1f}',
        'prune': '{prune}', 'x': '{ratio_to_unpruned:.2f}', 'img/s': '{images_per_s:.0f}',
        'MiB': '{memory}'}
    for heading in columns:
        table.add_column(heading, justify='left' if heading in ('run', 'method') else 'right',
                         no_wrap=True)
    for each, following in zip(rows, [*rows[1:], None]):
        numbers: Dict[str, object] = {
            **each, 'run': f'{each["backend"]} {each["precision"]}',
            'shown': f'{each["method"]}{"*" if each["setting"] == SAME_GMACS else ""}',
            'prune': '' if each['prune_ms'] is None else f'{each["prune_ms"]:.2f}',
            'memory': '' if each['peak_mib'] is None else f'{each["peak_mib"]:.0f}'}
        table.add_row(*(text.format(**numbers) for text in columns.values()),
                      end_section=following is not None and
                      following['method'] == NO_REDUCTION)
    return table


def run(args: argparse.Namespace, bar: Progress) -> None:
    """Run the command: print the table and write the files given by the flags."""
    check_writable(args.json, args.plot)
    figure = new_figure(args.plot, 12, 4.5) if args.plot else None
    head, rows = measure(args, bar)
    bar.stop()
    result = {**head, 'rows': rows}
    Console().print(make_table(head, rows))
    write_json(args.json, result)
    if figure:
        draw(figure, result)
        figure.savefig(args.plot)
