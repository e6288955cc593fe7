# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Taught classes as a file: safetensors, with a JSON card in its header. Format 1.

For each level l and class c in the order of the card: `l.c.total` (D,) float64 and `l.c.kept`
(n, D) int16, and `l.c.rest` (D, D) float64 where only sums are left of some pictures.
"""
import json
from pathlib import Path
from typing import Any, Dict, Mapping, Sequence, Tuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ltp_ros.files import plain, short, write_whole
from ltp_ros.teaching.backbone import Backbone, BackboneError, check_backbone
from ltp_ros.teaching.classes import MAX_CLASSES, Classes, LabelError, check_label
from ltp_ros.teaching.examples import SCALE, Examples, Moments

FORMAT = 1
CARD = 'ltp_ros_classes'  # the key of the card in the header
MAX_BYTES = 4 * 2 ** 30
MAX_LEVELS, MAX_FEATURES, MAX_COUNT = 100, 10_000, 2 ** 24


class ClassesError(ValueError):
    """A file that is not one of taught classes, or not for this model; the message says why."""


def write(path: Path, classes: Classes, backbone: Backbone) -> None:
    """Write the classes, whole or not at all: a file that is there stays until this one is.

    Args:
        path: the file; its folder must be there.
        classes: what was taught.
        backbone: of the features.

    Raises:
        OSError: if the file cannot be written.
    """
    write_whole(path, content(classes, backbone))


def content(classes: Classes, backbone: Backbone) -> bytes:
    """Return what `write` writes; ClassesError if that is too much."""
    counts = classes.counts
    card = {'format': FORMAT, 'backbone': dict(backbone), 'num_features': classes.num_features,
            'keep_ratios': list(classes.levels), 'zoom': classes.zoom,
            'classes': [{'label': label, 'count': count} for label, count in counts.items()]}
    tensors: Dict[str, np.ndarray] = {}
    for level, examples in enumerate(classes.levels.values()):
        for index, label in enumerate(counts):
            moments, key = examples.classes[label], f'{level}.{index}'
            tensors[f'{key}.total'], tensors[f'{key}.kept'] = moments.total, moments.kept
            if moments.rest is not None:
                tensors[f'{key}.rest'] = moments.rest
    size = sum(tensor.nbytes for tensor in tensors.values())
    if size > MAX_BYTES:
        raise ClassesError(f'{len(counts)} classes of so many pictures take {size} bytes, and a '
                           f'file may have {MAX_BYTES}; forget some, or teach fewer levels')
    return save(tensors, {CARD: json.dumps(card)})


def read(path: Path, backbone: Backbone, keep_ratios: Sequence[float]) -> Classes:
    """Return the classes of a file, settled.

    Args:
        path: the file; it may come from anybody.
        backbone: of the model that they are for.
        keep_ratios: the levels that are wanted of it.

    Raises:
        ClassesError: if it is not such a file, or the classes were taught to another model, or
            not at all these levels.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ClassesError(f'it has {path.stat().st_size} bytes, and {MAX_BYTES} are allowed')
        with safe_open(str(path), framework='np') as file:
            card = json.loads((file.metadata() or {}).get(CARD, 'null'))
            _check_backbone(card, backbone)
            found = _Reader(card, file).classes(keep_ratios)
            zoom = card.get('zoom')  # files of earlier releases do not say
            found.ways = {zoom if isinstance(zoom, bool) else None}
            return found
    except FileNotFoundError as error:
        raise ClassesError(f'{path} is not there; ltp_teach makes one') from error
    except (ClassesError, BackboneError, LabelError) as error:
        raise ClassesError(f'{path} cannot be used: {error}') from error
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError,
            OverflowError, RecursionError, MemoryError) as error:
        raise ClassesError(f'{path} is not a whole file of taught classes '
                           f'({plain(str(error) or type(error).__name__)}); make it anew with '
                           'ltp_teach') from error


