# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Where a model is to look in one picture."""
import cv2
import numpy as np
import pytest
from zoom_scenes import config_of, ground, noisy, put, thing

from ltp_ros.zoom.box import LEAST, SHARE, find, separate, share_in
from ltp_ros.zoom.detail import CELLS, detail_of, largest_box
from ltp_ros.zoom.gaze import Zoom


def holds(box, top, left, side):
    return (box.top <= top and box.left <= left and top + side <= box.top + box.height
            and left + side <= box.left + box.width)


@pytest.mark.parametrize('top, left', [(0, 0), (300, 20), (150, 240), (320, 480)])
def test_the_box_holds_what_stands_out_and_not_much_more(top, left):
    box = Zoom(config_of()).box(put(ground(), thing(), top, left))
    assert holds(box, top + 16, left + 16, 128)  # but for its rim
    assert box.height == box.width <= 160 + 3 * 480 / CELLS
    assert 0 <= box.top <= 480 - box.height and 0 <= box.left <= 640 - box.width


@pytest.mark.parametrize('sigma', [3.0, 8.0])
def test_noise_all_over_the_picture_hides_nothing(sigma):
    scene = put(ground(), thing(), 150, 240)
    box = Zoom(config_of()).box(noisy(scene, sigma, 2))
    assert holds(box, 166, 256, 128) and box.height < 300


@pytest.mark.parametrize('rgb', [
    np.full((480, 640, 3), 90, np.uint8), ground(), thing(480)[:, :400].copy(),
    noisy(np.full((480, 640, 3), 90, np.uint8), 6.0, 3),
    np.repeat(np.linspace(0, 255, 640).astype(np.uint8)[None, :, None], 480, 0).repeat(3, 2)
], ids=['uniform', 'blurred', 'full of detail', 'noise', 'gradient'])
def test_where_nothing_stands_out_there_is_no_box(rgb):
    assert Zoom(config_of()).box(rgb) is None


def test_two_things_far_apart_are_both_in_the_box_or_there_is_none():
    near = put(put(ground((480, 480)), thing(60), 60, 60), thing(60, 5), 260, 260)
    box = Zoom(config_of()).box(near)
    assert holds(box, 68, 68, 44) and holds(box, 268, 268, 44)
    far = put(put(ground((480, 480)), thing(60), 0, 0), thing(60, 5), 420, 420)
    assert Zoom(config_of()).box(far) is None


@pytest.mark.parametrize('side', [224, 160, 64])
def test_a_box_never_has_fewer_pixels_than_the_models_input(side):
    box = Zoom(config_of(input_size=(side, side))).box(put(ground(), thing(60), 200, 200))
    assert box.height == box.width == max(side, round(LEAST * 480))


def test_a_camera_of_no_more_pixels_than_the_model_has_no_box():
    scene = put(ground((240, 320)), thing(60), 100, 100)
    assert Zoom(config_of(input_size=(240, 240))).box(scene) is None
    assert Zoom(config_of(input_size=(96, 96))).box(scene) is not None


def test_squeezed_pictures_get_boxes_of_their_own_shape():
    box = Zoom(config_of('squash')).box(put(ground(), thing(), 150, 240))
    assert holds(box, 166, 256, 128)
    assert box.width / box.height == pytest.approx(640 / 480, rel=0.02)


def test_a_model_of_wide_pictures_gets_wide_boxes():
    box = Zoom(config_of(input_size=(32, 64))).box(put(ground(), thing(100), 150, 240))
    assert holds(box, 160, 250, 80) and box.width == pytest.approx(2 * box.height, abs=2)


def test_mirrored_and_turned_pictures_have_their_boxes_mirrored_and_turned():
    scene, zoom = put(ground((480, 480)), thing(), 60, 250), Zoom(config_of())
    box = zoom.box(scene)
    mirrored, turned = zoom.box(scene[:, ::-1]), zoom.box(scene.transpose(1, 0, 2))
    assert mirrored.top == box.top
    assert mirrored.left == pytest.approx(480 - box.left - box.width, abs=2)
    assert (turned.top, turned.left) == pytest.approx((box.left, box.top), abs=2)


@pytest.mark.parametrize('size', [
    (1, 1), (2, 900), (31, 40), (97, 1303), (2160, 3840), (40, 60_000), (60_000, 40)])
