# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Run exported levels in another runtime than torch: what all such runtimes have in common."""
import functools
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Callable, Dict, List, Optional, Protocol, Sequence, TypeVar

import numpy as np
import torch
from torch import nn

from ltp_ros.backends import cache
from ltp_ros.backends.onnx_export import (
    export_ladder,
    export_level,
    ladder_file,
    level_file,
    origin,
)
from ltp_ros.backends.protocol import BackendAnswer, Log
from ltp_ros.backends.transfer import Transfer
from ltp_ros.model.preprocessing import DataConfig

Used = TypeVar('Used')


class Level(Protocol):
    """A level of the ladder that is ready to run."""

    def run(self) -> List[torch.Tensor]:
        """Return scores (1, C), class ids (1, C) and kept patches (1, K) of the pixels.

        The next run may overwrite them.

        Raises:
            RuntimeError: if the runtime fails.
        """


class ExportedBackend:
    """Preprocess with torch, run the rest in another runtime, both on the device.

    All levels share one file, and one copy of the weights, where the runtime and the method of
    token reduction can; else each has a file. One that is not there yet is exported when it is
    first used, which `warm_up` does.

    Args:
        model: the Vision Transformer with a `TokenReducer` in `patch_drop`, in eval mode, in
            float32 on the CPU.
        data_config: the input that the model expects.
        device: where it runs.
        precision: number format.
        folder: where the exported levels are kept; None: nowhere.
        log: called with what is made anew, and with what cannot be kept.

    Raises:
        ImportError: if onnx is missing.
        RuntimeError: if there is no folder.
    """

    one_file = True  # whether the runtime takes sizes that are left open

    def __init__(self, model: nn.Module, data_config: DataConfig, device: torch.device,
                 precision: str, folder: Optional[Path], log: Log):
        import onnx  # noqa: F401  (the export needs it; say so before the model is tried)
        if folder is None:
            raise RuntimeError('there is no home folder to keep exported models in; set '
                               'cache:=FOLDER, or XDG_CACHE_HOME')
        self.device, self.precision = device, precision
        self._model: Optional[nn.Module] = model  # until one file has all levels
        self._reducer = model.patch_drop
        self.transfer = Transfer(data_config, device, torch.float32)
        self._pixels = torch.zeros(1, 3, *data_config.input_size, device=device)
        self._folder = folder
        self._log = log
        self._levels: Dict[float, Level] = {}
        self._ladder: Any = None  # all levels, where one file has them

    @torch.inference_mode()
    def __call__(self, rgb: np.ndarray, keep_ratio: float,
                 top_k: int) -> BackendAnswer:
        """Classify one image; see `Backend`."""
        level = self._levels.get(keep_ratio)
        if level is None:
            level = self._levels[keep_ratio] = self._load(keep_ratio)
        self.transfer.pixels(rgb, self._pixels)
        scores, class_ids, kept = level.run()
        answer = self.transfer.read_back(torch.cat(
            [scores[0, :top_k], class_ids[0, :top_k].float(), kept[0].float()]))
        class_ids, keep_indices = np.split(answer[top_k:].astype(np.int64), [top_k])
        return BackendAnswer(answer[:top_k], class_ids, np.sort(keep_indices))

    def _load(self, keep_ratio: float) -> Level:
        self._reducer.keep_ratio = keep_ratio
        counts = self._reducer.counts
        if not self.one_file or not counts:
            return self._level(self._with_file(
                level_file(self._folder, keep_ratio, self.precision == 'int8'),
                functools.partial(export_level, self._model, keep_ratio), self._open))
        if self._ladder is None:
            self._ladder = self._open_ladder()
            self._model = None  # its weights are there twice otherwise
        return self._level(self._ladder, counts, self._reducer.num_whole)

    def _open_ladder(self) -> Any:
        return self._with_file(ladder_file(self._folder, self.precision == 'int8'),
                               functools.partial(export_ladder, self._model), self._open)

    def _with_file(self, path: Path, export: Callable[..., None],
                   use: Callable[[Path], Used]) -> Used:
        """Return what is made of a file that is kept, exported first where it is not there."""
        int8 = self.precision == 'int8'
        export = functools.partial(export, int8=int8)
        try:
            cache.ensure(path, origin(int8), export, self._log)
        except OSError as error:
            if not self._levels:
                raise  # nothing can be kept at all: another backend starts sooner
            self._log(f'{path} cannot be kept ({error}), so that the next start makes it again; '
                      'make room, or set cache:=FOLDER')
            with TemporaryDirectory() as folder:
                export(Path(folder) / path.name)
                return use(Path(folder) / path.name)
        return use(path)

    def _open(self, path: Path) -> Any:
        """Return an ONNX file as the runtime has it."""
        raise NotImplementedError

    def _level(self, opened: Any, counts: Sequence[int] = (), num_kept: int = 0) -> Level:
        """Return a level of what `_open` made, which reads `self._pixels`.

        `counts` and `num_kept`, the patches in its answer, are of the level where the file has
        all of them.
        """
        raise NotImplementedError
