# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Run the model as CUDA graphs: one for each ladder level, launched as a whole."""
import inspect
import threading
import weakref
from collections import defaultdict
from typing import (
    Callable,
    DefaultDict,
    Dict,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    TypeVar,
)

import numpy as np
import torch
from torch import nn

from ltp_ros.backends.eager import EagerBackend
from ltp_ros.backends.protocol import BackendAnswer, Device, Log
from ltp_ros.model.data_config import DataConfig
from ltp_ros.region import Region

T = TypeVar('T')
DEVICE = 'cuda'
BATCHES = (2, 4, 8, 16)  # sizes that have graphs of their own; a batch fills the next larger one
WARM_UP_RUNS = 3      # on a side stream before a capture, as torch asks for
RETRY_FRAMES = 1000   # run eagerly after a failed capture, before the next is tried
# torch has 32 streams and keeps a workspace for each that was used: those of backends that are
# gone are used again
_IDLE_STREAMS: DefaultDict[torch.device, List['torch.cuda.Stream']] = defaultdict(list)
# Two captures at a time would disturb each other
_CAPTURE_LOCK = threading.Lock()


class CaptureError(RuntimeError):
    """A graph that could not be captured."""


class _Level(NamedTuple):
    graph: 'torch.cuda.CUDAGraph'
    answer: torch.Tensor  # on the device, written by the graph


class GraphBackend(EagerBackend):
    """Preprocess plainly into a fixed buffer, then run the model from there in one launch.

    A level is captured when it is first seen, which `warm_up` does for all; for batches, in each
    of BATCHES. No camera size needs a capture of its own. The graphs share one memory pool, as
    only one runs at a time.

    Once a level has run, a capture that fails does not end the backend: the frame is answered
    with plain calls, as are those after it until a capture is tried again.

    Args:
        model: the Vision Transformer with a `TokenReducer` in `patch_drop`, in eval mode.
        data_config: the input that the model expects.
        device: a CUDA device.
        precision: number format of the weights and activations.
        log: called when a capture fails.

    Raises:
        RuntimeError: if the device is not a CUDA device.
    """

    name = 'graph'

    def __init__(self, model: nn.Module, data_config: DataConfig, device: Device,
                 precision: str, log: Log):
        if device.type != DEVICE:
            raise RuntimeError('CUDA graphs need a CUDA device; use backend:=eager')
        super().__init__(model, data_config, device, precision)
        self.pixels = torch.zeros(1, 3, *data_config.input_size, dtype=self.dtype, device=device)
        self._batches = {1: self.pixels}  # inputs, by their number
        self._log = log
        self._worked = False
        self._plain_frames = 0  # to be run without a graph
        self._begin_anew()

    def _begin_anew(self) -> None:
        idle = _IDLE_STREAMS[self.device]
        self._stream = idle.pop() if idle else torch.cuda.Stream(self.device)
        self._return_stream = weakref.finalize(self, idle.append, self._stream)
        self._pool = torch.cuda.graph_pool_handle()
        self._levels: Dict[Tuple[float, int], _Level] = {}  # and number of inputs

    def __call__(self, rgb: np.ndarray, keep_ratio: float, top_k: int,
                 box: Optional[Region] = None) -> BackendAnswer:
        """Classify one image; see `Backend`."""
        return self._on_stream(
            lambda: EagerBackend.__call__(self, rgb, keep_ratio, top_k, box))

    def batch(self, rgb: np.ndarray, boxes: Sequence[Region], keep_ratio: float,
              top_k: int) -> List[BackendAnswer]:
        """Classify parts of one image at once; see `Backend`."""
        if len(boxes) == 1:
            return [self(rgb, keep_ratio, top_k, boxes[0])]
        return self._on_stream(lambda: self._batch(rgb, boxes, keep_ratio, top_k))

    @torch.inference_mode()
    def _batch(self, rgb: np.ndarray, boxes: Sequence[Region], keep_ratio: float,
               top_k: int) -> List[BackendAnswer]:
        size = next(size for size in BATCHES if size >= len(boxes))
        if size not in self._batches:
            one = self._batches[1]
            self._batches[size] = one.new_zeros(size, *one.shape[1:])
        found = self.run(self.transfer.parts(rgb, boxes, self._batches[size]), keep_ratio)
        return self._answers(found[:len(boxes)], top_k)

    def _on_stream(self, work: Callable[[], T]) -> T:
        try:
            with torch.cuda.stream(self._stream):
                return work()
        except CaptureError as error:
            if not self._worked:
                raise
            self._log(f'{error}; going on without CUDA graphs for {RETRY_FRAMES} images')
        # An interrupted capture leaves its stream and its pool unusable
        self._return_stream.detach()
        self._begin_anew()
        self._plain_frames = RETRY_FRAMES
        return self._on_stream(work)

    def run(self, pixels: torch.Tensor, keep_ratio: float) -> torch.Tensor:
        """Return the answer of `EagerBackend.run` for inputs in a buffer of this backend."""
        if self._plain_frames:
            self._plain_frames -= 1
            return super().run(pixels, keep_ratio)
        level = self._levels.get((keep_ratio, len(pixels)))
        if level is None:
            level = self._levels[keep_ratio, len(pixels)] = self._capture(pixels, keep_ratio)
        level.graph.replay()
        self._worked = True
        return level.answer

    def _capture(self, pixels: torch.Tensor, keep_ratio: float) -> _Level:
        for _ in range(WARM_UP_RUNS):
            super().run(pixels, keep_ratio)
        self._stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        try:
            with _CAPTURE_LOCK, torch.cuda.graph(graph, pool=self._pool, stream=self._stream,
                                                 **_capture_mode()):
                answer = super().run(pixels, keep_ratio)
        except RuntimeError as error:
            raise CaptureError(f'keep_ratio {keep_ratio:g} could not be captured: {error}'
                               ) from error
        return _Level(graph, answer)


def _capture_mode() -> Dict[str, str]:
    # By default whatever any other thread asks of the GPU invalidates a capture; torch 2.0 has
    # no other mode
    known = inspect.signature(torch.cuda.graph.__init__).parameters
    return {'capture_error_mode': 'thread_local'} if 'capture_error_mode' in known else {}
