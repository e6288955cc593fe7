# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The picture for people: bright where the model looked, dim elsewhere."""
import dataclasses

import numpy as np
import pytest

from ltp_ros.frames import overlay
from ltp_ros.frames.overlay import DIMMED, MAX_WIDTH, kept_mask
from ltp_ros.model.data_config import DataConfig
from ltp_ros.prediction import Prediction
from ltp_ros.region import Region

GRID = (4, 4)
TEXT_ROWS = 80  # the answer stands above this row


def config_of(crop_mode='center', crop_pct=1.0):
    return DataConfig((64, 64), mean=(0.5,) * 3, std=(0.5,) * 3, crop_mode=crop_mode,
                      crop_pct=crop_pct)


def prediction_of(keep_indices=(), label='cat'):
    return Prediction((3,), (label,), (0.9,), 0.5, len(keep_indices), 16,
                      np.array(keep_indices, np.int64))


def draw(rgb, prediction, grid_size, data_config, region=None):
    return overlay.draw(rgb, dataclasses.replace(prediction, grid_size=grid_size,
                                                 data_config=data_config), region)


def random_picture(*size):
    return np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)


@pytest.mark.parametrize('keep_indices', [(), (0,), (1, 6, 11), tuple(range(16))])
@pytest.mark.parametrize('crop_mode, crop_pct, size, box_area', [
    ('center', 1.0, (128, 128), 128 * 128),
    ('center', 1.0, (128, 256), 128 * 128),
    ('center', 0.5, (256, 256), 128 * 128),
    ('squash', 1.0, (128, 256), 128 * 256),
    ('squash', 0.5, (256, 512), 128 * 256),
])
def test_the_bright_area_is_the_kept_share_of_the_crop_box(crop_mode, crop_pct, size, box_area,
                                                          keep_indices):
    mask = kept_mask(size, np.array(keep_indices, int), GRID, config_of(crop_mode, crop_pct))
    assert mask.shape == size
    assert mask.sum() == box_area * len(keep_indices) / 16


@pytest.mark.parametrize('index, rows, columns', [
    (0, slice(0, 32), slice(64, 96)), (7, slice(32, 64), slice(160, 192)),
    (12, slice(96, 128), slice(64, 96))])
def test_a_patch_is_bright_where_it_lies_in_the_picture(index, rows, columns):
    mask = kept_mask((128, 256), np.array([index]), GRID, config_of())
    expected = np.zeros((128, 256), bool)
    expected[rows, columns] = True
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize('crop_mode', ['center', 'squash'])
def test_patches_that_end_within_a_pixel_are_rounded_alike_at_both_ends(crop_mode):
    size, grid = (100, 130), (3, 3)
    for index in range(9):
        mask, mirrored = (kept_mask(size, np.array([i]), grid, config_of(crop_mode))
                          for i in (index, 8 - index))
        np.testing.assert_array_equal(mask, mirrored[::-1, ::-1])


def test_the_padding_of_a_bordered_picture_is_not_part_of_it():
    every = np.arange(16)
    assert kept_mask((64, 128), every, GRID, config_of('border')).all()
    top_row = kept_mask((64, 128), every[:4], GRID, config_of('border'))
    assert not top_row.any()  # that row of patches saw nothing but padding


def test_what_was_kept_is_unchanged_and_the_rest_is_dimmed():
    rgb, prediction = random_picture(640, 640), prediction_of((5, 10, 15))
    picture = draw(rgb, prediction, GRID, config_of())[TEXT_ROWS:]
    mask = kept_mask((640, 640), prediction.keep_indices, GRID, config_of())[TEXT_ROWS:]
    np.testing.assert_array_equal(picture[mask], rgb[TEXT_ROWS:][mask])
    np.testing.assert_array_equal(picture[~mask],
                                  (rgb[TEXT_ROWS:][~mask] * DIMMED).astype(np.uint8))


