# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The model inside the package: small, plain tensors, and right about what it was made for."""
import json

import pytest
from safetensors.torch import load_file

from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig
from ltp_ros.model.card import DEMO, MODEL_DIRECTORY, read_model_card
from ltp_ros.model.vit import data_config
from ltp_ros.tools import evaluate
from ltp_ros.tools.support.frame_sources import PAN_FRAMES, SAMPLES, panned_samples

WEIGHTS = MODEL_DIRECTORY / 'demo.safetensors'
CIFAR10 = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship',
           'truck']


@pytest.fixture(scope='module')
def classifier():
    return Classifier(ClassifierConfig(
        model=DEMO, device='cpu', backend='eager', precision='float32', top_k=1))


@pytest.fixture(scope='module')
def cats():
    """Return the frames of the camera pan over the packaged cat, RGB."""
    return [rgb for _, rgb in panned_samples(('chelsea',))]


def test_the_weights_are_at_most_8_megabytes():
    assert WEIGHTS.stat().st_size <= 8e6


def test_the_package_holds_tensors_and_json_and_no_pickle():
    assert {path.suffix for path in MODEL_DIRECTORY.iterdir()} == {'.safetensors', '.json'}
    assert load_file(str(WEIGHTS))['head.weight'].shape[0] == len(CIFAR10)


def test_its_card_says_what_it_is_and_how_it_was_made():
    card = read_model_card(DEMO)
    assert card['label_names'] == CIFAR10
    assert card['architecture'] == 'vit_demo'
    assert {'settings', 'data', 'steps', 'seconds', 'history', 'hardware', 'torch', 'timm',
            'precision'} <= set(card['training'])
    assert '/' not in json.dumps(card)


def test_the_classifier_preprocesses_as_its_card_says(classifier):
    expected = read_model_card(DEMO)['pretrained_cfg']
    config = data_config(classifier.backend.model)
    assert [3, *config.input_size] == expected['input_size']
    for name in ('mean', 'std'):
        assert list(getattr(config, name)) == expected[name]
    for name in ('interpolation', 'crop_pct', 'crop_mode'):
        assert getattr(config, name) == expected[name]


def test_it_has_at_least_64_patches_to_prune(classifier):
    assert classifier.num_patches >= 64


@pytest.mark.parametrize('keep_ratio', ClassifierConfig.keep_ratios)
def test_the_cat_is_a_cat_in_most_frames_of_the_pan(keep_ratio, classifier, cats):
    named = [classifier.classify(frame, keep_ratio).labels[0] for frame in cats]
    right = [label for label in named if label in SAMPLES['chelsea']]
    assert len(right) > PAN_FRAMES / 2, named


def test_it_is_right_on_four_of_five_test_images(data, tmp_path):
    path = tmp_path / 'result.json'
    assert evaluate.main([str(data / 'cifar10_test.npz'), '--model', DEMO, '--device', 'cpu',
                          '--keep-ratios', '1.0', '--limit', '500', '--quiet',
                          '--json', str(path)]) == 0
    row = json.loads(path.read_text())['rows'][0]
    assert row['n'] == 500
    assert row['top1'] >= 80.0
