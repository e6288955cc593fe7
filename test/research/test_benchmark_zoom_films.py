# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The films of `ltp_benchmark zoom`: their moves, what is counted, and a short real run."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from ltp_ros.model.data_config import DataConfig
from ltp_ros.region import Region
from ltp_ros.research.benchmarks import zoom, zoom_films, zoom_rivals
from ltp_ros.research.benchmarks.zoom_films import FRAMES, KINDS, NOISE, PAD, Answer, Shot
from ltp_ros.tools.benchmark import main
from ltp_ros.zoom.gaze import Zoom

KEYS = {'kind', 'films', 'frames', 'top1_centre', 'top1', 'flips_centre', 'flips', 'moved',
        'beyond_p99', 'beyond_max', 'held_centre', 'held'}
SIZE, SIDE = (480, 640), 192


def nothing(*_):
    """Show no progress, and tell nobody."""


def picture(seed):
    """Return large grains of noise in a colour of their own."""
    rng = np.random.default_rng(seed)
    grains = rng.integers(0, 128, (25, 25, 1), np.uint8) + rng.integers(0, 128, 3, np.uint8)
    return np.kron(grains, np.ones((8, 8, 1), np.uint8))


def film(seed=5):
    return zoom_films.film_of(picture(1), picture(2), seed)


def places(kind, seed=5):
    return np.array([place for _, place in film(seed).frames(kind, 0.0)])


@pytest.mark.parametrize('kind', KINDS)
def test_a_film_is_the_same_for_the_same_seed_and_another_for_another(kind):
    first, again, other = ([rgb for (rgb, _), _ in zip(film(seed).frames(kind), range(4))]
                           for seed in (5, 5, 6))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert {(rgb.shape, rgb.dtype) for rgb in first} == {((*SIZE, 3), np.dtype(np.uint8))}


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('seed', range(3))
def test_the_thing_is_all_in_each_frame_where_the_film_says(kind, seed):
    made = film(seed)
    frames = list(made.frames(kind, 0.0))
    assert len(frames) == FRAMES
    for rgb, place in frames:
        assert np.array_equal(rgb[place.slices], made.thing)


def test_the_shake_moves_ground_and_thing_together():
    (first, before), *others = film().frames('shake', 0.0)
    inner = [slice(PAD, side - PAD) for side in SIZE]
    for rgb, place in others:
        down, right = place.top - before.top, place.left - before.left
        shifted = rgb[PAD + down:SIZE[0] - PAD + down, PAD + right:SIZE[1] - PAD + right]
        assert np.array_equal(shifted, first[tuple(inner)])


@pytest.mark.parametrize('kind', ['still', 'pan', 'fast'])
def test_in_all_others_the_ground_stays(kind):
    (first, before), *others = film().frames(kind, 0.0)
    for rgb, place in others:
        ground = np.ones(SIZE, bool)
        ground[place.slices] = ground[before.slices] = False
        assert np.array_equal(rgb[ground], first[ground])


def test_things_move_as_fast_as_their_kind_says():
    down, steps = {}, {}
    for kind in KINDS:
        down[kind], steps[kind] = np.abs(np.diff(places(kind)[:, :2], axis=0)).T
    assert not steps['still'].any() and set(steps['pan']) == {4}
    assert 15 <= steps['fast'].max() <= 19
    assert 1 < steps['shake'].mean() < 8 and 1 < down['shake'].mean() < 8
    assert not any(down[kind].any() for kind in ('still', 'pan', 'fast'))


def test_noise_is_fresh_in_each_frame_and_centred():
    grey = zoom_films.Film(np.full((SIDE, SIDE, 3), 128, np.uint8), np.full(
        (SIZE[0] + 2 * PAD, SIZE[1] + 2 * PAD, 3), 128, np.uint8), 1)
    first, second = (rgb.astype(float) - 128 for (rgb, _), _ in zip(grey.frames('still'), 'ab'))
    assert abs(first.mean()) < 0.02 and first.std() == pytest.approx(NOISE, rel=0.02)
    assert abs((first * second).mean()) < 0.1


class Fake:
    """A classifier whose class is the mean of what it is given, and that crops nothing."""

    def __init__(self):
        self.data_config = DataConfig((112, 112), (0.5,) * 3, (0.5,) * 3, crop_pct=1.0)
        self.zoom, self.boxes = Zoom(self.data_config), []

    def classify(self, rgb, top_k, score_threshold, box):
        self.boxes.append(box)
        seen = box or Region(0, 80, 480, 480)
        return SimpleNamespace(class_ids=(int(rgb[seen.slices].mean()),), seen=seen)


def test_nothing_flips_or_moves_in_a_still_film_without_noise():
    shots = zoom_films.watch(film(), 'still', Fake(), noise=0.0)
    row = zoom_films.row_of('still', [shots[0].zoom.best], [shots])
    assert row['flips_centre'] == row['flips'] == row['moved'] == row['beyond_max'] == 0
    assert row['top1'] == 100 and row['frames'] == FRAMES and row['held'] > 80
    assert len(set(shots)) == 1 and shots[0].zoom.seen.height < 480


