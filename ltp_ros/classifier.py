# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`Classifier`: one RGB image in, one `Prediction` out."""
import time
from dataclasses import replace
from typing import Any, Callable, Dict, List, Optional, Sequence

import numpy as np

from ltp_ros import rungs
from ltp_ros.backends.kept_choice import Kept
from ltp_ros.backends.protocol import MAX_CLASSES, Backend, BackendAnswer, Log
from ltp_ros.config import ClassifierConfig, snap
from ltp_ros.opening import ClassifierError, read_classes, read_temperatures, trial_frame
from ltp_ros.prediction import Asked, NotFiniteError, Prediction, Released, prediction_of
from ltp_ros.reduction.keep_ratio import check_keep_ratio
from ltp_ros.region import Region
from ltp_ros.rungs import open_rungs
from ltp_ros.settings import with_ladder
from ltp_ros.teaching.backbone import FEATURES, Backbone
from ltp_ros.teaching.classes import Classes
from ltp_ros.teaching.ranking import Ranking
from ltp_ros.tuner.levels import LevelCost
from ltp_ros.zoom.gaze import Zoom

WARM_UP_RUNS = 3
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
        self.model_name, self.model_hash = found.name, found.model_hash
        self.data_config = found.data_config
        self.num_patches, self.grid_size = found.num_patches, found.grid_size
        inputs = [opened.summary.data_config for opened in models]
        self.zoom = Zoom(max(inputs, key=lambda each: each.input_size[0] * each.input_size[1]))
        taught = self.read_classes(config.classes) if config.classes else Classes(config.levels)
        own = read_temperatures(config.temperatures, self.backbone, config.levels
                                ) if config.temperatures else {}
        self._ranking = Ranking(list(found.labels), taught, config.keep_model_classes, own)

    @property
    def backend(self) -> Backend:
        """What runs the model; of several, the first."""
        return self._backends[0]

    @backend.setter
    def backend(self, backend: Backend) -> None:
        self._backends[0] = backend

    @property
    def labels(self) -> List[str]:
        """The names of the classes of its answers, by class id; see `Ranking.labels`."""
        return self._ranking.labels

    @property
    def model_labels(self) -> List[str]:
        """The names of the model's own classes."""
        return self._ranking.model_labels

    @property
    def taught(self) -> Classes:
        """The user's own classes."""
        return self._ranking.taught

    @taught.setter
    def taught(self, classes: Classes) -> None:
        self._ranking.taught = classes

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
        classes = read_classes(path, self.backbone, self.config.levels)
        if self._log and classes.zoom is not None and classes.zoom != self.config.zoom:
            self._log(f'the classes of {path} were taught with zoom:={classes.zoom}'.lower()
                      + ', and are asked otherwise; they are known best as they were taught')
        return classes

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

        In turns, so that a busy moment slows every level alike; `progress` is called after each.
        What several levels share runs once: from the processor's cache it would look faster.
        """
        frame = trial_frame()
        names = {self.rungs[name].run: name for name in self.config.levels}
        times_ms: Dict[object, List[float]] = {run: [] for run in names}
        for _ in range(num_rounds):
            for run, name in names.items():
                start = time.perf_counter()
                self.classify(frame, name, box=None)  # ends with a read-back: all is done
                times_ms[run].append((time.perf_counter() - start) * 1e3)
            if progress:
                progress()
        return {name: list(times_ms[self.rungs[name].run]) for name in self.config.levels}

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
        asked = self._asked(rgb, keep_ratio, top_k, score_threshold, unknown_threshold)
        if box is OWN:
            box = self.zoom.box(rgb) if self.zooms(asked.keep_ratio, self.config.zoom) else None
        if box is not None:
            box.check_inside(*rgb.shape[:2])
        answer = self._backends[asked.rung.model](rgb, asked.rung.keep_ratio, asked.top_own, box)
        return self._prediction(answer, asked, rgb, box)

    def batch_size(self, keep_ratio: float) -> int:
        """Return how many parts of an image the level of this name runs at once."""
        return self._backends[self.rungs[keep_ratio].model].batch_size

    def classify_parts(self, rgb: np.ndarray, boxes: Sequence[Region],
                       keep_ratio: Optional[float] = None, top_k: Optional[int] = None,
                       score_threshold: Optional[float] = None,
                       unknown_threshold: Optional[float] = None) -> List[Prediction]:
        """Classify parts of one image, in batches as far as the backend has them.

        Args:
            rgb: (H, W, 3) uint8, RGB order, any size.
            boxes: of any shape; grown to that of the model's input as `DataConfig.around` has it.
            keep_ratio: as of `classify`.
            top_k: as of `classify`.
            score_threshold: as of `classify`.
            unknown_threshold: as of `classify`.

        Returns:
            An answer for each box, in their order.

        Raises:
            As `classify`.
        """
        asked = self._asked(rgb, keep_ratio, top_k, score_threshold, unknown_threshold)
        for box in boxes:
            box.check_inside(*rgb.shape[:2])
        rung = asked.rung
        backend, data_config = self._backends[rung.model], rung.summary.data_config
        seen = [data_config.around(box, *rgb.shape[:2]) for box in boxes]
        size, predictions = backend.batch_size, []
        for parts in (seen[first:first + size] for first in range(0, len(seen), size)):
            answers = backend.batch(rgb, parts, rung.keep_ratio, asked.top_own)
            predictions += [self._prediction(answer, asked, rgb, box)
                            for answer, box in zip(answers, parts)]
        return predictions

    def _asked(self, rgb: np.ndarray, keep_ratio: Optional[float], top_k: Optional[int],
               score_threshold: Optional[float], unknown_threshold: Optional[float]) -> Asked:
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0:
            raise ValueError(f'an image of shape {rgb.shape} and type {rgb.dtype} is not '
                             'supported; expected (height, width, 3) uint8 RGB')
        config = self.config
        keep_ratio = snap(check_keep_ratio(
            config.keep_ratio if keep_ratio is None else keep_ratio), config.levels)
        top_k = config.top_k if top_k is None else top_k
        if top_k < 1:
            raise ValueError(f'top_k {top_k} is not allowed; it must be at least 1')
        return Asked(
            keep_ratio, self.rungs[keep_ratio], top_k,
            self._ranking.needed(top_k, MAX_CLASSES),
            config.score_threshold if score_threshold is None else score_threshold,
            config.unknown_threshold if unknown_threshold is None else unknown_threshold)

    def _prediction(self, answer: BackendAnswer, asked: Asked, rgb: np.ndarray,
                    box: Optional[Region]) -> Prediction:
        keep_ratio = asked.keep_ratio
        # NaN is above no threshold, and not among the best: it would look like nothing recognised
        if len(answer.scores) < asked.top_own or not (
                np.isfinite(answer.scores).all() and np.isfinite(answer.features).all()):
            raise NotFiniteError(f'{self.model_name} gave NaN for an answer at keep_ratio '
                                 f'{keep_ratio:g} in {self.precision}')
        ranked = self._ranking.rank(answer.scores, answer.class_ids, answer.features, keep_ratio,
                                    asked.top_k, asked.unknown_threshold)
        return prediction_of(answer, ranked, self.labels, asked, rgb.shape, box)
