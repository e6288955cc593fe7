# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark zoom`: whether it helps to look where something is, against simpler rivals.

Pictures as they are, and small ones on a ground made of others, are given to one model in one
runtime: the centre crop, the box of the zoom, boxes by other statistics, and a finer picture with
the same number of tokens. Then films made of some of them, frame by frame, without and with zoom.
Every other picture, by name, is left for tuning.
"""
import argparse
import os
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import Any, Callable, Dict, List, Mapping, Sequence

from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig
from ltp_ros.files import expand, plain
from ltp_ros.images import Note
from ltp_ros.model.vit import create_vit
from ltp_ros.opening import resolve_precision
from ltp_ros.prediction import NotFiniteError
from ltp_ros.research.accuracy.batches import model_classes
from ltp_ros.research.benchmarks import BenchmarkError, zoom, zoom_films
from ltp_ros.research.benchmarks.zoom_rivals import (
    ATTENTION,
    FINER,
    Rival,
    finer_than,
    rivals_of,
)
from ltp_ros.research.composites import CompositeError
from ltp_ros.research.datasets import open_image_set
from ltp_ros.tools.support import flags
from ltp_ros.tools.support.device import select_device
from ltp_ros.tools.support.output_files import check_writable, write_json
from ltp_ros.tools.support.provenance import provenance
from ltp_ros.tools.support.telling import teller

NAME = 'zoom'
GIVEN = tuple(name for name in flags.CLASSIFIER_FLAGS
              if name not in ('method', 'score', 'papr_checkpoint', 'backend'))
BACKENDS = {'cuda': ('graph', 'eager', 'onnx'), 'cpu': ('openvino', 'onnx', 'eager', 'graph')}
PACKAGES = {'openvino': 'openvino', 'onnx': 'onnxruntime'}  # that a runtime needs besides torch
PARENTS = [flags.common_flags(GIVEN)]
COMPOSITES = ('0.45:blur', '0.45:flat', '0.45:sharp')
Rows = List[Dict[str, Any]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags specific to this command."""
    add = parser.add_argument
    add('images', type=expand, metavar='FOLDER', help='labelled images, as for ltp_evaluate')
    add('--taught', type=expand, metavar='FOLDER', help='a folder of class folders to teach')
    add('--composites', nargs='*', metavar='SHARE:GROUND', default=list(COMPOSITES),
        help='pictures that take so much of the width of a canvas, on a ground made of another: '
        'blur, flat or sharp')
    add('--backend', choices=BACKENDS['cpu'], help='runtime of all rivals; if omitted: graph on a '
        'GPU, on a CPU the first that is installed of openvino, onnx and eager')
    add('--half', choices=zoom.HALVES, default='test',
        help='which pictures are asked; constants may only be chosen on those for tuning')
    add('--small', type=flags.whole_number, default=176, metavar='PIXELS',
        help='a smaller input size for the centre crop and the zoom; 0: none')
    add('--films', type=flags.whole_number, default=12, metavar='N',
        help='films of each kind, made of N pictures of the half, evenly spaced; 0: none')
    add('--count', type=flags.positive_int, default=50, metavar='N',
        help='pictures of each class that are taught; all others of the half are asked')
    add('--draws', type=flags.positive_int, default=5, metavar='N',
        help='how often other pictures are taught')
    add('--rounds', type=flags.whole_number, default=30, metavar='N',
        help='rounds in which the rivals are timed; 0: none')
    add('--limit', type=flags.positive_int, metavar='N',
        help='use only N images of the half, evenly spaced')


def first_backend(device: str) -> str:
    """Return the first runtime for 'cuda' or 'cpu' that is installed.

    One for all rivals: the fastest could be another for each input size.
    """
    return next(name for name in BACKENDS[device]
                if name not in PACKAGES or find_spec(PACKAGES[name]))


def open_rivals(args: argparse.Namespace, note: Note) -> List[Rival]:
    """Open the models, one for each input size, and return the rivals."""
    device = select_device(args.device)
    config = replace(
        ClassifierConfig(**{name: getattr(args, name) for name in GIVEN}), method='none',
        keep_ratios=(1.0,), backend=args.backend or first_backend(device.type),
        precision=resolve_precision(args.precision, device))
    full = Classifier(config)
    height, width = full.data_config.input_size
    small = Classifier(replace(config, input_size=args.small)) if (
        args.small and args.small != height) else None
    finer = None
    if height == width:
        size, keep_ratio = finer_than(full)
        finer = Classifier(replace(config, method='ltp', input_size=size,
                                   keep_ratios=(keep_ratio,)))
    else:
        note(f"left out: {FINER}, since the model's input is not square")
    model = create_vit(args.model, args.checkpoint, method='none', input_size=args.input_size)
    rivals = rivals_of(full, small, finer, model)
    if ATTENTION not in [rival.name for rival in rivals]:
        note(f'left out: {ATTENTION}, since the model has no class token whose attention '
             'can be read')
    return rivals


