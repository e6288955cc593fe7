# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Make a model's levels in 8 bits, check their answers, and have a node take what is fastest."""
import functools
import hashlib
import os
from dataclasses import astuple, replace
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from rich.table import Table

from ltp_ros.backends import cache, choice, guard, kept_choice
from ltp_ros.backends.eager import EagerBackend
from ltp_ros.backends.kept_choice import Kept
from ltp_ros.backends.level_files import calibrated_file, ladder_file, origin
from ltp_ros.backends.onnx_export import export_ladder
from ltp_ros.backends.protocol import Backend, Log
from ltp_ros.backends.quantization import quantize_static
from ltp_ros.classifier import Classifier
from ltp_ros.config import snap
from ltp_ros.frames.startup import time_ladder
from ltp_ros.images import Note, read_images
from ltp_ros.opening import TRIAL_LEVEL, choice_file
from ltp_ros.research.datasets import open_images
from ltp_ros.tools.support.frame_sources import SAMPLES, panned_samples

PAIRS = (('onnx', 'int8'), ('openvino', 'int8'))
MOST = 200  # pictures, half of them to calibrate and half to check
RUNS = 25   # of each way, to compare their times
EVERY = 3   # view of the packaged photos
CHECKED_AT = 1.0  # keep ratio of the guard


class Row(NamedTuple):
    """A way to run the model."""

    backend: str
    precision: str
    check: Optional[guard.Check]  # None: it is the reference, or cannot be run
    refused: str  # why a node must not take it; '' if it may
    taken: bool


def pictures_in(folder: str, note: Note) -> List[np.ndarray]:
    """Return up to MOST pictures (H, W, 3) uint8 RGB of a folder; '': the packaged ones."""
    if not folder:
        return [rgb for index, (_, rgb) in enumerate(panned_samples(SAMPLES))
                if index % EVERY == 0]
    images = open_images(folder)
    step = max(1, -(-len(images) // MOST))
    chosen = images[::step]
    return [rgb for _, rgb in read_images(chosen, len(chosen), note)]


def node_choice(classifier: Classifier, folder: Path) -> Path:
    """Return the file of the choice of a node that is to choose backend and precision."""
    config = replace(classifier.config, backend='auto', precision='auto')
    return choice_file(folder, config, classifier.device, classifier.data_config)


def hash_of(pictures: Sequence[np.ndarray]) -> str:
    """Return a hash of what pictures show."""
    digest = hashlib.sha256()
    for rgb in pictures:
        digest.update(str(rgb.shape).encode() + rgb.tobytes())
    return digest.hexdigest()


def was_done(classifier: Classifier, folder: Path, pictures: Sequence[np.ndarray]) -> bool:
    """Return whether `make` has chosen with these pictures, and its choice still counts."""
    kept = kept_choice.read(node_choice(classifier, folder))
    return kept is not None and kept.pictures == hash_of(pictures)


def make(classifier: Classifier, folder: Path, pictures: Sequence[np.ndarray], log: Log,
         alone: bool) -> List[Row]:
    """Make, check and time the ways to run a model on the CPU, and keep the choice for a node.

    Args:
        classifier: with the backend 'eager' in float32; it is the reference, and is given the
            backend that is chosen.
        folder: of the model's exported levels.
        pictures: each (H, W, 3) uint8 RGB; the first, third, … are calibrated on, the others
            checked.
        log: called with what takes long, and with the times.
        alone: whether nothing else runs here, so that the times of the ladder count for a node.

    Raises:
        RuntimeError, OSError: if a file cannot be made.
        ValueError: if there are too few pictures.
    """
    if len(pictures) < 2:
        raise ValueError(f'{len(pictures)} pictures are too few; give at least 2, better 100')
    eager = classifier.backend
    assert isinstance(eager, EagerBackend)  # as the caller has it
    model, config = eager.model, classifier.config
    model.patch_drop.keep_ratio = 1.0
    if model.patch_drop.counts or model.patch_drop.one_level:
        calibrate(eager, folder, pictures[::2], log)

    def new(name: str, precision: str, favourite: float = CHECKED_AT) -> Backend:
        return choice.create(name, precision, model, classifier.data_config, classifier.device,
                             folder, log, favourite)

    rows, made = checked(classifier, new, pictures)
    best = choice.fastest(list(made), lambda *pair: made[pair], pictures[0],
                          snap(TRIAL_LEVEL, config.levels), log, RUNS)
    made.clear()
    taken = best.name, best.precision
    rows = [row._replace(taken=row[:2] == taken) for row in rows]
    check = next(row.check for row in rows if row.taken)
    levels: List[Tuple[float, float, float]] = []
    if alone:
        classifier.backend = new(*taken, snap(config.keep_ratio, config.levels))  # as a node's
        classifier.warm_up()
        levels = [astuple(cost) for cost in time_ladder(classifier, log, lambda: None)]
    kept_choice.write(node_choice(classifier, folder), Kept(
        *taken, check=str(check) if check else '', levels=tuple(levels),
        threads=classifier.num_threads, pictures=hash_of(pictures)))
    return rows


def checked(classifier: Classifier, new: Callable[[str, str], Backend],
            pictures: Sequence[np.ndarray]
            ) -> Tuple[List[Row], Dict[Tuple[str, str], Backend]]:
    """Return a row for each way to run a model, and the backends whose answers hold.

    Args:
        classifier: as `make` has it.
        new: makes a backend of a name and a precision.
        pictures: as `make` has them.
    """
    rows: List[Row] = []
    made: Dict[Tuple[str, str], Backend] = {}
    for pair in [*choice.candidates('auto', 'auto', classifier.device), *PAIRS]:
        errors: List[Exception] = []
        backend = choice.attempt(pair, new, pictures[0], CHECKED_AT, errors)
        found = None
        if backend is not None and pair != ('eager', 'float32'):
            found = guard.check(classifier.backend, backend, pictures[1::2],
                                len(classifier.labels))
        refused = str(errors[0]) if errors else found.fault if found else ''
        rows.append(Row(*pair, found, refused, False))
        if backend is not None and not refused:
            made[pair] = backend
    return rows, made


def calibrate(eager: EagerBackend, folder: Path, pictures: Sequence[np.ndarray],
              log: Log) -> None:
    """Have the ladder in 8 bits made anew from pictures, unless nncf is missing, which is said."""
    source, target = ladder_file(folder), calibrated_file(folder)
    log(f'calibrating on {len(pictures)} pictures')
    pixels = [eager.transfer.pixels(rgb).clone() for rgb in pictures]
    cache.ensure(source, origin(int8=False), functools.partial(export_ladder, eager.model), log)
    made = target.with_suffix(f'.{os.getpid()}.new')
    try:
        quantize_static(source, pixels, eager.model.patch_drop.counts, made)
        cache.adopt(target, made, origin(int8=False), log)
    except ImportError as error:
        log(f"openvino int8 cannot be made ({error}): pip install 'ltp_ros[quantize]'")
    finally:
        made.unlink(missing_ok=True)


def make_table(rows: Sequence[Row]) -> Table:
    """Return the ways to run the model as a table."""
    table = Table(title='Ways to run the model; a node with backend and precision "auto" takes →')
    for heading in ('', 'backend', 'precision', 'answers, against float32'):
        table.add_column(heading)
    for row in rows:
        answers = f'refused: {row.refused}' if row.refused else str(row.check or 'the reference')
        table.add_row('→' if row.taken else '', row.backend, row.precision, answers)
    return table
