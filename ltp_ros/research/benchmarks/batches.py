# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Batches through every method, in each backend and number format, in turns. No ROS."""
import itertools
import tempfile
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import torch
from torch import nn

from ltp_ros.research.benchmarks import BenchmarkError
from ltp_ros.research.benchmarks.methods import LTP, NO_REDUCTION, Contender, row
from ltp_ros.research.benchmarks.runners import interleave, make, peak_mib

WARM_UP = 2  # rounds before those that count
Cell = Tuple[str, Contender]  # a 'backend:precision' pair and its contender


def measure_batch(models: Dict[str, nn.Module], contenders: Sequence[Contender],
                  pairs: Sequence[str], batch: int, device: str, rounds: int,
                  progress: Callable[[str], None]) -> List[Dict[str, object]]:
    """Return one row for each pair of backend and number format, and each contender.

    Args:
        models: by method, in float32 on the CPU.
        contenders: the configurations to compare.
        pairs: 'backend:precision'.
        batch: images a batch.
        device: 'cuda' or 'cpu'.
        rounds: of all of them, in turns.
        progress: called `steps_of` times, with what is being done.

    Raises:
        BenchmarkError: if a pair cannot run here.
    """
    pixels = torch.randn(batch, 3, *models[NO_REDUCTION].patch_embed.img_size)
    cells = list(itertools.product(pairs, contenders))
    memory: Dict[Cell, Optional[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        runs, steps = [], []
        for number, (pair, contender) in enumerate(cells):
            progress('preparing')
            backend, precision = pair.split(':')
            try:
                run, step, model = make(backend, precision, models[contender.method],
                                        contender.keep_ratio, pixels, device,
                                        Path(folder) / str(number))
            except (ImportError, RuntimeError) as error:
                raise BenchmarkError(f'{pair} cannot run {contender.method} here: {error}; choose '
                                     'others with --run') from error
            runs.append(run)
            steps.append(step)
            memory[pair, contender] = None if backend in ('onnx', 'openvino') else peak_mib(
                model, pixels.to(next(model.parameters()).device,
                                 next(model.parameters()).dtype))
        times = dict(zip(cells, interleave(
            runs, rounds, WARM_UP, lambda: progress(f'{rounds} rounds'))))
        timed_steps = [step for step in steps if step]
        step_times = iter(interleave(timed_steps, rounds))
        prune_ms = {cell: next(step_times) if step else None for cell, step in zip(cells, steps)}
    rows: List[Dict[str, object]] = []
    for cell in cells:
        pair, contender = cell
        backend, precision = pair.split(':')
        pruning = None if contender.method == NO_REDUCTION else prune_ms[cell]
        rows.append({
            **row(contender, batch, backend, precision, times[cell],
                  baselines(times, pair, contender)),
            'peak_mib': memory[cell],
            'prune_ms': None if pruning is None else float(torch.tensor(pruning).median())})
    return rows


def steps_of(pairs: Sequence[str], contenders: Sequence[Contender], rounds: int) -> int:
    """Return how often `measure_batch` calls its `progress`."""
    return len(pairs) * len(contenders) + WARM_UP + rounds


def baselines(times: Mapping[Cell, Sequence[float]], pair: str,
              contender: Contender) -> Dict[str, Sequence[float]]:
    """Return the times to compare those of a contender with, by name."""
    found = {}
    for (other_pair, other), milliseconds in times.items():
        if other.method == NO_REDUCTION and other_pair == pair:
            found['unpruned'] = milliseconds
        if other.method == NO_REDUCTION and other_pair == 'eager:float32':
            found['eager_float32'] = milliseconds
    ltp = [other for other_pair, other in times if other_pair == pair and other.method == LTP]
    if ltp:
        nearest = min(ltp, key=lambda other: abs(other.keep_ratio - contender.keep_ratio))
        found['ltp'] = times[pair, nearest]
    return found