def measure(args: argparse.Namespace, bar: Progress, note: Note) -> Dict[str, Any]:
    """Return the JSON file."""
    rivals, load = open_rivals(args, note), os.getloadavg()
    full = rivals[0].classifier
    image_set = open_image_set(args.images)
    scenes = zoom.scenes_of(
        image_set.images, model_classes(image_set, full.model_labels, args.images),
        args.composites, args.half, args.limit)
    lessons = []
    if args.taught:
        classes = open_image_set(args.taught)
        lessons = zoom.scenes_of(classes.images, classes.labels, (), args.half, args.limit,
                                 'taught')
    task = bar.add_task('timing', total=max(1, args.rounds + zoom.TIMED))
    times = zoom.times_of(rivals, zoom.timed_frames(scenes[min(1, len(scenes) - 1)]),
                          args.rounds, lambda: bar.advance(task))
    def advancing(scene: zoom.Scene, more: int = 0) -> Callable[[], None]:
        return partial(bar.advance, bar.add_task(scene.name, total=len(scene.chosen) + more))
    rows: Rows = []
    for scene in scenes:
        rows += zoom.own_rows(scene, rivals, note, advancing(scene))
    for scene in lessons:
        rows += zoom.taught_rows(scene, rivals, args.count, args.draws, note,
                                 advancing(scene, args.draws * len(rivals)))
    films: Rows = []
    if args.films:
        total = len(zoom_films.KINDS) * min(args.films, len(scenes[0].chosen))
        films = zoom_films.film_rows(scenes[0], args.films, full, note,
                                     partial(bar.advance, bar.add_task('films', total=total)))
    parts = len(scenes) + len(lessons)
    return {'program': 'ltp_benchmark zoom', **provenance(full.device.type),
            'precision': full.precision, 'backend': full.backend.name, 'model': full.model_name,
            'checkpoint': args.checkpoint, 'load_at_start': load, 'images': args.images,
            'taught': args.taught, 'half': args.half, 'limit': args.limit,
            'count': args.count, 'draws': args.draws, 'rounds': args.rounds,
            'rows': [{**row, **time} for row, time in zip(rows, times * parts)],
            'films': films}


def make_table(head: Mapping[str, Any], rows: Rows) -> Table:
    """Return the rows of a scene as a table."""
    first = rows[0]
    title = '{scene}: {n} answers, half: {half}; {model}, {backend} {precision}'.format(
        **{**head, **first})
    table = _empty_table(
        title, ('rival', 'px', 'tokens', 'top-1', '95 %', 'gain', '95 % of it', 'box', 'ms', 'x'),
        'top-1 in percent; gain: over the centre crop of the same size; box: mean\n'
        "side of what the model saw, in shares of the picture's shorter one; ms: median\n"
        'at 640x480, with finding the box; x: over the centre crop at '
        f'{first["input_size"]}, per round')
    for row in rows:
        table.add_row(
            row['rival'], str(row['input_size']), str(row['num_tokens']), f'{row["top1"]:.1f}',
            f'{row["top1_low"]:.1f}-{row["top1_high"]:.1f}',
            *(('', '') if row['gain'] is None else (
                f'{row["gain"]:+.1f}', f'{row["gain_low"]:+.1f} {row["gain_high"]:+.1f}')),
            f'{row["box_side"]:.2f}', *(('', '') if row['ms'] is None else (
                f'{row["ms"]:.1f}', f'{row["time_share"]:.2f}')))
    return table


def films_table(head: Mapping[str, Any], rows: Rows) -> Table:
    """Return the rows of the films as a table."""
    first = rows[0]
    title = 'films: {films} of {each} frames, half: {half}; {model}, {backend} {precision}'.format(
        **{**head, **first, 'each': zoom_films.FRAMES})
    table = _empty_table(
        title, ('kind', 'top-1', 'flips', 'held', 'moved', 'beyond: p99', 'most'),
        'percent, of the centre crop > with zoom; top-1: of the frames; flips: another\n'
        'best class than in the frame before; held: mean share of the thing that was\n'
        'seen; moved: mean way a frame, in heights, of the fastest edge of what zoom saw;\n'
        'beyond the way of the thing: 99th percentile, most')
    for row in rows:
        table.add_row(
            row['kind'], *(f'{row[name + "_centre"]:.1f} > {row[name]:.1f}'
                           for name in ('top1', 'flips', 'held')),
            *(f'{row[name]:.2f}' for name in ('moved', 'beyond_p99', 'beyond_max')))
    return table


def _empty_table(title: str, headings: Sequence[str], caption: str) -> Table:
    table = Table(title=Text(plain(title)), box=box.SIMPLE_HEAD, padding=0, min_width=80,
                  caption=caption)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify='right' if place else 'left', no_wrap=True)
    return table


def run(args: argparse.Namespace, bar: Progress) -> None:
    """Run the command: print a table for each scene and the films, and write the JSON file."""
    check_writable(args.json)
    try:
        result = measure(args, bar, teller(bar.console, 'ltp_benchmark zoom'))
    except (CompositeError, NotFiniteError) as error:
        raise BenchmarkError(str(error)) from error
    bar.stop()
    for scene in dict.fromkeys(row['scene'] for row in result['rows']):
        Console().print(make_table(result, [
            row for row in result['rows'] if row['scene'] == scene]))
    if result['films']:
        Console().print(films_table(result, result['films']))
    write_json(args.json, result)
