# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""From a config to the levels of its ladder, each in a model that is ready to run.

Levels that differ in their keep ratio alone share a model. Those of the method resize, and of a
ladder in a file, differ in more: each such group has a model of its own, loaded once.
"""
from dataclasses import asdict, dataclass, replace
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ltp_ros.backends import kept_choice
from ltp_ros.backends.protocol import Log
from ltp_ros.backends.summary import LevelSize, ModelSummary
from ltp_ros.config import ClassifierConfig, Sides
from ltp_ros.machine import resident_mib
from ltp_ros.opening import ClassifierError, Opened, open_model
from ltp_ros.tuner.ladder_file import Ladder, Level
from ltp_ros.tuner.levels import LevelCost

AUTO = 'auto'


@dataclass(frozen=True)
class LevelConfig(ClassifierConfig):
    """The config of one group of levels; its image need not be square."""

    image_sides: Sides = (0, 0)
    patch_size: int = 0


class Rung(NamedTuple):
    """A level of the ladder, and what it runs in."""

    model: int  # index of the model
    summary: ModelSummary  # of that
    method: str
    keep_ratio: float  # of the method
    zoom: Optional[bool] = None  # None: as the parameter says

    @property
    def size(self) -> LevelSize:
        """How many tokens it has."""
        return self.summary.sizes[self.keep_ratio]

    @property
    def run(self) -> Tuple[int, float]:
        """What runs: the same where only the zoom or the name differs."""
        return self.model, self.keep_ratio


Rungs = Dict[float, Rung]  # by the keep ratio that names each, the dearest first


def open_rungs(config: ClassifierConfig, ladder: Optional[Ladder], log: Optional[Log],
               progress: Callable[[], None]) -> Tuple[List[Opened], Rungs]:
    """Open the models of a ladder, and tell which level runs in which.

    Args:
        config: as of `Classifier`.
        ladder: that it names; None: none.
        log: as of `Classifier`.
        progress: as of `Classifier`.

    Raises:
        ltp_ros.model.card.ModelError: as `open_model`.
        ClassifierError: as `open_model`, or if two models have not the same classes.
    """
    opening = _Opening(config, log, progress)
    if ladder:
        opening.levels_of(ladder)
    elif config.method == 'resize' and not isinstance(config, LevelConfig):
        opening.resized()
    else:
        opening.one_model()
    if log and len(opening.models) > 1:
        log(f'{len(opening.rungs)} levels in {len(opening.models)} models; this process now holds '
            f'{resident_mib():.0f} MiB')
    return opening.models, opening.rungs


class _Opening:
    def __init__(self, config: ClassifierConfig, log: Optional[Log],
                 progress: Callable[[], None]):
        self._config, self._log, self._progress = config, log, progress
        self.models: List[Opened] = []
        self.rungs: Rungs = {}

    def one_model(self) -> None:
        self._open(self._config)
        for ratio in self._config.levels:
            self._add(ratio, 0, self._config.method, ratio)

    def resized(self) -> None:
        """Open levels whose input has about the keep ratio's share of the pixels."""
        config = self._config
        self._open(config_of(config, Level(1.0)))
        found = self.models[0].summary
        sizes = {ratio: found.smaller_input(ratio) for ratio in config.levels}
        if self._log and not found.step[0]:
            self._log(f'{found.name} takes images of one size alone, so that every level is the '
                      'same; Vision Transformers and most ConvNets take others')
        opened = {(found.data_config.input_size, 0): 0}
        for ratio, (sides, patch) in sizes.items():
            if (sides, patch) not in opened:
                opened[sides, patch] = len(self.models)
                self._open_alike(config_of(config, Level(1.0, input_size=sides,
                                                         patch_size=patch)))
            self._add(ratio, opened[sides, patch], config.method, 1.0)

    def levels_of(self, ladder: Ladder) -> None:
        """Open the levels of a ladder; those that differ in their keep ratio share a model."""
        groups: Dict[LevelConfig, int] = {}
        keys = [config_of(self._config, level) for level in ladder.levels]
        for level, key in zip(ladder.levels, keys):
            if key not in groups:
                groups[key] = len(self.models)
                ratios = sorted({other.keep_ratio for other, same in zip(ladder.levels, keys)
                                 if same == key}, reverse=True)
                group = replace(key, keep_ratios=tuple(ratios), keep_ratio=ratios[0])
                (self._open_alike if self.models else self._open)(group)
            self._add(level.work, groups[key], key.method, level.keep_ratio, level.zoom)
        self._check_classes()

    def _add(self, name: float, model: int, method: str, keep_ratio: float,
             zoom: Optional[bool] = None) -> None:
        self.rungs[name] = Rung(model, self.models[model].summary, method, keep_ratio, zoom)

    def _open(self, config: ClassifierConfig) -> None:
        self.models.append(open_model(config, self._log, self._progress))

    def _open_alike(self, group: LevelConfig) -> None:
        """Open a model in the runtime that was the fastest for the first one, if it can be."""
        made = self.models[0].backend
        alike = replace(group, backend=made.name if group.backend == AUTO else group.backend,
                        precision=made.precision if group.precision == AUTO else group.precision)
        try:
            self._open(alike)
        except ClassifierError as error:
            if alike == group:
                raise
            if self._log:
                self._log(f'{error}; trying others')
            self._open(group)

    def _check_classes(self) -> None:
        first, *others = (opened.summary for opened in self.models)
        for other in others:
            if other.labels != first.labels:
                raise ClassifierError(
                    f'the models of a ladder must have the same classes, but {first.name} has '
                    f'{len(first.labels)} ({first.labels[0]!r}, ...) and {other.name} '
                    f'{len(other.labels)} ({other.labels[0]!r}, ...); labels:=FILE names them '
                    'alike')


