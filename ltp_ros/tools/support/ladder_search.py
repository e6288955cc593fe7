# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_profile IMAGES`: find the ladder of a scene on this machine.

First the ways to run the unpruned model, of which those stay that are worth their time; then what
else may answer, run in those ways, on more and more pictures (`research/ladder_search`). Who is
left is asked all pictures; what of these is chosen is opened and timed as a node does.
"""
import dataclasses
from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np
from rich.progress import Progress

from ltp_ros.backends import choice, guard
from ltp_ros.backends.protocol import Device
from ltp_ros.backends.summary import ModelSummary
from ltp_ros.classifier import ClassifierError
from ltp_ros.config import ClassifierConfig
from ltp_ros.images import Note
from ltp_ros.model.card import ModelError, model_name
from ltp_ros.opening import Opened
from ltp_ros.parameter import ConfigError
from ltp_ros.research.ladder_search import halving, space, zoomed
from ltp_ros.research.ladder_search.found import Dropped, Found
from ltp_ros.research.ladder_search.front import front, named
from ltp_ros.research.ladder_search.halving import Trial
from ltp_ros.research.ladder_search.intervals import worth_of
from ltp_ros.research.ladder_search.words import Scored, advice, described, key_of
from ltp_ros.tools.support import candidates, int8
from ltp_ros.tools.support.as_node import time_as_node, with_costs
from ltp_ros.tools.support.candidates import ERRORS, Candidates, Remembered
from ltp_ros.tools.support.scene import AGREEMENT, Scene, open_scene
from ltp_ros.tuner.ladder_file import Ladder, Level

PLAIN = ('eager', 'float32')  # what others are checked by
TIMED_ROUNDS = 10   # of each candidate, after each round of pictures
PAIR_ROUNDS = 12    # of each way to run the unpruned model
PAIR_PICTURES = 128
CHECKED = 32        # pictures that answers are checked on
Pair = Tuple[str, str]  # backend, precision


@dataclass(frozen=True)
class Search:
    """What is to be searched."""

    config: ClassifierConfig  # what the levels leave open; backend and precision are 'auto'
    models: Sequence[Tuple[str, str]]  # name and checkpoint; the first is compared with
    images: str
    limit: Optional[int]
    use_labels: bool
    wanted: space.Wanted
    backends: Tuple[str, ...]    # () is all
    precisions: Tuple[str, ...]
    rounds: int  # timed runs of each finalist


class Searcher:
    """Goes through the stages of a search.

    Args:
        search: what is to be searched.
        bar: shows the progress.
        note: called with what the user should know.
        part: of the pictures, that are searched with; by default all.
        calibration: pictures (H, W, 3) uint8 each, for int8; None: some of the others.

    Raises:
        ClassifierError, ConfigError, ModelError, ltp_ros.images.ImageFileError: if an input cannot
            be used.
    """

    def __init__(self, search: Search, bar: Progress, note: Note,
                 part: Callable[[Scene], Scene] = lambda scene: scene,
                 calibration: Optional[Sequence[np.ndarray]] = None):
        self._search, self._bar, self._note = search, bar, note
        task = bar.add_task('opening', total=None)
        nothing = Scene([], None, AGREEMENT, 1.0)
        opener = Candidates(search.config, nothing, [])
        self.bases: List[Tuple[Level, ModelSummary]] = []
        for model, checkpoint in search.models:
            opened = self._whole(opener, model, checkpoint)
            self.bases.append((space.base_of(opened.summary, model_name(model, checkpoint),
                                              checkpoint, self._method), opened.summary))
            self._device: Device = opened.device
            if opened.summary.labels != self.bases[0][1].labels:
                raise ConfigError(f'the models {search.models[0][0]} and {model} have not the '
                                  'same classes, which those of one ladder must have')
        opener.release()
        summary = self.bases[0][1]
        self.whole_scene = open_scene(search.images, list(summary.labels), search.limit,
                                      search.use_labels, summary.data_config.resize_size, note)
        self.scene = part(self.whole_scene)
        self._wanted = dataclasses.replace(
            search.wanted, aspect=self.scene.aspect,
            zooms=(False,) if self.scene.metric == AGREEMENT else search.wanted.zooms)
        enough = len(self.scene) > 1 and self._device.type == 'cpu'
        self.calibration = calibration if calibration is not None else (
            self.scene.some(candidates.CALIBRATION) if enough else [])
        self._runs = Candidates(search.config, self.scene, self.calibration)
        self._remembered: Optional[Remembered] = None
        bar.update(task, total=1, completed=1)
        if not summary.step[0]:
            note(f'{summary.name} takes images of one size alone, so that only the ways to run it '
                 'are compared')

    def _whole(self, opener: Candidates, model: str, checkpoint: str) -> Opened:
        """Open a model as it is; with the pruner in it if that is possible."""
        level = Level(1.0, model=model_name(model, checkpoint), checkpoint=checkpoint,
                      method=space.PRUNING, backend=PLAIN[0], precision=PLAIN[1])
        self._method = space.PRUNING
        try:
            return opener.open(level)
        except ModelError as error:
            try:
                self._method = space.WHOLE
                return opener.open(dataclasses.replace(level, method=space.WHOLE))
            except ModelError:
                raise error from None  # of the model, not of the method

    def run(self) -> Found:
        """Search; return what was found.

        Raises:
            ClassifierError, ConfigError, ModelError: if nothing can be run.
        """
        reference, pairs = self._ways_to_run()
        trials = [dataclasses.replace(level, backend=backend, precision=precision)
                  for base, summary in self.bases
                  for level in space.levels_of(summary, base, self._wanted)
                  for backend, precision in pairs]
        finalists, dropped = self._halve(trials, reference)
        scored = self._score([reference, *finalists])
        self._runs.release()
        beside = zoomed.pairs_of(scored)
        gain = zoomed.gain_of(beside) if beside else None
        chosen = front([each.level for each in scored
                        if not each.level.zoom or gain and gain.helps])
        costs, machine = time_as_node([*chosen, reference], self._search.config,
                                      self._search.rounds, self._bar)
        scored = with_costs(scored, costs, reference, self.zoom_ms)
        levels = {key_of(each.level): each.level for each in scored}
        chosen = front([levels[key_of(level)] for level in chosen])
        whole = levels[reference]
        return Found(Ladder(named(chosen), machine), whole, scored, dropped,
                     advice(chosen, scored, whole), gain.sentence if gain else self._no_zoom)

    @property
    def _no_zoom(self) -> str:
        if True in self._wanted.zooms:
            return 'zoom: no level with it was among the best, so it is off'
        return ('zoom: whether it helps only labels can say; give class folders that are named as '
                'the classes of the model, folders of classes to teach, or a labels.csv')

    @property
    def zoom_ms(self) -> float:
        """How long it takes to find where to look in a picture; NaN: it was not tried."""
        return self._runs.zoom_ms

    def _pairs(self) -> List[Pair]:
        pairs = choice.candidates('auto', 'auto', self._device)
        if self._device.type == 'cpu' and len(self.scene) > 1:
            pairs += [pair for pair in int8.PAIRS if pair not in pairs]
        if self._device.type != 'cpu':
            pairs.insert(0, PLAIN)
        backends, precisions = self._search.backends, self._search.precisions
        found = [pair for pair in pairs if (not backends or pair[0] in backends)
                 and (not precisions or pair[1] in precisions)]
        if not found:
            raise ConfigError(f'none of --backends {" ".join(backends)} has any of --precisions '
                              f'{" ".join(precisions)} on {self._device}; there are '
                              + ', '.join(map(' '.join, pairs)))
        return found

    def _ways_to_run(self) -> Tuple[Level, List[Pair]]:
        """Return the unpruned model in float32, or as near as there is, and what is worth it."""
        base, summary = self.bases[0]
        plain = dataclasses.replace(base, backend=PLAIN[0], precision=PLAIN[1])
        pairs, runs = self._pairs(), self._runs
        levels = [dataclasses.replace(base, backend=name, precision=precision)
                  for name, precision in pairs]
        runs.plan([plain, *levels])
        count = min(len(self.scene), PAIR_PICTURES)
        total = count if self.scene.truth is not None else len(self.scene)
        task = self._bar.add_task('ways to run it', total=total + len(levels) * (1 + count))

        def advance() -> None:
            self._bar.advance(task)

        runs.ask_all([plain], total, advance)
        self.scene.agreed = runs.class_ids(plain)
        usable: List[Level] = []
        for level in levels:
            if self._holds(level, plain, summary):
                usable.append(level)
            advance()
        if not usable:
            raise ClassifierError('the model cannot be run in any of the ways that were asked for')
        runs.time_in_turns([[level] for level in usable], PAIR_ROUNDS)
        trials: Dict[Level, Trial] = {}
        for level in usable:
            runs.ask_all([level], count, advance)
            trials[level] = Trial(runs.time_ms(level), runs.hits(level, count))
        self._bar.update(task, completed=total + len(levels) * (1 + count))
        kept = halving.worth_their_time(trials)
        exact = [level for level in usable if level.precision == 'float32'] or usable
        reference = min(exact, key=lambda level: trials[level].time_ms)
        self._note('ways to run the unpruned model: ' + ', '.join(
            f'{level.backend} {level.precision} {trial.time_ms:.1f} ms '
            f'{100 * trial.score:.1f} %' + (' (kept)' if level in kept else '')
            for level, trial in sorted(trials.items(), key=lambda item: item[1].time_ms)))
        return reference, [(level.backend, level.precision) for level in kept]

    def _holds(self, level: Level, plain: Level, summary: ModelSummary) -> bool:
        """Return whether a way to run the model is there, and answers as the model does."""
        pictures = self.scene.some(CHECKED, offset=1) or self.scene.some(1)
        try:
            backend = self._runs.open(level).backend
            # In the same numbers another runtime rounds otherwise, no more; and where it is known
            # which answers are right, these decide
            trusted = level.precision == plain.precision or self.scene.truth is not None
            fault = '' if trusted else guard.check(
                self._exact(plain), backend, pictures, len(summary.labels)).fault
        except ERRORS as error:
            fault = str(error)
        if fault:
            self._note(f'without {level.backend} {level.precision}: {fault}')
        return not fault

    def _exact(self, plain: Level) -> Remembered:
        if self._remembered is None:
            self._remembered = Remembered(self._runs.open(plain).backend)
        return self._remembered

    def _halve(self, levels: Sequence[Level], reference: Level
               ) -> Tuple[List[Level], List[Dropped]]:
        """Return the finalists, and what was dropped on the way."""
        runs, total = self._runs, len(self.scene)
        alive = list(dict.fromkeys([reference, *levels]))
        needed = {level for level in alive if level.keep_ratio == 1.0 and not level.zoom and any(
            level.input_size == base.input_size and level.model == base.model
            and not level.patch_size for base, _ in self.bases)}
        trials: Dict[Level, Trial] = {}
        dropped: List[Dropped] = []
        first = max(halving.FIRST_ROUND, self.scene.first_round)
        rounds = halving.rounds_of(total, first)
        count = len(alive)
        for place, seen in enumerate(rounds):
            groups = runs.plan(alive)
            task = self._bar.add_task(f'{len(alive)} levels on {seen} images', total=len(groups))
            for group in groups:
                try:
                    runs.ask_all(group, seen)
                except ERRORS as error:
                    if reference in group:
                        raise
                    self._note(f'without {described(group[0], reference)}: {error}')
                    alive = [level for level in alive if level not in group]
                self._bar.advance(task)
            runs.time_in_turns([[level for level in group if level in alive]
                                for group in groups], TIMED_ROUNDS)
            trials = {level: Trial(runs.time_ms(level), runs.hits(level, seen))
                      for level in alive}
            room = halving.room_in(count, seen, first) if place else count
            staying = halving.survivors(trials, needed & set(alive), room)
            dropped += [Dropped(level, trial.time_ms, 100.0 * trial.score, seen)
                        for level, trial in trials.items() if level not in staying]
            alive = [level for level in alive if level in staying]
            if len(alive) <= halving.FINALISTS // 2:
                break  # so few are soon asked all
        # Beside each that zooms stands the same without: whether it helps is seen by them
        plain = [dataclasses.replace(level, zoom=False) for level in alive if level.zoom]
        return [level for level in dict.fromkeys([*alive, *plain]) if level != reference], [
            each for each in dropped if each.level not in plain]

    def _score(self, finalists: Sequence[Level]) -> List[Scored]:
        """Ask finalists all pictures, and time them in turns."""
        runs, rounds = self._runs, self._search.rounds
        groups = runs.plan(finalists)
        task = self._bar.add_task(f'{len(finalists)} finalists on all images',
                                  total=len(groups) * (1 + rounds))

        def advance() -> None:
            self._bar.advance(task)

        for group in groups:
            runs.ask_all(group, len(self.scene))
            advance()
        runs.time_in_turns(groups, rounds, advance)
        hits = {level: runs.hits(level, len(self.scene)) for level in finalists}
        return [Scored(dataclasses.replace(runs.timed(level), worth=worth_of(hits[level])),
                       hits[level]) for level in finalists]
