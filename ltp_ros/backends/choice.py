# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The ways to run the model, and the choice of the fastest that is there."""
import copy
import gc
import os
import re
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Callable, Dict, List, Mapping, Optional, Tuple

import numpy as np

from ltp_ros.backends.kept_choice import Kept
from ltp_ros.backends.onnx import OnnxBackend, choose_providers
from ltp_ros.backends.openvino import OpenvinoBackend
from ltp_ros.backends.protocol import HOST, Backend, Device, Log
from ltp_ros.backends.summary import ModelSummary
from ltp_ros.model.data_config import DataConfig

if TYPE_CHECKING:
    from torch import nn

# What 'auto' tries on each device; ONNX Runtime on a GPU only where it is asked for, since
# TensorRT takes minutes for its engines
BACKENDS = {'cuda': ('graph', 'eager'), 'cpu': ('eager', 'onnx', 'openvino')}
AUTO_PRECISIONS = {
    ('cuda', 'graph'): ('float16',), ('cuda', 'eager'): ('float16',),
    ('cpu', 'eager'): ('float32', 'bfloat16'), ('cpu', 'onnx'): ('float32',),
    ('cpu', 'openvino'): ('float32', 'bfloat16'), ('cpu', 'graph'): ('float32',)}
EXPORTED: Mapping[str, Callable[..., Backend]] = {  # they run without torch
    'onnx': OnnxBackend, 'openvino': OpenvinoBackend}
TRIAL_RUNS = 5


def candidates(backend: str, precision: str, device: Device) -> List[Tuple[str, str]]:
    """Return the candidates (backend, precision); several where either is 'auto'.

    'auto' is int8 only where `ltp_export --int8` found that the answers hold (`kept_choice`).
    """
    names = (backend,) if backend != 'auto' else BACKENDS[device.type]
    if (backend, precision) == ('auto', 'int8'):
        names = tuple(EXPORTED)
    return [(name, number_format) for name in names for number_format in (
        _auto_precisions(name, device) if precision == 'auto' else (precision,))]


def _auto_precisions(name: str, device: Device) -> Tuple[str, ...]:
    if (device.type, name) != ('cuda', 'onnx'):
        return AUTO_PRECISIONS[device.type, name]
    try:  # not both, since each would have minutes of engines built
        choose_providers('cuda', 'float16')
    except (ImportError, RuntimeError):
        return ('float32',)
    return ('float16',)


def create(name: str, precision: str, model: 'nn.Module', data_config: DataConfig,
           device: Device, folder: Optional[Path],
           log: Log = lambda message: None, favourite: Optional[float] = None) -> Backend:
    """Return a backend with a model of its own, since it changes its number format.

    Args:
        name: 'eager', 'graph', 'onnx' or 'openvino'.
        precision: number format.
        model: the Vision Transformer, in float32 on the CPU; it is copied.
        data_config: the input that the model expects.
        device: where it runs.
        folder: for exported levels and engines, which onnx and openvino need.
        log: called with failures that are recovered from, and before slow work.
        favourite: the keep ratio to be fastest at, where a runtime can choose.

    Raises:
        ImportError, RuntimeError: if it is unavailable here; the message says why.
    """
    if precision == 'int8' and name not in EXPORTED:
        raise RuntimeError('int8 comes with ONNX Runtime and OpenVINO; use backend:=onnx or '
                           'backend:=openvino')
    import torch  # noqa: PLC0415  as below: those who reopen what is there do without

    from ltp_ros.backends.eager import EagerBackend  # noqa: PLC0415
    from ltp_ros.backends.graph import GraphBackend  # noqa: PLC0415
    from ltp_ros.backends.onnx_gpu import OnnxGpuBackend  # noqa: PLC0415
    from ltp_ros.model import last_block  # noqa: PLC0415
    model = copy.deepcopy(model)
    last_block.attach(model)
    if name in EXPORTED:
        make = OnnxGpuBackend if (name, device.type) == ('onnx', 'cuda') else EXPORTED[name]
        return make(model, data_config, device, precision, folder, log, None,
                    torch.get_num_threads(), favourite)
    if name == 'graph':
        return GraphBackend(model, data_config, device, precision, log)
    return EagerBackend(model, data_config, device, precision)


def reopen(name: str, precision: str, summary: ModelSummary, folder: Path, num_threads: int,
           log: Log = lambda message: None, favourite: Optional[float] = None) -> Backend:
    """Return a backend on the CPU whose levels were all exported before, without the model.

    Args:
        name: one of `EXPORTED`.
        precision: number format.
        summary: of the model.
        folder: of its exported levels.
        num_threads: 0: as many as the runtime likes.
        log: as `create`.
        favourite: as `create`.

    Raises:
        ImportError, RuntimeError, OSError: as `create`, or once a level is not there.
    """
    return EXPORTED[name](None, summary.data_config, HOST, precision, folder, log,
                          summary.sizes, num_threads, favourite)


