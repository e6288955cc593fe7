# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Run the model as CUDA graphs: one for each ladder level and camera size, launched as a whole."""
from typing import Dict, NamedTuple, Tuple

import numpy as np
import torch
from torch import nn

from ltp_ros.backends.eager import unpack, whole_model
from ltp_ros.backends.export import MAX_CLASSES
from ltp_ros.preprocessing import DataConfig, Preprocessor

WARM_UP_RUNS = 3  # on a side stream before a capture, as torch asks for
MAX_SIZES = 4     # camera sizes whose graphs are kept


class _Level(NamedTuple):
    graph: 'torch.cuda.CUDAGraph'
    packed: torch.Tensor  # on the device, written by the graph


class _Size(NamedTuple):
    """What the graphs of one camera size share."""

    upload: torch.Tensor  # (H, W, 3) uint8, pinned
    image: torch.Tensor   # the same on the device, read by the graphs
    levels: Dict[float, _Level]


class GraphBackend:
    """Preprocess, prune, run, choose classes in one graph: one upload, one launch, one read-back.

    A graph is captured when its level is first seen; `warm_up` does so for cameras of 640x480.
    Another camera size stops the node once, for all the levels. The graphs share one memory pool,
    as only one runs at a time.

    Args:
        model: the Vision Transformer with a `TokenReducer` in `patch_drop`, in eval mode.
        data_config: what the model expects of its input.
        device: a CUDA device.
        precision: number format of the weights and activations.
    """

    name = 'graph'

    def __init__(self, model: nn.Module, data_config: DataConfig, device: torch.device,
                 precision: str):
        if device.type != 'cuda':
            raise RuntimeError('CUDA graphs need a CUDA device; use backend:=eager')
        self.device, self.precision = device, precision
        dtype = getattr(torch, precision)
        self.model = model.to(device=device, dtype=dtype)
        self.model.patch_drop.trace = True
        self.preprocessor = Preprocessor(data_config, dtype).to(device)
        self._top_k = min(MAX_CLASSES, model.num_classes)
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream(device)
        self._sizes: Dict[Tuple[int, int], _Size] = {}
        longest = self._top_k * 2 + model.patch_drop.num_patches
        self._read_back = torch.empty(longest, pin_memory=True)

    @torch.inference_mode()
    def __call__(self, rgb: np.ndarray, keep_ratio: float,
                 top_k: int) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Classify (H, W, 3) uint8; returns what `EagerBackend` does."""
        with torch.cuda.stream(self._stream):
            size = self._sizes.get(rgb.shape[:2]) or self._prepare(*rgb.shape[:2])
            np.copyto(size.upload.numpy(), rgb)
            level = size.levels.get(keep_ratio) or self._capture(size, keep_ratio)
            size.image.copy_(size.upload, non_blocking=True)
            level.graph.replay()
            read_back = self._read_back[:len(level.packed)]
            read_back.copy_(level.packed, non_blocking=True)
            self._stream.synchronize()
        scores, class_ids, kept = unpack(read_back.numpy().copy(), self._top_k)
        return scores[:top_k], class_ids[:top_k], kept

    def _prepare(self, height: int, width: int) -> _Size:
        known = sorted({ratio for size in self._sizes.values() for ratio in size.levels})
        while len(self._sizes) >= MAX_SIZES:  # the oldest; the pool keeps its memory for the next
            self._sizes.pop(next(iter(self._sizes)))
        upload = torch.zeros((height, width, 3), dtype=torch.uint8, pin_memory=True)
        size = self._sizes[height, width] = _Size(upload, upload.to(self.device), {})
        for keep_ratio in known:  # else the tuner meets a capture at each level that it tries
            self._capture(size, keep_ratio)
        return size

    def _capture(self, size: _Size, keep_ratio: float) -> _Level:
        self.model.patch_drop.keep_ratio = keep_ratio
        size.image.copy_(size.upload)
        for _ in range(WARM_UP_RUNS):
            whole_model(self.model, self.preprocessor, size.image, self._top_k)
        self._stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
            packed = whole_model(self.model, self.preprocessor, size.image, self._top_k)
        level = size.levels[keep_ratio] = _Level(graph, packed)
        return level
