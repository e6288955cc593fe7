# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark board`: measure a board, and LTP-ViT's Figs. 6 and 7 on it, into one folder.

The ladder of each method in each backend and precision that is there, in turns, with the unpruned
model beside; latency, pruning step and memory of batches at the setting of the paper, with its
figures beside; the node over DDS, if ROS is installed. With it: power mode, clocks, temperatures,
throttling, memory and versions. Run it once in each power mode, each in a folder of its own:

    sudo nvpmodel -m 8 && sudo jetson_clocks
    ltp_benchmark board --output board_20w

report.json, report.md and two plots are then there, to be sent to the authors. Without a
checkpoint the weights are random, which does not affect the times. --photos FOLDER with a
checkpoint, or with --model demo, adds how often a level answers as all tokens do.

TensorRT (onnx:float16) builds an engine for each level, minutes each: ask for a few with
--run onnx:float16 --methods ltp --keep-ratios 1.0 0.53 --minutes 60.
"""
import argparse
import os
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Sequence, Tuple

from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ltp_ros.backends.level_files import versions
from ltp_ros.config import REDUCTIONS, ClassifierConfig
from ltp_ros.files import expand
from ltp_ros.machine import power_mode
from ltp_ros.model.card import model_name
from ltp_ros.research.benchmarks import BenchmarkError
from ltp_ros.research.benchmarks.board import PARTS, ladder, paper
from ltp_ros.research.benchmarks.board.plot import draw_ladders
from ltp_ros.research.benchmarks.board.settings import BATCHES, ROUNDS, RUNS, BoardSettings
from ltp_ros.research.benchmarks.board.state import model_of_board
from ltp_ros.research.benchmarks.figures import PlotError, new_figure
from ltp_ros.research.benchmarks.gpu.parts import Result
from ltp_ros.research.benchmarks.gpu.report import now
from ltp_ros.research.benchmarks.methods_plot import draw
from ltp_ros.tools.benchmarks.gpu import (
    add_part_arguments,
    first_device,
    made,
    run_chosen,
    tell,
)
from ltp_ros.tools.benchmarks.methods import parse_pair
from ltp_ros.tools.support.flags import (
    absolute_paths,
    checked,
    common_flags,
    positive_int,
)
from ltp_ros.tools.support.provenance import provenance

PARENTS = [common_flags(('model', 'checkpoint', 'input_size', 'device'))]
TENSORRT = 'onnx:float16'
LIBRARIES = ('onnx', 'onnxruntime', 'onnxruntime-gpu', 'openvino', 'tensorrt', 'torchvision')
PLOTS = {'ladder': 'ladder.png', 'paper': 'figures_6_and_7.png'}


def parse_run(text: str) -> str:
    """Parse 'backend:precision', TensorRT's among them."""
    return text if text == TENSORRT else parse_pair(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags specific to this command."""
    add = parser.add_argument
    parser.set_defaults(model=BoardSettings.model)
    add_part_arguments(parser, PARTS, minutes=20.0, output='board_results')
    add('--run', nargs='+', type=parse_run, metavar='BACKEND:PRECISION',
        help='if omitted: ' + '; '.join(f'{" ".join(runs)} on {device}'
                                        for device, runs in RUNS.items()))
    add('--methods', nargs='+', choices=REDUCTIONS, default=list(REDUCTIONS),
        help='methods to compare; the unpruned model is always included')
    add('--keep-ratios', nargs='+', type=checked('keep_ratio'), metavar='RATIO',
        default=list(ClassifierConfig.keep_ratios), help='levels of the ladder')
    add('--batch', nargs='+', type=positive_int, metavar='B',
        help='batch sizes; if omitted: ' + '; '.join(
            f'{" ".join(map(str, batches))} on {device}' for device, batches in BATCHES.items()))
    add('--rounds', type=positive_int, default=ROUNDS,
        help='rounds at most; fewer where time runs out, and of larger batches')
    add('--photos', type=expand, default='', metavar='FOLDER',
        help='a folder of photos, to compare the answers of trained weights')


def run(args: argparse.Namespace, bar: Progress) -> int:
    """Run the command; return the exit code: 1 if a part failed."""
    folder = made(args.output)
    settings = settings_of(args, folder)
    head: Dict[str, object] = {
        'program': 'ltp_benchmark board', **model_of_board(), **provenance(settings.device),
        'model': model_name(args.model, args.checkpoint), 'power mode': power_mode(),
        'cores': os.cpu_count(), 'load_at_start': os.getloadavg()[0], **versions(LIBRARIES),
        'minutes': args.minutes, 'started': now()}
    results = run_chosen(args, bar, PARTS, settings, head)
    with (folder / 'report.md').open('a', encoding='utf-8') as report:
        for line in plots(folder, head, results):
            report.write(f'{line}\n')
    rows = rows_of(results, 'ladder', ladder.TABLE)
    if rows:
        Console().print(make_table(head, rows))
    return tell(args, folder, head, results)


def settings_of(args: argparse.Namespace, folder: Path) -> BoardSettings:
    """Return the settings that the command line gives; BenchmarkError without --photos' folder."""
    if args.photos and not os.path.isdir(args.photos):
        raise BenchmarkError(f'--photos {args.photos!r} is not a folder')
    device = first_device(args.device)
    given = absolute_paths({'model': args.model, 'checkpoint': args.checkpoint})
    return BoardSettings(
        device, str(given['model']), str(given['checkpoint']),
        args.photos and os.path.abspath(args.photos), str(folder), args.input_size,
        runs=tuple(dict.fromkeys(args.run or RUNS[device])), methods=tuple(args.methods),
        keep_ratios=tuple(args.keep_ratios), batches=tuple(args.batch or BATCHES[device]),
        rounds=args.rounds)


def rows_of(results: Sequence[Result], part: str, table: str) -> List[Dict[str, object]]:
    """Return the rows of a part's table; none if it was not run."""
    return [row for result in results if result.name == part
            for row in result.tables.get(table, [])]


def plots(folder: Path, head: Mapping[str, object], results: Sequence[Result]) -> Iterator[str]:
    """Draw what was measured beside the report; yield the lines that show it there."""
    levels = rows_of(results, 'ladder', ladder.TABLE)
    batches = rows_of(results, 'paper', paper.TABLE)
    try:
        if levels:
            figure = new_figure(PLOTS['ladder'], 12, 5)
            draw_ladders(figure, head, levels, bool(rows_of(results, 'paper', paper.BESIDE)))
            figure.savefig(str(folder / PLOTS['ladder']))
            yield f'![The ladders]({PLOTS["ladder"]})\n'
        if batches:
            figure = new_figure(PLOTS['paper'], 12, 4.5)
            draw(figure, {**head, 'rows': batches})
            figure.savefig(str(folder / PLOTS['paper']))
            yield f'![Latency, pruning step and memory of batches]({PLOTS["paper"]})\n'
    except PlotError as error:  # the numbers are there
        yield f'No plots: {error}\n'


def make_table(head: Mapping[str, object], rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return the ladders as a table of 80 characters: for each level the p50 of each run."""
    runs = list(dict.fromkeys((row['backend'], row['precision']) for row in rows))
    table = Table(title='{model} on {hardware}'.format(**head), box=box.SIMPLE_HEAD, padding=0,
                  caption="p50 in ms, camera's bytes to classes, and its share of the unpruned "
                  "model's on the same backend")
    for heading in ('method', 'keep', *(f'{backend}\n{precision}' for backend, precision in runs)):
        table.add_column(heading, justify='left' if heading == 'method' else 'right',
                         no_wrap=True)
    by_level: Dict[Tuple[str, float], Dict[Tuple[str, str], str]] = {}
    for row in rows:
        by_level.setdefault((row['method'], row['keep_ratio']), {})[
            row['backend'], row['precision']] = '{p50_ms:.1f} {of_unpruned:.2f}'.format(**row)
    levels = list(by_level)
    for (method, keep_ratio), following in zip(levels, [*levels[1:], None]):
        table.add_row(method, f'{keep_ratio:.2f}',
                      *(by_level[method, keep_ratio].get(pair, '') for pair in runs),
                      end_section=following is not None and following[0] != method)
    return table
