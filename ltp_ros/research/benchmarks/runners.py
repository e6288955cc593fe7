# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A batch of images through one model, backend and number format, ready to be timed. No ROS."""
import copy
import os
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import torch
from torch import nn

from ltp_ros.backends.graph import GraphBackend
from ltp_ros.backends.onnx import open_session
from ltp_ros.backends.onnx_export import export, export_level
from ltp_ros.model import vit
from ltp_ros.reduction.base import PatchSelector, PixelReader
from ltp_ros.reduction.tome import TokenMerger
from ltp_ros.research.benchmarks.gmacs import profiled

Run = Callable[[], Any]  # returns when the result is there


class PruningStep(nn.Module):
    """The part of a model that chooses and takes the tokens, by itself.

    For ToMe, which has no such part, the matching and merging of all blocks.

    Args:
        model: with a `TokenReducer` in `patch_drop`.
        pixels: (B, 3, H, W), what it runs on.
    """

    def __init__(self, model: nn.Module, pixels: torch.Tensor):
        super().__init__()
        self.reducer = model.patch_drop
        seen: List[Tuple[Any, ...]] = []
        if isinstance(self.reducer, TokenMerger):
            merge = self.reducer.merge_tokens
            self.reducer.merge_tokens = lambda *args: seen.append(args) or merge(*args)
            model(pixels)
            del self.reducer.merge_tokens
        else:
            hook = self.reducer.register_forward_pre_hook(
                lambda module, inputs: seen.append((inputs[0].clone(),)))
            model(pixels)
            hook.remove()
        self.seen = seen
        self.inputs = {'tokens': seen[0][0]} if seen else {}
        if isinstance(self.reducer, PixelReader):
            self.inputs = {'pixels': pixels, **self.inputs}

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Run the step on what the model's own run gave it."""
        if isinstance(self.reducer, TokenMerger):
            self.reducer(inputs[0])
            for args in self.seen:
                merged = self.reducer.merge_tokens(*args)
            return merged
        if isinstance(self.reducer, PixelReader):
            self.reducer.look(inputs[0])
        return self.reducer(inputs[-1])


def eager(model: Callable[[torch.Tensor], Any], pixels: torch.Tensor) -> Run:
    """Return a run with plain torch calls."""
    @torch.inference_mode()
    def run() -> None:
        model(pixels)
        if pixels.is_cuda:
            torch.cuda.synchronize()
    return run


def graph(model: nn.Module, precision: str, keep_ratio: float, pixels: torch.Tensor) -> Run:
    """Return a run of the model as the backend graph captures and launches it.

    Raises:
        RuntimeError: if the images do not lie on a CUDA device, or cannot be captured.
    """
    backend = GraphBackend(model, vit.data_config(model), pixels.device, precision, print)
    backend.pixels = pixels  # of a batch, too
    backend.run(pixels, keep_ratio)

    def run() -> None:
        backend.run(pixels, keep_ratio)
        torch.cuda.synchronize()
    return run


def repeated(work: Callable[[], Any], times: int, device: torch.device) -> Run:
    """Return a run of the same work several times over: on a GPU in one CUDA graph."""
    if device.type != 'cuda':
        def run() -> None:
            for _ in range(times):
                work()
        return torch.inference_mode()(run)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            work()
    torch.cuda.synchronize()
    captured = torch.cuda.CUDAGraph()
    with torch.cuda.graph(captured, stream=stream):
        for _ in range(times):
            work()

    def replay(in_use: Any = work) -> None:  # a graph holds addresses alone
        captured.replay()
        torch.cuda.synchronize()
    return replay


def onnx(path: Path, inputs: Mapping[str, torch.Tensor], device: str) -> Run:
    """Return a run of an ONNX file."""
    needed = ['CUDAExecutionProvider'] if device == 'cuda' else []
    session = open_session(path, [*needed, 'CPUExecutionProvider'], needed)
    wanted = {each.name for each in session.get_inputs()}
    feed = {name: value.numpy() for name, value in inputs.items() if name in wanted}
    return lambda: session.run(None, feed)


