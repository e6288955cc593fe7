# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The models of candidates, opened as a node would open them; asked and timed."""
import contextlib
import dataclasses
import gc
import os
import time
from statistics import median
from typing import Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from ltp_ros.backends import cache, choice
from ltp_ros.backends.eager import EagerBackend
from ltp_ros.backends.level_files import calibrated_file, origin
from ltp_ros.backends.protocol import Backend, BackendAnswer
from ltp_ros.config import ClassifierConfig
from ltp_ros.machine import resident_mib
from ltp_ros.model.card import ModelError
from ltp_ros.opening import ClassifierError, Opened, open_model, trial_frame
from ltp_ros.region import Region
from ltp_ros.research.ladder_search.words import run_of
from ltp_ros.rungs import LevelConfig, config_of
from ltp_ros.tools.support import int8
from ltp_ros.tools.support.scene import Answer, Scene
from ltp_ros.tuner.ladder_file import Level
from ltp_ros.zoom.gaze import Zoom

CALIBRATED = 'calibrated.json'  # beside a ladder in 8 bits: what it was calibrated on
CALIBRATION = 100  # pictures; with 32 the answers of DeiT-tiny diverge three times as far
MEMORY_SHARE = 0.5  # of the machine's memory, that this process takes before models are closed
WARM_UP_RUNS = 3
ERRORS = (ModelError, ImportError, RuntimeError, OSError)  # ClassifierError is among them


class Remembered:
    """A backend that is asked the same pictures several times, and is slow."""

    def __init__(self, backend: Backend):
        self.name, self.precision = backend.name, backend.precision
        self._backend = backend
        self._answers: Dict[object, BackendAnswer] = {}

    def __call__(self, rgb: np.ndarray, keep_ratio: float, top_k: int,
                 box: Optional[Region] = None) -> BackendAnswer:
        """Classify one image; see `Backend`."""
        key = hash(rgb.tobytes()), rgb.shape, keep_ratio, top_k, box
        if key not in self._answers:
            self._answers[key] = self._backend(rgb, keep_ratio, top_k, box)
        return self._answers[key]


