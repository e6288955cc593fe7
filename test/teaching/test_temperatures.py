# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Temperatures of a model's own classes, found from its best classes alone."""
import json

import numpy as np
import pytest
from scipy.special import softmax

from ltp_ros.teaching.temperatures import (
    TemperaturesError,
    fit_labels,
    fit_shares,
    read,
    tempered,
    write,
)

C, K, N = 200, 50, 4000
BACKBONE = {'model': 'demo', 'model_hash': 'abc'}


def best(probabilities, k=K):
    order = np.argsort(-probabilities, axis=-1)[..., :k]
    return np.take_along_axis(probabilities, order, axis=-1), order


@pytest.fixture
def logits():
    return 3.0 * np.random.default_rng(0).normal(size=(N, C))


@pytest.mark.parametrize('temperature', [0.4, 1.0, 1.5])
def test_the_best_classes_are_nearly_as_if_all_were_known(logits, temperature):
    scores, order = best(softmax(logits, axis=-1))
    expected = np.take_along_axis(softmax(logits / temperature, axis=-1), order, axis=-1)
    found = tempered(scores, C, temperature)
    np.testing.assert_allclose(found[:, :5], expected[:, :5], rtol=0.06)
    all_of_them = np.sort(softmax(logits, axis=-1))[:, ::-1]
    np.testing.assert_allclose(tempered(all_of_them, C, temperature)[:, :5], expected[:, :5],
                               rtol=1e-9)


@pytest.mark.parametrize('temperature', [0.5, 1.0, 2.0])
def test_labels_tell_at_which_temperature_they_were_drawn(logits, temperature):
    generator = np.random.default_rng(1)
    drawn = softmax(logits / temperature, axis=-1).cumsum(axis=1)
    labels = (drawn < generator.random((N, 1))).sum(axis=1)
    scores, order = best(softmax(logits, axis=-1))
    found = fit_labels(scores, order == labels[:, None], C)
    assert found == pytest.approx(temperature, rel=0.08)


@pytest.mark.parametrize('temperature', [0.5, 1.0, 1.5])
def test_without_labels_another_distribution_tells_it(logits, temperature):
    scores, order = best(softmax(logits, axis=-1))
    shares = np.take_along_axis(softmax(logits / temperature, axis=-1), order, axis=-1)
    assert fit_shares(scores, shares, C) == pytest.approx(temperature, rel=0.05)


def test_what_is_written_is_read_and_of_another_model_refused(tmp_path):
    path = tmp_path / 'temperatures.json'
    write(path, {1.0: 0.6, 0.53: 0.8}, BACKBONE)
    assert read(path, BACKBONE, (0.53, 1.0)) == {0.53: 0.8, 1.0: 0.6}
    with pytest.raises(TemperaturesError, match='another model: model_hash'):
        read(path, {**BACKBONE, 'model_hash': 'x'}, (1.0,))
    with pytest.raises(TemperaturesError, match=r'\[0\.7\].*--calibrate again'):
        read(path, BACKBONE, (1.0, 0.7))


@pytest.mark.parametrize('change', [
    {'format': 2}, {'backbone': []}, {'temperatures': []}, {'temperatures': {'1': 'x'}},
    {'temperatures': {'1': float('nan')}}, {'temperatures': {'1': 0.0}},
    {'temperatures': {'1': 1e9}}, {'temperatures': {'x': 1.0}}, {'temperatures': None}])
def test_a_hostile_file_is_refused_in_a_sentence(tmp_path, change):
    path = tmp_path / 'temperatures.json'
    write(path, {1.0: 0.6}, BACKBONE)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(TemperaturesError, match='temperatures.json'):
        read(path, BACKBONE, (1.0,))


@pytest.mark.parametrize('content', [b'', b'[', b'\xff', b'[1]', b'{}', b'[' * 100_000])
def test_what_is_no_such_file_is_refused_in_a_sentence(tmp_path, content):
    path = tmp_path / 'temperatures.json'
    path.write_bytes(content)
    with pytest.raises(TemperaturesError, match='temperatures.json'):
        read(path, BACKBONE, (1.0,))
    with pytest.raises(TemperaturesError, match='none'):
        read(tmp_path / 'none', BACKBONE, (1.0,))