def test_each_film_begins_with_a_gaze_of_its_own():
    made, classifier = film(), Fake()
    first, again = (zoom_films.watch(made, 'fast', classifier) for _ in range(2))
    assert first == again


def test_where_there_is_no_box_the_centre_crop_is_what_was_seen():
    calm, classifier = np.full((40, 40, 3), 90, np.uint8), Fake()
    shots = zoom_films.watch(zoom_films.film_of(calm, calm, 1), 'still', classifier, noise=0.0)
    assert classifier.boxes == [None] * FRAMES  # asked once a frame
    assert all(shot.zoom == shot.centre for shot in shots)


def shot(left, best, seen_left, zoomed):
    """Return a shot of a thing of 48 pixels."""
    return Shot(Region(100, left, 48, 48), Answer(best, Region(0, 80, 480, 480)),
                Answer(zoomed, Region(100, seen_left, 96, 96)))


def test_a_row_counts_by_hand():
    films = [[shot(100, 3, 100, 3), shot(100, 4, 148, 3), shot(124, 3, 148, 4)],
             [shot(500, 1, 500, 7), shot(560, 1, 524, 7), shot(620, 1, 548, 7)]]
    row = zoom_films.row_of('pan', [3, 7], films)
    assert set(row) == KEYS and (row['kind'], row['films'], row['frames']) == ('pan', 2, 6)
    assert row['top1_centre'] == pytest.approx(200 / 6) and row['top1'] == pytest.approx(500 / 6)
    assert (row['flips_centre'], row['flips']) == (50, 25)  # of 4 steps: 2 and 1
    assert row['moved'] == pytest.approx((48 + 0 + 24 + 24) / 4 / 4.8)
    assert row['beyond_max'] == pytest.approx(48 / 4.8)  # what lags behind is not beyond
    assert row['beyond_p99'] == pytest.approx(np.percentile([48, 0, 0, 0], 99) / 4.8)
    assert row['held_centre'] == pytest.approx(400 / 6)
    assert row['held'] == pytest.approx(100 * (1 + 0 + .5 + 1 + 1 + .5) / 6)


def test_a_box_that_grows_moves_by_its_furthest_edge():
    assert zoom_films.moved([Region(10, 10, 20, 20), Region(8, 10, 27, 20)]).tolist() == [5]


def scene_of(count):
    return zoom.Scene('pictures', picture, [f'{index}.png' for index in range(2 * count)],
                      np.arange(2 * count), np.arange(count) * 2)


def test_films_are_of_evenly_spread_pictures_with_a_row_for_each_kind(monkeypatch):
    monkeypatch.setattr(zoom_films, 'FRAMES', 3)
    classifier, told, done = Fake(), [], []
    rows = zoom_films.film_rows(scene_of(4), 2, classifier, told.append, lambda: done.append(1))
    assert [row['kind'] for row in rows] == list(KINDS) and not told and len(done) == 8
    assert all(set(row) == KEYS and (row['films'], row['frames']) == (2, 6) for row in rows)
    assert rows == zoom_films.film_rows(scene_of(4), 2, Fake(), nothing, nothing)


def test_one_picture_alone_has_no_film():
    told = []
    assert zoom_films.film_rows(scene_of(1), 2, Fake(), told.append, nothing) == []
    assert told == ['left out: films, since they need a second picture for their ground']


def test_the_whole_square_is_the_largest_box_in_the_middle():
    look = zoom_rivals.whole_square(DataConfig((112, 112), (0.5,) * 3, (0.5,) * 3))
    assert look(np.zeros((480, 640, 3), np.uint8)) == Region(0, 80, 480, 480)
    assert look(np.zeros((90, 60, 3), np.uint8)) == Region(15, 0, 60, 60)
    squash = zoom_rivals.whole_square(DataConfig((112, 112), (0.5,) * 3, (0.5,) * 3,
                                                 crop_mode='squash'))
    assert squash(np.zeros((90, 60, 3), np.uint8)) == Region(0, 0, 90, 60)


def test_the_films_have_a_table_and_rows_in_the_file(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(zoom_films, 'FRAMES', 4)
    for name in ('ship', 'bird'):
        (tmp_path / name).mkdir()
        for index in range(4):
            assert cv2.imwrite(str(tmp_path / name / f'{index}.png'), picture(index))
    assert main(['zoom', str(tmp_path), '--model', 'demo', '--device', 'cpu', '--backend', 'eager',
                 '--quiet', '--small', '0', '--rounds', '0', '--composites', '--films', '2',
                 '--json', str(tmp_path / 'z.json')]) == 0
    result, out = json.loads((tmp_path / 'z.json').read_text()), capsys.readouterr().out
    assert [row['kind'] for row in result['films']] == list(KINDS)
    assert all(set(row) == KEYS and row['frames'] == 8 for row in result['films'])
    assert 'films: 2 of 4 frames, half: test; demo' in out
    assert max(map(len, out.splitlines())) <= 100
    assert [row['rival'] for row in result['rows']][:3] == ['centre crop', 'whole square', 'zoom']
