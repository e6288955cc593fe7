# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_evaluate --classes`: what classes that were taught are worth, at each level."""
import argparse
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from rich.console import Console
from rich.progress import Progress

from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig
from ltp_ros.files import short, some_of
from ltp_ros.images import EncodedImage, Note
from ltp_ros.opening import resolve_precision
from ltp_ros.parameter import ConfigError
from ltp_ros.research.accuracy.batches import model_classes
from ltp_ros.research.accuracy.lesson import label_of, same_picture
from ltp_ros.research.accuracy.sample import Sample
from ltp_ros.research.accuracy.taught import Bin, crossed, judge, reliability
from ltp_ros.research.accuracy.taught_features import features_of
from ltp_ros.research.accuracy.taught_plot import draw
from ltp_ros.research.datasets import DatasetError, ImageSet, open_image_set, open_images
from ltp_ros.settings import check
from ltp_ros.teaching.classes import Classes
from ltp_ros.teaching.examples import NONE, whole
from ltp_ros.tools.reports.taught import make_tables
from ltp_ros.tools.support.device import select_device
from ltp_ros.tools.support.flags import MODEL_FLAGS
from ltp_ros.tools.support.output_files import write_json
from ltp_ros.tools.support.progress import shown
from ltp_ros.tools.support.provenance import provenance

if TYPE_CHECKING:
    from matplotlib.figure import Figure  # optional

FLAGS = (*MODEL_FLAGS, 'papr_checkpoint', 'backend', 'zoom')
ELSEWHERE = ('batch', 'workers', 'state', 'rounds', 'maps')  # flags of `ltp_evaluate` alone

WITH_ZOOM = {True: 'through the zoom', False: 'without zoom'}  # for sentences


class Seen(NamedTuple):
    """The pictures of a set that could be used."""

    indices: List[int]
    features: Dict[float, List[np.ndarray]]  # (D,) of each, by keep ratio


def config_of(args: argparse.Namespace, given: Sequence[str], flag: str,
              *unfit: str) -> ClassifierConfig:
    """Return the classifier that a command line asks for.

    Args:
        args: the command line.
        given: the names of its flags that are not as by default.
        flag: what asks for it.
        *unfit: names of flags that do not go with it, besides those of ELSEWHERE.

    Raises:
        ConfigError: if it has flags that do not go together.
    """
    wrong = [f'--{name.replace("_", "-")}' for name in (*unfit, *ELSEWHERE) if name in given]
    if wrong:
        raise ConfigError(f'{flag} does not go with {", ".join(wrong)}; leave that out')
    several = [name for name in ('methods', 'scores', 'alpha')
               if len(getattr(args, name)) > 1 or 'all' in getattr(args, name)]
    if several:
        raise ConfigError(f'--{several[0]} has several values, and {flag} is for one; give that')
    return ClassifierConfig(
        **{**{name: getattr(args, name) for name in FLAGS},
           'precision': resolve_precision(args.precision, select_device(args.device))},
        method=args.methods[0], score=args.scores[0], alpha=check('alpha', args.alpha[0]),
        keep_ratios=check('keep_ratios', args.keep_ratios))


def labels_of(image_set: ImageSet, classes: Classes, source: str) -> np.ndarray:
    """Return the class of every picture, (n,) int64.

    Raises:
        DatasetError: if it is not one of those that were taught.
    """
    strange = [name for name in image_set.class_names if name not in classes.labels]
    if strange:
        hint = ('; pictures of none of them go to --unknown'
                if NONE in map(label_of, strange) else '')
        raise DatasetError(f'{source!r} has folders of classes that were not taught: '
                           f'{some_of(map(short, strange))}; expected some of '
                           f'{short(classes.labels)}{hint}')
    return model_classes(image_set, classes.labels, source)


