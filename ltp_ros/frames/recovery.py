# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What to do when the model fails on an image: the milder remedy first, until one helps."""
import gc
from enum import Enum
from typing import Callable, List, Optional, Tuple

from ltp_ros.backends.protocol import Log
from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig
from ltp_ros.frames.pipeline import Pipeline
from ltp_ros.frames.startup import ways_to_run
from ltp_ros.model.card import ModelError
from ltp_ros.tuner.levels import LevelCost

RETRIES = 2  # failures that may be a moment's
HEALED = 30  # answers in a row after which a failure is the first again


Load = Callable[[ClassifierConfig], Tuple[Classifier, List[LevelCost]]]


class ModelLostError(RuntimeError):
    """The model cannot be run in any way; the message has the first and the last reason."""


class Remedy(Enum):
    """What is tried."""

    RETRY = 'retry'
    LOWER = 'lower'
    RELOAD = 'reload'


class Strikes:
    """Count failures and answers, and choose the remedy.

    The first failures are passed over, as a device that lacks memory for a moment has them. If
    more follow before `HEALED` answers, the model gets the fewest tokens, then it is loaded anew,
    again and again: which way each time is for the caller, who has a list of ways that ends.
    """

    def __init__(self) -> None:
        self._failures = self._answers = 0

    @property
    def failing(self) -> bool:
        """Whether there were too few answers since the last failure to be sure."""
        return self._failures > 0

    def answered(self) -> bool:
        """Note an answer; return whether it is the one by which the trouble is over."""
        self._answers += 1
        if not self.failing or self._answers < HEALED:
            return False
        self._failures = 0
        return True

    def failed(self, can_lower: bool) -> Remedy:
        """Note a failure; return what to try.

        Args:
            can_lower: whether there is a level with fewer tokens.
        """
        self._answers = 0
        self._failures += 1
        if self._failures <= RETRIES:
            return Remedy.RETRY
        return Remedy.LOWER if can_lower else Remedy.RELOAD


class Recovery:
    """Keep a pipeline going whose model fails; in its thread.

    Args:
        pipeline: whose classifier is replaced, and whose `trouble` says what is the matter.
        load: makes a classifier of a config, warmed up, and the costs of its levels.
        warn: called with what is done.
    """

    def __init__(self, pipeline: Pipeline, load: Load, warn: Log):
        self._pipeline, self._load, self._warn = pipeline, load, warn
        self._strikes = Strikes()
        self._lowered_from: Optional[float] = None
        self._ways: Optional[List[ClassifierConfig]] = None  # left to try in this trouble
        self._moved = False
        self._left_behind = False  # a model, by a thread that hung
        self._first_reason = ''

    def answered(self) -> None:
        """Note an answer; after enough of them all is as before, or as near as can be."""
        if not self._strikes.answered():
            return
        pipeline, before = self._pipeline, self._lowered_from
        # Unless the user or the tuner has chosen another since
        if before is not None and pipeline.keep_ratio == pipeline.lowest_keep_ratio:
            pipeline.set_keep_ratio(before)
        self._lowered_from = None
        pipeline.trouble = self._outcome if self._moved else ''
        self._ways = None
        if self._left_behind:
            self._left_behind = False
            forget()
        self._warn(f'the model answers again: {self._outcome}')

    def failed(self, reason: str) -> None:
        """Note a failure, and do what may help.

        Raises:
            ModelLostError: if nothing is left to try.
        """
        pipeline = self._pipeline
        if not self._strikes.failing:
            self._first_reason = reason
        lowest = pipeline.lowest_keep_ratio
        remedy = self._strikes.failed(can_lower=pipeline.keep_ratio > lowest)
        pipeline.trouble = f'the model fails: {reason}'
        if remedy is Remedy.LOWER:
            self._warn(f'the model failed again ({reason}); trying keep_ratio {lowest:g}')
            self._lowered_from = self._lowered_from or pipeline.keep_ratio
            pipeline.set_keep_ratio(lowest)
        elif remedy is Remedy.RELOAD:
            self._reload(reason)

    def hung(self, reason: str) -> None:
        """Load the model anew, with a way to run it that may do without what hangs.

        It is called in another thread than the one that hangs, which keeps the old model: giving
        its memory back might hang as well.

        Raises:
            ModelLostError: if nothing is left to try.
        """
        if not self._strikes.failing:
            self._first_reason = reason
        self._strikes.failed(can_lower=False)
        classifier = self._pipeline.classifier
        # On a device that hangs, to give back memory may hang too
        self._left_behind = classifier.device.type == 'cpu'
        if self._ways is None:
            here, *others = ways_to_run(classifier)
            self._ways = [*others, here]
        if classifier.device.type == 'cuda':  # nothing runs on a device that hangs
            self._ways = [config for config in self._ways if config.device == 'cpu']
        self._reload(reason, release=False)

    @property
    def _outcome(self) -> str:
        classifier = self._pipeline.classifier
        return (f'runs with {classifier.backend.name} {classifier.precision} on '
                f'{classifier.device} after failures ({self._first_reason})')

    def _reload(self, reason: str, release: bool = True) -> None:
        if self._ways is None:
            self._ways = list(ways_to_run(self._pipeline.classifier))
        while self._ways:
            config = self._ways.pop(0)
            way = f'{config.backend} on {config.device}'
            self._warn(f'the model failed ({reason}); loading it anew, with {way}')
            self._pipeline.trouble = (f'loading the model anew, with {way}, after failures '
                                      f'({self._first_reason})')
            if release:
                self._pipeline.classifier.release()
                forget()
            try:
                self._pipeline.replace_classifier(*self._load(config))
                self._moved, self._pipeline.trouble = True, self._outcome
                return
            except (ModelError, RuntimeError, OSError, MemoryError) as error:
                reason = str(error) or type(error).__name__
        raise ModelLostError(f'the model cannot be run any more: {reason}. It first failed '
                             f'because {self._first_reason}')


def forget() -> None:
    """Free what nobody refers to any more; models contain cycles."""
    gc.unfreeze()  # undo `prepare`
    gc.collect()
