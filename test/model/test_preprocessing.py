# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Closeness to timm's own evaluation transform, which resizes with PIL."""
import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import create_transform, resolve_model_data_config

from ltp_ros.model import preprocessing, vit
from ltp_ros.model.data_config import DataConfig
from ltp_ros.model.preprocessing import Preprocessor

MEAN, STD = (0.48, 0.45, 0.40), (0.27, 0.26, 0.25)
SIZES = {  # height, width in pixels
    'camera': (480, 640), 'portrait': (640, 480), 'square': (299, 299), 'long': (97, 401),
    'tall': (401, 97), 'small': (50, 60), 'exact': (224, 224), 'odd': (223, 1001)}


@pytest.fixture(params=SIZES, ids=lambda name: name)
def rgb(request):
    """Return (H, W, 3) uint8 with what photos have: shading, edges, fine texture, noise."""
    height, width = SIZES[request.param]
    generator = np.random.default_rng(0)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    picture = np.stack([255 * x / width, 255 * y / height, 127 + 127 * np.sin(x / 3 + y / 7)], -1)
    for _ in range(12):
        centre = tuple(int(generator.integers(0, side)) for side in (width, height))
        colour = [float(value) for value in generator.integers(0, 256, 3)]
        cv2.circle(picture, centre, int(generator.integers(2, 40)), colour, -1)
    picture += generator.normal(0, 12, picture.shape)
    return picture.clip(0, 255).astype(np.uint8)


def config_of(**changes):
    return DataConfig(**{'input_size': (224, 224), 'mean': MEAN, 'std': STD, **changes})


