# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Which pictures are under- or overexposed or frozen, by real photos and by a turned clock."""
import cv2
import numpy as np
import pytest

from ltp_ros.frames.picture import (
    DARK,
    FROZEN_AFTER_S,
    FROZEN_PICTURES,
    NOT_DARK,
    PictureFault,
    PictureWatch,
    words,
)

SECOND = 10 ** 9


@pytest.fixture(scope='module')
def photos(data):
    return [cv2.imread(str(path), cv2.IMREAD_REDUCED_COLOR_2)[..., ::-1]
            for path in sorted((data / 'photos500').glob('*.jpg'))]


def exposed(rgb, stops):
    """Return a photo taken with so many stops more light, as a sensor without noise has it."""
    linear = (rgb / 255.0) ** 2.2 * 2.0 ** stops
    return (np.clip(linear, 0.0, 1.0) ** (1 / 2.2) * 255.0).round().astype(np.uint8)


def share(photos, fault, stops=0):
    return np.mean([bool(PictureWatch().judge(exposed(rgb, stops), 0) & fault)
                    for rgb in photos])


def test_hardly_any_real_photo_is_called_badly_exposed(photos):
    assert len(photos) == 500
    assert share(photos, PictureFault.UNDEREXPOSED) == 0.0
    assert share(photos, PictureFault.OVEREXPOSED) <= 0.01


# A quarter of the answers of DeiT-tiny change at 3 stops too much, and at 5 too little light where
# the sensor has its noise (docs/diagnostics.md)
@pytest.mark.parametrize('stops, fault, least', [
    (-4, PictureFault.UNDEREXPOSED, 0.99), (-5, PictureFault.UNDEREXPOSED, 0.99),
    (3, PictureFault.OVEREXPOSED, 0.4), (4, PictureFault.OVEREXPOSED, 0.6),
    (6, PictureFault.OVEREXPOSED, 0.85)])
def test_most_photos_with_too_little_or_too_much_light_are_found(photos, stops, fault, least):
    assert share(photos[::4], fault, stops) >= least
    assert share(photos[::4], ~fault, stops) == 0.0


@pytest.mark.parametrize('value, fault', [
    (0, PictureFault.UNDEREXPOSED), (20, PictureFault.UNDEREXPOSED), (128, PictureFault(0)),
    (255, PictureFault.OVEREXPOSED), (230, PictureFault.OVEREXPOSED)])
def test_a_uniform_picture_is_judged_by_its_brightness(value, fault):
    assert PictureWatch().judge(np.full((480, 640, 3), value, np.uint8), 0) == fault


@pytest.mark.parametrize('colour', [(0, 0, 200), (255, 0, 0), (90, 140, 255)])
def test_a_saturated_colour_is_neither_too_dark_nor_too_bright(colour):
    assert PictureWatch().judge(np.full((48, 64, 3), colour, np.uint8), 0) == 0


@pytest.mark.parametrize('size', [(1, 1), (3, 5000), (5000, 3), (63, 65), (1080, 1920)])
def test_any_size_is_judged(size):
    assert PictureWatch().judge(np.zeros((*size, 3), np.uint8), 0) == PictureFault.UNDEREXPOSED


def test_a_read_only_view_with_gaps_is_judged():
    rgb = np.full((96, 128, 3), 128, np.uint8)[::2, ::2]
    rgb.flags.writeable = False
    assert PictureWatch().judge(rgb, 0) == 0


def test_a_picture_about_the_threshold_does_not_flicker():
    watch = PictureWatch()
    around = [DARK - 2, (DARK + NOT_DARK) // 2, DARK - 1, NOT_DARK - 2]
    faults = [watch.judge(np.full((48, 64, 3), value, np.uint8), 0) for value in around]
    assert faults == [PictureFault.UNDEREXPOSED] * 4
    assert watch.judge(np.full((48, 64, 3), NOT_DARK + 1, np.uint8), 0) == 0
    assert watch.judge(np.full((48, 64, 3), around[1], np.uint8), 0) == 0


def scene(seed=0):
    return np.random.default_rng(seed).integers(60, 200, (480, 640, 3), dtype=np.uint8)


def last_fault(pictures, period_s, **kwargs):
    watch = PictureWatch()
    return [watch.judge(rgb, int(index * period_s * SECOND), **kwargs)
            for index, rgb in enumerate(pictures)]


@pytest.mark.parametrize('rate_hz', [30.0, 1.0])
def test_the_same_pixels_for_long_enough_are_frozen_and_the_next_others_are_not(rate_hz):
    count = int(FROZEN_AFTER_S * rate_hz)
    faults = last_fault([scene()] * (count + 1) + [scene(1)], 1.0 / rate_hz)
    assert faults[count - 1] == 0
    assert faults[count:] == [PictureFault.FROZEN, 0]


def test_a_few_equal_pictures_of_a_slow_camera_are_not_frozen():
    faults = last_fault([scene()] * FROZEN_PICTURES, 60.0)
    assert faults == [0] * (FROZEN_PICTURES - 1) + [PictureFault.FROZEN]


def test_the_noise_of_a_sensor_is_enough():
    noise = np.random.default_rng(0)
    pictures = []
    for _ in range(30):
        pictures.append(scene() + (noise.random((480, 640, 1)) < 0.002).astype(np.uint8))
    assert not any(last_fault(pictures, 1.0))


def test_a_still_scene_of_a_video_stream_is_not_frozen():
    key_frame_s, rate_hz = 8, 10
    groups = [scene(number) for number in range(4)]
    pictures = [groups[index // (key_frame_s * rate_hz)] for index in range(300)]
    assert not any(last_fault(pictures, 1.0 / rate_hz))


def test_a_simulated_camera_may_see_the_same_for_ever():
    assert not any(last_fault([scene()] * 100, 1.0, simulated=True))


def test_a_covered_lens_is_dark_and_not_frozen():
    faults = last_fault([np.zeros((48, 64, 3), np.uint8)] * 100, 1.0)
    assert set(faults) == {PictureFault.UNDEREXPOSED}


def test_every_fault_has_a_word_and_a_remedy():
    assert list(words(PictureFault(7))) == ['underexposed', 'overexposed', 'frozen']
    assert list(words(PictureFault.FROZEN)) == ['frozen'] and not words(PictureFault(0))
