# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A box in an image is what the model sees: in every backend and crop mode, for taught classes."""
import dataclasses

import numpy as np
import pytest
import torch
from zoom_scenes import ground, put, thing

from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig
from ltp_ros.model.data_config import CROP_MODES, DataConfig
from ltp_ros.model.host_preprocessing import HostPreprocessor
from ltp_ros.model.preprocessing import Preprocessor
from ltp_ros.region import Region

SCENE = put(ground((120, 160)), thing(50), 60, 20)
BOX = Region(40, 10, 72, 72)
RUNTIMES = {'eager': 'torch', 'onnx': 'onnxruntime', 'openvino': 'openvino'}


@pytest.fixture
def make(small_model, tmp_path):
    """Return a function that makes a classifier of the small model: 64x64 pixels."""
    return lambda **config: Classifier(ClassifierConfig(
        checkpoint=small_model, **{'device': 'cpu', 'backend': 'eager', 'precision': 'float32',
                                   'cache': str(tmp_path), **config}))


@pytest.mark.parametrize('backend', RUNTIMES)
@pytest.mark.parametrize('method', ['ltp', 'none'])
def test_every_backend_sees_the_box_and_nothing_else(make, backend, method):
    pytest.importorskip(RUNTIMES[backend])
    classifier = make(backend=backend, method=method)
    beside = np.random.default_rng(0).integers(0, 256, SCENE.shape, dtype=np.uint8)
    beside[BOX.slices] = SCENE[BOX.slices]
    found, same = (classifier.classify(rgb, 0.53, box=BOX) for rgb in (SCENE, beside))
    assert found.scores == same.scores and found.box == found.seen == BOX
    np.testing.assert_array_equal(found.features, same.features)
    torchs = make(method=method).classify(SCENE, 0.53, box=BOX)
    np.testing.assert_allclose(found.scores, torchs.scores, atol=2e-3)  # grey levels differ by 1


@pytest.mark.parametrize('crop_mode', CROP_MODES)
@pytest.mark.parametrize('box', [BOX, Region(0, 0, 64, 64), Region(3, 5, 90, 120)])
def test_the_box_is_resized_whole_as_the_crop_mode_says(crop_mode, box):
    config = DataConfig((64, 64), (0.5,) * 3, (0.5,) * 3, crop_pct=0.9, crop_mode=crop_mode)
    out = np.empty((1, 3, 64, 64), np.float32)
    HostPreprocessor(config)(SCENE, out, box)
    whole = dataclasses.replace(config, crop_pct=1.0)
    part = torch.from_numpy(np.ascontiguousarray(SCENE[box.slices]))
    expected = Preprocessor(whole)(part).numpy()
    np.testing.assert_allclose(out, expected, atol=2.1 / 127.5)  # a grey level
    np.testing.assert_array_equal(Preprocessor(config)(
        torch.from_numpy(SCENE), box=box).numpy(), expected)


def test_without_a_box_what_is_seen_is_what_the_crop_mode_leaves(make):
    for crop_mode, whole in (('center', (0, 20, 120, 120)), ('squash', (0, 0, 120, 160)),
                             ('border', (0, 0, 120, 160))):  # the bars are no part of the image
        assert make(crop_mode=crop_mode).classify(SCENE).seen == pytest.approx(whole, abs=1)


def test_a_picture_by_itself_is_looked_at_as_the_config_says(make):
    zoomed = make(zoom=True)
    assert zoomed.classify(SCENE).box == zoomed.box(SCENE) and zoomed.box(SCENE)
    assert zoomed.classify(SCENE, box=None).box is None
    assert make().classify(SCENE).box is None


def test_pictures_to_teach_are_looked_at_through_the_zoom_where_that_is_on(make):
    plain, zoomed = make(), make(zoom=True)
    box = zoomed.box(SCENE)
    assert plain.box(SCENE) is None and box is not None
    for keep_ratio, features in zoomed.features(SCENE).items():
        np.testing.assert_array_equal(
            features, plain.classify(SCENE, keep_ratio, box=box).features)
    assert not np.array_equal(plain.features(SCENE)[1.0], zoomed.features(SCENE)[1.0])


@pytest.mark.parametrize('box', [
    (100, 100, 5000, 50), (-5, 0, 50, 50), (0, 0, 0, 50), (119, 0, 2, 2), (300, 300, 10, 10)])
def test_a_box_that_does_not_lie_inside_the_image_is_refused(make, box):
    with pytest.raises(ValueError, match='does not lie inside an image of 160x120 pixels'):
        make().classify(SCENE, box=Region(*box))


def test_a_box_of_the_size_of_the_image_has_weights_of_its_own():
    config = DataConfig((64, 64), (0.5,) * 3, (0.5,) * 3, crop_pct=0.8)
    preprocessor, image = Preprocessor(config), torch.from_numpy(SCENE).permute(2, 0, 1)[None]
    for each in (config, config.zoomed):
        found = preprocessor.crop(preprocessor.resize_by_products(image, each))
        expected = preprocessor.crop(preprocessor.resize(image, each)).float()
        assert (found - expected).abs().max() <= 1


def test_the_weights_on_a_gpu_are_kept_for_the_boxes_of_a_camera():
    config = DataConfig((64, 64), (0.5,) * 3, (0.5,) * 3)
    preprocessor = Preprocessor(config)
    image = torch.from_numpy(SCENE).permute(2, 0, 1).unsqueeze(0)
    whole = dataclasses.replace(config, crop_pct=1.0)
    for top in range(20):  # wherever they lie
        part = image[..., top:top + 72, 10:82]
        products = preprocessor.resize_by_products(part, whole)
        assert (products - preprocessor.resize(part, whole).float()).abs().max() <= 1
    assert len(preprocessor._products) == 1
