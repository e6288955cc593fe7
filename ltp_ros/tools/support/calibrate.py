# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_evaluate --calibrate`: scores of a model's own classes that mean something."""
import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from ltp_ros.backends.protocol import MAX_CLASSES
from ltp_ros.classifier import Classifier
from ltp_ros.files import plain
from ltp_ros.images import Note
from ltp_ros.parameter import ConfigError
from ltp_ros.research.accuracy.batches import model_classes
from ltp_ros.research.accuracy.sample import Sample, counted, read
from ltp_ros.research.accuracy.taught import (
    Bin,
    auroc,
    calibration_error,
    false_accepts,
    reliability,
)
from ltp_ros.research.accuracy.taught_plot import draw
from ltp_ros.research.datasets import open_image_set, open_images
from ltp_ros.teaching import temperatures
from ltp_ros.teaching.temperatures import fit_labels, fit_shares, tempered
from ltp_ros.tools.support.output_files import check_writable, write_json
from ltp_ros.tools.support.progress import shown
from ltp_ros.tools.support.provenance import provenance
from ltp_ros.tools.support.taught import config_of, sample_of_unknown

if TYPE_CHECKING:
    from matplotlib.figure import Figure  # optional


class Answers(NamedTuple):
    """The best classes of each picture at one level, best first: K = MAX_CLASSES, or all."""

    scores: np.ndarray     # (n, K)
    class_ids: np.ndarray  # (n, K)

    def shares_of(self, class_ids: np.ndarray) -> np.ndarray:
        """Return what each picture's classes (n, K) have here, 0 where they are not among it."""
        found = np.zeros(class_ids.shape)
        for row, ids, scores, wanted in zip(found, self.class_ids, self.scores, class_ids):
            by_class = dict(zip(ids.tolist(), scores.tolist()))
            row[:] = [by_class.get(each, 0.0) for each in wanted.tolist()]
        return found

    def of(self, chosen: slice) -> 'Answers':
        """Return those of some pictures."""
        return Answers(self.scores[chosen], self.class_ids[chosen])


def measure(args: argparse.Namespace, given: Sequence[str], bar: Progress,
            note: Note) -> Tuple[Dict[str, Any], Dict[float, List[Bin]]]:
    """Find the temperatures and write them; return the JSON file, and the reliability then.

    Args:
        args: the command line of `ltp_evaluate`.
        given: the names of its flags that are not as by default.
        bar: shows the progress.
        note: called with what the user should know.

    Raises:
        ClassifierError, CompositeError, ConfigError, ImageFileError, ModelError, OSError: if an
            input cannot be used.
    """
    classifier = Classifier(config_of(args, given, '--calibrate', 'classes'))
    labels: Optional[np.ndarray] = None
    if args.no_labels:
        images: Sequence[Any] = open_images(args.images)
    else:
        image_set = open_image_set(args.images)
        images, labels = image_set.images, model_classes(
            image_set, classifier.model_labels, args.images)
    sample, others = Sample(images, args.limit, args.composite), sample_of_unknown(args)
    answers, known = answers_of(classifier, sample, bar, note)
    truth = None if labels is None else labels[sample.indices][known]
    num_classes = len(classifier.model_labels)
    strangers, strange = answers_of(classifier, others, bar, note)
    found = {ratio: fitted(each, answers, truth, num_classes)
             for ratio, each in answers.items()}
    temperatures.write(Path(args.calibrate), found, classifier.backbone)
    rows, bins = [], {}
    for ratio, each in answers.items():
        row: Dict[str, Any] = {'keep_ratio': ratio, 'temperature': found[ratio],
                               'top1': None, 'ece_before': None, 'ece': None,
                               'auroc': None, 'fpr95': None}
        if truth is not None:
            errors, bins[ratio] = errors_of(each, answers, truth, num_classes)
            row.update(errors)
        if strange:
            doubts = [1.0 - tempered(seen.scores, num_classes, found[ratio])[:, 0]
                      for seen in (each, strangers[ratio])]
            row.update(auroc=auroc(*doubts), fpr95=false_accepts(*doubts))
        rows.append(row)
    return {
        'program': 'ltp_evaluate', **provenance(classifier.device.type),
        'precision': classifier.precision, 'backend': classifier.backend.name,
        'model': classifier.model_name, 'method': classifier.config.method,
        'images': args.images, 'composite': args.composite, 'zoom': args.zoom, 'n': len(known),
        'unknown': args.unknown, 'n_unknown': len(strange),
        'file': args.calibrate, 'rows': rows}, bins