def see(classifier: Classifier, images: Sequence[EncodedImage], what: str, bar: Progress,
        note: Note) -> Seen:
    """Return the features of pictures at every level, each computed once."""
    seen = Seen([], {ratio: [] for ratio in classifier.config.levels})
    task = bar.add_task(what, total=len(images))
    for index, features in features_of(classifier, images, note,
                                       lambda done: bar.update(task, completed=done)):
        seen.indices.append(index)
        for ratio, each in features.items():
            seen.features[ratio].append(each)
    return seen


def sample_of_unknown(args: argparse.Namespace) -> Sample:
    """Return the pictures of --unknown, made into the same composites as the others, or none."""
    return Sample(open_images(args.unknown), args.limit, args.composite) if args.unknown else (
        Sample([]))


def taught_before(seen: Seen, classes: Classes) -> int:
    """Return how many of the pictures are among those that were taught."""
    ratio = max(classes.levels)
    kept = np.concatenate([moments.kept for moments in classes.levels[ratio].classes.values()])
    return sum(same_picture(whole(each), kept) is not None for each in seen.features[ratio])


def measure(args: argparse.Namespace, given: Sequence[str], bar: Progress, note: Note
            ) -> Tuple[Dict[str, Any], Dict[float, List[Bin]]]:
    """Return the JSON file, and the reliability at each level.

    Args:
        args: the command line of `ltp_evaluate`.
        given: the names of its flags that are not as by default.
        bar: shows the progress.
        note: called with what the user should know.

    Raises:
        ClassifierError, CompositeError, ConfigError, ImageFileError, ModelError, OSError: if an
            input cannot be used.
    """
    if not args.classes:
        raise ConfigError('--unknown goes with --classes: only classes that were taught have '
                          'pictures of none of them')
    config = config_of(args, given, '--classes', 'no_labels')
    image_set = open_image_set(args.images)
    images = Sample(image_set.images, args.limit, args.composite)
    others = sample_of_unknown(args)
    classifier = Classifier(config)
    head = provenance(classifier.device.type)
    classes = classifier.read_classes(args.classes)
    zoom = classes.zoom
    if zoom is not None and zoom != config.zoom:
        note(f'{args.classes} was taught {WITH_ZOOM[zoom]}, and is asked '
             f'{WITH_ZOOM[config.zoom]}; --zoom decides that')
    labels = labels_of(image_set, classes, args.images)
    known = see(classifier, images, 'known', bar, note)
    strangers = see(classifier, others, 'unknown', bar, note)
    truth = labels[images.indices][known.indices]
    before = taught_before(known, classes)
    if before:
        note(f'{before} of {len(truth)} images were taught: that these are recognised says little '
             'of others. Evaluate on images that were not')
    rows = list(crossed(classes.heads, known.features, truth,
                        strangers.features if strangers.indices else None))
    bins = {}
    for ratio, each in classes.heads.items():
        verdicts = judge(each, known.features[ratio])
        bins[ratio] = reliability(verdicts.probability, verdicts.best == truth)
    return {
        'program': 'ltp_evaluate', **head, 'precision': classifier.precision,
        'backend': classifier.backend.name, 'model': classifier.model_name,
        'checkpoint': args.checkpoint, 'crop_mode': classifier.data_config.crop_mode,
        'method': config.method, 'classes': args.classes, 'num_classes': len(classes.labels),
        'images': args.images, 'composite': args.composite, 'zoom': config.zoom,
        'n': len(truth), 'unread': len(images) - len(truth),
        'taught_before': before, 'unknown': args.unknown, 'n_unknown': len(strangers.indices),
        'rows': rows}, bins


def run(args: argparse.Namespace, given: Sequence[str], bar: Progress, note: Note,
        figure: 'Optional[Figure]') -> None:
    """Measure, print the tables, and write what `args` asks for.

    As `measure`, and draws in an empty `figure`, which is saved, unless it is None.
    """
    with shown(bar):
        result, bins = measure(args, given, bar, note)
    for table in make_tables(result):
        Console().print(table)
    write_json(args.json, result)
    if figure:
        draw(figure, result, bins)
        figure.savefig(args.plot)
