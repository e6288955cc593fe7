# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_teach FOLDER`: class folders of pictures become a file of classes."""
import argparse
from pathlib import Path
from typing import Tuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ltp_ros.classifier import Classifier, ClassifierError
from ltp_ros.config import ClassifierConfig
from ltp_ros.frames.collector import TAUGHT
from ltp_ros.images import ImageFileError, Note
from ltp_ros.model.card import ModelError
from ltp_ros.opening import resolve_precision
from ltp_ros.parameter import ConfigError
from ltp_ros.prediction import NotFiniteError
from ltp_ros.research.accuracy.lesson import (
    NONE_FOLDER,
    Lesson,
    Pictures,
    label_of,
    open_pictures,
)
from ltp_ros.research.accuracy.taught_features import features_of
from ltp_ros.research.datasets import DatasetError
from ltp_ros.settings import check
from ltp_ros.teaching import classes_file
from ltp_ros.teaching.classes import Classes, LabelError, check_label
from ltp_ros.teaching.examples import NONE, NotTaughtError
from ltp_ros.tools.reports.teaching import make_table, rows_of, sentences
from ltp_ros.tools.support.device import select_device
from ltp_ros.tools.support.flags import CLASSIFIER_FLAGS
from ltp_ros.tools.support.output_files import check_writable, write_json
from ltp_ros.tools.support.progress import shown
from ltp_ros.tools.support.provenance import provenance
from ltp_ros.tools.support.taught import WITH_ZOOM

ERRORS = (ClassifierError, ConfigError, ImageFileError, LabelError, ModelError, NotFiniteError,
          NotTaughtError, OSError)


def begin(args: argparse.Namespace, classifier: Classifier, note: Note
          ) -> Classes:
    """Return what is taught before the first picture: nothing, or with --add that of the file.

    Raises:
        ClassifierError, ConfigError, NotTaughtError: if the file cannot be gone on with.
    """
    ladder = classifier.config.levels
    if not args.add:
        return Classes(ladder)
    classes = classifier.read_classes(args.output)
    card = classes_file.card_of(Path(args.output))
    ratios = card['keep_ratios']
    if set(ratios) - set(ladder):
        raise ConfigError(f'{args.output} was taught at the keep ratios '
                          f'{" ".join(map("{:g}".format, ratios))}, and those that are not taught '
                          'now would be lost; give all of them to --keep-ratios')
    for name in args.forget:
        classes.forget(label_of(name))
    before = classes.zoom
    if before is not None and before != args.zoom:
        note(f'the classes of {args.output} were taught {WITH_ZOOM[before]}, and these pictures '
             f'are taught {WITH_ZOOM[args.zoom]}; better is one way for all')
    return classes


def teach(args: argparse.Namespace, bar: Progress, note: Note) -> Tuple[Classifier, Lesson]:
    """Teach the pictures, and write the file.

    Raises:
        One of ERRORS: if an input cannot be used; a file that was there is then as it was.
    """
    output = Path(args.output)
    if args.forget and not args.add:
        raise ConfigError('--forget goes with --add, since it forgets classes of a file that is '
                          'there')
    if output.exists() != args.add:
        raise ConfigError(f'{output} is not there, so nothing can be added to it; leave --add out '
                          'to begin' if args.add else f'{output} is there already; give --add to '
                          'go on teaching its classes, or another --output')
    images, labels, names = _by_class(open_pictures(args.images, note))
    # Not the fastest number format of this machine at this moment: what is taught is kept
    args.precision = resolve_precision(args.precision, select_device(args.device))
    classifier = Classifier(ClassifierConfig(
        **{name: getattr(args, name) for name in CLASSIFIER_FLAGS},
        zoom=args.zoom, alpha=check('alpha', args.alpha),
        keep_ratios=check('keep_ratios', args.keep_ratios)))
    classes = begin(args, classifier, note)
    classes.ways.add(args.zoom)
    lesson = Lesson(classes)
    if not {*labels, *lesson.classes.labels} - {NONE}:
        raise DatasetError(f'{args.images!r} has pictures of none of the classes alone; expected '
                           f'a folder for each class beside {NONE_FOLDER}')
    task = bar.add_task('teaching', total=len(images))
    for index, features in features_of(classifier, images, note,
                                       lambda done: bar.update(task, completed=done)):
        lesson.add(labels[index], features, names[index])
    lesson.classes.settle()
    classes_file.write(output, lesson.classes, classifier.backbone)
    return classifier, lesson


def run(args: argparse.Namespace, tell: Note, errors: Console) -> None:
    """Teach the pictures, and report how well their classes are told apart.

    Args:
        args: of the program.
        tell: called with what the user should know of the pictures.
        errors: where the progress is shown.

    Raises:
        One of ERRORS: if an input cannot be used; a file that was there is then as it was.
    """
    check_writable(args.output, args.json)
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(),
               TimeRemainingColumn())
    with shown(Progress(*columns, console=errors, disable=args.quiet)) as bar:
        classifier, lesson = teach(args, bar, tell)
    rows = rows_of(lesson.classes, lesson.names)
    write_json(args.json, {
        'program': 'ltp_teach', **provenance(classifier.device.type),
        'precision': classifier.precision, 'backend': classifier.backend.name,
        **classifier.backbone, 'images': args.images, 'zoom': args.zoom,
        'file': args.output,
        'taught': lesson.num_taught, 'repeated': len(lesson.repeated),
        'none': lesson.classes.counts.get(NONE, 0), 'rows': [row._asdict() for row in rows]})
    out = Console()
    out.print(make_table(classifier.model_name, lesson.classes, rows))
    for sentence in sentences(rows):
        out.print(sentence, soft_wrap=True, markup=False, highlight=False)
    lesson.doubts(tell)
    out.print(f'To use it, start the node with classes:={Path(args.output).absolute()}',
              soft_wrap=True, markup=False, highlight=False)


def _by_class(pictures: Pictures) -> Pictures:
    """Return pictures with those that a node was taught, in TAUGHT, in the classes they have."""
    labels = []
    for label, name in zip(pictures.labels, pictures.names):
        folders = name.split('/')[:-1]
        labels.append(label_of(folders[1]) if folders[:1] == [TAUGHT] and folders[1:] else label)
    for label in set(labels):
        check_label(label)
    return pictures._replace(labels=labels)
