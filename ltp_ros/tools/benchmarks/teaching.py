# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark teaching`: how good classes are that you teach, by the number of photos.

In draws with fixed seeds, some pictures of each class folder are taught and all others asked, at
every level. Simple rivals answer from the same features. Then three classes are taught, and the
pictures of the others are to be told from theirs.
"""
import argparse
from functools import lru_cache
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from ltp_ros.classifier import Classifier, NotFiniteError
from ltp_ros.config import METHODS, ClassifierConfig, check
from ltp_ros.files import expand, plain, some_of
from ltp_ros.images import EncodedImage, Note, spread
from ltp_ros.opening import resolve_precision
from ltp_ros.research.accuracy.lesson import Pictures, open_pictures, same_picture
from ltp_ros.research.accuracy.taught_features import features_of
from ltp_ros.research.benchmarks import BenchmarkError
from ltp_ros.research.benchmarks.figures import new_figure
from ltp_ros.research.benchmarks.teaching import (
    NEGATIVES,
    REFUSED_ABOVE,
    TOGETHER,
    UNKNOWN_COUNTS,
    combinations,
    known_rows,
    unknown_rows,
)
from ltp_ros.research.benchmarks.teaching_plot import draw
from ltp_ros.research.datasets import open_images
from ltp_ros.teaching.classes import LabelError
from ltp_ros.teaching.examples import NONE, whole
from ltp_ros.tools.support.device import select_device
from ltp_ros.tools.support.flags import (
    CLASSIFIER_FLAGS,
    add_ladder_flags,
    common_flags,
    positive_int,
)
from ltp_ros.tools.support.output_files import check_writable, write_json
from ltp_ros.tools.support.provenance import provenance
from ltp_ros.tools.support.telling import teller

NAME = 'teaching'
GIVEN = tuple(name for name in CLASSIFIER_FLAGS if name != 'method')
PARENTS = [common_flags(GIVEN)]
KNOWN = {'top-1': 'top1', '±': 'top1_std', 'full\nhead': 'top1_full_head',
         'nearest\nmean': 'top1_nearest_mean', 'ridge': 'top1_ridge', 'ece': 'ece',
         'refused': 'known_refused'}
UNKNOWN = {'auroc': 'auroc', 'softmax': 'auroc_softmax', 'nearest\nmean': 'auroc_nearest_mean',
           'negatives': 'auroc_negatives', 'unrelated': 'auroc_unrelated'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags specific to this command."""
    add = parser.add_argument
    add('images', type=expand, metavar='FOLDER', help='a folder of class folders')
    add('--counts', type=positive_int, nargs='+', metavar='N', default=[1, 5, 10, 20, 50],
        help='pictures of each class that are taught; all others are asked')
    add('--draws', type=positive_int, default=10, metavar='N',
        help='how often other pictures are taught')
    add('--methods', nargs='+', choices=METHODS[:-1], default=['ltp', 'mixed'],
        help='methods to compare')
    add('--negatives', type=expand, metavar='FOLDER',
        help=f'pictures of anything else; {NEGATIVES} of them are taught as none of the classes')
    add('--plot', type=expand, metavar='FILE', help='plot the accuracy over the number of photos')
    add_ladder_flags(parser, 'the levels')


class Seen(NamedTuple):
    """The features of the pictures, each computed once."""

    head: Dict[str, Any]  # of the classifier
    levels: Dict[float, List[np.ndarray]]  # (n, D) of each class, in the order of the labels
    unrelated: Optional[Dict[float, np.ndarray]]  # (n, D)


def see(args: argparse.Namespace, method: str, pictures: Pictures,
        others: Sequence[EncodedImage], bar: Progress, note: Note) -> Seen:
    """Return the features of the pictures at every level, and of others that are unrelated."""
    classifier = Classifier(ClassifierConfig(
        **{name: getattr(args, name) for name in GIVEN}, method=method,
        alpha=check('alpha', args.alpha), keep_ratios=check('keep_ratios', args.keep_ratios)))
    ladder = classifier.config.ladder
    found: Dict[str, List[Dict[float, np.ndarray]]] = {
        label: [] for label in sorted({*pictures.labels} - {NONE})}
    rows: Dict[str, List[np.ndarray]] = {label: [] for label in found}
    task = bar.add_task(f'{method}: features', total=len(pictures.images) + len(others))
    repeated = []
    for index, features in features_of(classifier, pictures.images, note,
                                       lambda done: bar.update(task, completed=done)):
        label, row = pictures.labels[index], whole(features[max(ladder)])
        if label == NONE:
            continue
        if rows[label] and same_picture(row, np.stack(rows[label])) is not None:
            repeated.append(pictures.names[index])  # it could be taught, and then asked
            continue
        rows[label].append(row)
        found[label].append(features)
    if repeated:
        note(f'left out: {len(repeated)} images look to the model just as another of their class: '
             f'{some_of(map(plain, repeated))}')
    unrelated = [features for _, features in features_of(
        classifier, others, note, lambda done: bar.update(
            task, completed=len(pictures.images) + done))] if others else []
    return Seen(
        {**provenance(classifier.device.type), 'precision': classifier.precision,
         'backend': classifier.backend.name, 'model': classifier.model_name,
         'classes': {label: len(members) for label, members in found.items()}},
        {ratio: [np.stack([each[ratio] for each in members]) for members in found.values()
                 if members] for ratio in ladder},
        {ratio: np.stack([each[ratio] for each in unrelated]) for ratio in ladder}
        if unrelated else None)


