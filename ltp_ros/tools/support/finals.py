# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_profile IMAGES`: its finalists, opened as a node opens a ladder; timed and scored so."""
import dataclasses
import tempfile
from pathlib import Path
from typing import Dict, List, Mapping, Sequence, Tuple

from rich.progress import Progress

from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig
from ltp_ros.frames.startup import machine_of
from ltp_ros.research.ladder_search.intervals import worth_of
from ltp_ros.research.ladder_search.words import Scored, key_of
from ltp_ros.tools.support.scene import Answer, Scene
from ltp_ros.tuner import ladder_file
from ltp_ros.tuner.ladder_file import Ladder, Level, Machine
from ltp_ros.tuner.levels import LevelCost, costs_of


class Finals:
    """Opens levels as a ladder.

    Args:
        config: what the levels leave open; its backend and precision are 'auto'.
        scene: whose pictures are asked.
        rounds: timed runs of each level, in turns.
        zoom_ms: that it takes to find the box in a picture, for levels with the zoom.
        bar: shows the progress.

    Raises (each method):
        ClassifierError, ModelError: if a level cannot be run.
    """

    def __init__(self, config: ClassifierConfig, scene: Scene, rounds: int, zoom_ms: float,
                 bar: Progress):
        self._config, self._scene, self._rounds, self._bar = config, scene, rounds, bar
        self._zoom_ms = zoom_ms

    def score(self, levels: Sequence[Level]) -> Tuple[List[Scored], Machine]:
        """Return levels with their costs and their worth on all pictures, and this machine."""
        with tempfile.TemporaryDirectory() as folder:
            classifier, works = self._opened(levels, Path(folder))
            times_ms = self._times(classifier, 'timing the finalists')
            task = self._bar.add_task(f'{len(levels)} finalists on all images',
                                      total=len(self._scene))
            answers: Dict[float, List[Answer]] = {work: [] for work in works}
            for index in range(len(self._scene)):
                rgb = self._scene.rgb(index)
                for work, mine in answers.items():
                    found = classifier.classify(rgb, work, 1, 0.0)
                    mine.append(Answer(found.class_ids[0], found.features))
                self._bar.advance(task)
            machine = machine_of(classifier)
            classifier.release()
        scored = []
        for cost in costs_of(times_ms):
            hits = self._scene.hits(answers[cost.keep_ratio])
            level = self._at(works[cost.keep_ratio], cost)
            scored.append(Scored(dataclasses.replace(level, worth=worth_of(hits)), hits))
        return scored, machine

    def timed_again(self, scored: Sequence[Scored], chosen: Sequence[Level], reference: Level
                    ) -> List[Scored]:
        """Return the finalists with the costs of those that are chosen where no others are open.

        The times of the others are those of before, at the speed that the machine has now.

        Args:
            scored: the finalists.
            chosen: of them, for the ladder.
            reference: the unpruned model, as `key_of` has it; timed with them.
        """
        keys = dict.fromkeys([*map(key_of, chosen), reference])
        with tempfile.TemporaryDirectory() as folder:
            classifier, works = self._opened(list(keys), Path(folder))
            costs = costs_of(self._times(classifier, 'timing the ladder'))
            classifier.release()
        # The zoom makes no difference to the model
        now = {dataclasses.replace(works[cost.keep_ratio], zoom=False): cost for cost in costs}
        before = next(each.level.p50_ms for each in scored if key_of(each.level) == reference)
        speed = now[reference].median_ms / before

        def cost_of(level: Level) -> LevelCost:
            zoom_ms = self._zoom_of(level)
            return now.get(dataclasses.replace(key_of(level), zoom=False)) or LevelCost(
                1.0, speed * (level.p50_ms - zoom_ms), speed * (level.p99_ms - zoom_ms))
        return [each._replace(level=self._at(each.level, cost_of(each.level)))
                for each in scored]

    def _opened(self, levels: Sequence[Level], folder: Path
                ) -> Tuple[Classifier, Mapping[float, Level]]:
        works = {round(1.0 - 0.001 * place, 3): level for place, level in enumerate(levels)}
        path = folder / 'ladder.yaml'
        ladder_file.write(path, Ladder(tuple(
            dataclasses.replace(level, work=work) for work, level in works.items())))
        task = self._bar.add_task('opening them as a node', total=len(works))
        classifier = Classifier(dataclasses.replace(
            self._config, ladder=str(path)), lambda message: None)
        classifier.warm_up(lambda work: self._bar.advance(task))
        return classifier, works

    def _times(self, classifier: Classifier, what: str) -> Mapping[float, List[float]]:
        task = self._bar.add_task(what, total=self._rounds)
        return classifier.time_levels(self._rounds, lambda: self._bar.advance(task))

    def _at(self, level: Level, cost: LevelCost) -> Level:
        zoom_ms = self._zoom_of(level)
        return dataclasses.replace(level, p50_ms=round(cost.median_ms + zoom_ms, 3),
                                   p99_ms=round(cost.p99_ms + zoom_ms, 3))

    def _zoom_of(self, level: Level) -> float:
        return self._zoom_ms if level.zoom else 0.0
