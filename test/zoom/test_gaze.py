# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Where a model looks in the pictures of a camera, one after the other."""
import itertools

import cv2
import numpy as np
import pytest
from zoom_scenes import config_of, ground, noisy, put, thing

from ltp_ros.zoom.gaze import PATIENCE, Gaze, Zoom

SHORT = 480
MOST = 0.02 * SHORT + 2  # of an edge beside what the thing moves; two roundings to whole pixels


def edges(box):
    return np.array([box.top, box.left, box.top + box.height, box.left + box.width])


def film(places, noise=4.0, side=160):
    """Yield pictures with a thing at each of the places (top, left)."""
    calm, part = ground(), thing(side)
    for number, (top, left) in enumerate(places):
        yield noisy(put(calm, part, round(top), round(left)), noise, number)


def follow(places, **of_film):
    gaze = Gaze(Zoom(config_of()))
    return [gaze.follow(rgb) for rgb in film(places, **of_film)]


def pan(speed, count=40):
    return [(150, 40 + speed * number) for number in range(count)]


def circle(count=60, radius=90):
    return [(160 + radius * np.sin(number / 6), 240 + radius * np.cos(number / 6))
            for number in range(count)]


def shake(count=40, sigma=3.0):
    return 160 + np.random.default_rng(7).normal(0, sigma, (count, 2)) * [1, 1]


def test_a_still_scene_has_a_still_box():
    boxes = follow([(150, 240)] * 30, noise=6.0)
    assert boxes[0] is not None and set(boxes) == {boxes[0]}


def test_the_first_picture_has_the_box_that_it_has_alone():
    scene = put(ground(), thing(), 150, 240)
    assert Gaze(Zoom(config_of())).follow(scene) == Zoom(config_of()).box(scene)


def test_a_shaking_camera_does_not_shake_the_box():
    boxes = follow(shake())
    assert len(set(boxes)) <= 2


@pytest.mark.parametrize('places', [pan(2), pan(5), pan(9), circle(), shake(), pan(5)[::-1]],
                         ids=['slow', 'pan', 'fast', 'circle', 'shake', 'back'])
def test_the_box_moves_no_more_than_the_thing_and_two_percent(places):
    boxes = follow(places)
    for (now, place), (then, before) in zip(zip(boxes[1:], places[1:]), zip(boxes, places)):
        own = np.abs(np.round(place) - np.round(before)).max()
        assert np.abs(edges(now) - edges(then)).max() <= own + MOST


@pytest.mark.parametrize('places', [pan(2), pan(5), pan(9), circle()],
                         ids=['slow', 'pan', 'fast', 'circle'])
def test_what_moves_stays_in_the_box(places):
    held = []
    for box, (top, left) in zip(follow(places), places):
        rows = min(top + 160, box.top + box.height) - max(top, box.top)
        columns = min(left + 160, box.left + box.width) - max(left, box.left)
        held.append(max(rows, 0) * max(columns, 0) / 160 ** 2)
    assert np.mean(held) > 0.85 and min(held) > 0.5


def test_another_scene_is_looked_at_at_once():
    gaze, zoom = Gaze(Zoom(config_of())), Zoom(config_of())
    here, there = (put(ground(), thing(120, seed), *place)
                   for seed, place in ((1, (20, 20)), (2, (340, 500))))
    assert [gaze.follow(rgb) for rgb in (here, here, there, here)] == [
        zoom.box(here), zoom.box(here), zoom.box(there), zoom.box(here)]


def test_what_is_taken_away_is_let_go():
    gaze, empty = Gaze(Zoom(config_of())), ground()
    assert gaze.follow(put(empty, thing(), 150, 240)) is not None
    assert [gaze.follow(empty) for _ in range(2)] == [None, None]


def test_what_comes_into_an_empty_scene_is_looked_at():
    gaze, scene = Gaze(Zoom(config_of())), put(ground(), thing(), 150, 240)
    assert [gaze.follow(ground()) for _ in range(2)] == [None, None]
    assert gaze.follow(scene) == Zoom(config_of()).box(scene)


