# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A choice is kept under its conditions, and taken where it still may be."""
import dataclasses
import json
import logging

import pytest

from ltp_ros.backends import choice, kept_choice
from ltp_ros.backends.kept_choice import Kept
from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig
from ltp_ros.frames.startup import prepare
from ltp_ros.opening import choice_file
from ltp_ros.tuner.levels import LevelCost


def test_other_conditions_have_another_file(tmp_path):
    one = kept_choice.file_of(tmp_path, {'threads': 2, 'torch': '2.1'})
    assert one == kept_choice.file_of(tmp_path, {'torch': '2.1', 'threads': 2})
    assert one != kept_choice.file_of(tmp_path, {'threads': 1, 'torch': '2.1'})
    assert kept_choice.read(one) is None


@pytest.fixture
def config(tmp_path):
    """Return the config of a node that chooses its backend."""
    return ClassifierConfig(model='demo', device='cpu', cache=str(tmp_path),
                            keep_ratios=(1.0, 0.5))


def start(config):
    told = []
    classifier, costs = prepare(config, told.append, logging.warning, lambda: True)
    return classifier, costs, '\n'.join(told)


def test_the_second_start_tries_and_times_nothing_again(config):
    first, costs, told = start(config)
    assert ' at keep_ratio 0.5' in told and 'timing 2 levels' in told
    second, costs_again, told = start(config)
    assert (second.backend.name, second.precision) == (first.backend.name, first.precision)
    assert costs_again == costs
    assert 'was the fastest before' in told and 'timing' not in told


def test_a_ladder_of_other_levels_is_timed(config):
    start(config)
    _, costs, told = start(ClassifierConfig(model='demo', device='cpu', cache=config.cache,
                                            keep_ratios=(1.0, 0.7)))
    assert 'was the fastest before' in told and 'timing 2 levels' in told
    assert [cost.keep_ratio for cost in costs] == [1.0, 0.7]


def kept_file(config):
    classifier, _, _ = start(config)
    folder = choice.model_folder(config.cache, classifier.model_name, classifier.model_hash,
                                 config.method, config.score, config.alpha)
    return choice_file(folder, config, classifier.device, classifier.data_config)


@pytest.mark.parametrize('kept', [
    Kept('onnx', 'int8'),  # which nobody checked
    Kept('graph', 'float16'), Kept('nonsense', 'float32'), Kept('openvino', 'int8', 'checked')])
def test_what_may_not_be_taken_or_cannot_run_is_chosen_anew(config, kept):
    path = kept_file(config)
    kept_choice.write(path, kept)
    classifier, _, told = start(config)
    assert (classifier.backend.name, classifier.precision) in choice.candidates(
        'auto', 'auto', classifier.device)
    assert ' at keep_ratio 0.5' in told


def test_checked_int8_is_taken_and_its_check_told(config):
    pytest.importorskip('onnxruntime')
    path = kept_file(config)
    kept_choice.write(path, Kept('onnx', 'int8', 'on 9 pictures all is well'))
    classifier, _, told = start(config)
    assert (classifier.backend.name, classifier.precision) == ('onnx', 'int8')
    assert 'on 9 pictures all is well' in told
    assert json.loads(path.read_text())['check'] == 'on 9 pictures all is well'  # still
    assert kept_choice.read(path).levels


def test_int8_that_was_chosen_while_the_ladder_was_timed_is_not_overwritten(config):
    classifier, _, _ = start(config)
    checked = Kept('onnx', 'int8', 'checked')
    kept_choice.write(classifier.choice_file, checked)
    classifier.keep_choice([LevelCost(1.0, 2.0, 3.0)])
    assert kept_choice.read(classifier.choice_file) == checked
    kept_choice.write(classifier.choice_file, Kept('onnx', 'float32'))  # which is nothing special
    for level in ((1.0, 2.0, 3.0), (1.0, 4.0, 5.0)):
        classifier.keep_choice([LevelCost(*level)])
        assert kept_choice.read(classifier.choice_file).levels == (level,)


def test_a_check_counts_for_the_crop_that_it_was_made_with(config):
    path = kept_file(config)
    squashed = Classifier(dataclasses.replace(config, crop_mode='squash'))
    same = Classifier(dataclasses.replace(config, crop_mode='center'))
    assert squashed.choice_file != path and same.choice_file == path


def test_a_precision_that_is_given_is_not_changed_by_what_is_kept(config):
    pytest.importorskip('onnxruntime')
    kept_choice.write(kept_file(config), Kept('onnx', 'int8', 'checked'))
    classifier = Classifier(ClassifierConfig(model='demo', device='cpu', cache=config.cache,
                                             precision='float32'))
    assert classifier.precision == 'float32'


def test_a_choice_that_cannot_be_kept_is_told_and_does_no_harm(config, monkeypatch):
    def full(path, kept):
        raise OSError('No space left on device')
    monkeypatch.setattr(kept_choice, 'write', full)
    _, costs, told = start(config)
    assert len(costs) == 2 and 'cannot be kept (No space left on device)' in told
