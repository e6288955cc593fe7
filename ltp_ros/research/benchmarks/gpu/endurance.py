# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Many frames at random levels: tail latency, memory growth and energy per image."""
import time
from typing import List

import numpy as np
import torch

from ltp_ros.machine import resident_mib
from ltp_ros.research.benchmarks.gpu.nvml import CardState, card_state
from ltp_ros.research.benchmarks.gpu.parts import Task
from ltp_ros.research.benchmarks.gpu.subjects import (
    PAPER_MODELS,
    SMALL_MODEL,
    Subject,
    backend_of,
    levels,
    main_pair,
    noise,
)

NUM_FRAMES = 10_000
FEW_FRAMES = 300
GROWTH_MIB = 32.0


def run(task: Task) -> None:
    """Answer a number of frames, or fewer if time runs out."""
    small, on_gpu = task.settings.small, task.settings.device == 'cuda'
    name = SMALL_MODEL if small else PAPER_MODELS[0]
    backend = backend_of(*main_pair(task.settings), Subject(name).model('ltp'), task.settings)
    pictures = [noise(480, 640, seed) for seed in range(4)]
    generator = np.random.default_rng(0)
    held_mib: List[float] = []
    for keep_ratio in levels(task.settings):
        for rgb in pictures:
            backend(rgb, keep_ratio, 5)
        held_mib.append(torch.cuda.memory_reserved() / 2 ** 20 if on_gpu else resident_mib())
    task.row('memory of the ladder', model=name, levels=len(held_mib),
             with_one_mib=held_mib[0], with_all_mib=held_mib[-1])
    card, resident = card_state() if on_gpu else CardState(), resident_mib()
    reserved = torch.cuda.memory_reserved() if on_gpu else 0
    times_ms: List[float] = []
    began = time.perf_counter()
    for index in range(FEW_FRAMES if small else NUM_FRAMES):
        if task.left_s < 1.0 and times_ms:
            task.note(f'time ran out after {index} frames')
            break
        keep_ratio = generator.choice(levels(task.settings))
        start = time.perf_counter()
        backend(pictures[index % len(pictures)], keep_ratio, 5)
        times_ms.append(1e3 * (time.perf_counter() - start))
    seconds = time.perf_counter() - began
    p50, p99, p999 = np.percentile(times_ms, (50, 99, 99.9))
    task.row('frames at random levels', model=name, run=' '.join(main_pair(task.settings)),
             frames=len(times_ms), p50_ms=float(p50), p99_ms=float(p99), p999_ms=float(p999),
             max_ms=max(times_ms), per_s=len(times_ms) / seconds)
    if on_gpu:
        after = card_state()
        task.row('card', moment='before', **card.known())
        energy = {} if card.energy_j is None or after.energy_j is None else {
            'mj_per_image': 1e3 * (after.energy_j - card.energy_j) / len(times_ms)}
        task.row('card', moment='after', **after.known(), **energy)
    grown = resident_mib() - resident
    task.check('memory use is constant', grown < GROWTH_MIB and (
        not on_gpu or torch.cuda.memory_reserved() == reserved), f'{grown:.1f} MiB more')
