# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""From a config to a model that is ready to run: as an earlier start left it, else loaded."""
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from ltp_ros.backends import cache, choice, kept_choice, level_files, summary
from ltp_ros.backends.kept_choice import Kept
from ltp_ros.backends.protocol import HOST, Backend, Device, Log
from ltp_ros.backends.summary import ModelSummary
from ltp_ros.config import ClassifierConfig, snap
from ltp_ros.machine import hardware, may_have_gpu, power_mode
from ltp_ros.model.card import model_name, weights_of
from ltp_ros.model.data_config import DataConfig
from ltp_ros.teaching import classes_file, temperatures
from ltp_ros.teaching.backbone import FEATURES, Backbone
from ltp_ros.teaching.classes import Classes
from ltp_ros.tuner.ladder_profile import model_hash

if TYPE_CHECKING:
    import torch

TRIAL_LEVEL = 0.53  # the backends are compared at the level nearest to it
Make = Callable[[str, str], Backend]


class ClassifierError(RuntimeError):
    """The classifier cannot run as configured; the message says why and what to change."""


@dataclass(frozen=True)
class Opened:
    """A model in a backend."""

    summary: ModelSummary
    backend: Backend
    device: Device
    num_threads: int  # of the model on the CPU; 0 on a GPU
    kept: Optional[Kept]         # what an earlier start chose, if that is used
    read: Optional[Kept]         # what it chose, used or not
    choice_file: Optional[Path]  # where the choice is kept; None: nowhere
    config: ClassifierConfig


def open_model(config: ClassifierConfig, log: Optional[Log],
               progress: Callable[[], None]) -> Opened:
    """Open what an earlier start has left, without torch; load the model where that cannot be.

    Args:
        config: as of `Classifier`.
        log: as of `Classifier`.
        progress: as of `Classifier`.

    Raises:
        ltp_ros.model.card.ModelError: if the model, its weights or its labels cannot be used.
        ClassifierError: if the device, the backend or the precision is not there.
    """
    opening = _Opening(config, log)
    return opening.reopened() or opening.loaded(progress)


class _Opening:
    def __init__(self, config: ClassifierConfig, log: Optional[Log]):
        self._config, self._given_log = config, log
        self._log: Log = log or _silent
        self._summary_file: Optional[Path] = None

    def reopened(self) -> Optional[Opened]:
        config = self._config
        if not (config.device == 'cpu' or config.device == 'auto' and not may_have_gpu()):
            return None
        self._summary_file = self._find_summary()
        found = self._summary_file and summary.read(self._summary_file)
        folder = self._folder(found) if found else None
        if not found or folder is None:
            return None
        path = choice_file(folder, config, HOST, found.data_config)
        kept = kept_choice.read(path)
        if kept is None or kept.backend not in choice.EXPORTED:
            return None
        threads = kept.threads

        def make(name: str, precision: str) -> Backend:
            backend = choice.reopen(name, precision, found, folder, threads, self._log,
                                    self._favourite)
            for keep_ratio in config.levels:  # one that is lost is noticed while torch may help
                backend(trial_frame(), keep_ratio, 1)
            return backend

        backend = self._as_before(kept, HOST, make, path)
        return Opened(found, backend, HOST, threads, kept, kept, path, config) if backend else None

    def loaded(self, progress: Callable[[], None]) -> Opened:
        import torch  # noqa: PLC0415  seconds, and half a gigabyte
        config = self._config
        if config.num_threads:
            torch.set_num_threads(config.num_threads)
        device = resolve_device(config.device)
        if device.index is not None:
            torch.cuda.set_device(device)  # for code in this thread that names no device
        resolve_precision(config.precision, device)
        model, found = self._load(progress)
        self._keep(found)
        folder = self._folder(found)
        path = choice_file(folder, config, device, found.data_config) if folder else None
        read = kept = kept_choice.read(path) if path else None

        def make(name: str, precision: str) -> Backend:
            return choice.create(name, precision, model, found.data_config, device, folder,
                                 self._log, self._favourite)

        try:
            pairs = choice.candidates(config.backend, config.precision, device)
            if folder is not None and choice.EXPORTED.keys() & dict(pairs):  # which keep files
                cache.prune(folder.parents[1], folder)
            backend = self._as_before(kept, device, make, path) if kept and path else None
            if backend is None:
                kept, backend = None, choice.fastest(pairs, make, *self._trial, self._log)
        except (ImportError, RuntimeError, OSError) as error:
            raise ClassifierError(f'backend {config.backend} cannot run {found.name}: '
                                  f'{error}') from error
        threads = torch.get_num_threads() if device.type == 'cpu' else 0
        return Opened(found, backend, device, threads, kept, read, path, config)

    def _load(self, progress: Callable[[], None]) -> 'Tuple[torch.nn.Module, ModelSummary]':
        from ltp_ros.model import checkpoint, input_sizes, vit  # noqa: PLC0415  torch
        config = self._config
        weights = weights_of(config.model, config.checkpoint)
        names: List[str] = []

        def name_classes(outline: 'torch.nn.Module') -> None:
            if config.labels:  # once: it may be a pipe
                names.extend(vit.label_names(outline, weights, config.labels))

        model = vit.create_vit(config.model, config.checkpoint, method=config.method,
                               score=config.score, alpha=config.alpha,
                               input_size=config.image_sides, patch_size=config.patch_size,
                               papr_checkpoint=config.papr_checkpoint, judge=name_classes,
                               progress=progress, log=self._given_log)
        reducer = model.patch_drop
        return model, ModelSummary(
            name=model_name(config.model, config.checkpoint),
            model_hash=model_hash(checkpoint.named_bytes(model.state_dict())),
            labels=tuple(names or vit.label_names(model, weights)),
            data_config=vit.data_config(model, config.crop_mode),
            num_patches=reducer.num_patches, grid_size=input_sizes.grid_of(model),
            sizes={ratio: summary.size_of(reducer, ratio) for ratio in config.levels},
            step=input_sizes.step_of(model), patch_sizes=input_sizes.patch_sizes_of(model))

    def _keep(self, found: ModelSummary) -> None:
        # The files may have been replaced while they were read
        if self._summary_file is not None and self._summary_file == self._find_summary():
            try:
                summary.write(self._summary_file, found)
            except OSError as error:
                self._log(f'what is known of the model cannot be kept ({error}); the next start '
                          'loads torch again')

    def _find_summary(self) -> Optional[Path]:
        return summary.file_of(choice.cache_folder(self._config.cache), self._config)

    def _folder(self, found: ModelSummary) -> Optional[Path]:
        """Return where the model's exported levels belong."""
        config = self._config
        return choice.model_folder(config.cache, found.name, found.model_hash, config.method,
                                   config.score, config.alpha, config.image_sides)

    @property
    def _favourite(self) -> float:
        return snap(self._config.keep_ratio, self._config.levels)

    @property
    def _trial(self) -> Tuple[np.ndarray, float]:
        return trial_frame(), snap(TRIAL_LEVEL, self._config.levels)

    def _as_before(self, kept: Kept, device: Device, make: Make,
                   path: Path) -> Optional[Backend]:
        """Return the backend that was chosen at an earlier start; None if it is to be sought."""
        config = self._config
        pairs = choice.candidates(config.backend, config.precision, device)
        backend = choice.as_before(kept, pairs, config.precision == 'auto', make, *self._trial,
                                   self._log)
        if backend and len(pairs) > 1:
            self._log(f'to choose anew, delete {path}')
        return backend


