# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A better way to run the model, found while it runs, takes over between two frames."""
import dataclasses
import os
import threading
from types import SimpleNamespace

import pytest

from ltp_ros.backends import kept_choice
from ltp_ros.backends.kept_choice import Kept
from ltp_ros.classifier import ClassifierError
from ltp_ros.config import ClassifierConfig
from ltp_ros.frames.changeover import ChangeOver

INT8 = Kept('onnx', 'int8', 'on 9 pictures all is well')


class FakeClassifier:
    """As much of one as a change-over looks at."""

    def __init__(self, choice_file, backend='eager', precision='float32'):
        self.config = ClassifierConfig(model='demo', priority=3)
        self.backend, self.precision = SimpleNamespace(name=backend), precision
        self.choice_file, self.released, self.kept_levels = choice_file, False, None

    def keep_choice(self, levels):
        self.kept_levels = levels

    def release(self):
        self.released = True


class Bench:
    """A pipeline, and a change-over for it."""

    def __init__(self, choice_file, error=None, comes=('onnx', 'int8')):
        self._error, self._choice_file, self._comes = error, choice_file, comes
        self.classifier = self.before = FakeClassifier(choice_file)
        self.told, self.loaded, self.waiting = [], [], []
        self._look = ChangeOver(self, self._load, self.waiting.append, self.told.append)

    def replace_classifier(self, classifier, costs):
        self.classifier, self.costs = classifier, costs

    def _load(self, config):
        self.loaded.append(config)
        self.niceness = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        if self._error:
            raise self._error
        return FakeClassifier(self._choice_file, *self._comes), ['costs']

    def look(self):
        """Look, wait until what is loaded is there, and let a frame end."""
        self._look.look()
        if self._look.thread:
            self._look.thread.join()
        while self.waiting:
            self.waiting.pop()()


@pytest.fixture
def choose(tmp_path):
    """Return a function that writes a choice; its times differ however fast they follow."""
    path, times = tmp_path / 'choice_0.json', iter(range(1, 99))

    def write(kept):
        kept_choice.write(path, kept)
        os.utime(path, (next(times),) * 2)
    write.path = path
    return write


@pytest.mark.parametrize('before', [None, Kept('eager', 'float32')])
def test_int8_that_was_checked_takes_over_between_two_frames(choose, before):
    if before:
        choose(before)
    bench = Bench(choose.path)
    bench.look()
    assert not bench.loaded
    choose(INT8)
    bench.look()
    assert bench.classifier.precision == 'int8' and bench.costs == ['costs']
    assert bench.before.released
    assert bench.told == ['onnx int8 was found to be faster; on 9 pictures all is well',
                          'changed over to onnx int8']
    # The threads of its runtime inherit from the one that loads it
    assert [config.priority for config in bench.loaded] == [3]
    assert bench.niceness == os.getpriority(os.PRIO_PROCESS, 0)
    assert bench.classifier.kept_levels == ()  # what was timed beside frames is not kept


@pytest.mark.parametrize('kept', [
    Kept('onnx', 'int8'),  # which nobody checked
    Kept('openvino', 'bfloat16'), dataclasses.replace(INT8, backend='eager', precision='float32')])
def test_what_was_not_checked_or_runs_already_changes_nothing(choose, kept):
    bench = Bench(choose.path)
    choose(kept)
    bench.look()
    assert not bench.loaded and bench.classifier is bench.before and not bench.told


def test_a_choice_is_looked_at_once_and_another_again(choose):
    bench = Bench(choose.path, ClassifierError('no memory'))
    for _ in range(2):
        choose(INT8)
        bench.look()
        bench.look()
    assert len(bench.loaded) == 2


@pytest.mark.parametrize('error', [
    ClassifierError('no memory'), OSError('no disk'), MemoryError()])
def test_what_cannot_be_loaded_leaves_what_runs(choose, error):
    bench = Bench(choose.path, error)
    choose(INT8)
    bench.look()
    assert bench.classifier is bench.before and not bench.before.released
    assert bench.told[-1] == f'it cannot be loaded, so that eager float32 goes on: {error}'


def test_a_choice_made_while_the_model_was_loaded_is_noticed(choose):
    choose(INT8)
    bench = Bench(choose.path)
    bench.look()
    assert bench.classifier.precision == 'int8'


def test_what_turns_out_to_be_another_way_is_not_taken(choose):
    bench = Bench(choose.path, comes=('openvino', 'float32'))
    choose(INT8)
    bench.look()
    assert bench.loaded and bench.classifier is bench.before


def test_a_server_that_was_closed_meanwhile_is_given_no_model(choose):
    bench = Bench(choose.path)
    choose(INT8)
    bench._look.close()
    bench.look()
    assert bench.loaded and bench.classifier is bench.before and not bench.before.released


def test_a_model_that_failed_meanwhile_keeps_its_remedy(choose):
    bench = Bench(choose.path)
    choose(INT8)
    bench._look.look()
    bench._look.thread.join()
    bench.classifier = remedy = FakeClassifier(choose.path, 'graph')
    for frame_ended in bench.waiting:
        frame_ended()
    assert bench.classifier is remedy and not remedy.released


def test_without_a_place_for_choices_there_is_nothing_to_look_at():
    bench = Bench(None)
    bench.look()
    assert not bench.loaded
