# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Times of every method and the unpruned model, from the camera's bytes to the classes."""
import contextlib
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Mapping, NamedTuple, Sequence, Tuple, TypeVar

import numpy as np
import torch

from ltp_ros.backends.eager import EagerBackend
from ltp_ros.backends.protocol import Backend
from ltp_ros.research.benchmarks.gpu.parts import Task
from ltp_ros.research.benchmarks.gpu.subjects import (
    CAMERA_SIZES,
    PAPER_MODELS,
    SMALL_MODEL,
    Subject,
    backend_of,
    methods,
    noise,
    spread_ms,
)
from ltp_ros.research.benchmarks.runners import (
    PruningStep,
    Run,
    interleave,
    make,
    peak_mib,
    repeated,
)

T = TypeVar('T')
NO_REDUCTION = 'none'
KEEP_RATIOS = (0.53, 0.35)
MOST_ROUNDS, FEWEST_ROUNDS = 500, 3
STEP_REPEATS = 10  # per graph, since launching a graph takes as long as the step
SMALL_GPU = 8      # multiprocessors; about as many as a Jetson has
AIM_RATIO, AIM_STEP_US, AIM_P99_MS = 0.20, 30.0, 1.0


class Cell(NamedTuple):
    """One configuration to time."""

    backend: str
    precision: str
    method: str
    keep_ratio: float


def run(task: Task) -> None:
    """Time frames, pruning step, stages and batches, the paper's small model first."""
    names = (SMALL_MODEL,) if task.settings.small else PAPER_MODELS
    backends = frames(task, names[0], 0.35 if len(names) > 1 else 0.6)
    step(task, names[0])
    stages(task, backends)
    backends.clear()
    for name in names[1:]:
        if task.has(0.3, name):
            frames(task, name, 0.15).clear()
    batches(task, names[0])
    if task.settings.device == 'cuda':
        small_gpu(task, names[0])


def cells(small: bool) -> List[Cell]:
    """Return the configurations to compare; the first is unpruned, in eager float32."""
    pairs = (('eager', 'float32'),) if small else (('eager', 'float16'), ('graph', 'float16'))
    found = [Cell('eager', 'float32', NO_REDUCTION, 1.0)]
    found += [Cell(*pair, NO_REDUCTION, 1.0) for pair in pairs if pair != ('eager', 'float32')]
    return found + [Cell(*pair, method, keep_ratio) for keep_ratio in KEEP_RATIOS
                    for method in methods() if method != NO_REDUCTION for pair in pairs]


def frames(task: Task, name: str, share: float) -> Dict[Tuple[str, str, str], Backend]:
    """Time whole frames in interleaved rounds; return the backends by name, precision and method.

    `share` is that of the time left.
    """
    rgb = noise(480, 640)
    backends: Dict[Tuple[str, str, str], Backend] = {}
    wanted = cells(task.settings.small)
    for cell in wanted:
        key = cell[:3]
        if key not in backends:
            backends[key] = backend_of(cell.backend, cell.precision, Subject(name).model(
                cell.method), task.settings)
        for _ in range(3):
            backends[key](rgb, cell.keep_ratio, 5)
    runs = [partial(backends[cell[:3]], rgb, cell.keep_ratio, 5) for cell in wanted]
    times = dict(zip(wanted, in_turns(runs, share * task.left_s)))
    exact = times[wanted[0]]
    for cell in wanted:
        unpruned = times[Cell(*cell[:2], NO_REDUCTION, 1.0)]
        task.row(f'{name}, batch 1, 640x480 to classes', **cell._asdict(),
                 **spread_ms(times[cell]), of_unpruned=ratio(times[cell], unpruned),
                 of_eager_float32=ratio(times[cell], exact))
    if not task.settings.small:
        aims(task, times, name)
    return backends


def aims(task: Task, times: Mapping[Cell, Sequence[float]], name: str) -> None:
    """Compare the times of the paper's small model with the aims of this package."""
    pruned = times[Cell('graph', 'float16', 'ltp', 0.53)]
    if name == PAPER_MODELS[0]:
        tail = float(np.percentile(pruned, 99))
        task.row('aims', aim='graph, LTP 0.53 / plain calls, float32, unpruned',
                 wanted=f'<= {AIM_RATIO}', found=ratio(
                     pruned, times[Cell('eager', 'float32', NO_REDUCTION, 1.0)]))
        task.row('aims', aim="p99 of graph, LTP 0.53, camera's bytes to classes (ms)",
                 wanted=f'<= {AIM_P99_MS}', found=tail)


def in_turns(runs: Sequence[Run], seconds: float) -> List[List[float]]:
    """Return the milliseconds of each run, in as many interleaved rounds as fit."""
    return interleave(runs, MOST_ROUNDS, warm_up=1, seconds=seconds, fewest=FEWEST_ROUNDS)


def ratio(times_ms: Sequence[float], others_ms: Sequence[float]) -> float:
    """Return the median over the rounds of the ratio of the two times."""
    return round(statistics.median(mine / other for mine, other in zip(times_ms, others_ms)), 4)


