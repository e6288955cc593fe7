# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Change over to int8 while frames are answered, once `ltp_export --int8` has found it to hold."""
import gc
import threading
from pathlib import Path
from typing import Callable, List, Optional

from ltp_ros.backends import kept_choice
from ltp_ros.backends.kept_choice import Kept
from ltp_ros.backends.protocol import Log
from ltp_ros.classifier import Classifier
from ltp_ros.frames import background
from ltp_ros.frames.pipeline import Pipeline
from ltp_ros.frames.recovery import Load, forget
from ltp_ros.model.card import ModelError
from ltp_ros.tuner.levels import LevelCost

PERIOD_S = 5.0  # from one look to the next


class ChangeOver:
    """Notices that the backend of a model was chosen anew, and loads it beside the one in use.

    Args:
        pipeline: whose classifier is replaced.
        load: makes a classifier of a config, warmed up, and the costs of its levels.
        between_frames: runs a function in the thread of the pipeline.
        log: called with what is done.
    """

    def __init__(self, pipeline: Pipeline, load: Load,
                 between_frames: Callable[[Callable[[], None]], object], log: Log):
        self._pipeline, self._load = pipeline, load
        self._between_frames, self._log = between_frames, log
        self._seen_ns: Optional[int] = None  # it may have been made while the model was loaded
        self._closed = False
        self.thread: Optional[threading.Thread] = None  # that loads, or has loaded

    def look(self) -> None:
        """See whether a choice was made since the last look; it is loaded in another thread."""
        classifier = self._pipeline.classifier
        changed_ns = _modified_ns(classifier.choice_file)
        if changed_ns == self._seen_ns or self.thread is not None and self.thread.is_alive():
            return
        self._seen_ns = changed_ns
        kept = classifier.choice_file and kept_choice.read(classifier.choice_file)
        if kept and kept.check and (kept.backend, kept.precision) != (
                classifier.backend.name, classifier.precision):
            self._log(f'{kept.backend} {kept.precision} was found to be faster; {kept.check}')
            # As urgent as the worker: the threads of a runtime inherit that for good
            self.thread = threading.Thread(target=self._change, args=(classifier, kept),
                                           name=background.NAME, daemon=True)
            self.thread.start()

    def close(self) -> None:
        """Take no other model any more."""
        self._closed = True

    def _change(self, before: Classifier, kept: Kept) -> None:
        try:
            after, costs = self._load(before.config)
            after.keep_choice(())  # what was timed beside the frames is not this machine's time
        except (ModelError, RuntimeError, OSError, MemoryError) as error:
            self._log(f'it cannot be loaded, so that {before.backend.name} {before.precision} '
                      f'goes on: {error}')
            return
        if self._closed:
            forget()  # what `prepare` froze after the server was closed
        elif (after.backend.name, after.precision) == (kept.backend, kept.precision):
            self._between_frames(lambda: self._replace(before, after, costs))

    def _replace(self, before: Classifier, after: Classifier, costs: List[LevelCost]) -> None:
        pipeline = self._pipeline
        if pipeline.classifier is before:  # else it failed meanwhile, and another runs
            pipeline.replace_classifier(after, costs)
            before.release()
            forget()
            gc.freeze()  # as `prepare`
            self._log(f'changed over to {after.backend.name} {after.precision}')


def _modified_ns(path: Optional[Path]) -> Optional[int]:
    try:
        return path.stat().st_mtime_ns if path else None
    except OSError:  # not there
        return None