def test_outside_the_crop_the_picture_is_grey_and_the_crop_is_framed():
    rgb = random_picture(640, 960)[:, :640].repeat(2, axis=1)[:640, :1280]
    picture = draw(rgb, prediction_of(range(16)), GRID, config_of())
    outside, edge = picture[40:, :100], picture[100, picture.shape[1] // 4]
    assert (outside == outside[..., :1]).all() and outside.std() > 1
    assert edge.tolist() == [255, 255, 255]
    whole = draw(random_picture(200, 200), prediction_of(range(16)), GRID, config_of())
    assert whole[100, 0].tolist() == random_picture(200, 200)[100, 0].tolist()  # no frame, no grey


def test_drawing_leaves_the_picture_as_it_was():
    rgb = random_picture(64, 64)
    before = rgb.copy()
    draw(rgb, prediction_of(range(16)), GRID, config_of())
    np.testing.assert_array_equal(rgb, before)


def test_label_and_count_are_written_on_it():
    black = np.zeros((200, 200, 3), np.uint8)
    cat, dog = (draw(black, prediction_of((1,), label), GRID, config_of()) for label in
                ('cat', 'dog'))
    more = draw(black, prediction_of((1, 2), 'cat'), GRID, config_of())
    assert (cat != dog).any() and (cat != more).any()


def test_an_empty_answer_is_drawn_too():
    black = np.zeros((200, 200, 3), np.uint8)
    assert draw(black, Prediction((), (), (), 0.5, 0, 16, np.array([], int)), GRID,
                config_of()).any()


@pytest.mark.parametrize('label, written', [('Käse', 'K?se'), ('猫', '?'), ('', '')])
def test_a_label_that_opencv_has_no_letters_for_is_drawn_with_question_marks(label, written):
    rgb = random_picture(200, 200)
    np.testing.assert_array_equal(*(draw(rgb, prediction_of((1,), text), GRID, config_of())
                                    for text in (label, written)))


@pytest.mark.parametrize('crop_mode', ['center', 'squash', 'border'])
@pytest.mark.parametrize('size', [(1, 1), (3, 5), (1, 60), (60, 1), (16, 16)])
def test_a_tiny_picture_keeps_its_size(size, crop_mode):
    picture = draw(random_picture(*size), prediction_of(range(16)), GRID, config_of(crop_mode))
    assert picture.shape == (*size, 3)
    assert picture.dtype == np.uint8


@pytest.mark.parametrize('size, drawn', [
    ((480, 640), (480, 640)), ((720, 1280), (360, 640)), ((1, 4000), (1, 640))])
def test_a_wide_picture_is_scaled_down(size, drawn):
    picture = draw(random_picture(*size), prediction_of(), GRID, config_of())
    assert picture.shape == (*drawn, 3)
    assert drawn[1] <= MAX_WIDTH


def test_a_picture_that_may_not_be_written_is_drawn_on_a_copy():
    rgb = random_picture(64, 64)
    rgb.flags.writeable = False
    assert draw(rgb, prediction_of(range(16)), GRID, config_of()).flags.writeable


REGION = Region(160, 320, 240, 320)


def test_the_patches_of_a_region_lie_in_it():
    mask = kept_mask((480, 640), np.array([0, 15]), GRID, config_of('squash'), REGION)
    expected = np.zeros((480, 640), bool)
    expected[160:220, 320:400] = expected[340:400, 560:640] = True
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize('crop_mode', ['center', 'squash', 'border'])
def test_outside_the_region_the_picture_is_grey_and_what_the_model_saw_is_framed(crop_mode):
    rgb = random_picture(480, 640)
    picture = draw(rgb, prediction_of(range(16)), GRID, config_of(crop_mode), REGION)
    left, width = (360, 240) if crop_mode == 'center' else (320, 320)
    seen = np.zeros((480, 640), bool)
    seen[160:400, left:left + width] = True
    outside = ~seen
    outside[:TEXT_ROWS] = False
    assert (picture[outside] == picture[outside][:, :1]).all()
    np.testing.assert_array_equal(picture[161:399, left + 1:left + width - 1],
                                  rgb[161:399, left + 1:left + width - 1])
    for edge in (picture[160, left:left + width], picture[399, left:left + width],
                 picture[160:400, left], picture[160:400, left + width - 1]):
        assert (edge == 255).all()


def test_a_region_is_scaled_down_with_the_picture():
    rgb = random_picture(960, 1280)
    picture = draw(rgb, prediction_of(), GRID, config_of('squash'),
                   Region(320, 640, 480, 640))
    assert (picture[160, 320:640] == 255).all() and (picture[399, 320:640] == 255).all()


@pytest.mark.parametrize('region', [Region(0, 0, 1, 1), Region(719, 1279, 1, 1),
                                    Region(0, 640, 720, 2), Region(5, 7, 3, 1200)])
def test_a_tiny_region_of_a_large_picture_is_drawn(region):
    picture = draw(random_picture(720, 1280), prediction_of(range(16)), GRID,
                   config_of('squash'), region)
    assert picture.shape == (360, 640, 3)


def test_what_is_unknown_does_not_look_like_an_answer():
    black, known = np.zeros((480, 640, 3), np.uint8), prediction_of((1,))
    strange = dataclasses.replace(known, known=False)
    nothing = dataclasses.replace(strange, labels=(), scores=())
    pictures = [draw(black, each, GRID, config_of()) for each in (known, strange, nothing)]
    for index, picture in enumerate(pictures):
        assert not any(np.array_equal(picture, other) for other in pictures[index + 1:])


def test_the_box_of_the_zoom_is_framed_and_its_patches_lie_in_it():
    rgb = random_picture(480, 1280)
    prediction = dataclasses.replace(prediction_of((0, 15)), box=Region(40, 60, 160, 160))
    region = Region(200, 400, 280, 800)
    picture = draw(rgb, prediction, GRID, config_of(), region)  # half as large
    assert (picture[120, 230:310] == 255).all() and (picture[199, 230:310] == 255).all()
    inside = picture[121:199, 231:309]
    assert (inside != inside[..., :1]).any() and (
        picture[60:118, 100:200] == picture[60:118, 100:200, :1]).all()
    mask = kept_mask((480, 1280), np.array([0, 15]), GRID, config_of(), region, prediction.box)
    expected = np.zeros((480, 1280), bool)
    expected[240:280, 460:500] = expected[360:400, 580:620] = True
    np.testing.assert_array_equal(mask, expected)
