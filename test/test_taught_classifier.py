# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A `Classifier` that was taught classes, without ROS."""
import math

import numpy as np
import pytest

from ltp_ros.classifier import Classifier, ClassifierError
from ltp_ros.config import ClassifierConfig
from ltp_ros.prediction import NotFiniteError
from ltp_ros.teaching import classes_file, temperatures

LADDER = (1.0, 0.5)


def make(small_model, **more):
    return Classifier(ClassifierConfig(checkpoint=small_model, device='cpu', backend='eager',
                                       precision='float32', keep_ratios=LADDER, **more))


def view(kind, number):
    """Return a picture (48, 48, 3) of stripes down or across, with some noise."""
    noise = np.random.default_rng(number).integers(0, 60, (48, 48, 3))
    stripes = np.indices((48, 48))[int(kind == 'down')] // 6 % 2 * 190
    return (stripes[..., None] + noise).astype(np.uint8)


@pytest.fixture
def classifier(small_model):
    found = make(small_model)
    for kind in ('down', 'across'):
        for number in range(4):
            found.taught.add(kind, found.features(view(kind, number)))
    found.taught.settle()
    return found


@pytest.mark.parametrize('keep_ratio', LADDER)
def test_it_answers_in_the_taught_classes_at_every_level(classifier, keep_ratio):
    assert classifier.labels == ['across', 'down']
    for kind in ('down', 'across'):
        found = classifier.classify(view(kind, 9), keep_ratio)
        assert found.labels[0] == kind and found.known and len(found.labels) == 2
        assert [classifier.labels[index] for index in found.class_ids] == list(found.labels)
        assert sum(found.scores) == pytest.approx(1.0)
        assert classifier.classify(view(kind, 9), keep_ratio, top_k=1).labels == (kind,)


def test_nothing_is_unknown_where_every_distance_is_allowed(classifier):
    strange = np.random.default_rng(5).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    found = classifier.classify(strange, 1.0)
    assert not found.known and found.unknown > 0.95 and found.labels
    assert classifier.classify(strange, 1.0, unknown_threshold=1.0).known


def test_before_the_first_class_the_model_answers(small_model):
    classifier = make(small_model)
    found = classifier.classify(view('down', 0))
    assert math.isnan(found.unknown) and found.known and classifier.labels[0] == 'thing 0'


def test_a_file_gives_the_same_answers(classifier, small_model, tmp_path):
    path = tmp_path / 'classes'
    classes_file.write(path, classifier.taught, classifier.backbone)
    other = make(small_model, classes=str(path))
    for keep_ratio in LADDER:
        one, two = (each.classify(view('down', 7), keep_ratio) for each in (classifier, other))
        assert (one.scores, one.unknown) == (two.scores, two.unknown)


@pytest.mark.parametrize('change, named', [
    ({'method': 'mixed'}, 'method was'), ({'alpha': 1.0}, 'alpha was'),
    ({'crop_mode': 'squash'}, 'crop_mode was')])
def test_classes_taught_with_another_method_or_preprocessing_are_refused(
        classifier, small_model, tmp_path, change, named):
    path = tmp_path / 'classes'
    classes_file.write(path, classifier.taught, classifier.backbone)
    with pytest.raises(ClassifierError, match=f'another model: {named}'):
        make(small_model, classes=str(path), **change)


def test_classes_taught_with_the_features_of_another_release_are_refused(
        classifier, small_model, tmp_path):
    path, backbone = tmp_path / 'classes', dict(classifier.backbone)
    del backbone['features']
    classes_file.write(path, classifier.taught, backbone)
    with pytest.raises(ClassifierError, match='features of another release.*Teach the pictures'):
        make(small_model, classes=str(path))


def test_temperatures_of_an_earlier_release_are_read(classifier, small_model, tmp_path):
    path, backbone = tmp_path / 'temperatures', dict(classifier.backbone)
    del backbone['features']
    temperatures.write(path, dict.fromkeys(LADDER, 2.0), backbone)
    assert make(small_model, temperatures=str(path)).classify(view('down', 0)).scores


def test_a_level_that_was_not_taught_is_refused(classifier, small_model, tmp_path):
    path = tmp_path / 'classes'
    classes_file.write(path, classifier.taught, classifier.backbone)
    with pytest.raises(ClassifierError, match=r'not at \[0\.25\]'):
        Classifier(ClassifierConfig(checkpoint=small_model, device='cpu', backend='eager',
                                    precision='float32', keep_ratios=(1.0, 0.25),
                                    classes=str(path)))


def test_features_that_are_no_numbers_are_a_failure_and_not_an_answer(classifier):
    backend = classifier.backend
    classifier.backend = lambda *asked: backend(*asked)._replace(
        features=np.full(48, np.nan, np.float32))
    with pytest.raises(NotFiniteError):
        classifier.classify(view('down', 0))
