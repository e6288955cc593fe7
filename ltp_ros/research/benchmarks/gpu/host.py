# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""No host in the loop: no waits, allocations or extra copies between image and answer."""
from typing import List
from unittest import mock

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from ltp_ros.backends.eager import EagerBackend
from ltp_ros.backends.protocol import Backend
from ltp_ros.machine import resident_mib
from ltp_ros.research.benchmarks.gpu.parts import Task
from ltp_ros.research.benchmarks.gpu.subjects import (
    backend_of,
    levels,
    main_pair,
    methods,
    noise,
    subjects,
)

NUM_FRAMES = 1000
FEW_FRAMES = 60
GROWTH_MIB = 16.0  # allowed for the whole process, over all frames


def run(task: Task) -> None:
    """Check waits, copies and memory of every method."""
    subject = subjects(task.settings)[0]
    for method in methods():
        if not task.has(0.1, method):
            return
        backend = backend_of(*main_pair(task.settings), subject.model(method), task.settings)
        for keep_ratio in levels(task.settings):
            backend(noise(480, 640), keep_ratio, 5)
        if task.settings.device == 'cuda':
            check_waits(task, backend, method)
            check_copies(task, backend, method)
            check_waits(task, backend_of('eager', 'float16', subject.model(method),
                                         task.settings), f'{method}, plain calls')
        check_memory(task, backend, method)


def check_waits(task: Task, backend: Backend, name: str) -> None:
    """Check, in torch's sync debug mode, that only the read-back waits for the device."""
    assert isinstance(backend, EagerBackend)  # as is the graph backend
    read_back = backend.transfer.read_back

    def read_back_that_may_wait(answer: torch.Tensor) -> np.ndarray:
        torch.cuda.set_sync_debug_mode('default')
        return read_back(answer)

    rgb, waits = noise(480, 640), []
    with mock.patch.object(backend.transfer, 'read_back', read_back_that_may_wait):
        try:
            for keep_ratio in levels(task.settings):
                backend(rgb, keep_ratio, 5)
                torch.cuda.set_sync_debug_mode('error')
                try:
                    backend(rgb, keep_ratio, 5)
                except RuntimeError as error:
                    waits.append(f'{keep_ratio:g}: {error}')
        finally:
            torch.cuda.set_sync_debug_mode('default')
    task.check(f'{name}: only the read-back waits for the device', not waits,
               '; '.join(waits)[:300])


def check_copies(task: Task, backend: Backend, name: str) -> None:
    """Check that a frame is one copy up and one down; count its kernels and graph launches."""
    rgb = noise(480, 640)
    for keep_ratio in (1.0, 0.53):
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
            backend(rgb, keep_ratio, 5)
        events = profiler.events()
        up, down = (sum(f'Memcpy {way}' in event.name for event in events)
                    for way in ('HtoD', 'DtoH'))
        kernels = sum(event.device_type == torch.autograd.DeviceType.CUDA and
                      'Memcpy' not in event.name and 'Memset' not in event.name
                      for event in events)
        task.row('copies and launches per frame', method=name, keep_ratio=keep_ratio, up=up,
                 down=down, kernels=kernels,
                 graph_launches=sum('GraphLaunch' in event.name for event in events))
        task.check(f'{name} at {keep_ratio:g}: one copy up (the image) and one down (the answer)',
                   (up, down) == (1, 1), f'{up} up, {down} down')


def check_memory(task: Task, backend: Backend, name: str) -> None:
    """Check that many frames at random levels need no more memory on device or host."""
    rgb, generator = noise(480, 640), np.random.default_rng(0)
    count = FEW_FRAMES if task.settings.small else NUM_FRAMES
    ladder = levels(task.settings)

    def state() -> List[int]:
        stats = torch.cuda.memory_stats() if task.settings.device == 'cuda' else {}
        return [stats.get(f'{kind}.all.{what}', 0) for kind, what in (
            ('segment', 'allocated'), ('reserved_bytes', 'current'),
            ('allocated_bytes', 'current'))]

    for index in range(count + 20):
        if index == 20:
            before, resident = state(), resident_mib()
        backend(rgb, generator.choice(ladder), 5)
    grown = resident_mib() - resident
    task.row('memory', method=name, frames=count, process_grew_mib=grown,
             device_allocations=state()[0] - before[0],
             device_grew_bytes=state()[1] - before[1])
    task.check(f'{name}: {count} frames need no more memory than the first 20',
               state() == before and grown < GROWTH_MIB, f'{before} to {state()}, {grown:.1f} MiB')
