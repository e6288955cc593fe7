# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`Classifier`: one RGB image in, one `Prediction` out."""
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from ltp_ros.backends import cache, choice, kept_choice, level_files, summary
from ltp_ros.backends.protocol import HOST, Backend, BackendAnswer, Device, Log
from ltp_ros.backends.summary import ModelSummary
from ltp_ros.config import ClassifierConfig, snap
from ltp_ros.machine import hardware, may_have_gpu, power_mode
from ltp_ros.model.card import model_name, weights_of
from ltp_ros.reduction.keep_ratio import check_keep_ratio
from ltp_ros.tuner import ladder_profile as profile

if TYPE_CHECKING:
    import torch

WARM_UP_RUNS = 3
TRIAL_LEVEL = 0.53  # the backends are compared at the level nearest to it


class ClassifierError(RuntimeError):
    """The classifier cannot run as configured; the message says why and what to change."""


class NotFiniteError(RuntimeError):
    """The model gave NaN for an answer."""


class Released:
    """What is left of a backend whose memory is needed; see `Backend`."""

    def __init__(self, name: str, precision: str):
        self.name, self.precision = name, precision

    def __call__(self, rgb: np.ndarray, keep_ratio: float, top_k: int) -> BackendAnswer:
        """Raise RuntimeError."""
        raise RuntimeError('the model is being loaded anew')


def _silent(message: str) -> None:
    """Log nothing."""


@dataclass(frozen=True)
class Prediction:
    """The classes of one image, best first, and the input they came from."""

    class_ids: Tuple[int, ...]
    labels: Tuple[str, ...]
    scores: Tuple[float, ...]  # softmax probabilities, 0..1
    keep_ratio: float
    num_keep: int
    num_patches: int
    keep_indices: np.ndarray  # int64, of the patches seen in full, row by row over the grid


