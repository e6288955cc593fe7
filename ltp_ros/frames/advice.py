# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What else there is to turn, where the tuner has fewer tokens no more to give."""
import os
from importlib.util import find_spec
from typing import List, NamedTuple

from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig

LEAD = 'what else may help: '
WIDE = 0.25     # standard deviation of the slowdown / its mean: more than noise
MOST = 3        # hints in a sentence
REAL_TIME = 20  # a priority above other programs, below the interrupts
SMALLER = 0.5   # of the tokens of an image


class Hint(NamedTuple):
    """A parameter to change."""

    share: float  # of the time of an inference that is left, roughly (docs/benchmarks.md)
    text: str


def hints(config: ClassifierConfig, classifier: Classifier, variation: float,
          superseded: bool) -> List[Hint]:
    """Return what may help here, what brings most first.

    Args:
        config: in force.
        classifier: in use.
        variation: standard deviation of the slowdown / its mean.
        superseded: whether images come faster than they are answered.
    """
    found: List[Hint] = []
    backend, precision = classifier.backend.name, classifier.precision
    cores = len(os.sched_getaffinity(0))
    if classifier.device.type == 'cpu':
        if precision == 'float32' and find_spec('onnxruntime'):
            found.append(Hint(0.35 if backend == 'eager' else 0.45, 'precision:=int8'))
        if backend == 'eager':
            found.append(Hint(0.7, 'backend:=onnx' if find_spec('onnxruntime') else
                              'backend:=onnx, once onnxruntime is installed'))
        if 0 < config.num_threads < cores:
            found.append(Hint(config.num_threads / cores, f'num_threads:={cores}'))
        if variation > WIDE:
            if not config.priority:
                found.append(Hint(0.4, f'priority:={REAL_TIME}, which keeps other programs out of '
                                  'its way'))
            if cores > 1 and config.num_threads in (0, cores):
                found.append(Hint(0.65, f'num_threads:={cores - 1}, which leaves them a core'))
    else:
        if precision == 'float32':
            found.append(Hint(0.4, 'precision:=float16'))
        if backend == 'eager':
            found.append(Hint(0.5, 'backend:=graph'))
    if not config.ladder and config.method != 'resize':  # which have smaller inputs themselves
        found.append(Hint(SMALLER, f'input_size:={smaller_input(classifier)}, which sees less '
                          'detail'))
    if superseded:
        found.append(Hint(0.9, 'a lower max_rate, which ends the waiting for the image before'))
    return sorted(found)


def smaller_input(classifier: Classifier) -> int:
    """Return the pixels a side of an image with about SMALLER of the tokens."""
    pixels, patches = classifier.data_config.input_size[0], classifier.grid_size[0]
    return pixels // patches * round(SMALLER ** 0.5 * patches)


def sentence(found: List[Hint]) -> str:
    """Return the first of them in words; '' without any."""
    return LEAD + '; '.join(hint.text for hint in found[:MOST]) if found else ''