def _silent(message: str) -> None:
    """Log nothing."""


def read_classes(path: str, backbone: Backbone, levels: Sequence[float]) -> Classes:
    """Return classes from a file; ClassifierError if they were not taught to this model."""
    try:
        return classes_file.read(Path(path), backbone, levels)
    except classes_file.ClassesError as error:
        raise ClassifierError(str(error)) from error


def read_temperatures(path: str, backbone: Backbone,
                      levels: Sequence[float]) -> Dict[float, float]:
    """Return temperatures from a file; ClassifierError if they are not those of this model."""
    scored = {name: value for name, value in backbone.items() if name not in FEATURES}
    try:
        return temperatures.read(Path(path), scored, levels)
    except temperatures.TemperaturesError as error:
        raise ClassifierError(str(error)) from error


def trial_frame() -> np.ndarray:
    """Return the image (480, 640, 3) uint8 that models are warmed up and timed on."""
    return np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)


def resolve_device(device: str) -> 'torch.device':
    """Return the torch device for 'auto', 'cpu', 'cuda' or 'cuda:N'.

    Raises:
        ClassifierError: if it is not there.
    """
    import torch  # noqa: PLC0415  seconds, and half a gigabyte
    if device == 'auto':
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
    found = torch.device(device)
    if found.type == 'cuda' and not torch.cuda.is_available():
        raise ClassifierError(f'device {device} was asked for, but torch sees no CUDA device; use '
                              'device:=cpu, or install a torch with CUDA and its driver')
    if found.index is not None and found.index >= torch.cuda.device_count():
        raise ClassifierError(f'device {device} was asked for, but torch sees '
                              f'{torch.cuda.device_count()} CUDA devices, counted from 0')
    return found


def choice_file(folder: Path, config: ClassifierConfig, device: Device,
                data_config: DataConfig) -> Path:
    """Return the file of what was the fastest on this machine, in a model's folder.

    Of all that its times and its check depend on, besides the weights.
    """
    return kept_choice.file_of(folder, {
        'backend': config.backend, 'precision': config.precision,
        'hardware': hardware(str(device)), 'power_mode': power_mode(),
        'threads': [config.num_threads, len(os.sched_getaffinity(0)),
                    os.environ.get('OMP_NUM_THREADS')],
        'input': asdict(data_config), 'ltp_ros': level_files.sources_hash(),
        **level_files.versions(kept_choice.LIBRARIES)})


def resolve_precision(precision: str, device: Device) -> str:
    """Return the precision for `device`; ClassifierError if the device has no such numbers."""
    if precision == 'auto':
        return 'float16' if device.type == 'cuda' else 'float32'
    if precision == 'bfloat16' and device.type == 'cuda' and not computes_bfloat16(device):
        raise ClassifierError('this GPU has no bfloat16 (it came with Ampere); use '
                              'precision:=float16')
    return precision


def computes_bfloat16(device: Device) -> bool:
    """Return whether a GPU has units for bfloat16; torch says so of those that emulate it too."""
    import torch  # noqa: PLC0415
    return torch.cuda.get_device_capability(device) >= (8, 0)
