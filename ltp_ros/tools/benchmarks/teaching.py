# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark teaching`: how good classes are that you teach, by the number of photos.

In draws with fixed seeds, some pictures of each class folder are taught and all others asked, at
every level. Simple rivals answer from the same features. Then three classes are taught, and the
pictures of the others are to be told from theirs.
"""
import argparse
from functools import lru_cache
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import numpy as np
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from ltp_ros.classifier import Classifier
from ltp_ros.config import METHODS, ClassifierConfig
from ltp_ros.files import expand, plain, some_of
from ltp_ros.images import EncodedImage, Note, spread
from ltp_ros.opening import resolve_precision
from ltp_ros.prediction import NotFiniteError
from ltp_ros.research.accuracy.lesson import Pictures, open_pictures, same_picture
from ltp_ros.research.accuracy.taught_features import features_of
from ltp_ros.research.benchmarks import BenchmarkError, teaching
from ltp_ros.research.benchmarks.figures import new_figure
from ltp_ros.research.benchmarks.teaching_plot import draw
from ltp_ros.research.datasets import open_images
from ltp_ros.settings import check
from ltp_ros.teaching.classes import LabelError
from ltp_ros.teaching.examples import NONE, whole
from ltp_ros.tools.support import flags
from ltp_ros.tools.support.device import select_device
from ltp_ros.tools.support.output_files import check_writable, write_json
from ltp_ros.tools.support.provenance import provenance
from ltp_ros.tools.support.telling import teller

NAME = 'teaching'
GIVEN = tuple(name for name in flags.CLASSIFIER_FLAGS if name != 'method')
PARENTS = [flags.common_flags(GIVEN)]
KNOWN = {'top-1': 'top1', '±': 'top1_std', 'full\nhead': 'top1_full_head',
         'nearest\nmean': 'top1_nearest_mean', 'ridge': 'top1_ridge', 'ece': 'ece',
         'refused': 'known_refused'}
UNKNOWN = {'auroc': 'auroc', 'softmax': 'auroc_softmax', 'nearest\nmean': 'auroc_nearest_mean',
           'negatives': 'auroc_negatives', 'unseen': 'auroc_negatives_unseen',
           'unrelated': 'auroc_unrelated'}
Rows = List[Dict[str, Any]]
Features = Dict[float, np.ndarray]  # by keep ratio


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags specific to this command."""
    add = parser.add_argument
    add('images', type=expand, metavar='FOLDER', help='a folder of class folders')
    add('--counts', type=flags.positive_int, nargs='+', metavar='N', default=[1, 5, 10, 20, 50],
        help='pictures of each class that are taught; all others are asked')
    add('--draws', type=flags.positive_int, default=10, metavar='N',
        help='how often other pictures are taught')
    add('--methods', nargs='+', choices=METHODS[:-1], default=['ltp', 'mixed'],
        help='methods to compare')
    add('--negatives', type=expand, metavar='FOLDER', help='pictures of anything else; '
        f'{teaching.NEGATIVES} of them are taught as none of the classes')
    add('--plot', type=expand, metavar='FILE', help='plot the accuracy over the number of photos')
    flags.add_ladder_flags(parser, 'the levels')


def see(classifier: Classifier, pictures: Pictures, bar: Progress, note: Note
        ) -> Dict[str, List[Features]]:
    """Return the features (D,) of every picture by its class, each computed once."""
    found: Dict[str, List[Features]] = {label: [] for label in sorted({*pictures.labels} - {NONE})}
    rows: Dict[str, List[np.ndarray]] = {label: [] for label in found}  # at the highest level
    top, repeated = max(classifier.config.levels), []
    task = bar.add_task(f'{classifier.config.method}: features', total=len(pictures.images))
    for index, features in features_of(classifier, pictures.images, note,
                                       lambda done: bar.update(task, completed=done)):
        label, row = pictures.labels[index], whole(features[top])
        if label not in found:  # of none of the classes
            continue
        if rows[label] and same_picture(row, np.stack(rows[label])) is not None:
            repeated.append(pictures.names[index])  # else it could be taught, and then asked
        else:
            rows[label].append(row)
            found[label].append(features)
    if repeated:
        note(f'left out: {len(repeated)} images look to the model just as another of their class: '
             f'{some_of(map(plain, repeated))}')
    return {label: of_class for label, of_class in found.items() if of_class}


def stacked(pictures: Sequence[Features], keep_ratio: float) -> np.ndarray:
    """Return the features (n, D) of pictures at a level."""
    return np.stack([each[keep_ratio] for each in pictures])