def grey_levels(pixels):
    """Return a model's input (3, h, w) as the grey levels 0..255 it was made from."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return (pixels * std + mean) * 255


def preprocess(config, rgb, device='cpu'):
    return grey_levels(Preprocessor(config).to(device)(torch.from_numpy(rgb).to(device))[0].cpu())


def timms_input(config, rgb):
    transform = create_transform(
        (3, *config.input_size), interpolation=config.interpolation, mean=config.mean,
        std=config.std, crop_pct=config.crop_pct, crop_mode=config.crop_mode, is_training=False)
    return grey_levels(transform(Image.fromarray(rgb)))


def assert_timms_input(config, rgb, device='cpu'):
    difference = (preprocess(config, rgb, device) - timms_input(config, rgb)).abs()
    # PIL resizes in two passes and clips between them, a tall picture in the other order: at
    # sharp edges a few values differ. A crop one pixel off differs by 5 in the mean, and a
    # resize without antialiasing by 10
    assert difference.mean() < 0.3
    assert (difference > 2.01).float().mean() < 0.005


@pytest.mark.parametrize('interpolation', ['bicubic', 'bilinear', 'nearest'])
@pytest.mark.parametrize('crop_mode', ['center', 'squash', 'border'])
def test_the_input_is_that_of_timm(crop_mode, interpolation, rgb, device):
    assert_timms_input(config_of(crop_mode=crop_mode, interpolation=interpolation), rgb, device)


@pytest.mark.parametrize('crop_mode', ['center', 'squash', 'border'])
def test_the_input_is_that_of_timm_for_a_model_that_is_not_square(crop_mode, rgb):
    # bilinear: before 1.0.31, timm forgot the model's own interpolation in this one case
    assert_timms_input(config_of(crop_mode=crop_mode, input_size=(160, 224), crop_pct=0.9,
                                 interpolation='bilinear'), rgb)


@pytest.mark.parametrize('crop_mode', ['center', 'squash', 'border'])
def test_the_input_is_that_of_timm_without_the_integer_resize(crop_mode, rgb, monkeypatch):
    monkeypatch.setattr(preprocessing, '_HAS_INTEGER_RESIZE', False)
    assert_timms_input(config_of(crop_mode=crop_mode), rgb)


def test_a_picture_of_the_models_size_is_only_normalised():
    rgb = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    pixels = Preprocessor(config_of(input_size=(64, 64), crop_pct=1.0))(torch.from_numpy(rgb))
    expected = (rgb / 255 - MEAN) / STD
    np.testing.assert_allclose(pixels[0].permute(1, 2, 0), expected, atol=1e-5)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
def test_the_input_comes_in_the_models_number_format(dtype):
    pixels = Preprocessor(config_of(), dtype)(torch.zeros(48, 64, 3, dtype=torch.uint8))
    assert pixels.dtype == dtype
    assert pixels.shape == (1, 3, 224, 224)


@pytest.mark.parametrize('crop_mode, crop_pct, size, box', [
    ('center', 1.0, (480, 640), (0, 80, 480, 480)),
    ('center', 0.875, (480, 640), (30, 110, 420, 420)),
    ('center', 0.875, (640, 480), (110, 30, 420, 420)),
    ('squash', 1.0, (480, 640), (0, 0, 480, 640)),
    ('squash', 0.875, (480, 640), (30, 40, 420, 560)),
    ('border', 1.0, (480, 640), (-80, 0, 640, 640)),
])
def test_the_crop_box_is_in_pixels_of_the_picture(crop_mode, crop_pct, size, box):
    config = config_of(crop_mode=crop_mode, crop_pct=crop_pct)
    assert config.crop_box(*size) == pytest.approx(box, abs=1.5)  # sizes are whole pixels


@pytest.mark.parametrize('crop_mode', ['center', 'squash', 'border'])
@pytest.mark.parametrize('size', SIZES.values(), ids=SIZES)
def test_the_model_sees_the_crop_box_from_edge_to_edge(crop_mode, size):
    config = config_of(crop_mode=crop_mode, interpolation='bilinear')
    places = [(np.arange(side) + 0.5) / side for side in size]  # of pixels, 0..1
    ramp = np.stack(np.broadcast_arrays(places[0][:, None], places[1][None], 0), axis=-1)
    seen = preprocess(config, (255 * ramp).round().astype(np.uint8))
    box = config.crop_box(*size)
    for axis, image in enumerate((seen[0], seen[1].T)):  # red grows downwards, green rightwards
        expected = (box[axis] + (torch.arange(224) + 0.5) * box[axis + 2] / 224) / size[axis]
        inside = (expected > 0.02) & (expected < 0.98)  # of the picture: not padding, not its edge
        middle = image[:, 112]  # between the paddings of the other axis
        half_a_pixel = 0.5 * 255 * box[axis + 2] / 224 / size[axis]  # the crop is in whole ones
        assert (middle - 255 * expected)[inside].abs().max() < half_a_pixel + 1


def test_an_elongated_picture_is_refused_rather_than_resized():
    with pytest.raises(ValueError, match='60000x2 pixels is too elongated.*crop it upstream'):
        Preprocessor(config_of())(torch.zeros(2, 60000, 3, dtype=torch.uint8))


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16])
@pytest.mark.parametrize('interpolation', ['bicubic', 'bilinear'])
@pytest.mark.parametrize('crop_mode', ['center', 'squash', 'border'])
def test_two_products_resize_and_crop_to_the_nearest_grey_level(crop_mode, interpolation, dtype,
                                                                rgb, needs_cpu_numbers):
    if not preprocessing._HAS_INTEGER_RESIZE:
        pytest.skip('torch 2.0 does not round between the two passes')
    needs_cpu_numbers(dtype)
    preprocessor = Preprocessor(config_of(crop_mode=crop_mode, interpolation=interpolation), dtype)
    image = torch.from_numpy(rgb).permute(2, 0, 1)[None]
    product = preprocessor.crop(preprocessor.resize_by_products(image)).float()
    expected = preprocessor.crop(preprocessor.resize(image)).float()
    assert product.shape == expected.shape
    difference = (product - expected).abs()
    assert difference.max() <= 1 and difference.mean() < 0.25


@pytest.mark.parametrize('size', [(1, 1), (1, 400), (400, 1), (2, 3000), (3000, 2), (9, 7)])
def test_a_tiny_or_elongated_picture_fits_between_bars_in_both_ways_to_resize(size):
    rgb = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    preprocessor = Preprocessor(config_of(crop_mode='border', crop_pct=1.0))
    image = torch.from_numpy(rgb).permute(2, 0, 1)[None]
    product = preprocessor.crop(preprocessor.resize_by_products(image)).float()
    expected = preprocessor.crop(preprocessor.resize(image)).float()
    assert product.shape == (1, 3, 224, 224)
    assert (product - expected).abs().max() <= 1
    bars = (expected[0].permute(1, 2, 0) == torch.tensor(MEAN).mul(255).round()).all(-1)
    share_seen = min(size) / max(size)  # of the longer side, whole rows of pixels apart
    assert (~bars).float().mean() <= min(share_seen + 1 / 224, 1)


@pytest.mark.parametrize('size, resized', [(3840, 441), (224, 248), (5, 224), (9000, 3), (1, 7)])
@pytest.mark.parametrize('mode', ['bilinear', 'bicubic'])
def test_weights_are_those_that_torch_resizes_with(size, resized, mode):
    row = torch.rand(1, 1, 1, size)
    expected = torch.nn.functional.interpolate(row, (1, resized), mode=mode, antialias=True)
    weights = preprocessing.resize_weights(size, resized, mode, torch.device('cpu'))
    torch.testing.assert_close((weights @ row[0, 0, 0])[None, None, None], expected,
                               rtol=1e-5, atol=1e-5)


def test_the_input_is_written_where_it_is_wanted():
    preprocessor = Preprocessor(config_of(), torch.float16)
    rgb, out = torch.randint(0, 256, (48, 64, 3)).byte(), torch.zeros(1, 3, 224, 224).half()
    assert preprocessor(rgb, out) is out
    assert torch.equal(out, preprocessor(rgb))


@pytest.mark.parametrize('name, value', [('interpolation', 'lanczos'), ('crop_mode', 'random')])
def test_what_this_module_does_not_know_is_refused_with_what_it_knows(name, value):
    with pytest.raises(ValueError, match=f'{name} {value!r} of the model.*expected one of'):
        config_of(**{name: value})


@torch.inference_mode()
def test_a_real_model_answers_as_with_timms_preprocessing(data, deit_tiny):
    model = vit.create_vit(**deit_tiny)
    preprocessor = Preprocessor(vit.data_config(model))
    transform = create_transform(**resolve_model_data_config(model), is_training=False)
    paths = sorted((data / 'photos500').glob('*.jpg'))[::10]  # of all, 99 in a hundred agree
    assert paths
    for path in paths:
        photo = Image.open(path).convert('RGB')
        ours = model(preprocessor(torch.from_numpy(np.array(photo))))
        assert ours.argmax() == model(transform(photo)[None]).argmax(), path.name
