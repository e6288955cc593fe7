# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Run the model with ONNX Runtime on a GPU: TensorRT if it is there, one session a level."""
import contextlib
import hashlib
import json
import shutil
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Sequence

import numpy as np
import torch

from ltp_ros.backends import cache
from ltp_ros.backends.level_files import versions
from ltp_ros.backends.onnx import (
    CPU,
    PROVIDERS,
    TENSORRT,
    BoundSession,
    OnnxBackend,
    open_session,
    session_options,
)
from ltp_ros.backends.protocol import BackendAnswer, Device, Log
from ltp_ros.backends.transfer import Transfer
from ltp_ros.files import sha256
from ltp_ros.region import Region

if TYPE_CHECKING:
    import onnxruntime  # not everywhere

MAKERS = ('onnxruntime', 'onnxruntime-gpu', 'tensorrt', 'tensorrt-cu12')  # of engines
L4T = Path('/etc/nv_tegra_release')  # of JetPack, whose TensorRT pip does not know


class BoundOnGpu(BoundSession):
    """A session whose inputs and outputs lie in tensors on the device of `pixels`."""

    def __init__(self, session: 'onnxruntime.InferenceSession', pixels: torch.Tensor):
        self._device = pixels.device
        super().__init__(session, pixels)

    def _zeros(self, length: int, dtype: str) -> torch.Tensor:
        return torch.zeros(length, dtype=getattr(torch, dtype), device=self._device)

    def _bind(self, bind: Callable[..., None], name: str, memory: torch.Tensor,
              shape: Sequence[int]) -> None:
        element_type = np.dtype(str(memory.dtype).replace('torch.', ''))
        bind(name, self._device.type, self._device.index or 0, element_type, tuple(shape),
             memory.data_ptr())

    def run(self) -> List[torch.Tensor]:
        """Run; return the outputs, which the next run overwrites; see `BoundSession`."""
        torch.cuda.current_stream(self._device).synchronize()  # ONNX Runtime has one of its own
        return super().run()


class OnnxGpuBackend(OnnxBackend):
    """Levels in ONNX Runtime on a GPU; see `ExportedBackend`.

    Args:
        precision: 'float32'; with TensorRT 'float16'.
        folder: also of TensorRT's engines.
        log: also called with the number of nodes of a level that each provider runs.

    Raises:
        ImportError: if onnx or onnxruntime is missing.
        RuntimeError: if ONNX Runtime has no provider for the device or the precision.
    """

    one_file = False  # TensorRT wants each size of its own

    def _make_input(self) -> None:
        self._transfer = Transfer(self._data_config, self.device, torch.float32)
        self._pixels = torch.zeros(1, 3, *self._data_config.input_size, device=self.device)

    @torch.inference_mode()
    def _answer(self, level: BoundOnGpu, rgb: np.ndarray, top_k: int,
                box: Optional[Region]) -> BackendAnswer:
        self._transfer.pixels(rgb, self._pixels, box)
        scores, class_ids, *others = level.run()
        outputs = [scores[0, :top_k], class_ids[0, :top_k], *(output[0] for output in others)]
        scores, class_ids, kept, features = np.split(
            self._transfer.read_back(torch.cat([part.float() for part in outputs])),
            np.cumsum([len(part) for part in outputs[:-1]]))
        return BackendAnswer(scores, class_ids.astype(np.int64), np.sort(kept.astype(np.int64)),
                             features)

    def _open(self, path: Path) -> 'onnxruntime.InferenceSession':
        # Float16 comes with TensorRT alone
        needed = PROVIDERS['cuda'][:1 if self.precision == 'float16' else None]
        engines = engine_folder(path)
        drop_stale(engines, self._log)
        engines.mkdir(mode=0o700, exist_ok=True)
        cache.drop_damaged(engines, self._log)
        if TENSORRT in self._providers and not any(engines.glob('*.engine')):
            self._log(f'{path.stem}: TensorRT builds an engine, which may take minutes; it is '
                      'kept for the next start')
        providers = [(name, provider_options(name, self.device, self.precision, engines))
                     for name in self._providers]
        options = session_options(self._num_threads)
        with TemporaryDirectory() as folder:
            options.enable_profiling, options.profile_file_prefix = True, f'{folder}/run'
            session = open_session(path, providers, needed, options)
            BoundOnGpu(session, self._pixels).run()
            counts = nodes_by_provider(Path(session.end_profiling()))
        cache.seal_all(engines, self._log)
        self._log(f'{path.stem}: nodes run by ' + ', '.join(
            f'{name} {count}' for name, count in counts.items()))
        return session

    def _level(self, opened: 'onnxruntime.InferenceSession', size: Any = None) -> BoundOnGpu:
        return BoundOnGpu(opened, self._pixels)


def engine_folder(path: Path) -> Path:
    """Return where TensorRT keeps its engines of a level's file: named after content and makers.

    Their own names know the file's name alone, and an engine of another content would be run in
    silence. One of another TensorRT is refused, and ONNX Runtime before 1.21 looks for it again.
    """
    return path.parent / f'engines-{sha256(path)[:12]}-{_makers()}'


def _makers() -> str:
    """Return a hash of what makes engines here, as far as can be seen."""
    makers = repr(sorted(versions(MAKERS).items())).encode()
    with contextlib.suppress(OSError):
        makers += L4T.read_bytes()
    return hashlib.sha256(makers).hexdigest()[:8]


def drop_stale(engines: Path, log: Log) -> None:
    """Throw away the engines of the same level that another version has made."""
    content = engines.name.rpartition('-')[0]
    for other in engines.parent.glob(f'{content}*'):
        if other != engines:
            log(f'{other} is of another version, and is thrown away')
            shutil.rmtree(str(other), ignore_errors=True)


def provider_options(name: str, device: Device, precision: str,
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