def step(task: Task, name: str) -> None:
    """Time the pruning step alone: a graph of ten steps, minus a nearly empty graph."""
    device = torch.device(task.settings.device)
    dtype = torch.float32 if task.settings.small else torch.float16
    runs: Dict[str, Run] = {}
    number = torch.zeros(1, device=device)
    with torch.inference_mode():
        runs['nothing'] = repeated(lambda: number + 1, 1, device)
        for method in methods():
            if method == NO_REDUCTION:
                continue
            model = Subject(name).model(method).to(device, dtype).requires_grad_(False)
            model.patch_drop.keep_ratio = 0.53
            one = PruningStep(model, torch.randn(1, 3, *model.patch_embed.img_size, device=device,
                                                 dtype=dtype))
            if one.inputs:
                runs[method] = repeated(partial(one.forward, *one.inputs.values()),
                                        STEP_REPEATS, device)
    times = dict(zip(runs, in_turns(list(runs.values()), 0.1 * task.left_s)))
    nothing = statistics.median(times.pop('nothing'))
    for method, milliseconds in times.items():
        found = 1e3 * (statistics.median(milliseconds) - nothing) / STEP_REPEATS
        task.row(f'{name}, the pruning step alone at 0.53', method=method, microseconds=found,
                 n=len(milliseconds))
        if method == 'ltp' and not task.settings.small:
            task.row('aims', aim='the pruning step alone (us)', wanted=f'<= {AIM_STEP_US}',
                     found=found)


def stages(task: Task, backends: Mapping[Tuple[str, str, str], Backend]) -> None:
    """Time upload, preprocessing, model and read-back separately, at each camera size."""
    key = ('eager', 'float32', 'ltp') if task.settings.small else ('graph', 'float16', 'ltp')
    backend = backends[key]
    assert isinstance(backend, EagerBackend)  # as is the graph backend
    sizes = CAMERA_SIZES[:2] if task.settings.small else CAMERA_SIZES
    on_gpu = task.settings.device == 'cuda'

    def timed(work: Callable[[], T]) -> Tuple[float, T]:
        start = time.perf_counter()
        result = work()
        if on_gpu:
            torch.cuda.synchronize()
        return 1e3 * (time.perf_counter() - start), result

    with torch.inference_mode():
        for height, width in sizes:
            rgb = noise(height, width)
            found: Dict[str, List[float]] = {name: [] for name in (
                'upload', 'preprocessing', 'model', 'read_back')}
            for index in range(3 + (10 if task.settings.small else 100)):
                upload, image = timed(partial(backend.transfer.upload, rgb))
                preprocessing, pixels = timed(
                    partial(backend.transfer.preprocessor, image, backend.pixels))
                model, answer = timed(partial(backend.run, pixels, 0.53))
                read_back, _ = timed(partial(backend.transfer.read_back, answer))
                if index >= 3:
                    for name, value in (('upload', upload), ('preprocessing', preprocessing),
                                        ('model', model), ('read_back', read_back)):
                        found[name].append(value)
            task.row('stages of LTP 0.53, each synchronised (median ms)', size=f'{width}x{height}',
                     **{name: statistics.median(values) for name, values in found.items()})


def batches(task: Task, name: str) -> None:
    """Time the model alone on batches, and measure its memory."""
    device = task.settings.device
    pair = ('eager', 'float32') if task.settings.small else ('graph', 'float16')
    for batch in (2,) if task.settings.small else (8, 64):
        if not task.has(0.08, f'batch {batch}'):
            return
        pixels = torch.randn(batch, 3, *Subject(name).model(NO_REDUCTION).patch_embed.img_size)
        made = {}
        with tempfile.TemporaryDirectory() as folder:
            for method in sorted(methods(), key=lambda method: method != NO_REDUCTION):
                keep_ratio = 1.0 if method == NO_REDUCTION else 0.53
                made[method] = make(*pair, Subject(name).model(method), keep_ratio, pixels,
                                    device, Path(folder))
            times = dict(zip(made, in_turns([run for run, _, _ in made.values()],
                                            0.15 * task.left_s)))
        for method, (_, _, model) in made.items():
            weights = next(model.parameters())
            with torch.inference_mode():
                peak = peak_mib(model, pixels.to(weights.device, weights.dtype))
            task.row(f'{name}, the model alone, 0.53', batch=batch, method=method,
                     **spread_ms(times[method]),
                     images_per_s=1e3 * batch / statistics.median(times[method]),
                     of_unpruned=ratio(times[method], times[NO_REDUCTION]), peak_mib=peak)


def small_gpu(task: Task, name: str) -> None:
    """Time frames on a few multiprocessors, as on a small GPU, if torch can reserve them."""
    try:
        with few_multiprocessors(SMALL_GPU):
            rgb = noise(480, 640)
            runs: Dict[Tuple[str, str, float], Run] = {}
            for backend_name, method, keep_ratio in (
                    ('eager', NO_REDUCTION, 1.0), ('graph', NO_REDUCTION, 1.0),
                    ('graph', 'ltp', 0.53), ('graph', 'ltp', 0.35)):
                backend = backend_of(backend_name, 'float16', Subject(name).model(method),
                                     task.settings)
                backend(rgb, keep_ratio, 5)
                runs[backend_name, method, keep_ratio] = partial(backend, rgb, keep_ratio, 5)
            times = dict(zip(runs, in_turns(list(runs.values()), 0.5 * task.left_s)))
    except (ImportError, AttributeError, RuntimeError) as error:
        task.note(f'a small GPU cannot be emulated: {error}')
        return
    for (backend_name, method, keep_ratio), milliseconds in times.items():
        task.row(f'{name} on {SMALL_GPU} multiprocessors', backend=backend_name, method=method,
                 keep_ratio=keep_ratio, **spread_ms(milliseconds), of_unpruned=ratio(
                     milliseconds, times['graph', NO_REDUCTION, 1.0]))


@contextlib.contextmanager
def few_multiprocessors(count: int) -> Iterator[None]:
    """Restrict the kernels launched inside to so many multiprocessors."""
    from torch.cuda.green_contexts import GreenContext  # noqa: PLC0415  not in every torch
    context = GreenContext.create(num_sms=count, device_id=0)
    context.set_context()
    try:
        yield
    finally:
        context.pop_context()