@torch.inference_mode()
def make(backend: str, precision: str, model: nn.Module, keep_ratio: float, pixels: torch.Tensor,
         device: str, folder: Path) -> Tuple[Run, Optional[Run], nn.Module]:
    """Return the run of a model, that of its pruning step if it can be had, and the model's copy.

    Args:
        backend: 'eager', 'graph' or 'onnx'.
        precision: number format.
        model: with a `TokenReducer` in `patch_drop`, float32 on the CPU; it is copied.
        keep_ratio: (0, 1].
        pixels: (B, 3, H, W) float32 on the CPU.
        device: 'cpu' or 'cuda'.
        folder: for exported models, one of its own.

    Raises:
        RuntimeError: if the backend has no such numbers here.
    """
    if backend == 'onnx' and precision not in ('float32', 'int8' if device == 'cpu' else ''):
        raise RuntimeError(f'{precision} on {device} is not timed with onnx; take float32')
    model = copy.deepcopy(model).requires_grad_(False)  # a step may hold weights as constants
    model.patch_drop.keep_ratio = keep_ratio
    if backend == 'onnx':
        step = PruningStep(model, pixels)
        export_level(model, keep_ratio, folder / 'model.onnx', len(pixels), precision == 'int8')
        model.patch_drop.keep_ratio = keep_ratio
        run = onnx(folder / 'model.onnx', {'pixels': pixels}, device)
        if not isinstance(model.patch_drop, (PatchSelector, PixelReader)):
            return run, None, model
        export(step, step.inputs, ('kept',), folder / 'step.onnx')
        return run, onnx(folder / 'step.onnx', step.inputs, device), model
    dtype = getattr(torch, precision)
    model, pixels = model.to(device, dtype), pixels.to(device, dtype)
    step = PruningStep(model, pixels)
    inputs = tuple(step.inputs.values())
    if backend == 'graph':
        run = graph(model, precision, keep_ratio, pixels)
        return run, repeated(lambda: step(*inputs), 1, pixels.device) if inputs else None, model
    return eager(model, pixels), eager(lambda _: step(*inputs), pixels) if inputs else None, model


def interleave(runs: Sequence[Run], rounds: int, warm_up: int = 2,
               progress: Callable[[], None] = lambda: None) -> List[List[float]]:
    """Return the milliseconds of each run in each round, one after the other in every round.

    So a machine that is busy for a moment slows all of them alike, and ratios within a round
    mean something.
    """
    times_ms: List[List[float]] = [[] for _ in runs]
    for index in range(warm_up + rounds):
        for run, times in zip(runs, times_ms):
            start = time.perf_counter()
            run()
            if index >= warm_up:
                times.append(1e3 * (time.perf_counter() - start))
        progress()
    return times_ms


def resident_mib(pid: Union[int, str] = 'self') -> float:
    """Return the resident memory of a process, by default this one."""
    pages = int(Path(f'/proc/{pid}/statm').read_text(encoding='ascii').split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / 2 ** 20


@torch.inference_mode()
def peak_mib(model: nn.Module, pixels: torch.Tensor) -> float:
    """Return how much memory one forward pass allocates at its peak, beyond weights and input."""
    if pixels.is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        model(pixels)
        return (torch.cuda.max_memory_allocated() - before) / 2 ** 20
    profiler = profiled(lambda: model(pixels), profile_memory=True)
    now = peak = 0
    events: Dict[int, int] = {}
    for event in profiler.profiler.kineto_results.events():
        if event.name() == '[memory]':
            events[event.start_ns()] = events.get(event.start_ns(), 0) + event.nbytes()
    for _, num_bytes in sorted(events.items()):
        now += num_bytes
        peak = max(peak, now)
    return peak / 2 ** 20