def answers_of(classifier: Classifier, images: Sequence[Any], bar: Progress, note: Note
               ) -> Tuple[Dict[float, Answers], List[int]]:
    """Return the answers at each level, and the indices of the pictures that could be read."""
    ladder, most = classifier.config.levels, min(MAX_CLASSES, len(classifier.model_labels))
    found: Dict[float, Any] = {ratio: ([], []) for ratio in ladder}
    known: List[int] = []
    task = bar.add_task('calibrating', total=len(images))
    for index, rgb in read(images, note, classifier.data_config.resize_size):
        known.append(index)
        box = classifier.box(rgb)
        for ratio, (scores, class_ids) in found.items():
            answer = classifier.backend(rgb, ratio, most, box)
            scores.append(answer.scores)
            class_ids.append(answer.class_ids)
        bar.update(task, completed=index + 1)
    return {ratio: Answers(*map(np.array, each)) for ratio, each in found.items()}, known


def fitted(answers: Answers, levels: Dict[float, Answers], truth: Optional[np.ndarray],
           num_classes: int, chosen: slice = slice(None)) -> float:
    """Return the temperature of a level, by some of the pictures.

    Args:
        answers: of the level.
        levels: of all; without labels, the highest says what the others should.
        truth: the class of each picture (n,); None: there are no labels.
        num_classes: C.
        chosen: the pictures.
    """
    mine = answers.of(chosen)
    if truth is not None:
        return fit_labels(mine.scores, mine.class_ids == truth[chosen, None], num_classes)
    return fit_shares(mine.scores, levels[max(levels)].of(chosen).shares_of(mine.class_ids),
                      num_classes)


def errors_of(answers: Answers, levels: Dict[float, Answers], truth: np.ndarray,
              num_classes: int) -> Tuple[Dict[str, float], List[Bin]]:
    """Return top-1 and the calibration errors before and after, in percent; and reliability then.

    Each half of the pictures is asked at the temperature that was found on the other.
    """
    halves = [slice(0, None, 2), slice(1, None, 2)]
    asked = np.empty_like(answers.scores, np.float64)
    for half, other in zip(halves, reversed(halves)):
        asked[half] = tempered(answers.scores[half], num_classes,
                               fitted(answers, levels, truth, num_classes, other))
    right = answers.class_ids[:, 0] == truth

    before, after = (reliability(scores[:, 0], right) for scores in (answers.scores, asked))
    return {'top1': 100.0 * float(right.mean()), 'ece_before': calibration_error(before),
            'ece': calibration_error(after)}, after


def make_table(result: Dict[str, Any]) -> Table:
    """Return the levels as a table."""
    table = Table(title=Text(plain(
        f'{result["model"]}, {result["method"]}, on {counted(result)}')),
                  box=box.SIMPLE_HEAD, caption='in percent; each half of the images is asked at '
                  'the\ntemperature of the other; ece: how far the best scores are\nfrom the '
                  'accuracy', min_width=64)
    columns = {'keep': 'keep_ratio', 'temperature': 'temperature', 'top-1': 'top1',
               'ece before': 'ece_before', 'ece': 'ece'}
    if result['n_unknown']:
        columns.update(auroc='auroc', fpr95='fpr95')  # by 1 minus the best score
    for heading in columns:
        table.add_column(heading, justify='right')
    formats = {'keep': 'g', 'temperature': '.2f'}
    for row in result['rows']:
        table.add_row(*('' if row[key] is None else format(row[key], formats.get(heading, '.1f'))
                        for heading, key in columns.items()))
    return table


def run(args: argparse.Namespace, given: Sequence[str], bar: Progress, note: Note,
        figure: 'Optional[Figure]') -> None:
    """Find the temperatures, print the table, and write what `args` asks for.

    As `measure`, and draws in an empty `figure`, which is saved, unless it is None.
    """
    check_writable(args.calibrate)
    if figure and args.no_labels:
        raise ConfigError('--plot shows how often scores are right, and --no-labels leaves that '
                          'open; leave one of them out')
    with shown(bar):
        result, bins = measure(args, given, bar, note)
    if figure:
        draw(figure, result, bins)
        figure.savefig(args.plot)
    out = Console()
    out.print(make_table(result))
    out.print(f'To use them, start the node with temperatures:={Path(args.calibrate).absolute()}',
              soft_wrap=True, markup=False, highlight=False)
    write_json(args.json, result)