def fastest(pairs: List[Tuple[str, str]], make: Callable[[str, str], Backend], rgb: np.ndarray,
            keep_ratio: float, log: Log, runs: int = TRIAL_RUNS) -> Backend:
    """Return the backend that classifies an image fastest, by the median of interleaved runs.

    Args:
        pairs: (backend, precision); one alone is not timed.
        make: as `create`.
        rgb: (H, W, 3) uint8.
        keep_ratio: level of the ladder that the trial runs at.
        log: called with the times, and with the reason why a candidate is unavailable.
        runs: of each.

    Raises:
        ImportError, RuntimeError, OSError: if none is available: the first reason.
    """
    if len(pairs) == 1:
        return make(*pairs[0])
    backends: List[Backend] = []
    errors: List[Exception] = []
    for pair in pairs:
        backend = attempt(pair, make, rgb, keep_ratio, errors)
        if backend is not None:
            backends.append(backend)
        else:
            log(f'{" ".join(pair)} is unavailable: {errors[-1]}')
            _free_memory()
    if not backends:
        raise errors[0]
    times: Dict[int, List[float]] = {index: [] for index in range(len(backends))}
    for _ in range(runs):
        for index, backend in enumerate(backends):
            start = time.perf_counter()
            backend(rgb, keep_ratio, 1)
            times[index].append(1e3 * (time.perf_counter() - start))
    medians = {index: median(runs) for index, runs in times.items()}
    best = min(medians, key=lambda index: medians[index])
    log(', '.join(f'{backend.name} {backend.precision} {medians[index]:.1f} ms'
                   for index, backend in enumerate(backends)) + f' at keep_ratio {keep_ratio:g}')
    winner = backends[best]
    del backend
    backends.clear()
    _free_memory()
    return winner


def as_before(kept: Kept, pairs: List[Tuple[str, str]], int8: bool,
              make: Callable[[str, str], Backend], rgb: np.ndarray, keep_ratio: float,
              log: Log) -> Optional[Backend]:
    """Return the backend that was the fastest at an earlier start; None if it is to be sought.

    Args:
        kept: the choice of that start.
        pairs: (backend, precision) that may be chosen.
        int8: whether it may also be int8, if its answers were checked.
        make: as `fastest`.
        rgb: as `fastest`.
        keep_ratio: as `fastest`.
        log: as `fastest`.
    """
    pair = kept.backend, kept.precision
    if pair not in pairs and not (int8 and kept.precision == 'int8' and kept.check):
        return None
    errors: List[Exception] = []
    backend = attempt(pair, make, rgb, keep_ratio, errors)
    if backend is None:
        log(f'{" ".join(pair)}, the fastest before, is unavailable: {errors[0]}')
    else:
        log(f'{" ".join(pair)} was the fastest before' + (f'; {kept.check}' if kept.check else ''))
    return backend


def attempt(pair: Tuple[str, str], make: Callable[[str, str], Backend], rgb: np.ndarray,
            keep_ratio: float, errors: List[Exception]) -> Optional[Backend]:
    """Return a backend that has run once; None, with one more of `errors`, if it cannot."""
    try:
        backend = make(*pair)
        backend(rgb, keep_ratio, 1)
        return backend
    except (ImportError, RuntimeError, OSError) as error:
        # Its frames hold the backend, and with it the memory that the next one may need
        error.__cause__ = error.__context__ = None
        errors.append(error.with_traceback(None))
        return None


def _free_memory() -> None:
    import torch  # noqa: PLC0415  the candidates have loaded it
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()  # torch's cache starves others, on a Jetson the CPU too


def cache_folder(cache: str) -> Optional[Path]:
    """Return the folder for all models; None where there is no home folder.

    Args:
        cache: as it was given; '' is the user's cache.
    """
    if cache:
        return Path(cache)
    user_cache = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
    if user_cache.startswith('~'):  # a service's user may have no home
        return None
    return Path(user_cache) / 'ltp_ros'


def model_folder(cache: str, model: str, model_hash: str, method: str, score: str,
                 alpha: float, sides: Tuple[int, int] = (0, 0)) -> Optional[Path]:
    """Return where the exported levels of a model belong; None where there is no home folder.

    Args:
        cache: the folder for those of all models; '' is the user's cache.
        model: its name, for a human reader.
        model_hash: of its weights.
        method: that its levels are reduced by.
        score: of the method 'ltp'.
        alpha: of the score 'srb'.
        sides: that its input was given; 0: its own.
    """
    base = cache_folder(cache)
    if base is None:
        return None
    how = f'{method}_{score}_{alpha:g}' if method == 'ltp' else method
    if sides[0]:  # which the weights of a ConvNet do not tell
        how += f'_{sides[0]}x{sides[1]}'
    name = re.sub(r'[^\w.-]', '_', model)  # 'hf_hub:user/name' too is one folder
    return base / f'{name}-{model_hash[:12]}' / how