def measure_method(args: argparse.Namespace, method: str, pictures: Pictures,
                   others: Sequence[EncodedImage], bar: Progress, note: Note
                   ) -> Tuple[Dict[str, Any], Rows, Rows]:
    """Return the head of the JSON file, and the rows of a method in both parts."""
    classifier = Classifier(ClassifierConfig(
        **{name: getattr(args, name) for name in GIVEN}, method=method,
        alpha=check('alpha', args.alpha), keep_ratios=check('keep_ratios', args.keep_ratios)))
    seen, ladder = see(classifier, pictures, bar, note), classifier.config.levels
    task = bar.add_task(f'{method}: negatives', total=len(others))
    far = [features for _, features in features_of(
        classifier, others, note, lambda done: bar.update(task, completed=done))] if others else []
    sizes = {label: len(of_class) for label, of_class in seen.items()}
    counts = teaching.allowed_counts(args.counts, sizes, note)
    some = [count for count in counts if count in teaching.UNKNOWN_COUNTS]
    ways = len(teaching.combinations(len(sizes), args.draws))
    if not ways:
        note('how unknown pictures are told is left out: it needs pictures of '
             f'{teaching.TOGETHER + 1} classes')
        some = []
    levels = {ratio: [stacked(of_class, ratio) for of_class in seen.values()] for ratio in ladder}
    unrelated = {ratio: stacked(far, ratio) for ratio in ladder} if far else None
    work = bar.add_task(f'{method}: draws', total=len(counts) * args.draws + len(some) * ways)
    return ({**provenance(classifier.device.type), 'precision': classifier.precision,
             'backend': classifier.backend.name, 'model': classifier.model_name,
             'classes': sizes},
            [{'method': method, **row} for row in teaching.known_rows(
                levels, counts, args.draws, lambda: bar.advance(work))],
            [{'method': method, **row} for row in teaching.unknown_rows(
                levels, unrelated, some, args.draws, lambda: bar.advance(work))])


def measure(args: argparse.Namespace, bar: Progress, note: Note) -> Dict[str, Any]:
    """Return the JSON file."""
    pictures = open_pictures(args.images, note)
    if NONE in pictures.labels:
        note('left out: the pictures of none of the classes; give their folder to --negatives')
    others = open_images(args.negatives) if args.negatives else []
    others = [others[index] for index in spread(len(others), teaching.NEGATIVES * args.draws)]
    args.precision = resolve_precision(args.precision, select_device(args.device))
    parts = [measure_method(args, method, pictures, others, bar, note)
             for method in dict.fromkeys(args.methods)]
    return {'program': 'ltp_benchmark teaching', **parts[0][0], 'images': args.images,
            'checkpoint': args.checkpoint, 'negatives': args.negatives, 'draws': args.draws,
            'known': [row for _, rows, _ in parts for row in rows],
            'unknown': [row for _, _, rows in parts for row in rows]}


def make_table(title: str, rows: Rows, columns: Mapping[str, str], caption: str) -> Table:
    """Return rows as a table, with those of `columns`, key by heading, that they have."""
    table = Table(title=Text(plain(title)), caption=caption, box=box.SIMPLE_HEAD, padding=0,
                  min_width=76)
    shown = {heading: key for heading, key in columns.items() if rows[0].get(key) is not None}
    table.add_column('method', no_wrap=True)
    for heading in ('photos', 'keep', *shown):
        table.add_column(heading, justify='right', no_wrap=True)
    for row, following in zip(rows, [*rows[1:], rows[-1]]):
        table.add_row(row['method'], str(row['count']), f'{row["keep_ratio"]:g}',
                      *(f'{row[key]:.1f}' for key in shown.values()),
                      end_section=following['count'] != row['count'])
    return table


def make_tables(result: Mapping[str, Any]) -> List[Table]:
    """Return the tables of the JSON file."""
    top, unknown = max(row['keep_ratio'] for row in result['known']), result['unknown']
    tables = [make_table(
        '{num} classes taught to {model}, {precision}: mean of {draws} draws'.format(
            num=len(result['classes']), **result), result['known'], KNOWN,
        f'in percent; ±: standard deviation over the draws; full head: taught\nat {top:g} alone; '
        'ece: how far the probabilities are from the accuracy;\nrefused: known ones that are '
        f'unknown by more than {teaching.REFUSED_ABOVE:g}')]
    if unknown:
        tables.append(make_table(
            f'{teaching.TOGETHER} of them taught, others unknown: mean of {unknown[0]["draws"]} '
            'draws', unknown, UNKNOWN,
            'area under the ROC curve in percent: how well unknown pictures are\ntold from known '
            'ones; softmax: by 1 minus the highest probability;\nnearest mean: by the distance '
            f'from it; negatives: with {teaching.NEGATIVES} pictures of\none of the others '
            'taught as none; unseen: the same, told are those of\nthe rest of the others; '
            f'unrelated: with {teaching.NEGATIVES} of --negatives as none'))
    return tables


def run(args: argparse.Namespace, bar: Progress) -> None:
    """Run the command: print the tables and write the files given by the flags."""
    check_writable(args.json, args.plot)
    width = 5.0 * len({*args.methods}) + 2.5
    figure = new_figure(args.plot, width, 4.5) if args.plot else None
    note = lru_cache(maxsize=None)(teller(bar.console, 'ltp_benchmark teaching'))  # each once
    try:
        result = measure(args, bar, note)
    except (LabelError, NotFiniteError) as error:
        raise BenchmarkError(str(error)) from error
    bar.stop()
    for table in make_tables(result):
        Console().print(table)
    write_json(args.json, result)
    if figure:
        draw(figure, result)
        figure.savefig(args.plot)