class Candidates:
    """Runs the levels that are tried. Those of one group share a model, as in a node.

    Args:
        config: what the levels leave open; its backend and precision are 'auto'.
        scene: whose pictures are asked.
        pictures: (H, W, 3) uint8 each, to calibrate int8 on; [] where that cannot be.
    """

    def __init__(self, config: ClassifierConfig, scene: Scene,
                 pictures: Sequence[np.ndarray]):
        self._config, self._scene, self._pictures = config, scene, pictures
        self._ratios: Dict[LevelConfig, Tuple[float, ...]] = {}
        self._opened: Dict[LevelConfig, Opened] = {}
        self._answers: Dict[Level, List[Answer]] = {}
        self._times: Dict[Level, List[float]] = {}  # milliseconds
        self._zoom_ms: List[float] = []
        self._frame = trial_frame()
        self._most_mib = MEMORY_SHARE * (
            os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')) / 2 ** 20

    def group_of(self, level: Level) -> LevelConfig:
        """Return the config of the model of a level; levels that share one have the same."""
        return config_of(self._config, level)

    def plan(self, levels: Sequence[Level]) -> List[List[Level]]:
        """Say which levels are tried from now on; return them by group. Others are closed."""
        groups: Dict[LevelConfig, List[Level]] = {}
        for level in levels:
            groups.setdefault(self.group_of(level), []).append(level)
        for group, members in groups.items():
            ratios = {each.keep_ratio for each in members}
            if not ratios <= set(self._ratios.get(group, ())):
                self._ratios[group] = tuple(sorted(ratios, reverse=True))
                self._opened.pop(group, None)
        for group in [group for group in self._opened if group not in groups]:
            del self._opened[group]
        gc.collect()
        return list(groups.values())

    def open(self, level: Level) -> Opened:
        """Return the model of a level, ready to run.

        Raises:
            One of ERRORS: if it cannot be.
        """
        group = self.group_of(level)
        if group not in self._opened:
            self._make_room()
            ratios = self._ratios.get(group, (level.keep_ratio,))
            config = dataclasses.replace(group, keep_ratios=ratios, keep_ratio=ratios[0])
            opened = self._open(config)
            for _ in range(WARM_UP_RUNS):
                for ratio in ratios:
                    opened.backend(self._frame, ratio, 1)
            self._opened[group] = opened
        return self._opened[group]

    def _make_room(self) -> None:
        for group in list(self._opened):  # the one opened first is the next to be asked again
            if resident_mib() < self._most_mib:
                return
            del self._opened[group]
            gc.collect()

    def _open(self, config: LevelConfig) -> Opened:
        if (config.backend, config.precision) == ('openvino', 'int8') and self._pictures:
            self._calibrate(config)
        return open_model(config, None, lambda: None)

    def _calibrate(self, config: LevelConfig) -> None:
        """Have the levels of a group in 8 bits, calibrated on the pictures, where a node looks."""
        eager = open_model(dataclasses.replace(config, backend='eager', precision='float32'),
                           None, lambda: None)
        assert isinstance(eager.backend, EagerBackend)
        found = eager.summary
        folder = choice.model_folder(config.cache, found.name, found.model_hash, config.method,
                                     config.score, config.alpha, config.image_sides)
        if folder is None:
            raise ClassifierError('there is no home folder to keep calibrated models in')
        stamp = {'pictures': int8.hash_of(self._pictures), **origin(int8=False)}
        with contextlib.suppress(OSError, ValueError):
            if calibrated_file(folder).is_file() and (
                    cache.read_json(folder / CALIBRATED) == stamp):
                return
        reducer = eager.backend.model.patch_drop
        reducer.keep_ratio = 1.0
        if not (reducer.counts or reducer.one_level):
            return  # opening says why
        try:
            with open(os.devnull, 'w', encoding='utf-8') as nowhere, \
                    contextlib.redirect_stderr(nowhere), contextlib.redirect_stdout(nowhere):
                int8.calibrate(eager.backend, folder, self._pictures, lambda message: None)
        except Exception as error:  # NNCF has one for each kind of model that it cannot take
            raise ClassifierError(f'int8 of openvino cannot be made of {found.name}: '
                                  f'{error}') from error
        if calibrated_file(folder).is_file():
            cache.write_json(folder / CALIBRATED, stamp)

    def ask_all(self, levels: Sequence[Level], count: int,
                progress: Callable[[], None] = lambda: None) -> None:
        """Ask the levels of one group the first `count` pictures, those not asked before.

        Where the zoom finds nothing to look at, a level with it answers as without.

        Raises:
            One of ERRORS: if a level cannot be run.
        """
        opened = self.open(levels[0])
        zoom = Zoom(opened.summary.data_config)
        for level in levels:
            self._answers.setdefault(level, [])
        for index in range(min(len(self._answers[level]) for level in levels), count):
            rgb = self._scene.rgb(index)
            boxes: Dict[Optional[bool], Optional[Region]] = {False: None, None: None}
            if any(level.zoom for level in levels):
                start = time.perf_counter()
                boxes[True] = zoom.box(rgb)
                self._zoom_ms.append(1e3 * (time.perf_counter() - start))
            made: Dict[object, Answer] = {}
            for level in levels:
                box = boxes[level.zoom]
                if len(self._answers[level]) > index:
                    made.setdefault((level.keep_ratio, box), self._answers[level][index])
                    continue
                key = level.keep_ratio, box
                if key not in made:
                    found = opened.backend(rgb, level.keep_ratio, 1, box)
                    made[key] = Answer(int(found.class_ids[0]) if len(found.class_ids) else -1,
                                       found.features)
                self._answers[level].append(made[key])
            progress()

    def hits(self, level: Level, count: int) -> np.ndarray:
        """Return which of the first `count` pictures a level answered right, (count,) bool."""
        return self._scene.hits(self._answers[level][:count])

    def class_ids(self, level: Level) -> List[int]:
        """Return the answers of a level."""
        return [each.class_id for each in self._answers[level]]

    def time_in_turns(self, groups: Sequence[Sequence[Level]], rounds: int,
                      progress: Callable[[], None] = lambda: None) -> None:
        """Time groups of levels in turns: a machine that slows down for seconds does so for all.

        Groups that do not fit into the memory together are timed one after the other.

        Args:
            groups: as `plan` returned them, or parts of them.
            rounds: timed runs of each level.
            progress: called after each run of a group.

        Raises:
            One of ERRORS: if a level cannot be run.
        """
        for group in groups:
            self.open(group[0])
        fit = all(self.group_of(group[0]) in self._opened for group in groups)
        for group in (each for _ in range(rounds) for each in groups) if fit else (
                each for each in groups for _ in range(rounds)):
            for level in dict.fromkeys(map(run_of, group)):
                self._times.setdefault(level, []).append(self._run(level))
            progress()

    def _run(self, level: Level) -> float:
        backend = self.open(level).backend
        start = time.perf_counter()
        backend(self._frame, level.keep_ratio, 1)
        return 1e3 * (time.perf_counter() - start)

    def time_ms(self, level: Level) -> float:
        """Return about how long a level takes, with the zoom.

        By its fastest run: whatever else the machine does only ever adds to one. Ten runs are
        known to 2 % so, also beside a program that takes one of two processors half of the time;
        by their median then to 8 %.
        """
        zoom_ms = median(self._zoom_ms) if level.zoom and self._zoom_ms else 0.0
        return min(self._times[run_of(level)]) + zoom_ms

    def timed(self, level: Level) -> Level:
        """Return a level with what it takes, the zoom among it; see `time_ms`."""
        runs_ms, time_ms = self._times[run_of(level)], self.time_ms(level)
        return dataclasses.replace(level, p50_ms=time_ms, p99_ms=float(
            time_ms - min(runs_ms) + np.percentile(runs_ms, 99)))

    @property
    def zoom_ms(self) -> float:
        """How long it takes to find the box in a picture, the median; NaN: it was not tried."""
        return median(self._zoom_ms) if self._zoom_ms else float('nan')

    def release(self) -> None:
        """Give back the memory of all models."""
        self._opened.clear()
        gc.collect()
