# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Temperatures that make the scores of a model's own classes mean something, one a level.

Only the best classes of an answer are known, K of C; the others share what is left equally.
"""
import json
import math
from pathlib import Path
from typing import Any, Dict, Mapping, Sequence, Tuple

import numpy as np
from scipy.optimize import minimize_scalar

from ltp_ros.files import plain, read_text, short, write_whole
from ltp_ros.teaching.backbone import Backbone, BackboneError, check_backbone

FORMAT = 1
BOUNDS = (0.05, 20.0)
LEAST = 1e-12  # of what a logarithm is taken of


class TemperaturesError(ValueError):
    """A file that is not one of temperatures, or not for this model; the message says why."""


def tempered(scores: np.ndarray, num_classes: int, temperature: float) -> np.ndarray:
    """Return softmax probabilities (..., K), descending, as they are at a temperature.

    Args:
        scores: (..., K), of the best of `num_classes`.
        num_classes: C.
        temperature: above 0; below 1 makes an answer surer.
    """
    odds, rest = _odds(scores, num_classes, temperature)
    return odds / (odds.sum(axis=-1, keepdims=True) + rest)


def fit_labels(scores: np.ndarray, hits: np.ndarray, num_classes: int) -> float:
    """Return the temperature at which the labels of some pictures are the likeliest.

    Args:
        scores: (n, K), of the best of `num_classes` for each picture.
        hits: (n, K) bool, which of them is its label; none: it is one of the others.
        num_classes: C.
    """
    return fit_shares(scores, hits.astype(np.float64), num_classes)


def fit_shares(scores: np.ndarray, shares: np.ndarray, num_classes: int) -> float:
    """Return the temperature that brings probabilities the nearest to others (cross entropy).

    Args:
        scores: (n, K), of the best of `num_classes` for each picture.
        shares: (n, K), what the same classes should have; what is missing to 1 is that of others.
        num_classes: C.
    """
    others = max(num_classes - scores.shape[1], 0)
    missing = np.maximum(1.0 - shares.sum(axis=1), 0.0)

    def surprise(log_temperature: float) -> float:
        found = tempered(scores, num_classes, math.exp(log_temperature))
        rest = np.maximum(1.0 - found.sum(axis=1), LEAST) / max(others, 1)
        return -float((shares * np.log(np.maximum(found, LEAST))).sum(axis=1).mean()
                      + (missing * np.log(rest)).mean())

    return math.exp(minimize_scalar(surprise, bounds=tuple(map(math.log, BOUNDS)),
                                    method='bounded', options={'xatol': 1e-3}).x)


def _odds(scores: np.ndarray, num_classes: int, temperature: float) -> Tuple[np.ndarray, Any]:
    others = num_classes - scores.shape[-1]
    odds = np.asarray(scores, np.float64) ** (1.0 / temperature)
    if others <= 0:
        return odds, 0.0
    left = np.maximum(1.0 - np.sum(scores, axis=-1, keepdims=True, dtype=np.float64), 0.0)
    return odds, others * (left / others) ** (1.0 / temperature)


def write(path: Path, temperatures: Mapping[float, float], backbone: Backbone) -> None:
    """Write temperatures by keep ratio, whole or not at all.

    Raises:
        OSError: if the file cannot be written.
    """
    content = {'format': FORMAT, 'backbone': dict(backbone), 'temperatures': {
        repr(float(ratio)): value for ratio, value in temperatures.items()}}
    write_whole(path, (json.dumps(content, indent=1) + '\n').encode())


def read(path: Path, backbone: Backbone, keep_ratios: Sequence[float]) -> Dict[float, float]:
    """Return the temperature of each level from a file.

    Args:
        path: the file; it may come from anybody.
        backbone: of the model that they are for.
        keep_ratios: the levels that are wanted of it.

    Raises:
        TemperaturesError: if it is not such a file, or of another model, or lacks a level.
    """
    try:
        found = json.loads(read_text(path))
        if not isinstance(found, dict) or found.get('format') != FORMAT:
            raise BackboneError(f'it is not a file of temperatures of format {FORMAT}; '
                                'ltp_evaluate --calibrate writes one')
        check_backbone(found['backbone'], backbone, 'its temperatures were found for')
        given = {float(ratio): float(value) for ratio, value in found['temperatures'].items()}
        missing = [ratio for ratio in keep_ratios if ratio not in given]
        if missing:
            raise BackboneError(f'it has none for the keep ratios {short(missing)}, but for '
                                f'{short(sorted(given))}; run ltp_evaluate --calibrate again with '
                                '--keep-ratios')
        wrong = [value for value in given.values() if not BOUNDS[0] <= value <= BOUNDS[1]]
        if wrong:
            raise BackboneError(f'{short(wrong[0])} is not a temperature from {BOUNDS[0]:g} to '
                                f'{BOUNDS[1]:g}')
    except BackboneError as error:
        raise TemperaturesError(f'{path} cannot be used: {error}') from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise TemperaturesError(f'{path} is not a file of temperatures '
                                f'({plain(str(error) or type(error).__name__)})') from error
    return {ratio: given[ratio] for ratio in keep_ratios}
