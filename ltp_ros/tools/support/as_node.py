# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_profile IMAGES`: the levels it chose, opened and timed as in a node."""
import dataclasses
import tempfile
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

from rich.progress import Progress

from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig
from ltp_ros.frames.startup import machine_of
from ltp_ros.research.ladder_search.words import Scored, key_of, run_of
from ltp_ros.tuner import ladder_file
from ltp_ros.tuner.ladder_file import Ladder, Level, Machine
from ltp_ros.tuner.levels import LevelCost, costs_of


def time_as_node(levels: Sequence[Level], config: ClassifierConfig, rounds: int, bar: Progress
                 ) -> Tuple[Dict[Level, LevelCost], Machine]:
    """Return the costs of levels in one ladder, by `run_of`; and this machine.

    Args:
        levels: of one ladder.
        config: what they leave open; its backend and precision are 'auto'.
        rounds: timed runs of each, in turns.
        bar: shows the progress.

    Raises:
        ClassifierError, ModelError: if a level cannot be run.
    """
    runs = dict.fromkeys(map(run_of, levels))
    works = {round(1.0 - 0.001 * place, 3): run for place, run in enumerate(runs)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'ladder.yaml'
        ladder_file.write(path, Ladder(tuple(
            dataclasses.replace(run, work=work) for work, run in works.items())))
        task = bar.add_task('the ladder, as a node', total=len(works) + rounds)
        classifier = Classifier(dataclasses.replace(config, ladder=str(path)),
                                lambda message: None)
        classifier.warm_up(lambda work: bar.advance(task))
        times_ms = classifier.time_levels(rounds, lambda: bar.advance(task))
        machine = machine_of(classifier)
        classifier.release()
    return {works[cost.keep_ratio]: cost for cost in costs_of(times_ms)}, machine


def with_costs(scored: Sequence[Scored], costs: Dict[Level, LevelCost], reference: Level,
               zoom_ms: float) -> List[Scored]:
    """Return finalists with the costs that they have in a node.

    Those of the others are what they were, at the speed that the machine has now.

    Args:
        scored: with what they took in the search, the zoom among it.
        costs: of those that are chosen and of the reference, by `run_of`.
        reference: the unpruned model, as `key_of` has it.
        zoom_ms: that it takes to find the box in a picture.
    """
    before = next(each.level for each in scored if key_of(each.level) == reference)
    speed = costs[run_of(reference)].median_ms / before.p50_ms

    def at_node(level: Level) -> Level:
        cost, more_ms = costs.get(run_of(level)), zoom_ms if level.zoom else 0.0
        p50_ms, p99_ms = (cost.median_ms, cost.p99_ms) if cost else (
            speed * (level.p50_ms - more_ms), speed * (level.p99_ms - more_ms))
        return dataclasses.replace(level, p50_ms=round(p50_ms + more_ms, 3),
                                   p99_ms=round(p99_ms + more_ms, 3))
    return [each._replace(level=at_node(each.level)) for each in scored]