def allowed_counts(counts: Sequence[int], sizes: Mapping[str, int], note: Note) -> List[int]:
    """Return the counts that leave a picture of each class to ask.

    Raises:
        BenchmarkError: if there are none, or fewer than two classes.
    """
    if len(sizes) < 2:
        raise BenchmarkError('there are pictures of fewer than two classes; expected a folder of '
                             'class folders')
    label, size = min(sizes.items(), key=lambda item: item[1])
    found = [count for count in sorted({*counts}) if count < size]
    if len(found) < len({*counts}):
        words = f'{plain(label)} has {size} pictures, and one at least has to be asked'
        if not found:
            raise BenchmarkError(f'{words}; give fewer to --counts')
        note(f'taught are {" ".join(map(str, found))} pictures a class and no more, since {words}')
    return found


def measure(args: argparse.Namespace, bar: Progress, note: Note) -> Dict[str, Any]:
    """Return the JSON file.

    Raises:
        BenchmarkError, ClassifierError, ConfigError, ImageFileError, LabelError, ModelError,
        NotFiniteError: if an input cannot be used.
    """
    pictures = open_pictures(args.images, note)
    if NONE in pictures.labels:
        note('left out: the pictures of none of the classes; give their folder to --negatives')
    others = open_images(args.negatives) if args.negatives else []
    others = [others[index] for index in spread(len(others), NEGATIVES * args.draws)]
    args.precision = resolve_precision(args.precision, select_device(args.device))
    known: List[Dict[str, Any]] = []
    unknown: List[Dict[str, Any]] = []
    for method in dict.fromkeys(args.methods):
        seen = see(args, method, pictures, others, bar, note)
        counts = allowed_counts(args.counts, seen.head['classes'], note)
        some = [count for count in counts if count in UNKNOWN_COUNTS]
        if len(seen.head['classes']) <= TOGETHER:
            note(f'how unknown pictures are told is left out: it needs {TOGETHER + 1} classes')
            some = []
        ways = len(combinations(len(seen.head['classes']), args.draws)) if some else 0
        task = bar.add_task(f'{method}: draws',
                            total=len(counts) * args.draws + len(some) * ways)
        known += ({'method': method, **row} for row in known_rows(
            seen.levels, counts, args.draws, lambda: bar.advance(task)))
        unknown += ({'method': method, **row} for row in unknown_rows(
            seen.levels, seen.unrelated, some, args.draws, lambda: bar.advance(task)))
    return {'program': 'ltp_benchmark teaching', **seen.head, 'images': args.images,
            'checkpoint': args.checkpoint, 'negatives': args.negatives, 'draws': args.draws,
            'known': known, 'unknown': unknown}


def make_table(title: str, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str],
               caption: str) -> Table:
    """Return rows as a table, with those of `columns`, heading: key, that they have."""
    table = Table(title=Text(plain(title)), caption=caption, box=box.SIMPLE_HEAD, padding=(0, 1))
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
    top = max(row['keep_ratio'] for row in result['known'])
    title = '{num} classes taught to {model}, {precision}: mean of {draws} draws'.format(
        num=len(result['classes']), **result)
    tables = [make_table(
        title, result['known'], KNOWN,
        f'in percent; ±: standard deviation over the draws; full head: taught at {top:g} alone;\n'
        'ece: how far the probabilities are from the accuracy; refused: known ones that are\n'
        f'unknown by more than {REFUSED_ABOVE:g}')]
    if result['unknown']:
        tables.append(make_table(
            f'{TOGETHER} of them taught, the others unknown: mean of '
            f'{result["unknown"][0]["draws"]} draws', result['unknown'], UNKNOWN,
            'area under the ROC curve in percent: how well unknown pictures are told from known\n'
            'ones; softmax: by 1 minus the probability of the best class; nearest mean: by the\n'
            f'distance from it; negatives: with {NEGATIVES} pictures of one of the other classes '
            f'taught as none;\nunrelated: with {NEGATIVES} of --negatives'))
    return tables


def run(args: argparse.Namespace, bar: Progress) -> None:
    """Run the command: print the tables and write the files given by the flags."""
    check_writable(args.json, args.plot)
    figure = new_figure(args.plot, 6.0 * len({*args.methods}) + 1.5, 4.5) if args.plot else None
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
