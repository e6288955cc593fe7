# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Runs to time: a batch of images through one model, backend and number format. No ROS."""
import copy
import functools
import math
import time
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple
from unittest import mock

import torch
from torch import nn

from ltp_ros.backends.graph import GraphBackend
from ltp_ros.backends.onnx import open_session, session_options
from ltp_ros.backends.onnx_export import export, export_level
from ltp_ros.backends.openvino import compile_file
from ltp_ros.model import last_block, vit
from ltp_ros.reduction.base import PatchSelector, PixelReader
from ltp_ros.reduction.tome import TokenMerger
from ltp_ros.research.benchmarks.gmacs import profiled

Run = Callable[[], object]  # returns once the result is available


class PruningStep(nn.Module):
    """The part of a model that selects and gathers the tokens, on its own.

    For ToMe, which has no such part, the matching and merging of all blocks.

    Args:
        model: with a `TokenReducer` in `patch_drop`.
        pixels: input of the model (B, 3, H, W).
    """

    def __init__(self, model: nn.Module, pixels: torch.Tensor):
        super().__init__()
        self.reducer = model.patch_drop
        self.merges: List[Tuple[torch.Tensor, torch.Tensor, int]] = []
        self.inputs: Dict[str, torch.Tensor] = {}
        if isinstance(self.reducer, TokenMerger):
            merge = self.reducer.merge_tokens

            def record(x: torch.Tensor, keys: torch.Tensor, num_merged: int) -> torch.Tensor:
                self.merges.append((x, keys, num_merged))
                return merge(x, keys, num_merged)
            with mock.patch.object(self.reducer, 'merge_tokens', record):
                model(pixels)
            if self.merges:
                self.inputs['tokens'] = self.merges[0][0]
        else:
            seen: List[torch.Tensor] = []
            hook = self.reducer.register_forward_pre_hook(
                lambda module, inputs: seen.append(inputs[0].clone()))
            model(pixels)
            hook.remove()
            if isinstance(self.reducer, PixelReader):
                self.inputs['pixels'] = pixels
            self.inputs['tokens'] = seen[0]

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Run the step on the inputs recorded in a forward pass of the model."""
        if isinstance(self.reducer, TokenMerger):
            self.reducer(inputs[0])
            for merge in self.merges:
                merged = self.reducer.merge_tokens(*merge)
            return merged
        if isinstance(self.reducer, PixelReader):
            self.reducer.look(inputs[0])
        return self.reducer(inputs[-1])


def eager(model: Callable[[torch.Tensor], object], pixels: torch.Tensor) -> Run:
    """Return a run of plain torch calls."""
    @torch.inference_mode()
    def run() -> None:
        model(pixels)
        if pixels.is_cuda:
            torch.cuda.synchronize()
    return run


def graph(model: nn.Module, precision: str, keep_ratio: float, pixels: torch.Tensor) -> Run:
    """Return a run of the model that the graph backend captures and launches.

    Raises:
        RuntimeError: if the images are not on a CUDA device, or the capture fails.
    """
    backend = GraphBackend(model, vit.data_config(model), pixels.device, precision, print)
    backend.pixels = pixels  # any batch size
    backend.run(pixels, keep_ratio)

    def run() -> None:
        backend.run(pixels, keep_ratio)
        torch.cuda.synchronize()
    return run


def repeated(work: Callable[[], object], times: int, device: torch.device) -> Run:
    """Return a run that repeats `work`, on a GPU in one CUDA graph."""
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

    def replay(in_use: object = work) -> None:  # a graph holds addresses, `work` the tensors
        captured.replay()
        torch.cuda.synchronize()
    return replay


def onnx(path: Path, inputs: Mapping[str, torch.Tensor], device: str) -> Run:
    """Return a run of an ONNX file."""
    needed = ['CUDAExecutionProvider'] if device == 'cuda' else []
    providers = [(name, {'device_id': torch.cuda.current_device()}) for name in needed]
    session = open_session(path, [*providers, 'CPUExecutionProvider'], needed,
                           session_options(torch.get_num_threads()))
    wanted = {each.name for each in session.get_inputs()}
    feed = {name: value.numpy() for name, value in inputs.items() if name in wanted}
    return lambda: session.run(None, feed)


def openvino(path: Path, inputs: Mapping[str, torch.Tensor], device: str, precision: str) -> Run:
    """Return a run of an ONNX file in OpenVINO."""
    if device != 'cpu':
        raise RuntimeError('OpenVINO is timed on the CPU')
    request = compile_file(path, precision, torch.get_num_threads()).create_infer_request()
    wanted = {each.any_name for each in request.model_inputs}
    feed = {name: value.numpy() for name, value in inputs.items() if name in wanted}
    return lambda: request.infer(feed)


@torch.inference_mode()
def make(backend: str, precision: str, model: nn.Module, keep_ratio: float, pixels: torch.Tensor,
         device: str, folder: Path) -> Tuple[Run, Optional[Run], nn.Module]:
    """Return a run of a model, one of its pruning step if that is possible, and the model's copy.

    Args:
        backend: 'eager', 'graph', 'onnx' or 'openvino'.
        precision: number format.
        model: with a `TokenReducer` in `patch_drop`, float32 on the CPU; it is copied.
        keep_ratio: (0, 1].
        pixels: (B, 3, H, W) float32 on the CPU.
        device: 'cpu' or 'cuda'.
        folder: for exported models; not shared with another run.

    Raises:
        RuntimeError: if the backend does not support this precision on this device.
    """
    if backend == 'onnx' and precision not in ('float32', 'int8' if device == 'cpu' else ''):
        raise RuntimeError(f'{precision} on {device} is not timed with onnx; use float32')
    model = copy.deepcopy(model).requires_grad_(False)  # an exported step has constant weights
    last_block.attach(model)  # as in a node
    model.patch_drop.keep_ratio = keep_ratio
    if backend in ('onnx', 'openvino'):
        open_file = onnx if backend == 'onnx' else functools.partial(openvino, precision=precision)
        step = PruningStep(model, pixels)
        export_level(model, keep_ratio, folder / 'model.onnx', len(pixels), precision == 'int8')
        model.patch_drop.keep_ratio = keep_ratio
        run = open_file(folder / 'model.onnx', {'pixels': pixels}, device)
        if not isinstance(model.patch_drop, (PatchSelector, PixelReader)):
            return run, None, model
        export(step, step.inputs, ('kept',), folder / 'step.onnx')
        return run, open_file(folder / 'step.onnx', step.inputs, device), model
    dtype = getattr(torch, precision)
    model, pixels = model.to(device, dtype), pixels.to(device, dtype)
    step = PruningStep(model, pixels)
    inputs = tuple(step.inputs.values())
    if backend == 'graph':
        run = graph(model, precision, keep_ratio, pixels)
        return run, repeated(lambda: step(*inputs), 1, pixels.device) if inputs else None, model
    return eager(model, pixels), eager(lambda _: step(*inputs), pixels) if inputs else None, model


def interleave(runs: Sequence[Run], rounds: int, warm_up: int = 2,
               progress: Callable[[], None] = lambda: None, seconds: float = math.inf,
               fewest: int = 0) -> List[List[float]]:
    """Time the runs in interleaved rounds; return the milliseconds of each run in each round.

    Interleaving spreads a disturbance over all runs, so that ratios within a round are meaningful.

    Args:
        runs: to be timed.
        rounds: at most.
        warm_up: rounds before, which are not timed.
        progress: called after every round.
        seconds: after which no further round is begun, warm-up included.
        fewest: rounds that are timed though it is later.
    """
    end = time.perf_counter() + seconds
    times_ms: List[List[float]] = [[] for _ in runs]
    for index in range(warm_up + rounds):
        if index >= warm_up + fewest and time.perf_counter() >= end:
            break
        for run, times in zip(runs, times_ms):
            start = time.perf_counter()
            run()
            if index >= warm_up:
                times.append(1e3 * (time.perf_counter() - start))
        progress()
    return times_ms


@torch.inference_mode()
def peak_mib(model: nn.Module, pixels: torch.Tensor) -> float:
    """Return the peak memory of one forward pass in MiB, without weights and input."""
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