def card_of(path: Path) -> Dict[str, Any]:
    """Return the card of a file that `read` has read."""
    with safe_open(str(path), framework='np') as file:
        found: Dict[str, Any] = json.loads(file.metadata()[CARD])
    return found


def _check_backbone(card: Any, backbone: Backbone) -> None:
    if not isinstance(card, dict):
        raise ClassesError('it has no card of taught classes; make one with ltp_teach')
    if card.get('format') != FORMAT:
        raise ClassesError(f'its format is {short(card.get("format"))}, and {FORMAT} is read '
                           'here; use the ltp_ros that it was made with, or make it anew')
    check_backbone(card['backbone'], backbone, 'its classes were taught to')


class _Reader:
    def __init__(self, card: Mapping[str, Any], file: Any):
        self._file, self._num_features = file, _whole(card['num_features'], MAX_FEATURES)
        self._ratios = [float(ratio) for ratio in card['keep_ratios'][:MAX_LEVELS]]
        self._counts: Dict[str, int] = {}
        for entry in card['classes'][:MAX_CLASSES + 1]:
            label, count = entry['label'], _whole(entry['count'], MAX_COUNT)
            if not isinstance(label, str) or label in self._counts:
                raise ClassesError(f'the class {short(label)} is there twice, or is not a name')
            check_label(label)
            self._counts[label] = count
        if not self._ratios or not all(0.0 < ratio <= 1.0 for ratio in self._ratios):
            raise ClassesError(f'its keep ratios are {short(card["keep_ratios"])}')

    def classes(self, keep_ratios: Sequence[float]) -> Classes:
        missing = [ratio for ratio in keep_ratios if ratio not in self._ratios]
        if missing:
            raise ClassesError(f'its classes were taught at the keep ratios '
                               f'{short(self._ratios)}, and not at {short(missing)}, which '
                               'keep_ratios has here. Teach the pictures again, or set that')
        found = Classes(keep_ratios)
        for ratio in keep_ratios:
            level, examples = self._ratios.index(ratio), Examples(self._num_features)
            found.levels[ratio] = examples
            for index, (label, count) in enumerate(self._counts.items()):
                moments = self._moments(f'{level}.{index}', count)
                examples.classes[label] = moments
                examples.second += moments.second()
        found.settle()
        return found

    def _moments(self, key: str, count: int) -> Moments:
        size = self._num_features
        kept = self._tensor(f'{key}.kept', np.int16)
        total = self._tensor(f'{key}.total', np.float64, (size,))
        if kept.ndim != 2 or kept.shape[1] != size or len(kept) > min(count, size):
            raise ClassesError(f'{key}.kept has the shape {kept.shape}')
        lengths = np.linalg.norm(kept.astype(np.float64), axis=1)
        if not (abs(lengths / SCALE - 1.0) < 0.05).all():
            raise ClassesError(f'{key}.kept holds what are no features')
        rest = None
        if len(kept) < count:
            rest = self._tensor(f'{key}.rest', np.float64, (size, size))
            # That of count - n vectors of that length, and no more
            if not (np.isfinite(rest).all() and (rest == rest.T).all()
                    and 0 < np.trace(rest) < 1.2 * SCALE ** 2 * (count - len(kept))):
                raise ClassesError(f'{key}.rest holds what are no second moments')
        elif (kept.astype(np.float64).sum(axis=0) != total).any():
            raise ClassesError(f'{key}.total is not the sum of its pictures')
        if not abs(total).max() <= 1.1 * SCALE * count:  # NaN too
            raise ClassesError(f'{key}.total holds what is no sum of features')
        return Moments(count, total, kept, rest)

    def _tensor(self, name: str, dtype: type, shape: Tuple[int, ...] = ()) -> np.ndarray:
        found = self._file.get_tensor(name)
        if found.dtype != dtype or shape and found.shape != shape:
            raise ClassesError(f'{name} is {found.dtype} {found.shape}')
        return np.array(found)  # of its own: the file is mapped


def _whole(value: object, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ClassesError(f'{short(value)} is not a whole number from 1 to {most}')
    return value
