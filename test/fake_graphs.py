# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""CUDA graphs without CUDA: operators recorded once on a CPU, and run again on the same tensors.

What a graph cannot do, this cannot do either: Python does not run again, inputs and outputs stay
where they were, a size cannot change.
"""
import contextlib
from types import SimpleNamespace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from ltp_ros.backends import graph as graph_backend


class FakeGraph:
    """What `torch.cuda.CUDAGraph` is to the backend."""

    def __init__(self):
        self.tape = []

    def replay(self):
        for function, args, kwargs, results in self.tape:
            for new, old in zip(tree_flatten(function(*args, **kwargs))[0],
                                tree_flatten(results)[0]):
                if isinstance(old, torch.Tensor):
                    old.copy_(new)


class Recorder(TorchDispatchMode):
    """Write down on a tape each operator that runs."""

    def __init__(self, tape):
        super().__init__()
        self.tape = tape

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        results = function(*args, **kwargs)
        # A copy of the list: timm's code may reuse its own
        self.tape.append((function, tree_map(lambda leaf: leaf, args), kwargs, results))
        return results


class FakeCuda:
    """Stands for `torch.cuda`; counts its `captures` and raises each of its `failures` once."""

    def __init__(self, monkeypatch):
        if torch.__version__.startswith('2.0.'):
            pytest.skip('torch 2.0 cannot record operators in inference mode')
        self.captures = 0
        self.failures = []
        monkeypatch.setattr(graph_backend, 'DEVICE', 'cpu')
        for name, fake in {
                'CUDAGraph': FakeGraph, 'graph': self.capture, 'graph_pool_handle': object,
                'stream': contextlib.nullcontext,
                'Stream': lambda device: SimpleNamespace(synchronize=lambda: None)}.items():
            monkeypatch.setattr(torch.cuda, name, fake)
        monkeypatch.setattr(graph_backend, '_capture_mode', dict)

    @contextlib.contextmanager
    def capture(self, graph, pool, stream):
        self.captures += 1
        with Recorder(graph.tape):
            yield
        if self.failures:
            raise self.failures.pop(0)
