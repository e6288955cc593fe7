# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What is tried when the model fails, in which order, and what is said of it."""
from types import SimpleNamespace

import pytest
import torch

from ltp_ros.classifier import ClassifierError
from ltp_ros.config import ClassifierConfig
from ltp_ros.frames.recovery import (
    HEALED,
    RETRIES,
    ModelLostError,
    Recovery,
    Remedy,
    Strikes,
)
from ltp_ros.model.card import ModelError


class FakeClassifier:
    """As much of one as a recovery looks at."""

    def __init__(self, backend='onnx', device='cpu', precision='float32'):
        self.config = ClassifierConfig(model='demo')
        self.backend = SimpleNamespace(name=backend)
        self.device = torch.device(device)
        self.precision = precision
        self.released = False

    def release(self):
        self.released = True


class FakePipeline:
    """A pipeline whose classifier may be replaced."""

    lowest_keep_ratio = 0.45

    def __init__(self, **classifier):
        self.classifier = FakeClassifier(**classifier)
        self.trouble, self.keep_ratio = '', 0.7

    def set_keep_ratio(self, keep_ratio):
        self.keep_ratio = keep_ratio

    def replace_classifier(self, classifier, costs):
        self.classifier = classifier


class Bench:
    """A recovery, and what it asks for."""

    def __init__(self, fail_to_load=(), error=ClassifierError, hangs=False, **classifier):
        self._error, self._hangs = error, hangs
        self.pipeline = FakePipeline(**classifier)
        self.loaded, self.told = [], []
        self._fail_to_load = fail_to_load
        self.recovery = Recovery(self.pipeline, self._load, self.told.append)

    def _load(self, config):
        # Its memory may be what lacks; but to give it back may hang too
        assert self.pipeline.classifier.released is not self._hangs
        self.loaded.append((config.device, config.backend, config.precision))
        if len(self.loaded) in self._fail_to_load:
            raise self._error('out of memory')
        return FakeClassifier(config.backend, config.device, config.precision), []

    def fail(self, times):
        for _ in range(times):
            self.recovery.failed('device lost')

    def answer(self, times):
        for _ in range(times):
            self.recovery.answered()


def test_failures_are_passed_over_then_tokens_are_saved_then_the_model_is_loaded_anew():
    strikes = Strikes()
    assert [strikes.failed(can_lower=True) for _ in range(RETRIES)] == [Remedy.RETRY] * RETRIES
    assert strikes.failed(can_lower=True) is Remedy.LOWER
    assert strikes.failed(can_lower=False) is Remedy.RELOAD


@pytest.mark.parametrize('answers, remedy', [
    (HEALED - 1, Remedy.RELOAD), (HEALED, Remedy.RETRY)])
def test_a_failure_long_after_the_others_is_the_first_again(answers, remedy):
    strikes = Strikes()
    for _ in range(RETRIES):
        strikes.failed(can_lower=False)
    assert [strikes.answered() for _ in range(answers)].count(True) == (answers >= HEALED)
    assert strikes.failed(can_lower=False) is remedy


def test_a_moment_s_trouble_changes_nothing():
    bench = Bench()
    before = bench.pipeline.classifier
    bench.fail(RETRIES)
    assert 'device lost' in bench.pipeline.trouble
    bench.answer(HEALED)
    assert (bench.pipeline.classifier, bench.pipeline.keep_ratio) == (before, 0.7)
    assert bench.pipeline.trouble == '' and 'answers again' in bench.told[-1]


def test_the_keep_ratio_is_what_it_was_once_the_trouble_is_over():
    bench = Bench()
    bench.fail(RETRIES + 1)
    assert bench.pipeline.keep_ratio == 0.45 and not bench.loaded
    bench.answer(HEALED)
    assert bench.pipeline.keep_ratio == 0.7


def test_a_keep_ratio_that_was_set_during_the_trouble_stays():
    bench = Bench()
    bench.fail(RETRIES + 1)
    bench.pipeline.set_keep_ratio(0.9)
    bench.answer(HEALED)
    assert bench.pipeline.keep_ratio == 0.9


@pytest.mark.parametrize('classifier, expected', [
    ({'backend': 'onnx'}, [('cpu', 'onnx', 'float32'), ('cpu', 'eager', 'auto'),
                           ('cpu', 'openvino', 'auto')]),
    ({'backend': 'eager', 'precision': 'bfloat16'},
     [('cpu', 'eager', 'bfloat16'), ('cpu', 'onnx', 'auto'), ('cpu', 'openvino', 'auto')]),
    ({'backend': 'graph', 'device': 'cuda:1', 'precision': 'float16'},
     [('cuda:1', 'graph', 'float16'), ('cuda:1', 'eager', 'auto'), ('cpu', 'eager', 'auto')]),
])
def test_every_way_to_run_the_model_is_tried_once_and_then_it_is_lost(classifier, expected):
    bench = Bench(**classifier)
    bench.fail(RETRIES + 1 + len(expected))
    assert bench.loaded == expected
    with pytest.raises(ModelLostError, match='cannot be run any more: device lost'):
        bench.recovery.failed('device lost')


def test_a_way_that_does_not_even_load_is_passed_over():
    bench = Bench(fail_to_load=(1,))
    bench.fail(RETRIES + 2)
    assert [backend for _, backend, _ in bench.loaded] == ['onnx', 'eager']
    bench.answer(HEALED)
    assert bench.pipeline.trouble == (
        'runs with eager auto on cpu after failures (device lost)')


def test_where_nothing_loads_the_first_and_the_last_reason_are_told():
    bench = Bench(fail_to_load=(1, 2, 3))
    with pytest.raises(ModelLostError, match='out of memory. It first failed.*device lost'):
        bench.fail(RETRIES + 2)


@pytest.mark.parametrize('error', [ModelError, RuntimeError, OSError, MemoryError])
def test_whatever_a_device_raises_while_it_loads_the_next_way_is_tried(error):
    bench = Bench(fail_to_load=(1,), error=error)
    bench.fail(RETRIES + 2)
    assert [backend for _, backend, _ in bench.loaded] == ['onnx', 'eager']


@pytest.mark.parametrize('classifier, expected', [
    ({'backend': 'onnx'}, [('cpu', 'eager', 'auto'), ('cpu', 'openvino', 'auto'),
                           ('cpu', 'onnx', 'float32')]),
    ({'backend': 'graph', 'device': 'cuda:1'}, [('cpu', 'eager', 'auto')]),
])
def test_a_model_that_hangs_is_loaded_in_another_way_and_on_a_gpu_that_hangs_in_none(
        classifier, expected):
    bench = Bench(hangs=True, **classifier)
    for _ in expected:
        bench.recovery.hung('stuck')
    assert bench.loaded == expected
    with pytest.raises(ModelLostError, match='first failed because stuck'):
        bench.recovery.hung('stuck again')


def test_a_hang_is_over_like_any_trouble_and_the_next_one_finds_every_way_again():
    bench = Bench(hangs=True)
    for _ in range(3):
        bench.recovery.hung('stuck')
        bench.answer(HEALED)
    assert bench.pipeline.trouble.endswith('after failures (stuck)')
    assert [backend for _, backend, _ in bench.loaded] == ['eager', 'onnx', 'eager']