class Classifier:
    """A Vision Transformer with its preprocessing, prepared for every level of the ladder.

    Args:
        config: model, device, threads, precision and ladder; `keep_ratio`, `top_k` and
            `score_threshold` are what `classify` uses unless told otherwise.
        log: called with the outcome of the choice of a backend, and with how far a download of
            weights is; None: silence, and a bar for the download.
        progress: called now and then while weights are fetched; it may raise to end that.

    Raises:
        ltp_ros.model.card.ModelError: if the model, its weights or its labels cannot be used.
        ClassifierError: if the device, the backend or the precision is not there.
    """

    def __init__(self, config: ClassifierConfig, log: Optional[Log] = None,
                 progress: Callable[[], None] = lambda: None):
        self.config = config
        self.device: Device = HOST
        self.kept: Optional[kept_choice.Kept] = None  # what is known from an earlier start
        self._choice_file: Optional[Path] = None
        self._summary_file: Optional[Path] = None
        self.backend = self._reopened(log or _silent) or self._loaded(log, progress)
        self.precision: str = self.backend.precision

    def _reopened(self, log: Log) -> Optional[Backend]:
        """Return what an earlier start has left, opened without torch; None if that cannot be."""
        config = self.config
        if not (config.device == 'cpu' or config.device == 'auto' and not may_have_gpu()):
            return None
        self._summary_file = summary.file_of(choice.cache_folder(config.cache), config)
        found = self._summary_file and summary.read(self._summary_file)
        if not found:
            return None
        self._describe(found)
        folder = self._use_folder()
        kept = self.kept
        if folder is None or kept is None or kept.backend not in choice.EXPORTED:
            return None
        self.num_threads = threads = kept.threads

        def reopen(name: str, precision: str) -> Backend:
            return choice.reopen(name, precision, found, folder, threads, log,
                                 self._favourite)

        return self._as_before(reopen, log)

    def _loaded(self, log: Optional[Log], progress: Callable[[], None]) -> Backend:
        """Return the model in the backend that is the fastest, or was before."""
        import torch  # noqa: PLC0415  seconds, and half a gigabyte
        config = self.config
        if config.num_threads:
            torch.set_num_threads(config.num_threads)
        self.device = resolve_device(config.device)
        if self.device.index is not None:
            torch.cuda.set_device(self.device)  # for code in this thread that names no device
        resolve_precision(config.precision, self.device)
        self.num_threads = torch.get_num_threads() if self.device.type == 'cpu' else 0
        model = self._load(log, progress)
        folder, log = self._use_folder(), log or _silent
        self._keep_summary(log)

        def make(name: str, precision: str) -> Backend:
            return choice.create(name, precision, model, self.data_config, self.device, folder,
                                 log, self._favourite)

        try:
            pairs = choice.candidates(config.backend, config.precision, self.device)
            if folder is not None and choice.EXPORTED.keys() & dict(pairs):  # which keep files
                cache.prune(folder.parents[1], folder)
            return self._as_before(make, log) or choice.fastest(
                pairs, make, *self._trial, log)
        except (ImportError, RuntimeError, OSError) as error:
            raise ClassifierError(f'backend {config.backend} cannot run {self.model_name}: '
                                  f'{error}') from error

    def _load(self, log: Optional[Log], progress: Callable[[], None]) -> 'torch.nn.Module':
        from ltp_ros.model import vit  # noqa: PLC0415  torch
        config = self.config
        weights = weights_of(config.model, config.checkpoint)
        names: List[str] = []

        def name_classes(outline: 'torch.nn.Module') -> None:
            if config.labels:  # once: it may be a pipe
                names.extend(vit.label_names(outline, weights, config.labels))

        model = vit.create_vit(config.model, config.checkpoint, method=config.method,
                               score=config.score, alpha=config.alpha,
                               input_size=config.input_size,
                               papr_checkpoint=config.papr_checkpoint, judge=name_classes,
                               progress=progress, log=log)
        reducer = model.patch_drop
        self._describe(ModelSummary(
            name=model_name(config.model, config.checkpoint),
            model_hash=profile.model_hash(vit.tensors_of(model)),
            labels=tuple(names or vit.label_names(model, weights)),
            data_config=vit.data_config(model, config.crop_mode),
            num_patches=reducer.num_patches, grid_size=tuple(model.patch_embed.grid_size),
            sizes={ratio: summary.size_of(reducer, ratio) for ratio in config.ladder}))
        return model

    def _describe(self, found: ModelSummary) -> None:
        self._summary = found
        self.labels = list(found.labels)
        self.model_name, self.model_hash = found.name, found.model_hash
        self.data_config = found.data_config
        self.num_patches, self.grid_size = found.num_patches, found.grid_size

    def _keep_summary(self, log: Log) -> None:
        if self._summary_file is not None:
            try:
                summary.write(self._summary_file, self._summary)
            except OSError as error:
                log(f'what is known of the model cannot be kept ({error}); the next start loads '
                    'torch again')

    def _use_folder(self) -> Optional[Path]:
        """Return where the model's exported levels belong, and read which backend was chosen."""
        config = self.config
        folder = choice.model_folder(config.cache, self.model_name, self.model_hash,
                                     config.method, config.score, config.alpha)
        if folder is not None:
            self._choice_file = choice_file(folder, config, self.device)
            self.kept = kept_choice.read(self._choice_file)
        return folder

    @property
    def _favourite(self) -> float:
        return snap(self.config.keep_ratio, self.config.ladder)

    @property
    def _trial(self) -> Tuple[np.ndarray, float]:
        return _test_frame(), snap(TRIAL_LEVEL, self.config.ladder)

    def _as_before(self, make: Callable[[str, str], Backend], log: Log) -> Optional[Backend]:
        """Return the backend that was chosen at an earlier start; None if it is to be sought."""
        config = self.config
        pairs = choice.candidates(config.backend, config.precision, self.device)
        backend = choice.as_before(
            self.kept, pairs, config.precision == 'auto', make, *self._trial, log
            ) if self.kept else None
        if not backend:
            self.kept = None
        elif len(pairs) > 1:
            log(f'to choose anew, delete {self._choice_file}')
        return backend

    def keep_choice(self, levels: Sequence[Tuple[float, float, float]]) -> None:
        """Keep which backend was the fastest, for the next start.

        Args:
            levels: keep ratio, median and 99th percentile in ms, as they were timed.

        Raises:
            OSError: if the choice cannot be kept.
        """
        if self._choice_file is not None:
            kept_choice.write(self._choice_file, kept_choice.Kept(
                self.backend.name, self.precision, self.kept.check if self.kept else '',
                tuple(levels), self.num_threads))

    def warm_up(self, progress: Optional[Callable[[float], None]] = None) -> None:
        """Run every level of the ladder until its caches are filled; call `progress` after each.

        Raises:
            ClassifierError: if the device cannot run the model at this precision.
        """
        frame = _test_frame()
        for keep_ratio in self.config.ladder:
            try:
                for _ in range(WARM_UP_RUNS):
                    self.classify(frame, keep_ratio, score_threshold=0.0)
            except NotFiniteError as error:
                raise ClassifierError(
                    f'{self.model_name} gives NaN for an answer in {self.precision}; the weights '
                    'are broken, or too large for it: try precision:=float32') from error
            except (RuntimeError, OSError) as error:
                raise ClassifierError(
                    f'{self.model_name} does not run on {self.device.type} with backend '
                    f'{self.backend.name} in {self.precision} at keep_ratio {keep_ratio}: '
                    f'{error}. Try backend:=eager precision:=float32') from error
            if progress:
                progress(keep_ratio)

    def time_levels(self, num_rounds: int, progress: Optional[Callable[[], None]] = None
                    ) -> Dict[float, List[float]]:
        """Run every level of the ladder on a 640x480 image; return the milliseconds of each run.

        In turns, so that a machine that is busy for a moment slows every level alike; `progress`
        is called after each turn.
        """
        frame = _test_frame()
        times_ms: Dict[float, List[float]] = {ratio: [] for ratio in self.config.ladder}
        for _ in range(num_rounds):
            for keep_ratio, times in times_ms.items():
                start = time.perf_counter()
                self.classify(frame, keep_ratio)  # ends with a read-back: the device is done
                times.append((time.perf_counter() - start) * 1e3)
            if progress:
                progress()
        return times_ms

    def release(self) -> None:
        """Give back the memory of the model; it cannot classify any more."""
        self.backend = Released(self.backend.name, self.precision)

    def classify(self, rgb: np.ndarray, keep_ratio: Optional[float] = None,
                 top_k: Optional[int] = None,
                 score_threshold: Optional[float] = None) -> Prediction:
        """Classify one image.

        Args:
            rgb: (H, W, 3) uint8, RGB order, any size.
            keep_ratio: share of the patch tokens kept, snapped to the ladder.
            top_k: the most classes returned.
            score_threshold: classes below this probability are left out.

        Raises:
            ltp_ros.model.data_config.ImageSizeError: if `rgb` cannot be resized for the model.
            ValueError: if `rgb` is not such an image, or another argument is out of range.
            RuntimeError, OSError: if the device fails, or the answer is not finite.
        """
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0:
            raise ValueError(f'an image of shape {rgb.shape} and type {rgb.dtype} is not '
                             'supported; expected (height, width, 3) uint8 RGB')
        config = self.config
        keep_ratio = snap(check_keep_ratio(
            config.keep_ratio if keep_ratio is None else keep_ratio), config.ladder)
        top_k = min(config.top_k if top_k is None else top_k, len(self.labels))
        if top_k < 1:
            raise ValueError(f'top_k {top_k} is not allowed; it must be at least 1')
        threshold = config.score_threshold if score_threshold is None else score_threshold
        scores, class_ids, keep_indices = self.backend(rgb, keep_ratio, top_k)
        # NaN is above no threshold, and not among the best: it would look like nothing recognised
        if len(scores) < top_k or not np.isfinite(scores).all():
            raise NotFiniteError(f'{self.model_name} gave NaN for an answer at keep_ratio '
                                 f'{keep_ratio:g} in {self.precision}')
        confident = int((scores >= threshold).sum())  # scores descend
        ids = tuple(class_ids[:confident].tolist())
        return Prediction(
            class_ids=ids, labels=tuple(self.labels[i] for i in ids),
            scores=tuple(scores[:confident].tolist()), keep_ratio=keep_ratio,
            num_keep=self._summary.sizes[keep_ratio].num_keep, num_patches=self.num_patches,
            keep_indices=keep_indices)


def _test_frame() -> np.ndarray:
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


def choice_file(folder: Path, config: ClassifierConfig, device: Device) -> Path:
    """Return the file of what was the fastest on this machine, in a model's folder."""
    return kept_choice.file_of(folder, {
        'backend': config.backend, 'precision': config.precision,
        'hardware': hardware(str(device)), 'power_mode': power_mode(),
        'threads': [config.num_threads, len(os.sched_getaffinity(0)),
                    os.environ.get('OMP_NUM_THREADS')],
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