def config_of(config: ClassifierConfig, level: Level) -> LevelConfig:
    """Return the config of the model of a level, whatever its keep ratio.

    A parameter that was given counts more than what the level says.
    """
    fields = {name: getattr(config, name) for name in config.__dataclass_fields__}
    fields.update(ladder='', profile='', classes='', temperatures='', keep_ratios=(1.0,),
                  keep_ratio=1.0, patch_size=level.patch_size, image_sides=(
                      level.input_size if level.input_size[0] else config.image_sides))
    for name in ('backend', 'precision'):
        if fields[name] == AUTO and getattr(level, name):
            fields[name] = getattr(level, name)
    for name in ('model', 'method'):
        fields[name] = getattr(level, name) or fields[name]
    if level.model or level.checkpoint:
        fields['checkpoint'] = level.checkpoint
    return LevelConfig(**fields)


def seal_of(rungs: Rungs, config: ClassifierConfig) -> Dict[str, object]:
    """Return what the answers of a ladder depend on, as JSON values by name.

    Of one model alone, what its levels have in common.
    """
    details = {'score': config.score, 'alpha': config.alpha}
    first, *others = ({
        'model': rung.summary.name, 'model_hash': rung.summary.model_hash, 'method': rung.method,
        **(details if rung.method == 'ltp' else {}), **asdict(rung.summary.data_config)}
        for rung in rungs.values())
    if not config.ladder and all(other == first for other in others):
        return first
    return {**first, 'other_levels': others,
            'keep_ratios': [rung.keep_ratio for rung in rungs.values()]}


def kept_costs(models: Sequence[Opened], rungs: Rungs) -> List[LevelCost]:
    """Return the costs of the levels as an earlier start timed them; [] if it did not time all."""
    costs = []
    for name, rung in rungs.items():
        kept = models[rung.model].kept
        costs += [LevelCost(name, p50_ms, p99_ms)
                  for ratio, p50_ms, p99_ms in (kept.levels if kept else ())
                  if ratio == rung.keep_ratio]
    return costs if len(costs) == len(rungs) else []


def keep_choices(models: Sequence[Opened], rungs: Rungs, costs: Sequence[LevelCost]
                 ) -> List[Opened]:
    """Keep for the next start the backend of each model, unless int8 was chosen for it since.

    Returns:
        The models, as they would be read now.

    Raises:
        OSError: if a choice cannot be kept.
    """
    timed = {cost.keep_ratio: cost for cost in costs}
    result = []
    for index, opened in enumerate(models):
        now = kept_choice.read(opened.choice_file) if opened.choice_file else None
        if opened.choice_file and (now == opened.read or not (now and now.check)):
            levels = {rung.keep_ratio: timed[name] for name, rung in rungs.items()
                      if rung.model == index and name in timed}
            kept = opened.kept or kept_choice.Kept(opened.backend.name, opened.backend.precision)
            kept = replace(kept, threads=opened.num_threads, levels=tuple(
                (ratio, cost.median_ms, cost.p99_ms) for ratio, cost in levels.items()))
            kept_choice.write(opened.choice_file, kept)
            opened = replace(opened, read=kept)
        result.append(opened)
    return result
