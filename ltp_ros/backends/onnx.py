# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Run the model with ONNX Runtime: one session a ladder level, each with static shapes."""
import os
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple, Type

import numpy as np
import torch
from torch import nn

from ltp_ros.backends.export import export_level, level_file
from ltp_ros.preprocessing import DataConfig, Preprocessor

PROVIDERS = {'cuda': ('TensorrtExecutionProvider', 'CUDAExecutionProvider'), 'cpu': ()}


def session_options() -> Any:
    """Return options for as many threads as torch has; idle ones spin if torch's do."""
    import onnxruntime  # noqa: PLC0415  not everywhere
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # warnings about its own optimisations say nothing here
    if os.environ.get('OMP_WAIT_POLICY', '').upper() == 'PASSIVE':  # see docs/tuner.md
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    return options


def open_session(path: Path, providers: Sequence[Any] = ('CPUExecutionProvider',),
                 needed: Sequence[str] = ()) -> Any:
    """Return a session of an ONNX file.

    Args:
        path: the file.
        providers: for ONNX Runtime, the best first.
        needed: one of these must run it; none: any may.

    Raises:
        RuntimeError: if the file cannot be loaded, or none of the `needed` providers starts; ONNX
            Runtime by itself would go on without.
    """
    import onnxruntime  # noqa: PLC0415  not everywhere
    try:
        session = onnxruntime.InferenceSession(str(path), session_options(),
                                               providers=list(providers))
    except errors() as error:
        raise RuntimeError(f'ONNX Runtime cannot load {path}: {error}. If the file is damaged, '
                           'remove it: it will be exported anew') from error
    if needed and session.get_providers()[0] not in needed:
        raise RuntimeError(f'ONNX Runtime could not start {" or ".join(needed)} and says above '
                           'why; install the libraries that this onnxruntime wants, or use '
                           'another backend')
    session.disable_fallback()  # else an error in a run moves it to the CPU
    return session


def errors() -> Tuple[Type[Exception], ...]:
    """Return what ONNX Runtime raises; none of them is a RuntimeError."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state  # noqa: PLC0415
    return (state.Fail, state.EPFail, state.InvalidArgument, state.InvalidGraph,
            state.InvalidProtobuf, state.NotImplemented, state.RuntimeException)


class OnnxBackend:
    """Preprocess with torch, run the rest in ONNX Runtime.

    A level whose file is not there yet is exported when it is first used, which `warm_up` does.

    Args:
        model: the Vision Transformer with a `TokenReducer` in `patch_drop`, in eval mode, in
            float32 on the CPU.
        data_config: what the model expects of its input.
        device: where it runs; on 'cuda' TensorRT if it is there, then CUDA.
        precision: 'float32'; on the CPU also 'int8', with TensorRT 'float16'.
        folder: where the exported levels and TensorRT's engines are kept.

    Raises:
        ImportError: if onnx or onnxruntime is missing.
        RuntimeError: if ONNX Runtime has no provider for the device or the precision.
    """

    name = 'onnx'

    def __init__(self, model: nn.Module, data_config: DataConfig, device: torch.device,
                 precision: str, folder: Path):
        import onnx  # noqa: F401  (the export needs it; say so before the model is tried)
        import onnxruntime
        self.device, self.precision = device, precision
        self.model = model
        self.preprocessor = Preprocessor(data_config)  # its output is uploaded by the runtime
        self._folder = folder
        self._providers = self._choose_providers(onnxruntime.get_available_providers())
        self._sessions: Dict[float, Any] = {}

    def __call__(self, rgb: np.ndarray, keep_ratio: float,
                 top_k: int) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Classify (H, W, 3) uint8; returns what `EagerBackend` does."""
        session = self._sessions.get(keep_ratio) or self._load(keep_ratio)
        with torch.inference_mode():
            pixels = self.preprocessor(torch.from_numpy(np.require(rgb, requirements='CW')))
        try:
            scores, class_ids, kept = session.run(None, {'pixels': pixels.numpy()})
        except errors() as error:
            raise RuntimeError(f'ONNX Runtime cannot run this level: {error}') from error
        return scores[0, :top_k], class_ids[0, :top_k], kept[0]

    def _choose_providers(self, available: Sequence[str]) -> List[Any]:
        found: List[Any] = [name for name in PROVIDERS[self.device.type] if name in available]
        if self.device.type != 'cpu' and not found:
            raise RuntimeError('this onnxruntime has no provider for CUDA; install '
                               'onnxruntime-gpu, or use backend:=graph')
        possible = ['float32']
        if self.device.type == 'cpu':
            possible.append('int8')
        elif 'TensorrtExecutionProvider' in found:
            possible.append('float16')
        if self.precision not in possible:
            raise RuntimeError(f'ONNX Runtime has no {self.precision} here, but '
                               f'{" and ".join(possible)}; int8 is for the CPU, float16 comes '
                               'with TensorRT')
        if 'TensorrtExecutionProvider' in found:
            found[0] = ('TensorrtExecutionProvider', {
                'trt_engine_cache_enable': True, 'trt_engine_cache_path': str(self._folder),
                'trt_fp16_enable': self.precision == 'float16'})
        return [*found, 'CPUExecutionProvider']

    def _load(self, keep_ratio: float) -> Any:
        int8 = self.precision == 'int8'
        path = level_file(self._folder, keep_ratio, int8)
        if not path.is_file():
            export_level(self.model, keep_ratio, path, int8=int8)
        # Float16 comes with TensorRT alone
        needed = PROVIDERS[self.device.type][:1 if self.precision == 'float16' else None]
        session = self._sessions[keep_ratio] = open_session(path, self._providers, needed)
        return session
