# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Without torch, a model's input is the same as with it."""
import cv2
import numpy as np
import pytest
import torch

from ltp_ros.model.data_config import DataConfig, ImageSizeError
from ltp_ros.model.host_preprocessing import _MAX_SIZES, HostPreprocessor
from ltp_ros.model.preprocessing import Preprocessor

SIZES = [(480, 640), (720, 1280), (640, 480), (97, 401), (401, 97), (50, 60), (224, 224), (1, 7)]


def config_of(**changes):
    return DataConfig(**{'input_size': (224, 224), 'mean': (0.48, 0.45, 0.40),
                         'std': (0.27, 0.26, 0.25), 'crop_pct': 0.9, **changes})


def inputs(config, rgb):
    """Return the input that each of the two makes of an image, as arrays (1, 3, h, w)."""
    ours = np.empty((1, 3, *config.input_size), np.float32)
    HostPreprocessor(config)(rgb, ours)
    return ours, Preprocessor(config)(torch.from_numpy(np.ascontiguousarray(rgb))).numpy()


def off(config, rgb):
    """Return by how many grey levels the two differ, (1, 3, h, w)."""
    ours, theirs = inputs(config, rgb)
    return np.abs(ours - theirs) * np.reshape(config.std, (1, 3, 1, 1)) * 255


def picture(size, seed=0):
    """Return (H, W, 3) uint8 with hard edges, noise and shading."""
    generator = np.random.default_rng(seed)
    height, width = size
    rgb = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
    rgb[height // 3:, :width // 2] = 255
    rgb[:height // 2, width // 2:] = np.linspace(0, 255, width - width // 2)[:, np.newaxis]
    return rgb


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('crop_mode', ['center', 'squash', 'border'])
@pytest.mark.parametrize('interpolation', ['bicubic', 'bilinear'])
def test_every_grey_level_is_that_of_torch_or_the_next(interpolation, crop_mode, size):
    for input_size in ((224, 224), (160, 224)):
        difference = off(config_of(interpolation=interpolation, crop_mode=crop_mode,
                                   input_size=input_size), picture(size))
        assert difference.max() < 1.2 and (difference > 0.01).mean() < 1e-3


@pytest.mark.parametrize('size', SIZES)
def test_the_nearest_pixel_is_that_of_torch_but_where_two_are_as_near(size):
    for crop_mode in ('center', 'squash', 'border'):
        assert (off(config_of(interpolation='nearest', crop_mode=crop_mode), picture(size))
                > 0.01).mean() < 0.01


def test_an_image_of_the_models_size_is_only_normalised():
    ours, theirs = inputs(config_of(crop_pct=1.0), picture((224, 224)))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize('level', [0, 1, 127, 254, 255])
def test_a_grey_image_stays_as_grey_as_it_is(level):
    rgb = np.full((333, 517, 3), level, np.uint8)
    assert off(config_of(), rgb).max() < 0.01


def test_any_memory_layout_will_do_and_none_is_written_to():
    rgb = picture((300, 400))
    config = config_of(input_size=(64, 64))
    expected, _ = inputs(config, rgb)
    read_only = rgb.copy()
    read_only.flags.writeable = False
    columns_first = np.asfortranarray(rgb)
    for same in (read_only, columns_first, rgb[::-1][::-1], cv2.copyMakeBorder(
            rgb, 5, 5, 5, 5, cv2.BORDER_CONSTANT)[5:-5, 5:-5]):
        np.testing.assert_array_equal(inputs(config, same)[0], expected)


def test_an_image_that_is_too_elongated_is_refused():
    with pytest.raises(ImageSizeError, match='500000x1 pixels is too elongated'):
        inputs(config_of(), np.zeros((1, 500_000, 3), np.uint8))


def test_the_resizes_of_many_sizes_do_not_pile_up():
    preprocess = HostPreprocessor(config_of(input_size=(32, 32)))
    out = np.empty((1, 3, 32, 32), np.float32)
    for side in range(20, 100):
        preprocess(np.zeros((side, 40, 3), np.uint8), out)
    assert preprocess._weights.cache_info().currsize == _MAX_SIZES
