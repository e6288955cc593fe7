# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`Classifier`: one RGB image in, one `Prediction` out."""
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np
import torch

from ltp_ros.backends import cache, choice, kept_choice
from ltp_ros.backends.protocol import Backend, BackendAnswer, Log
from ltp_ros.config import ClassifierConfig, snap
from ltp_ros.machine import hardware, power_mode
from ltp_ros.model import vit
from ltp_ros.reduction.base import check_keep_ratio
from ltp_ros.tuner import ladder_profile as profile

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
        ltp_ros.model.vit.ModelError: if the model, its weights or its labels cannot be used.
        ClassifierError: if the device, the backend or the precision is not there.
    """

    def __init__(self, config: ClassifierConfig, log: Optional[Log] = None,
                 progress: Callable[[], None] = lambda: None):
        self.config = config
        if config.num_threads:
            torch.set_num_threads(config.num_threads)
        self.device = resolve_device(config.device)
        if self.device.index is not None:
            torch.cuda.set_device(self.device)  # for code in this thread that names no device
        resolve_precision(config.precision, self.device)
        weights = vit.weights_of(config.model, config.checkpoint)
        names: List[str] = []

        def name_classes(outline: torch.nn.Module) -> None:
            if config.labels:  # once: it may be a pipe
                names.extend(vit.label_names(outline, weights, config.labels))

        model = vit.create_vit(config.model, config.checkpoint, method=config.method,
                               score=config.score, alpha=config.alpha,
                               input_size=config.input_size,
                               papr_checkpoint=config.papr_checkpoint, judge=name_classes,
                               progress=progress, log=log)
        self.labels = names or vit.label_names(model, weights)
        self.model_name = vit.model_name(config.model, config.checkpoint)
        self.data_config = vit.data_config(model, config.crop_mode)
        self.num_patches = model.patch_drop.num_patches
        self.grid_size: Tuple[int, int] = tuple(model.patch_embed.grid_size)
        self.model_hash = profile.model_hash(tensors_of(model))
        self._num_keep = {ratio: _num_keep(model, ratio) for ratio in config.ladder}
        self.kept: Optional[kept_choice.Kept] = None  # what is known from an earlier start
        self._choice_file: Optional[Path] = None
        self.backend = self._choose_backend(model, log or _silent)
        self.precision: str = self.backend.precision

    def _choose_backend(self, model: torch.nn.Module, log: Log) -> Backend:
        config = self.config
        folder = choice.model_folder(config.cache, self.model_name, self.model_hash,
                                     config.method, config.score, config.alpha)

        def make(name: str, precision: str) -> Backend:
            return choice.create(name, precision, model, self.data_config, self.device, folder,
                                 log)

        try:
            pairs = choice.candidates(config.backend, config.precision, self.device)
            if folder is not None and {'onnx', 'openvino'} & set(dict(pairs)):  # which keep files
                cache.prune(folder.parents[1], folder)
            if folder is not None and len(pairs) > 1:
                self._choice_file = choice_file(folder, config, self.device)
                self.kept = kept_choice.read(self._choice_file)
            trial = _test_frame(), snap(TRIAL_LEVEL, config.ladder)
            backend = self.kept and choice.as_before(
                self.kept, pairs, config.precision == 'auto', make, *trial, log)
            if backend:
                log(f'to choose anew, delete {self._choice_file}')
                return backend
            self.kept = None
            return choice.fastest(pairs, make, *trial, log)
        except (ImportError, RuntimeError, OSError) as error:
            raise ClassifierError(f'backend {config.backend} cannot run {self.model_name}: '
                                  f'{error}') from error

    def keep_choice(self, levels: Sequence[Tuple[float, float, float]]) -> None:
        """Keep which backend was the fastest, for the next start, if others were there.

        Args:
            levels: keep ratio, median and 99th percentile in ms, as they were timed.

        Raises:
            OSError: if the choice cannot be kept.
        """
        if self._choice_file is not None:
            kept_choice.write(self._choice_file, kept_choice.Kept(
                self.backend.name, self.precision, self.kept.check if self.kept else '',
                tuple(levels)))

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
            ltp_ros.model.preprocessing.ImageSizeError: if `rgb` cannot be resized for the model.
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
            num_keep=self._num_keep[keep_ratio], num_patches=self.num_patches,
            keep_indices=keep_indices)


def _num_keep(model: torch.nn.Module, keep_ratio: float) -> int:
    model.patch_drop.keep_ratio = keep_ratio
    return model.patch_drop.num_keep


def tensors_of(model: torch.nn.Module) -> Iterator[Tuple[str, bytes]]:
    """Yield the name and the bytes of each tensor, as `profile.model_hash` takes them."""
    for name, tensor in sorted(model.state_dict().items()):
        yield name, tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy(
            ).tobytes()  # numpy has no bfloat16


def _test_frame() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)


def resolve_device(device: str) -> torch.device:
    """Return the torch device for 'auto', 'cpu', 'cuda' or 'cuda:N'.

    Raises:
        ClassifierError: if it is not there.
    """
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


def choice_file(folder: Path, config: ClassifierConfig, device: torch.device) -> Path:
    """Return the file of what was the fastest on this machine, in a model's folder."""
    return kept_choice.file_of(folder, {
        'backend': config.backend, 'precision': config.precision,
        'hardware': hardware(str(device)), 'power_mode': power_mode(),
        'threads': torch.get_num_threads(), **kept_choice.versions()})


def resolve_precision(precision: str, device: torch.device) -> str:
    """Return the precision for `device`; ClassifierError if the device has no such numbers."""
    if precision == 'auto':
        return 'float16' if device.type == 'cuda' else 'float32'
    if precision == 'bfloat16' and device.type == 'cuda' and not computes_bfloat16(device):
        raise ClassifierError('this GPU has no bfloat16 (it came with Ampere); use '
                              'precision:=float16')
    return precision


def computes_bfloat16(device: torch.device) -> bool:
    """Return whether a GPU has units for bfloat16; torch says so of those that emulate it too."""
    return torch.cuda.get_device_capability(device) >= (8, 0)
