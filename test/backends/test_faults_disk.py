# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A disk that is full, while the levels of a model are exported to it."""
import errno
import os
import resource

import numpy as np
import pytest

from ltp_ros.backends import cache, summary
from ltp_ros.classifier import Classifier, ClassifierError
from ltp_ros.config import ClassifierConfig

RGB = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)


@pytest.fixture
def load(tmp_path, small_model):
    """Return a function that loads the small model with the cache of this test."""
    pytest.importorskip('onnxruntime')

    def make(backend, log=lambda line: None, **more):
        return Classifier(ClassifierConfig(
            checkpoint=small_model, device='cpu', precision='float32', backend=backend,
            cache=str(tmp_path), keep_ratios=(1.0, 0.5), **more), log)
    return make


def files(folder):
    return sorted(path.name for path in folder.rglob('*')
                  if path.is_file() and path.parent.name != summary.FOLDER)


@pytest.fixture
def full_disk():
    """Let no file grow beyond 64 kB, as a disk that fills up while a level is written."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 ** 16, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_on_a_full_disk_auto_runs_another_backend_says_so_and_leaves_no_half_file(
        tmp_path, load, full_disk):
    told = []
    classifier = load('auto', told.append)
    classifier.warm_up()
    assert classifier.backend.name == 'eager' and classifier.classify(RGB, score_threshold=0.0)
    assert any('onnx float32 is unavailable' in line and 'too large' in line for line in told)
    assert files(tmp_path) == []


def test_on_a_full_disk_a_backend_that_was_asked_for_is_refused_with_the_reason(
        tmp_path, load, full_disk):
    with pytest.raises(ClassifierError, match='backend onnx .* File too large'):
        load('onnx').warm_up()
    assert files(tmp_path) == []


def test_levels_that_find_no_room_any_more_are_made_for_this_run_alone(
        tmp_path, load, monkeypatch):
    ensure, told = cache.ensure, []

    def ensure_one(path, *arguments):
        if path.name != 'keep_1.onnx':
            raise OSError(errno.ENOSPC, 'No space left on device')
        ensure(path, *arguments)

    monkeypatch.setattr(cache, 'ensure', ensure_one)
    classifier = load('onnx', told.append, method='tome')  # a file a level
    classifier.classify(RGB, 1.0)
    classifier.warm_up()
    eager = load('eager', method='tome')
    np.testing.assert_allclose(classifier.classify(RGB, 0.5, score_threshold=0.0).scores,
                               eager.classify(RGB, 0.5, score_threshold=0.0).scores, atol=1e-5)
    assert [line for line in told if 'cannot be kept' in line and 'No space' in line] == told
    assert files(tmp_path) == ['keep_1.onnx', cache.SEALS]


@pytest.mark.parametrize('home', ['absent', 'none'])
def test_without_a_home_folder_the_model_runs_and_nothing_is_kept(
        tmp_path, small_model, monkeypatch, home):
    pytest.importorskip('onnxruntime')
    (tmp_path / 'file').write_text('')
    monkeypatch.delenv('XDG_CACHE_HOME')
    monkeypatch.setenv('HOME', str(tmp_path / 'file' / 'home'))  # which root cannot make either
    if home == 'none':  # as Python has it for a user that is not in the list of users
        monkeypatch.setattr(os.path, 'expanduser', lambda path: path)
    told = []
    classifier = Classifier(ClassifierConfig(
        checkpoint=small_model, device='cpu', precision='float32', keep_ratios=(1.0,)),
        told.append)
    assert classifier.backend.name == 'eager'
    assert [line for line in told if line.startswith('onnx float32 is unavailable: ')]