def test_a_flicker_of_one_picture_moves_nothing():
    gaze = Gaze(Zoom(config_of()))
    scene = put(ground(), thing(), 150, 240)
    flicker = put(scene, thing(40, 9), 20, 20)  # a reflection
    boxes = [gaze.follow(flicker if number == 5 else scene) for number in range(12)]
    assert PATIENCE > 1 and set(boxes) == {boxes[0]}


def test_where_the_detail_comes_to_be_all_over_the_box_widens_to_the_whole():
    gaze = Gaze(Zoom(config_of()))
    scene = put(ground((480, 480)), thing(160), 150, 150)
    crowded = scene
    for seed, place in enumerate(itertools.product((10, 150, 300), (10, 300))):
        crowded = put(crowded, thing(150, 20 + seed), *place)
    first = gaze.follow(scene)
    boxes = [gaze.follow(crowded) for _ in range(60)]
    sides = [box.height for box in boxes if box]
    assert boxes[-1] is None and sides == sorted(sides) and sides[0] <= first.height + 2 * MOST


def test_a_camera_that_changes_its_size_begins_anew():
    gaze, zoom = Gaze(Zoom(config_of())), Zoom(config_of())
    for rgb in (put(ground(), thing(), 20, 20), put(ground((240, 320)), thing(80), 120, 200)):
        assert gaze.follow(rgb) == zoom.box(rgb)


def test_a_model_that_needs_all_pixels_of_the_camera_has_no_box():
    gaze = Gaze(Zoom(config_of(input_size=(480, 480))))
    assert gaze.follow(put(ground(), thing(), 20, 20)) is None


@pytest.mark.parametrize('strength, sigma', [(0.6, 0.3), (0.8, 0.3), (0.9, 0.3), (1.2, 1.0)])
def test_what_is_nearly_too_faint_to_see_does_not_make_the_box_flicker(strength, sigma):
    texture = cv2.GaussianBlur(np.random.default_rng(5).normal(0, 1, (160, 160)), (0, 0), 1.5)
    grey = np.full((480, 640), 90.0)
    grey[150:310, 240:400] += strength * texture / texture.std()
    scene, gaze = np.repeat(grey[..., None], 3, axis=2), Gaze(Zoom(config_of()))
    boxes = [gaze.follow(noisy(scene, sigma, number)) for number in range(40)]
    changes = sum(now != then for now, then in zip(boxes, boxes[1:]))
    assert changes <= 2


@pytest.mark.parametrize('crop_mode', ['center', 'squash', 'border'])
def test_a_box_comes_and_goes_at_a_bounded_speed_in_every_crop_mode(crop_mode):
    config = config_of(crop_mode)
    gaze = Gaze(Zoom(config))
    alone = put(ground(), thing(160), 150, 240)
    crowd = put(put(alone, thing(150, 20), 0, 0), thing(150, 21), 320, 480)
    seen = []
    for rgb in [crowd] * 3 + [alone] * 90 + [crowd] * 90:
        top, left, height, width = config.crop_box(480, 640, gaze.follow(rgb))
        seen.append((top, left, top + height, left + width))
    steps = np.abs(np.diff(np.array(seen), axis=0))
    assert steps.max() <= 0.02 * 640 + 2 and len(set(seen)) > 10
    assert seen[-1] == seen[0]


def test_a_box_that_is_far_too_large_shrinks():
    gaze = Gaze(Zoom(config_of()))
    large = gaze.follow(put(ground(), thing(260), 100, 180))
    small = [gaze.follow(put(ground(), thing(100), 180, 260)) for _ in range(60)]
    assert small[-1].height < large.height - 60


def test_not_even_on_its_way_is_a_box_finer_than_the_camera():
    gaze = Gaze(Zoom(config_of(input_size=(224, 224))))
    alone = put(ground((240, 320)), thing(60), 40, 60)
    crowd = put(put(alone, thing(60, 20), 170, 250), thing(60, 21), 170, 0)
    boxes = [gaze.follow(rgb) for rgb in [alone] * 5 + [crowd] * 60 + [alone] * 60]
    sides = {min(box.height, box.width) for box in boxes if box}
    assert sides and min(sides) >= 224
