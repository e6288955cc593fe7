# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Run the model with ONNX Runtime: one session for the ladder, on a GPU one a level."""
import json
import math
import os
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Callable, Dict, List, Optional, Sequence, Tuple, Type, Union

import numpy as np
import torch
from torch import nn

from ltp_ros.backends import cache
from ltp_ros.backends.exported import ExportedBackend
from ltp_ros.backends.protocol import Log
from ltp_ros.files import sha256
from ltp_ros.model.preprocessing import DataConfig

if TYPE_CHECKING:
    import onnxruntime  # not everywhere

TENSORRT, CUDA, CPU = (f'{name}ExecutionProvider' for name in ('Tensorrt', 'CUDA', 'CPU'))
PROVIDERS = {'cuda': (TENSORRT, CUDA), 'cpu': ()}
Provider = Union[str, Tuple[str, Dict[str, object]]]  # its name, and options
_DTYPES = {'tensor(float)': torch.float32, 'tensor(int64)': torch.int64}


def session_options() -> 'onnxruntime.SessionOptions':
    """Return options for as many threads as torch has; idle ones spin if torch's do."""
    import onnxruntime  # noqa: PLC0415  not everywhere
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
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
    """A session whose inputs and outputs lie in tensors, so that a run copies and allocates none.

    Args:
        session: of one level, or of a ladder.
        pixels: read by each run, on the device that runs the session.
        counts: of the level, for a ladder; see `export_ladder`.
        num_kept: patches in its answer, for a ladder.
    """

    def __init__(self, session: 'onnxruntime.InferenceSession', pixels: torch.Tensor,
                 counts: Sequence[int] = (), num_kept: int = 0):
        self._session = session
        self._binding = session.io_binding()
        self._device = pixels.device
        self._inputs = [pixels, *(torch.zeros(max(count, 1)) for count in counts)]
        for value, memory, shape in zip(session.get_inputs(), self._inputs,
                                        [pixels.shape, *((count,) for count in counts)]):
            self._bind(self._binding.bind_input, value.name, memory, shape)
        self.outputs: List[torch.Tensor] = []
        for output in session.get_outputs():
            shape = [size if isinstance(size, int) else open_size
                     for size, open_size in zip(output.shape, (1, num_kept))]
            size = math.prod(shape)
            # Never empty: `mixed` may keep no patch in full, and a null pointer is refused
            memory = torch.zeros(max(size, 1), dtype=_DTYPES[output.type], device=self._device)
            self._bind(self._binding.bind_output, output.name, memory, shape)
            self.outputs.append(memory[:size].view(shape))

    def _bind(self, bind: Callable[..., None], name: str, memory: torch.Tensor,
              shape: Sequence[int]) -> None:
        element_type = np.dtype(str(memory.dtype).replace('torch.', ''))
        bind(name, self._device.type, self._device.index or 0, element_type, tuple(shape),
             memory.data_ptr())

    def run(self) -> List[torch.Tensor]:
        """Run; return the outputs, which the next run overwrites.

        Raises:
            RuntimeError: if ONNX Runtime fails.
        """
        if self._device.type == 'cuda':  # ONNX Runtime has a stream of its own
            torch.cuda.current_stream(self._device).synchronize()
        try:
            self._session.run_with_iobinding(self._binding)
            self._binding.synchronize_outputs()
        except (RuntimeError,) + errors() as error:
            raise RuntimeError(f'ONNX Runtime cannot run this level: {error}') from error
        return self.outputs


class OnnxBackend(ExportedBackend):
    """Levels in ONNX Runtime; see `ExportedBackend`.

    Args:
        device: on 'cuda' TensorRT if it is there, then CUDA.
        precision: 'float32'; on the CPU also 'int8', with TensorRT 'float16'.
        folder: also of TensorRT's engines.
        log: also called, on a GPU, with the number of nodes of a level that each provider runs.

    Raises:
        ImportError: if onnx or onnxruntime is missing.
        RuntimeError: if ONNX Runtime has no provider for the device or the precision.
    """

    name = 'onnx'

    def __init__(self, model: nn.Module, data_config: DataConfig, device: torch.device,
                 precision: str, folder: Optional[Path], log: Log):
        super().__init__(model, data_config, device, precision, folder, log)
        self._providers = choose_providers(device.type, precision)
        self.one_file = device.type == 'cpu'  # TensorRT wants each size of its own

    def _open(self, path: Path) -> 'onnxruntime.InferenceSession':
        if self.device.type == 'cpu':
            return open_session(path)
        # Float16 comes with TensorRT alone
        needed = PROVIDERS['cuda'][:1 if self.precision == 'float16' else None]
        engines = engine_folder(path)
        engines.mkdir(mode=0o700, exist_ok=True)
        cache.drop_damaged(engines, self._log)
        providers = [(name, provider_options(name, self.device, self.precision, engines))
                     for name in self._providers]
        options = session_options()
        with TemporaryDirectory() as folder:
            options.enable_profiling, options.profile_file_prefix = True, f'{folder}/run'
            session = open_session(path, providers, needed, options)
            BoundSession(session, self._pixels).run()
            counts = nodes_by_provider(Path(session.end_profiling()))
        cache.seal_all(engines, self._log)
        self._log(f'{path.stem}: nodes run by ' + ', '.join(
            f'{name} {count}' for name, count in counts.items()))
        return session

    def _level(self, opened: 'onnxruntime.InferenceSession', counts: Sequence[int] = (),
               num_kept: int = 0) -> BoundSession:
        return BoundSession(opened, self._pixels, counts, num_kept)


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


def engine_folder(path: Path) -> Path:
    """Return where TensorRT keeps its engines of a level's file: named after the content.

    Their own names know the file's name alone, and an engine of another content would be run in
    silence.
    """
    return path.parent / f'engines-{sha256(path)[:12]}'


def provider_options(name: str, device: torch.device, precision: str,
                     engines: Path) -> Dict[str, object]:
    """Return the options of an execution provider; TensorRT keeps its `engines` in that folder."""
    if name == CPU:
        return {}
    options: Dict[str, object] = {'device_id': device.index or 0}
    if name == TENSORRT:
        options.update(
            trt_engine_cache_enable=True, trt_engine_cache_path=str(engines),
            trt_timing_cache_enable=True, trt_timing_cache_path=str(engines),
            trt_fp16_enable=precision == 'float16', trt_layer_norm_fp32_fallback=True)
    return options


def nodes_by_provider(profile: Path) -> Dict[str, int]:
    """Return how many nodes each provider ran, from a file that ONNX Runtime's profiler wrote."""
    nodes = {(event['args']['provider'], event['name'])
             for event in json.loads(profile.read_text(encoding='utf-8'))
             if event.get('cat') == 'Node' and 'provider' in event.get('args', {})}
    return dict(Counter(provider.replace('ExecutionProvider', '') for provider, _ in nodes))