def test_pictures_of_any_size_are_looked_at(size):
    side = min(size) // 3
    rgb = np.full((*size, 3), 90, np.uint8)
    rgb[size[0] - side:, size[1] - side:] = np.random.default_rng(0).integers(
        0, 256, (side, side, 3))
    zoom = Zoom(config_of(input_size=(16, 16)))
    found = [box for box in (zoom.box(rgb), *zoom.boxes(rgb, 3)) if box]
    assert all(box.inside(*size) and box.height == box.width >= 16 for box in found)
    assert len(found) == 2 * (side >= 10 and max(size) < 20 * min(size))


def test_a_view_that_is_not_contiguous_is_looked_at_as_it_is():
    scene = put(ground(), thing(), 150, 240)
    wide = np.zeros((480, 800, 3), np.uint8)
    wide[:, 80:720] = scene
    bgr = scene[..., ::-1].copy()
    boxes = [Zoom(config_of()).box(rgb) for rgb in (scene, wide[:, 80:720], bgr[..., ::-1])]
    assert boxes[0] is not None and boxes == [boxes[0]] * 3


def test_detail_is_the_laplacian_above_the_median_cell():
    rgb = put(ground((448, 448)), thing(128), 96, 224)  # whole cells of 32 pixels
    frame = largest_box(rgb.shape, (64, 64), False)
    detail = detail_of(rgb, frame)
    small = cv2.resize(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (224, 224),
                       interpolation=cv2.INTER_AREA)
    edges = cv2.Laplacian(small, cv2.CV_64F).reshape(14, 16, 14, 16)
    strength = np.sqrt((edges ** 2).mean(axis=(1, 3)))
    expected = np.clip(strength - max(np.median(strength), 2.0), 0, None)
    np.testing.assert_allclose(detail, expected, rtol=1e-4, atol=1e-3)
    assert detail[3:7, 7:11].min() > 5 * np.delete(detail.ravel(), [
        row * 14 + column for row in range(2, 8) for column in range(6, 12)]).max()


def test_the_share_in_a_box_counts_parts_of_cells():
    detail = np.ones((CELLS, CELLS), np.float32)
    box = find(np.pad(np.full((4, 4), 9.0, np.float32), 5))
    assert share_in(detail, box) == pytest.approx(box.side ** 2, rel=1e-3)


def test_regions_that_lie_apart_have_boxes_of_their_own_the_largest_first():
    scene = put(put(put(ground(), thing(180), 20, 20), thing(100, 4), 340, 500),
                thing(70, 5), 380, 300)
    zoom = Zoom(config_of(input_size=(32, 32)))
    boxes = zoom.boxes(scene, 5)
    assert [holds(box, *place) for box, place in zip(boxes, [
        (36, 36, 148), (350, 510, 80), (390, 310, 50)])] == [True] * 3
    assert [box.height for box in boxes] == sorted((box.height for box in boxes), reverse=True)
    assert zoom.boxes(scene, 1) == boxes[:1] and zoom.boxes(ground(), 5) == []


def test_the_strongest_regions_are_taken_where_there_are_more():
    detail = np.zeros((CELLS, CELLS), np.float32)
    detail[1, 1], detail[1, 12], detail[12, 1] = 50.0, 90.0, 70.0
    kept = separate(detail, 2)
    only = [np.zeros_like(detail) for _ in range(3)]
    for each, place in zip(only, ((1, 1), (1, 12), (12, 1))):
        each[place] = 1.0
    assert [sum(share_in(each, box) > 0.9 for box in kept) for each in only] == [0, 1, 1]


def test_a_box_is_found_whatever_the_unit_of_the_detail():
    detail = np.pad(np.random.default_rng(0).random((4, 5)).astype(np.float32), 5)
    assert find(detail * 1e-3) == find(detail) == find(detail * 1e3) is not None


def test_a_box_holds_its_share_wherever_the_detail_lies():
    rng = np.random.default_rng(4)
    for _ in range(2000):
        detail = np.where(rng.random((14, 19)) < 0.04, rng.exponential(60.0, (14, 19)), 0.0)
        box = find(detail.astype(np.float32))
        assert box is None or share_in(detail, box) >= SHARE - 1e-6
