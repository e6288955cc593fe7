# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Composites: small pictures on calm grounds, the same every time, and one at a time in memory."""
import cv2
import numpy as np
import pytest

from ltp_ros.images import decode_rgb, ignore
from ltp_ros.research.accuracy.sample import Sample, name_in, read
from ltp_ros.research.composites import CANVAS, CompositeError, Composites

COLOURS = [(250, 10, 10), (10, 250, 10), (10, 10, 250), (240, 240, 10)]


def png(rgb):
    return cv2.imencode('.png', rgb[..., ::-1])[1].reshape(-1)


def picture(colour, seed):
    """Return noise about a colour, (40, 60, 3) uint8 RGB."""
    noise = np.random.default_rng(seed).integers(-60, 60, (40, 60, 3))
    return np.clip(noise + colour, 0, 255).astype(np.uint8)


@pytest.fixture(scope='module')
def images():
    return [png(picture(colour, seed)) for seed, colour in enumerate(COLOURS)]


@pytest.fixture
def files(images, tmp_path):
    """Return the paths of 30 pictures."""
    paths = [tmp_path / f'{number:02d}.png' for number in range(30)]
    for number, path in enumerate(paths):
        path.write_bytes(images[number % len(images)].tobytes())
    return paths


def test_the_same_seed_makes_the_same_composites_and_another_others(images):
    first, again, other = (Composites(images, '0.4:blur', seed) for seed in (3, 3, 4))
    assert len(first) == len(images)
    assert all(np.array_equal(one, two) for one, two in zip(first, again))
    assert not all(np.array_equal(one, two) for one, two in zip(first, other))


def test_each_is_the_same_whichever_was_asked_for_before(images):
    composites = Composites(images, '0.4:sharp')
    whole = list(composites)
    assert np.array_equal(composites[-1], whole[3])
    assert all(np.array_equal(one, two) for one, two in zip(composites[1:3], whole[1:3]))


def test_the_bytes_are_those_of_the_composite(images):
    composites = Composites(images, '0.4:blur')
    np.testing.assert_array_equal(decode_rgb(composites[1]), composites.compose(1))


@pytest.mark.parametrize('share', [0.05, 0.3, 1.0])
def test_the_whole_picture_lies_inside_at_its_share_of_the_width(share, images):
    side = round(share * CANVAS)
    shrunk = cv2.resize(decode_rgb(images[0]), (side, side), interpolation=cv2.INTER_AREA)
    ground = np.rint(decode_rgb(images[1]).mean(axis=(0, 1)))
    for seed in range(5):
        canvas = Composites(images[:2], f'{share}:flat', seed).compose(0)
        assert canvas.shape == (CANVAS, CANVAS, 3)
        differs = (canvas != ground).any(axis=2)
        top, left = np.argwhere(differs).min(axis=0)
        np.testing.assert_array_equal(canvas[top:top + side, left:left + side], shrunk)
        assert differs.sum() == side * side


def test_the_places_differ(images):
    places = {tuple(np.argwhere((canvas != canvas[0, 0]).any(axis=2)).min(axis=0))
              for canvas in (Composites(images, '0.1:flat', seed).compose(0) for seed in range(8))}
    assert len(places) > 4


def ground_of(images, ground):
    """Return the composite of two pictures, and where the ground shows, (CANVAS, CANVAS) bool."""
    canvas = Composites(images[:2], f'0.2:{ground}').compose(0)
    return canvas, canvas[..., 1].astype(int) > canvas[..., 0]  # greener than red


def test_a_flat_ground_is_the_mean_colour_of_another_picture(images):
    canvas, shows = ground_of(images, 'flat')
    mean = np.rint(decode_rgb(images[1]).mean(axis=(0, 1)))
    np.testing.assert_array_equal(np.unique(canvas[shows], axis=0), [mean])


def test_a_sharp_ground_is_another_picture_and_a_blurred_one_is_calm(images):
    sharp, blurred = (canvas[shows] for canvas, shows in (
        ground_of(images, ground) for ground in ('sharp', 'blur')))
    other = cv2.resize(decode_rgb(images[1]), (CANVAS, CANVAS), interpolation=cv2.INTER_CUBIC)
    canvas, shows = ground_of(images, 'sharp')
    np.testing.assert_array_equal(canvas[shows], other[shows])
    assert blurred.std(axis=0).max() < sharp.std(axis=0).max() / 3
    np.testing.assert_allclose(blurred.mean(axis=0), sharp.mean(axis=0), atol=4)


@pytest.mark.parametrize('description', ['0.5', '0.5:', ':blur', '0.04:blur', '1.01:blur',
                                         'nan:blur', 'half:blur', '0.5:grey', '0.5:blur:1', 'x'])
def test_a_description_that_is_not_one_is_refused_with_what_came_and_what_is_allowed(
        description, images):
    with pytest.raises(CompositeError) as caught:
        Composites(images, description)
    message = str(caught.value)
    assert repr(description) in message
    assert 'SHARE:GROUND' in message and '0.05 to 1' in message
    assert 'blur, flat, sharp' in message and '0.45:blur' in message


def test_one_picture_alone_has_no_ground(images):
    with pytest.raises(CompositeError, match='needs a second picture'):
        Composites(images[:1], '0.5:blur')


def test_a_sample_is_made_of_the_composites_of_the_set(images):
    whole = Composites(images, '0.3:blur')
    sample = Sample(images, 2, '0.3:blur')
    assert sample.indices.tolist() == [0, 2]
    assert all(np.array_equal(one, whole[index]) for one, index in zip(sample, (0, 2)))
    assert np.array_equal(sample[1:][0], whole[2]) and len(sample[1:]) == 1
    assert [name_in(sample, index) for index in range(2)] == ['image 0', 'image 1']


def test_a_sample_without_composites_is_some_of_the_images(files):
    assert list(Sample(files, 3)) == [files[0], files[10], files[20]]
    assert list(Sample(files)[1::5]) == files[1::5]
    assert len(Sample([])) == 0


def test_no_composite_is_made_before_it_is_asked_for(files, monkeypatch):
    made = []
    compose = Composites.compose
    monkeypatch.setattr(Composites, 'compose',
                        lambda self, index: made.append(index) or compose(self, index))
    sample = Sample(files, 6, '0.3:flat')
    part = sample[1::2]
    assert [name_in(part, index) for index in range(3)] == [
        str(files[number]) for number in (5, 15, 25)]
    assert made == []
    next(iter(read(part, ignore, lambda height, width: None)))
    assert made == [5]


def test_composites_of_a_damaged_picture_are_left_out_by_the_name_of_the_small_one(files):
    files[2].write_bytes(b'')
    told, sample = [], Sample(files, composite='0.3:flat')
    found = [index for index, _ in read(sample, told.append, lambda height, width: None)]
    assert set(range(len(files))) - set(found) == {2, 14}  # 14 has it as its ground
    assert f'{files[2]}, {files[14]}' in told[0]
    assert f'the first: {files[2]} cannot be read' in told[0]
