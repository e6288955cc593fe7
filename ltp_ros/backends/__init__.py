# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The ways to run the model, and the choice of the fastest that is there."""
import copy
import os
import time
from pathlib import Path
from statistics import median
from typing import Any, Callable, Dict, List, Tuple

import numpy as np
import torch
from torch import nn

from ltp_ros.backends.eager import EagerBackend
from ltp_ros.backends.graph import GraphBackend
from ltp_ros.backends.onnx import OnnxBackend
from ltp_ros.preprocessing import DataConfig

# What 'auto' tries on each device; ONNX Runtime on a GPU only where it is asked for, since
# TensorRT takes minutes for its engines
BACKENDS = {'cuda': ('graph', 'eager'), 'cpu': ('eager', 'onnx')}
AUTO_PRECISIONS = {
    ('cuda', 'graph'): ('float16',), ('cuda', 'eager'): ('float16',),
    ('cuda', 'onnx'): ('float16', 'float32'), ('cpu', 'eager'): ('float32', 'bfloat16'),
    ('cpu', 'onnx'): ('float32',), ('cpu', 'graph'): ('float32',)}
TRIAL_RUNS = 5


def candidates(backend: str, precision: str, device: torch.device) -> List[Tuple[str, str]]:
    """Return what may be used: (backend, precision), more than one where one of them is 'auto'.

    'auto' never means int8, whose answers are slightly others.
    """
    names = (backend,) if backend != 'auto' else BACKENDS[device.type]
    if (backend, precision) == ('auto', 'int8'):
        names = ('onnx',)
    return [(name, number_format) for name in names for number_format in (
        AUTO_PRECISIONS[device.type, name] if precision == 'auto' else (precision,))]


def create(name: str, precision: str, model: nn.Module, data_config: DataConfig,
           device: torch.device, folder: Path) -> Any:
    """Return a backend with a model of its own, since it changes its number format.

    Raises:
        ImportError, RuntimeError: if it cannot be had here; the message says why.
    """
    if precision == 'int8' and name != 'onnx':
        raise RuntimeError('int8 comes with ONNX Runtime alone; use backend:=onnx')
    model = copy.deepcopy(model)
    if name == 'onnx':
        return OnnxBackend(model, data_config, device, precision, folder)
    return {'eager': EagerBackend, 'graph': GraphBackend}[name](
        model, data_config, device, precision)


def fastest(pairs: List[Tuple[str, str]], make: Callable[[str, str], Any], rgb: np.ndarray,
            keep_ratio: float, tell: Callable[[str], None]) -> Any:
    """Return the backend that classifies an image fastest, by the median of interleaved runs.

    Args:
        pairs: (backend, precision); one alone is not timed.
        make: as `create`.
        rgb: (H, W, 3) uint8.
        keep_ratio: level of the ladder that the trial runs at.
        tell: told what was found, and what could not be had and why.

    Raises:
        ImportError, RuntimeError, OSError: if none can be had; why the first could not.
    """
    if len(pairs) == 1:
        return make(*pairs[0])
    backends: List[Any] = []
    errors: List[Exception] = []
    for pair in pairs:
        try:
            backend = make(*pair)
            backend(rgb, keep_ratio, 1)
            backends.append(backend)
        except (ImportError, RuntimeError, OSError) as error:
            tell(f'{" ".join(pair)} cannot be had: {error}')
            errors.append(error)
    if not backends:
        raise errors[0]
    times: Dict[int, List[float]] = {index: [] for index in range(len(backends))}
    for _ in range(TRIAL_RUNS):
        for index, backend in enumerate(backends):
            start = time.perf_counter()
            backend(rgb, keep_ratio, 1)
            times[index].append(1e3 * (time.perf_counter() - start))
    medians = {index: median(runs) for index, runs in times.items()}
    best = min(medians, key=lambda index: medians[index])
    tell(', '.join(f'{backend.name} {backend.precision} {medians[index]:.1f} ms'
                   for index, backend in enumerate(backends)) + f' at keep_ratio {keep_ratio:g}')
    return backends[best]


def model_folder(cache: str, model: str, model_hash: str, method: str, score: str,
                 alpha: float) -> Path:
    """Return where the exported levels of a model belong.

    Args:
        cache: the folder for those of all models; '' is the user's cache.
        model: its name, for a human reader.
        model_hash: of its weights.
        method: that its levels are reduced by.
        score: of the method 'ltp'.
        alpha: of the score 'srb'.
    """
    base = Path(cache) if cache else Path(
        os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'ltp_ros'
    how = f'{method}_{score}_{alpha:g}' if method == 'ltp' else method
    return base / f'{model}-{model_hash[:12]}' / how
