# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Run the model with OpenVINO on the processor: one compiled model for the ladder."""
import functools
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from ltp_ros.backends import cache
from ltp_ros.backends.exported import ExportedBackend, Level
from ltp_ros.backends.level_files import calibrated_file, ladder_file, origin
from ltp_ros.backends.protocol import Device, Log
from ltp_ros.backends.summary import LevelSize
from ltp_ros.model.data_config import DataConfig

if TYPE_CHECKING:
    import openvino  # not everywhere
    from torch import nn

# precision -> what the processor must have, and what it computes in where the file does not say
FORMATS = {'float32': ('FP32', 'f32'), 'bfloat16': ('BF16', 'bf16'), 'float16': ('FP16', 'f16'),
           'int8': ('INT8', 'f32')}
# A size that is fixed saves a tenth of the time, but weights and machine code are there once more:
# three times the file, in a node that is to run ViT-B too
MAX_FIXED_FILE = 96 * 2 ** 20


def runtime() -> ModuleType:
    """Return the module openvino, which reports its use to its makers when it is imported: not so.

    Raises:
        ImportError: if it is missing.
    """
    sys.modules.setdefault('openvino_telemetry', None)  # type: ignore[arg-type]  # cannot be found
    import openvino  # noqa: PLC0415  not everywhere
    return openvino


@functools.lru_cache(maxsize=None)
def _core() -> 'openvino.Core':
    """Return the only one of this process.

    Each moves the stack on which signals are handled, and the first of two to go takes away what
    the second restores: the next signal would end the process.
    """
    return runtime().Core()


def compile_file(path: Path, precision: str, num_threads: int = 0,
                 counts: Optional[Sequence[int]] = None) -> 'openvino.CompiledModel':
    """Return an ONNX file compiled for the processor.

    Args:
        path: the file.
        precision: one of FORMATS.
        num_threads: 0: as many as OpenVINO likes.
        counts: of one level, to compile of a ladder that alone, for a size that is fixed; ():
            the file has no other. None: sizes are left open.

    Raises:
        ImportError: if openvino is missing.
        RuntimeError: if the processor does not compute in this precision, or OpenVINO cannot load
            the file.
    """
    core = _core()
    able = core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES')
    possible = [name for name, (needed, _) in FORMATS.items() if needed in able]
    if precision not in possible:
        raise RuntimeError(f'OpenVINO has no {precision} on this processor, but '
                           f'{" and ".join(possible)}')
    model, rest = core.read_model(str(path)), FORMATS[precision][1]
    if counts is not None:
        model.reshape({model.inputs[0].any_name: model.inputs[0].get_partial_shape(),
                       **{value.any_name: [count]
                          for value, count in zip(model.inputs[1:], counts)}})
        if 'BF16' in able and precision == 'int8':  # slower where sizes are left open
            rest = 'bf16'
    return core.compile_model(model, 'CPU', {
        'PERFORMANCE_HINT': 'LATENCY', 'NUM_STREAMS': '1',
        'INFERENCE_NUM_THREADS': str(num_threads),
        'INFERENCE_PRECISION_HINT': rest})


class CompiledLevel:
    """A level that reads its input where it lies.

    Args:
        compiled: a level, or all of them.
        pixels: read by each run, on the CPU.
        counts: of the level, if `compiled` has all; see `export_ladder`.
    """

    def __init__(self, compiled: 'openvino.CompiledModel', pixels: np.ndarray,
                 counts: Sequence[int] = ()):
        self._request = compiled.create_infer_request()
        for index, values in enumerate([pixels, *(np.zeros(count, np.float32)
                                                  for count in counts)]):
            self._request.set_input_tensor(index, runtime().Tensor(values, shared_memory=True))
        self._outputs = range(len(compiled.outputs))

    def run(self) -> List[np.ndarray]:
        """Run; return the outputs, which the next run overwrites.

        Raises:
            RuntimeError: if OpenVINO fails.
        """
        self._request.infer()
        # `mixed` may keep no patch in full: OpenVINO makes a scalar of a tensor without elements
        return [found if found.ndim == 2 else np.zeros((1, 0))
                for found in (self._request.get_output_tensor(index).data
                              for index in self._outputs)]


class OpenvinoBackend(ExportedBackend):
    """Levels in OpenVINO; see `ExportedBackend`.

    Args:
        device: the CPU.
        precision: 'float32', 'bfloat16', 'float16', 'int8', where the processor computes in it.
        folder: where the exported levels are kept, for int8 those that `ltp_export --int8` made.

    Raises:
        ImportError: if onnx or openvino is missing.
        RuntimeError: if the device or the precision is none that it runs here.
    """

    name = 'openvino'

    def __init__(self, model: 'Optional[nn.Module]', data_config: DataConfig, device: Device,
                 precision: str, folder: Optional[Path], log: Log, *opened: Any):
        runtime()  # say that it is missing before a level is exported
        if device.type != 'cpu':
            raise RuntimeError(f'OpenVINO runs on the CPU here, not on {device.type}; use '
                               'device:=cpu, or another backend')
        if precision == 'int8' and model is not None and not (
                model.patch_drop.counts or model.patch_drop.one_level):
            raise RuntimeError('int8 in OpenVINO does not come with tome; use backend:=onnx')
        super().__init__(model, data_config, device, precision, folder, log, *opened)
        self._fixed: Dict[Tuple[int, ...], openvino.CompiledModel] = {}  # by counts
        if precision == 'int8' and not calibrated_file(self._folder).is_file():
            _not_calibrated(calibrated_file(self._folder))

    def _load(self, keep_ratio: float) -> Level:
        if self.precision != 'int8' or self._size(keep_ratio).counts:
            return super()._load(keep_ratio)
        return CompiledLevel(compile_file(self._calibrated(), 'int8', self._num_threads, ()),
                             self._pixels)  # it has one level

    def _calibrated(self) -> Path:
        path = calibrated_file(self._folder)
        cache.ensure(path, origin(int8=False), _not_calibrated, self._log)
        return path

    def _open_ladder(self) -> 'openvino.CompiledModel':
        if self.precision != 'int8':
            return self._with_file(ladder_file(self._folder), self._open_both)
        return self._open_both(self._calibrated())

    def _open_both(self, path: Path) -> 'openvino.CompiledModel':
        """Open a ladder, and its level of `favourite` in a fixed size as well."""
        if self._favourite is not None and path.stat().st_size <= MAX_FIXED_FILE:
            counts = self._size(self._favourite).counts
            if all(counts):  # OpenVINO ends the process where a fixed size is 0
                self._fixed[counts] = compile_file(path, self.precision, self._num_threads, counts)
        return self._open(path)

    def _open(self, path: Path) -> 'openvino.CompiledModel':
        return compile_file(path, self.precision, self._num_threads)

    def _level(self, opened: 'openvino.CompiledModel',
               size: Optional[LevelSize] = None) -> CompiledLevel:
        counts = size.counts if size else ()
        return CompiledLevel(self._fixed.get(counts, opened), self._pixels, counts)


def _not_calibrated(path: Path) -> None:
    raise RuntimeError('the model is not calibrated for int8; run ltp_export --int8 with the same '
                       'model, or use backend:=onnx')
