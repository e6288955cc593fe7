# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Run exported levels in another runtime than torch: what all such runtimes have in common.

Without torch, unless a level is to be exported: it takes half a gigabyte and seconds.
"""
import functools
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    List,
    Mapping,
    Optional,
    Protocol,
    Sequence,
    TypeVar,
)

import numpy as np

from ltp_ros.backends import cache
from ltp_ros.backends.level_files import ladder_file, level_file, origin
from ltp_ros.backends.protocol import BackendAnswer, Device, Log
from ltp_ros.backends.summary import LevelSize, size_of
from ltp_ros.model.data_config import DataConfig
from ltp_ros.model.host_preprocessing import HostPreprocessor
from ltp_ros.region import Region

if TYPE_CHECKING:
    from torch import nn

Used = TypeVar('Used')


class Level(Protocol):
    """A level of the ladder that is ready to run."""

    def run(self) -> List[np.ndarray]:
        """Return scores and class ids (1, C), kept patches (1, K) and features (1, D).

        The next run may overwrite them.

        Raises:
            RuntimeError: if the runtime fails.
        """


class ExportedBackend:
    """Preprocess on the CPU, and run the rest in another runtime.

    All levels share one file, and one copy of the weights, where the runtime and the method of
    token reduction can; else each has a file. One that is not there yet is exported when it is
    first used, which `warm_up` does.

    Args:
        model: the Vision Transformer with a `TokenReducer` in `patch_drop`, in eval mode, in
            float32 on the CPU; None: all files are there, and `sizes` is given.
        data_config: the input that the model expects.
        device: where it runs.
        precision: number format.
        folder: where the exported levels are kept; None: nowhere.
        log: called with what is made anew, and with what cannot be kept.
        sizes: of the levels, where there is no model.
        num_threads: of the runtime; 0: as many as it likes.
        favourite: the keep ratio to be fastest at, if it can be chosen.

    Raises:
        ImportError: if onnx is missing, to export the model.
        RuntimeError: if there is no folder.
    """

    one_file = True  # whether the runtime takes sizes that are left open
    batch_size = 1   # the levels are exported for one image

    def __init__(self, model: 'Optional[nn.Module]', data_config: DataConfig, device: Device,
                 precision: str, folder: Optional[Path], log: Log,
                 sizes: Optional[Mapping[float, LevelSize]] = None, num_threads: int = 0,
                 favourite: Optional[float] = None):
        if folder is None:
            raise RuntimeError('there is no home folder to keep exported models in; set '
                               'cache:=FOLDER, or XDG_CACHE_HOME')
        self.device, self.precision = device, precision
        self._model = model  # until one file has all levels
        if model is None:
            self._size: Callable[[float], LevelSize] = dict(sizes or {}).__getitem__
        else:
            import onnx  # noqa: F401, PLC0415  to export: say so before the model is tried
            self._size = functools.partial(size_of, model.patch_drop)
        self._data_config, self._num_threads = data_config, num_threads
        self._favourite = favourite
        self._folder = folder
        self._log = log
        self._levels: Dict[float, Level] = {}
        self._ladder: Any = None  # all levels, where one file has them
        self._make_input()

    def _make_input(self) -> None:
        """Prepare what `_answer` needs: `_pixels`, which the levels read."""
        self._preprocess = HostPreprocessor(self._data_config)
        self._pixels: Any = np.zeros((1, 3, *self._data_config.input_size), np.float32)

    def __call__(self, rgb: np.ndarray, keep_ratio: float, top_k: int,
                 box: Optional[Region] = None) -> BackendAnswer:
        """Classify one image; see `Backend`."""
        level = self._levels.get(keep_ratio)
        if level is None:
            level = self._levels[keep_ratio] = self._load(keep_ratio)
        return self._answer(level, rgb, top_k, box)

    def batch(self, rgb: np.ndarray, boxes: Sequence[Region], keep_ratio: float,
              top_k: int) -> List[BackendAnswer]:
        """Classify parts of one image, one after the other; see `Backend`."""
        return [self(rgb, keep_ratio, top_k, box) for box in boxes]

    def _answer(self, level: Any, rgb: np.ndarray, top_k: int,
                box: Optional[Region]) -> BackendAnswer:
        self._preprocess(rgb, self._pixels, box)
        scores, class_ids, kept, features = level.run()
        return BackendAnswer(scores[0, :top_k].copy(), class_ids[0, :top_k].copy(),
                             np.sort(kept[0]).astype(np.int64), features[0].copy())

    def _load(self, keep_ratio: float) -> Level:
        size = self._size(keep_ratio)
        if not self.one_file or not size.counts:
            path = level_file(self._folder, keep_ratio, self.precision == 'int8')
            return self._level(self._with_file(path, self._open, keep_ratio))
        if self._ladder is None:
            self._ladder = self._open_ladder()
            self._model = None  # its weights are there twice otherwise
        return self._level(self._ladder, size)

    def _open_ladder(self) -> Any:
        return self._with_file(ladder_file(self._folder, self.precision == 'int8'), self._open)

    def _with_file(self, path: Path, use: Callable[[Path], Used],
                   keep_ratio: Optional[float] = None) -> Used:
        """Return what is made of a file that is kept, exported first where it is not there.

        `keep_ratio`: of the level; None: it has all.
        """
        def export(path: Path) -> None:
            self._export(path, keep_ratio)

        try:
            cache.ensure(path, origin(self.precision == 'int8'), export, self._log)
        except OSError as error:
            if not self._levels:
                raise  # nothing can be kept at all: another backend starts sooner
            self._log(f'{path} cannot be kept ({error}), so that the next start makes it again; '
                      'make room, or set cache:=FOLDER')
            with TemporaryDirectory() as folder:
                export(Path(folder) / path.name)
                return use(Path(folder) / path.name)
        return use(path)

    def _export(self, path: Path, keep_ratio: Optional[float]) -> None:
        if self._model is None:
            raise RuntimeError(f'{path} is to be made anew, of a model that is not loaded')
        from ltp_ros.backends import onnx_export  # noqa: PLC0415  torch
        int8 = self.precision == 'int8'
        if keep_ratio is None:
            onnx_export.export_ladder(self._model, path, int8=int8)
        else:
            onnx_export.export_level(self._model, keep_ratio, path, int8=int8)

    def _open(self, path: Path) -> Any:
        """Return an ONNX file as the runtime has it."""
        raise NotImplementedError

    def _level(self, opened: Any, size: Optional[LevelSize] = None) -> Level:
        """Return a level of what `_open` made, which reads `self._pixels`.

        `size`: of the level, where the file has all of them.
        """
        raise NotImplementedError
