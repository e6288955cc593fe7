# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`Classifier`: one RGB image in, one `Prediction` out."""
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from ltp_ros import rungs
from ltp_ros.backends.kept_choice import Kept
from ltp_ros.backends.protocol import MAX_CLASSES, Backend, BackendAnswer, Log
from ltp_ros.config import ClassifierConfig, snap
from ltp_ros.opening import ClassifierError, trial_frame
from ltp_ros.prediction import NotFiniteError, Prediction, Released
from ltp_ros.reduction.keep_ratio import check_keep_ratio
from ltp_ros.region import Region, pixels_of
from ltp_ros.rungs import open_rungs
from ltp_ros.settings import with_ladder
from ltp_ros.teaching import classes_file, temperatures
from ltp_ros.teaching.backbone import FEATURES, Backbone
from ltp_ros.teaching.classes import Classes
from ltp_ros.tuner.levels import LevelCost
from ltp_ros.zoom.gaze import Zoom

WARM_UP_RUNS = 3
Ranked = Tuple[np.ndarray, np.ndarray]  # class ids and scores, best first
OWN: Any = object()  # the box that `config.zoom` finds in the image by itself


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
        config, self.ladder = with_ladder(config)
        self.config, self._log = config, log
        models, self.rungs = open_rungs(config, self.ladder, log, progress)
        self._backends = [opened.backend for opened in models]
        # What is known of them, without what takes memory
        self._models = [replace(opened, backend=Released(opened.backend.name,
                                                         opened.backend.precision))
                        for opened in models]
        first = models[0]
        self.device, self.num_threads = first.device, first.num_threads
        self.precision: str = first.backend.precision
        self.choice_file = first.choice_file
        found = first.summary
        self.model_labels = list(found.labels)
        self.model_name, self.model_hash = found.name, found.model_hash
        self.data_config = found.data_config
        self.num_patches, self.grid_size = found.num_patches, found.grid_size
        inputs = [opened.summary.data_config for opened in models]
        self.zoom = Zoom(max(inputs, key=lambda each: each.input_size[0] * each.input_size[1]))
        self.taught = self.read_classes(config.classes) if config.classes else Classes(
            config.levels)
        self._temperatures = self._read_temperatures(config.temperatures)

    @property
    def backend(self) -> Backend:
        """What runs the model; of several, the first."""
        return self._backends[0]

    @backend.setter
    def backend(self, backend: Backend) -> None:
        self._backends[0] = backend

    @property
    def labels(self) -> List[str]:
        """The names of the classes of its answers, by class id.

        The model's own until a class is taught; then those that were taught, or with
        `keep_model_classes` first the model's own and then those.
        """
        for head in self.taught.heads.values():
            return [*(self.model_labels if self.config.keep_model_classes else ()), *head.labels]
        return self.model_labels

    @property
    def backbone(self) -> Backbone:
        """What features depend on; classes that were taught fit no other."""
        return {**rungs.seal_of(self.rungs, self.config), **FEATURES}

    def read_classes(self, path: str) -> Classes:
        """Return classes that were taught to this model, from a file.

        Raises:
            ClassifierError: if they were taught to another, not at every level of the ladder, or
                the file cannot be read.
        """
        try:
            classes = classes_file.read(Path(path), self.backbone, self.config.levels)
        except classes_file.ClassesError as error:
            raise ClassifierError(str(error)) from error
        if self._log and classes.zoom is not None and classes.zoom != self.config.zoom:
            self._log(f'the classes of {path} were taught with zoom:={classes.zoom}'.lower()
                      + ', and are asked otherwise; they are known best as they were taught')
        return classes

    def _read_temperatures(self, path: str) -> Dict[float, float]:
        if not path:
            return {}
        try:
            # Scores do not depend on features
            scored = {name: value for name, value in self.backbone.items() if name not in FEATURES}
            return temperatures.read(Path(path), scored, self.config.levels)
        except temperatures.TemperaturesError as error:
            raise ClassifierError(str(error)) from error

    def features(self, rgb: np.ndarray) -> Dict[float, np.ndarray]:
        """Return what `taught.add` needs of an image: its features (D,) at every level."""
        box = self.box(rgb)
        return {keep_ratio: self.classify(rgb, keep_ratio, box=box).features
                for keep_ratio in self.config.levels}

    def box(self, rgb: np.ndarray) -> Optional[Region]:
        """Return where to look in an image (H, W, 3) by itself; None: `config.zoom` is off."""
        return self.zoom.box(rgb) if self.may_zoom(self.config.zoom) else None

    def may_zoom(self, wanted: bool) -> bool:
        """Return whether any level looks at a box; `wanted`: those that leave it open do."""
        return any(self.zooms(name, wanted) for name in self.rungs)

    def zooms(self, keep_ratio: float, wanted: bool) -> bool:
        """Return whether the level of this name looks at a box; `wanted`: see `may_zoom`."""
        zoom = self.rungs[keep_ratio].zoom
        return wanted if zoom is None else zoom

    @property
    def model_configs(self) -> List[ClassifierConfig]:
        """The config of each model by itself, with its levels."""
        return [opened.config for opened in self._models]

    @property
    def kept(self) -> Optional[Kept]:
        """What is known of the first model from an earlier start; None: nothing."""
        return self._models[0].kept

    @property
    def kept_costs(self) -> List[LevelCost]:
        """The costs of the levels as an earlier start timed them; [] if it did not time all."""
        return rungs.kept_costs(self._models, self.rungs)

    def keep_choice(self, costs: Sequence[LevelCost]) -> None:
        """Keep which backend was the fastest, for the next start, unless int8 was chosen since.

        Args:
            costs: of the levels, as they were timed.

        Raises:
            OSError: if the choice cannot be kept.
        """
        self._models = rungs.keep_choices(self._models, self.rungs, costs)

    def warm_up(self, progress: Optional[Callable[[float], None]] = None) -> None:
        """Run every level of the ladder until its caches are filled; call `progress` after each.

        Raises:
            ClassifierError: if the device cannot run the model at this precision.
        """
        frame = trial_frame()
        for keep_ratio in self.config.levels:
            try:
                for _ in range(WARM_UP_RUNS):
                    self.classify(frame, keep_ratio, score_threshold=0.0, box=None)
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
        frame = trial_frame()
        times_ms: Dict[float, List[float]] = {ratio: [] for ratio in self.config.levels}
        for _ in range(num_rounds):
            for keep_ratio, times in times_ms.items():
                start = time.perf_counter()
                self.classify(frame, keep_ratio, box=None)  # ends with a read-back: all is done
                times.append((time.perf_counter() - start) * 1e3)
            if progress:
                progress()
        return times_ms

    def release(self) -> None:
        """Give back the memory of the model; it cannot classify any more."""
        self._backends = [opened.backend for opened in self._models]

    def classify(self, rgb: np.ndarray, keep_ratio: Optional[float] = None,
                 top_k: Optional[int] = None, score_threshold: Optional[float] = None,
                 unknown_threshold: Optional[float] = None,
                 box: Optional[Region] = OWN) -> Prediction:
        """Classify one image.

        Args:
            rgb: (H, W, 3) uint8, RGB order, any size.
            keep_ratio: share of the patch tokens kept, snapped to the ladder.
            top_k: the most classes returned.
            score_threshold: classes below this probability are left out.
            unknown_threshold: see `ClassifierConfig`.
            box: the part of the image that the model is to see, in the shape of its input; None:
                what the crop mode leaves. By default as `config.zoom` says.

        Raises:
            ltp_ros.model.data_config.ImageSizeError: if `rgb` cannot be resized for the model.
            ValueError: if `rgb` is not such an image, `box` does not lie inside it, or another
                argument is out of range.
            RuntimeError, OSError: if the device fails, or the answer is not finite.
        """
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0:
            raise ValueError(f'an image of shape {rgb.shape} and type {rgb.dtype} is not '
                             'supported; expected (height, width, 3) uint8 RGB')
        config = self.config
        keep_ratio = snap(check_keep_ratio(
            config.keep_ratio if keep_ratio is None else keep_ratio), config.levels)
        top_k = config.top_k if top_k is None else top_k
        if top_k < 1:
            raise ValueError(f'top_k {top_k} is not allowed; it must be at least 1')
        threshold = config.score_threshold if score_threshold is None else score_threshold
        if box is OWN:
            box = self.zoom.box(rgb) if self.zooms(keep_ratio, config.zoom) else None
        if box is not None and not box.inside(*rgb.shape[:2]):
            raise ValueError(f'{box} does not lie inside an image of {rgb.shape[1]}x'
                             f'{rgb.shape[0]} pixels; give one that does, of at least 1x1 pixels')
        # At another temperature, a score depends on those of all classes
        top_own = min(MAX_CLASSES if self._temperatures else top_k, len(self.model_labels))
        rung = self.rungs[keep_ratio]
        answer = self._backends[rung.model](rgb, rung.keep_ratio, top_own, box)
        # NaN is above no threshold, and not among the best: it would look like nothing recognised
        if len(answer.scores) < top_own or not (
                np.isfinite(answer.scores).all() and np.isfinite(answer.features).all()):
            raise NotFiniteError(f'{self.model_name} gave NaN for an answer at keep_ratio '
                                 f'{keep_ratio:g} in {self.precision}')
        (class_ids, scores), unknown, known = self._chosen(
            answer, keep_ratio, top_k,
            config.unknown_threshold if unknown_threshold is None else unknown_threshold)
        confident = int((scores >= threshold).sum())  # scores descend
        ids, labels = tuple(class_ids[:confident].tolist()), self.labels
        height, width = rgb.shape[:2]
        found = rung.summary
        return Prediction(
            class_ids=ids, labels=tuple(labels[i] for i in ids),
            scores=tuple(scores[:confident].tolist()), keep_ratio=keep_ratio,
            num_keep=rung.size.num_keep, num_patches=found.num_patches, model=found.name,
            grid_size=found.grid_size, data_config=found.data_config,
            keep_indices=answer.keep_indices, unknown=unknown, known=known,
            features=answer.features, box=box,
            seen=pixels_of(found.data_config.crop_box(height, width, box), height, width))

    def _chosen(self, answer: BackendAnswer, keep_ratio: float, top_k: int,
                unknown_threshold: float) -> Tuple[Ranked, float, bool]:
        """Return the best classes, how unknown the picture is, and whether it is known.

        Of the classes that were taught if there are any, else of the model's own.
        """
        head = self.taught.heads.get(keep_ratio)
        if head is None:
            return self._own(answer, keep_ratio, top_k), math.nan, True
        verdict = head.judge(answer.features)
        known, both = verdict.unknown <= unknown_threshold, self.config.keep_model_classes
        if both and not known:
            return self._own(answer, keep_ratio, top_k), verdict.unknown, True
        ids = np.argsort(-verdict.probabilities, kind='stable')[:top_k]
        first = len(self.model_labels) if both else 0
        return (ids + first, verdict.probabilities[ids]), verdict.unknown, known

    def _own(self, answer: BackendAnswer, keep_ratio: float, top_k: int) -> Ranked:
        scores = answer.scores
        if self._temperatures:
            scores = temperatures.tempered(scores, len(self.model_labels),
                                           self._temperatures[keep_ratio])
        return answer.class_ids[:top_k], scores[:top_k]
