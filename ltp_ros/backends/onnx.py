# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Run the model with ONNX Runtime on the CPU: one session for the ladder."""
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Sequence, Tuple, Type, Union

import numpy as np

from ltp_ros.backends.exported import ExportedBackend
from ltp_ros.backends.protocol import Device, Log
from ltp_ros.backends.summary import LevelSize
from ltp_ros.model.data_config import DataConfig

if TYPE_CHECKING:
    import onnxruntime  # not everywhere
    from torch import nn

TENSORRT, CUDA, CPU = (f'{name}ExecutionProvider' for name in ('Tensorrt', 'CUDA', 'CPU'))
PROVIDERS = {'cuda': (TENSORRT, CUDA), 'cpu': ()}
Provider = Union[str, Tuple[str, Dict[str, object]]]  # its name, and options
_TYPES = {'tensor(float)': 'float32', 'tensor(int64)': 'int64'}


def session_options(num_threads: int = 0) -> 'onnxruntime.SessionOptions':
    """Return options for so many threads, 0 for one a core; idle ones spin if torch's do."""
    import onnxruntime  # noqa: PLC0415  not everywhere
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.log_severity_level = 3  # warnings about its own optimisations say nothing here
    if os.environ.get('OMP_WAIT_POLICY', '').upper() == 'PASSIVE':  # see docs/deployment.md
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    return options


def open_session(path: Path, providers: Sequence[Provider] = (CPU,), needed: Sequence[str] = (),
                 options: 'Optional[onnxruntime.SessionOptions]' = None
                 ) -> 'onnxruntime.InferenceSession':
    """Return a session of an ONNX file.

    Args:
        path: the file.
        providers: for ONNX Runtime, the best first.
        needed: one of these must run it; none: any may.
        options: none: `session_options`.

    Raises:
        RuntimeError: if the file cannot be loaded, or none of the `needed` providers starts; ONNX
            Runtime by itself would go on without.
    """
    import onnxruntime  # noqa: PLC0415  not everywhere
    try:
        session = onnxruntime.InferenceSession(str(path), options or session_options(),
                                               providers=list(providers))
    except errors() as error:
        raise RuntimeError(f'ONNX Runtime cannot load {path}: {error}') from error
    if needed and session.get_providers()[0] not in needed:
        raise RuntimeError(f'ONNX Runtime could not start {" or ".join(needed)} and says above '
                           'why; install the libraries that this onnxruntime wants, or use '
                           'another backend')
    session.disable_fallback()  # else an error in a run moves it to the CPU
    return session


def errors() -> Tuple[Type[Exception], ...]:
    """Return the exceptions of ONNX Runtime; none of them is a RuntimeError."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state  # noqa: PLC0415
    return (state.Fail, state.EPFail, state.InvalidArgument, state.InvalidGraph,
            state.InvalidProtobuf, state.NotImplemented, state.RuntimeException)


class BoundSession:
    """A session whose inputs and outputs lie in arrays, so that a run copies and allocates none.

    Args:
        session: of one level, or of a ladder.
        pixels: read by each run.
        size: of the level, for a ladder; see `export_ladder`.
    """

    def __init__(self, session: 'onnxruntime.InferenceSession', pixels: Any,
                 size: Optional[LevelSize] = None):
        self._session = session
        self._binding = session.io_binding()
        counts, num_kept = (size.counts, size.num_whole) if size else ((), 0)
        self._inputs = [pixels, *(self._zeros(max(count, 1), 'float32') for count in counts)]
        for value, memory, shape in zip(session.get_inputs(), self._inputs,
                                        [pixels.shape, *((count,) for count in counts)]):
            self._bind(self._binding.bind_input, value.name, memory, shape)
        self.outputs: List[Any] = []
        for output in session.get_outputs():
            shape = [side if isinstance(side, int) else open_side
                     for side, open_side in zip(output.shape, (1, num_kept))]
            length = math.prod(shape)
            # Never empty: `mixed` may keep no patch in full, and a null pointer is refused
            memory = self._zeros(max(length, 1), _TYPES[output.type])
            self._bind(self._binding.bind_output, output.name, memory, shape)
            self.outputs.append(memory[:length].reshape(shape))

    def _zeros(self, length: int, dtype: str) -> Any:
        return np.zeros(length, dtype)

    def _bind(self, bind: Callable[..., None], name: str, memory: Any,
              shape: Sequence[int]) -> None:
        bind(name, 'cpu', 0, memory.dtype, tuple(shape), memory.ctypes.data)

    def run(self) -> List[Any]:
        """Run; return the outputs, which the next run overwrites.

        Raises:
            RuntimeError: if ONNX Runtime fails.
        """
        try:
            self._session.run_with_iobinding(self._binding)
            self._binding.synchronize_outputs()
        except (RuntimeError,) + errors() as error:
            raise RuntimeError(f'ONNX Runtime cannot run this level: {error}') from error
        return self.outputs


class OnnxBackend(ExportedBackend):
    """Levels in ONNX Runtime on the CPU; see `ExportedBackend`.

    Args:
        precision: 'float32' or 'int8'.

    Raises:
        ImportError: if onnx or onnxruntime is missing.
        RuntimeError: if ONNX Runtime does not have the precision.
    """

    name = 'onnx'

    def __init__(self, model: 'Optional[nn.Module]', data_config: DataConfig, device: Device,
                 precision: str, folder: Optional[Path], log: Log, *opened: Any):
        super().__init__(model, data_config, device, precision, folder, log, *opened)
        self._providers = choose_providers(device.type, precision)

    def _open(self, path: Path) -> 'onnxruntime.InferenceSession':
        return open_session(path, options=session_options(self._num_threads))

    def _level(self, opened: 'onnxruntime.InferenceSession',
               size: Optional[LevelSize] = None) -> BoundSession:
        return BoundSession(opened, self._pixels, size)


def choose_providers(device_type: str, precision: str) -> List[str]:
    """Return the execution providers for a device, the best first.

    Raises:
        ImportError: if onnxruntime is missing.
        RuntimeError: if it has none for the device, or they have not the precision.
    """
    import onnxruntime  # noqa: PLC0415  not everywhere
    available = onnxruntime.get_available_providers()
    found = [name for name in PROVIDERS[device_type] if name in available]
    if device_type != 'cpu' and not found:
        raise RuntimeError('this onnxruntime has no provider for CUDA; install '
                           'onnxruntime-gpu, or use backend:=graph')
    possible = ['float32']
    if device_type == 'cpu':
        possible.append('int8')
    elif TENSORRT in found:
        possible.append('float16')
    if precision not in possible:
        raise RuntimeError(f'ONNX Runtime has no {precision} here, but '
                           f'{" and ".join(possible)}; int8 is for the CPU, float16 comes '
                           'with TensorRT')
    return [*found, CPU]
