# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Stress tests: trouble around a backend must not change its answers afterwards."""
import gc
import threading
import time
from typing import List, Optional

import numpy as np
import torch

from ltp_ros.backends.protocol import Backend
from ltp_ros.model.data_config import ImageSizeError
from ltp_ros.research.benchmarks.gpu.parts import Task
from ltp_ros.research.benchmarks.gpu.subjects import (
    Subject,
    backend_of,
    levels,
    main_pair,
    noise,
    same,
    scene,
    subjects,
)

LIVES = 4
LEAK_MIB = 1.0
HELD = 400  # blocks of memory that the thread allocates during a capture


def run(task: Task) -> None:
    """Stress a backend, and check after each test that its answers are the same."""
    subject = subjects(task.settings)[0]
    backend = backend_of(*main_pair(task.settings), subject.model('ltp'), task.settings)
    pictures = [scene(480, 640, seed) for seed in range(3)]
    expected = [backend(rgb, keep_ratio, 5) for rgb in pictures
                for keep_ratio in levels(task.settings)]

    def check(after: str, other: Optional[Backend] = None) -> None:
        found = [(other or backend)(rgb, keep_ratio, 5) for rgb in pictures
                 for keep_ratio in levels(task.settings)]
        right = sum(same(*pair) for pair in zip(found, expected))
        task.check(f'after {after} every answer is the same', right == len(expected),
                   f'{right} of {len(expected)}')

    new_sizes(task, backend)
    check('five new camera sizes')
    refused_picture(task, backend)
    check('a rejected picture')
    if task.settings.device == 'cuda':
        other = capture_beside_a_thread(task, subject)
        check('captures while another thread allocates', other)
        del other
        out_of_memory(task, backend)
        check('running out of memory')
    lives(task, subject)
    check(f'creating and deleting {LIVES} more backends')


def new_sizes(task: Task, backend: Backend) -> None:
    """Time the first and the second image of each of five new sizes."""
    for width in (648, 656, 664, 672, 680):
        times_ms: List[float] = []
        for _ in range(2):
            start = time.perf_counter()
            backend(noise(480, width), 0.53, 5)
            times_ms.append(1e3 * (time.perf_counter() - start))
        task.row('a new camera size', width=width, first_ms=times_ms[0], second_ms=times_ms[1])


def refused_picture(task: Task, backend: Backend) -> None:
    """Check that a picture that cannot be resized is rejected."""
    try:
        backend(np.zeros((1, 100_000, 3), np.uint8), 0.53, 5)
        task.check('a picture of 100000x1 is rejected', False)
    except ImageSizeError:
        task.check('a picture of 100000x1 is rejected', True)


def capture_beside_a_thread(task: Task, subject: Subject) -> Backend:
    """Capture every level while another thread allocates device memory; return the backend."""
    stop = threading.Event()
    held: List[torch.Tensor] = []

    def allocate() -> None:
        while not stop.is_set() and len(held) < HELD:  # each a cudaMalloc
            held.append(torch.empty((12 + 2 * (len(held) % 8)) << 20, device='cuda',
                                    dtype=torch.uint8))
            time.sleep(0.002)

    logged: List[str] = []
    backend = backend_of(*main_pair(task.settings), subject.model('ltp'), task.settings,
                         logged.append)
    thread = threading.Thread(target=allocate)
    thread.start()
    try:
        for keep_ratio in levels(task.settings):
            backend(noise(480, 640), keep_ratio, 5)
    finally:
        stop.set()
        thread.join()
    task.row('captures while another thread allocates', blocks_allocated=len(held),
             logged='; '.join(logged))
    held.clear()
    torch.cuda.empty_cache()
    return backend


def out_of_memory(task: Task, backend: Backend) -> None:
    """Check that a picture too large for the device memory is rejected."""
    total = torch.cuda.get_device_properties().total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(
        (torch.cuda.memory_reserved() + 64 * 2 ** 20) / total)
    try:
        backend(np.zeros((6000, 8000, 3), np.uint8), 0.53, 5)
        task.check('a picture too large for the memory is rejected', False)
    except ImageSizeError:
        task.check('a picture too large for the memory is rejected', True)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()


def lives(task: Task, subject: Subject) -> None:
    """Create, use and delete backends; check that none leaves memory on the device."""
    left: List[float] = []
    for life in range(LIVES):
        other = backend_of(*main_pair(task.settings), subject.model('ltp'), task.settings)
        other(noise(480, 640), 0.53, 5)
        del other
        gc.collect()
        if task.settings.device == 'cuda':
            torch.cuda.empty_cache()
            left.append(torch.cuda.memory_allocated() / 2 ** 20)
            task.row('lives of a backend', life=life, allocated_mib=left[-1],
                     reserved_mib=torch.cuda.memory_reserved() / 2 ** 20)
    task.check('a deleted backend leaves no memory in use',
               not left or left[-1] - left[0] < LEAK_MIB, ', '.join(f'{mib:.1f}' for mib in left))
