# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark zoom`: its rivals on made-up pictures, its rows, and a short real run."""
import copy
import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from ltp_ros.model.data_config import DataConfig
from ltp_ros.model.vit import create_vit, data_config
from ltp_ros.region import Region
from ltp_ros.research.benchmarks import BenchmarkError, zoom, zoom_rivals
from ltp_ros.research.benchmarks.zoom_rivals import ATTENTION, CENTRE, Finder, Rival, contrast
from ltp_ros.tools.benchmark import main
from ltp_ros.zoom.gaze import Zoom

SIDE, CANVAS = 140, 400
PLACES = [(40, 60), (220, 200)]
CONFIG = DataConfig((112, 112), (0.5,) * 3, (0.5,) * 3)


def nothing(*_):
    """Show no progress, and tell nobody."""


def texture(side, seed=0):
    """Return a square of noise, two pixels a grain."""
    grains = np.random.default_rng(seed).integers(0, 256, (side // 2, side // 2, 3), np.uint8)
    return np.kron(grains, np.ones((2, 2, 1), np.uint8))


def with_square(ground, top, left):
    picture = ground.copy()
    picture[top:top + SIDE, left:left + SIDE] = texture(SIDE)
    return picture


def calm():
    return np.full((CANVAS, CANVAS, 3), 120, np.uint8)


def blurred():
    """Return blobs of strong contrast without an edge, calm nowhere."""
    coarse = np.random.default_rng(1).integers(0, 2, (7, 7, 1)).astype(np.float32) * 255
    smooth = cv2.GaussianBlur(cv2.resize(coarse, (CANVAS, CANVAS)), (0, 0), 15.0)
    return np.repeat(smooth.astype(np.uint8)[..., None], 3, axis=2)


def held(box, top, left):
    """Return which share of the square lies in a box."""
    rows, columns = (min(start + size, first + SIDE) - max(start, first)
                     for start, size, first in zip(box[:2], box[2:], (top, left)))
    return max(rows, 0) * max(columns, 0) / SIDE ** 2


@pytest.fixture(scope='module')
def model(small_model):
    return create_vit('demo', small_model, method='none', input_size=112)


@pytest.mark.parametrize('top, left', PLACES)
def test_every_statistic_finds_a_textured_square_on_a_calm_ground(model, top, left):
    config, picture = data_config(model), with_square(calm(), top, left)
    found = {'zoom': Zoom(config).box, **zoom_rivals.looks(config, model)}
    del found[ATTENTION]  # of random weights it means nothing
    assert set(found) == {'zoom', 'redundancy box', 'contrast box', 'spectral residual'}
    for name, look in found.items():
        box = look(picture)
        assert held(box, top, left) > 0.8, name
        assert 112 <= box.height == box.width <= 280, name


def test_a_blurred_ground_fools_contrast_and_not_the_product():
    picture = with_square(blurred(), 220, 200)
    box = Zoom(CONFIG).box(picture)
    assert held(box, 220, 200) > 0.8 and box.height <= 240
    fooled = Finder(CONFIG, contrast)(picture)
    assert fooled is None or fooled.height > 1.25 * box.height


def test_a_box_is_never_smaller_than_the_input_and_calm_pictures_have_none():
    config = DataConfig((300, 300), (0.5,) * 3, (0.5,) * 3)
    assert Finder(config, contrast)(with_square(calm(), 40, 60)).height == 300
    wide = DataConfig((390, 390), (0.5,) * 3, (0.5,) * 3)
    assert Finder(wide, contrast)(with_square(calm(), 40, 60)) is None
    assert Finder(CONFIG, contrast)(calm()) is None


def test_redundancy_is_that_of_the_patches_of_the_whole_picture(model):
    config = data_config(model)
    picture = np.full((112, 224, 3), 100, np.uint8)
    picture[16:112, 192:224] = texture(96)[:, :32]  # right of the centre crop
    found = zoom_rivals.ModelMaps(model, config).redundancy(picture, (7, 7))
    squeezed = cv2.resize(picture, (112, 112), interpolation=cv2.INTER_AREA) / 255
    pixels = torch.tensor((squeezed - config.mean) / config.std).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        tokens = model.patch_embed(pixels)[0].numpy()
    unit = tokens / np.linalg.norm(tokens, axis=1, keepdims=True)
    expected = 1 - (unit @ unit.T - 2 * np.eye(49)).max(axis=1).reshape(7, 7)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.95
    assert found[:, 6].mean() > 10 * abs(found[:, :5]).mean()


def test_attention_is_that_of_the_models_own_softmax(model):
    pixels, attention, kept = torch.randn(1, 3, 112, 112), model.blocks[-1].attn, []
    found = zoom_rivals.ModelMaps(model, data_config(model)).attention_of(pixels)
    before, attention.fused_attn = attention.fused_attn, False
    hook = attention.attn_drop.register_forward_hook(lambda *of: kept.append(of[2]))
    with torch.inference_mode():
        model(pixels)
    hook.remove()
    attention.fused_attn = before
    expected = kept[0][0, :, 0, 1:].mean(dim=0).reshape(7, 7)  # heads, class token, patches
    assert np.allclose(found, expected.numpy(), atol=1e-6) and found.std() > 0


def test_a_model_without_a_class_token_has_no_attention_box(model):
    assert ATTENTION in zoom_rivals.looks(data_config(model), model)
    other = copy.deepcopy(model)
    other.cls_token = None
    assert ATTENTION not in zoom_rivals.looks(data_config(model), other)


def test_attention_lies_where_the_centre_crop_does(model, monkeypatch):
    maps = zoom_rivals.ModelMaps(model, data_config(model))
    corner = np.zeros((7, 7), np.float32)
    corner[6, 0] = 1.0
    monkeypatch.setattr(maps, 'attention_of', lambda pixels: corner)
    found = maps.attention(np.zeros((140, 280, 3), np.uint8), (14, 28))  # crop: columns 7 to 21
    wanted = np.zeros((14, 28))
    wanted[12:, 7:9] = 1.0
    assert np.allclose(found, wanted, atol=0.06)


@pytest.mark.parametrize('side, patches, size, tokens', [(224, 14, 320, 196), (32, 8, 44, 64),
                                                         (224, 16, 322, 256), (224, 7, 320, 49)])
def test_a_finer_picture_leaves_as_many_tokens(side, patches, size, tokens):
    found, keep_ratio = zoom_rivals.finer_than(SimpleNamespace(
        data_config=SimpleNamespace(input_size=(side, side)), grid_size=(patches, patches)))
    more = size // (side // patches)
    assert found == size and round(keep_ratio * more ** 2) == tokens


class Fake:
    """A classifier whose class is the mean of what it is given, and features likewise."""

    def __init__(self, size=8):
        self.data_config = DataConfig((size, size), (0.5,) * 3, (0.5,) * 3)
        self.config = SimpleNamespace(levels=(1.0,))
        self.calls = 0

    def classify(self, rgb, top_k, score_threshold=0.0, box=None):
        self.calls += 1
        seen = box or Region(0, 0, *rgb.shape[:2])
        mean = int(rgb[seen.slices].mean())
        return SimpleNamespace(class_ids=(mean,), seen=seen, features=np.eye(6, dtype='f4')[mean])


def fake_rivals():
    """Return a centre crop, and one that looks at the middle, where the label is."""
    classifier = Fake()
    middle = Region(10, 10, 10, 10)
    return [Rival(CENTRE, classifier, zoom_rivals.centre, 4),
            *(Rival(name, classifier, lambda rgb: middle, 4) for name in 'ab')]


def labelled(count=12, classes=6):
    """Return a scene of pictures whose middle tells the class, and the mean does not."""
    def picture(index):
        rgb = np.zeros((30, 30, 3), np.uint8)
        rgb[10:20, 10:20] = index % classes
        return rgb
    return zoom.Scene('made up', picture, [str(index) for index in range(count)],
                 np.arange(count) % classes, np.arange(count))


def test_rows_count_hits_and_gains_over_the_centre_crop():
    rivals = fake_rivals()
    first, second, third = zoom.own_rows(labelled(), rivals, nothing, nothing)
    assert (first['top1'], second['top1']) == (pytest.approx(100 / 6), 100)
    assert first['gain'] is None and second['gain'] == pytest.approx(500 / 6)
    assert second['gain_low'] > 0 and second['box_side'] == pytest.approx(1 / 3)
    assert first['box_side'] == 1 and first['n'] == 12 and first['num_tokens'] == 4
    assert {**second, 'rival': 'b'} == third
    assert rivals[0].classifier.calls == 2 * 12  # equal boxes once


def test_a_rival_is_compared_with_the_centre_crop_of_its_size():
    small = Fake(4)
    others = ('finer', Fake(16)), (CENTRE, small), ('zoom', small)
    rivals = [*fake_rivals()[:2], *(Rival(*each, zoom_rivals.centre, 4) for each in others)]
    hits = [[True, False], [True, True], [False, False], [False, False], [True, False]]
    rows = zoom.rows_of('any', rivals, hits, [1.0] * 5)
    assert [row['gain'] for row in rows] == [None, 50, -50, None, 50]
    assert [row['input_size'] for row in rows] == [8, 8, 16, 4, 4]


def test_a_draw_teaches_some_of_each_class_and_asks_all_others():
    labels = np.repeat([3, 7], (5, 8))
    taught, asked = zoom.drawn(labels, 3, 0)
    assert sorted([*taught, *asked]) == list(range(13))
    assert labels[taught].tolist() == [3] * 3 + [7] * 3
    again, other = (zoom.drawn(labels, 3, draw)[0] for draw in (0, 1))
    assert again.tolist() == taught.tolist() != other.tolist()


def test_taught_classes_are_recognised_by_the_features_of_the_rivals_own_boxes():
    told = []
    scene = labelled(24, 2)
    rows = zoom.taught_rows(scene, fake_rivals(), 8, 2, told.append, nothing)
    assert not told and [row['n'] for row in rows] == [16] * 3
    assert rows[0]['top1'] == 50 and rows[1]['top1'] == rows[2]['top1'] == 100


def test_fewer_photos_are_taught_where_there_are_few_and_one_class_is_refused():
    told = []
    rows = zoom.taught_rows(labelled(12, 2), fake_rivals(), 50, 1, told.append, nothing)
    assert rows[0]['n'] == 6 and 'no more than 3 photos a class are taught' in told[0]
    with pytest.raises(BenchmarkError, match='two classes'):
        zoom.taught_rows(labelled(12, 1), fake_rivals(), 5, 1, nothing, nothing)


def test_the_attention_box_and_no_rounds_have_no_times():
    rivals = [*fake_rivals()[:2], fake_rivals()[0]._replace(name=ATTENTION)]
    frames = [np.zeros((480, 640, 3), np.uint8)] * 2
    first, second, third = zoom.times_of(rivals, frames, 3, nothing)
    assert first['time_share'] == 1 and min(first['ms'], second['ms']) > 0
    assert third == {'ms': None, 'time_share': None}
    assert zoom.times_of(rivals, frames, 0, nothing) == [third] * 3


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Return class folders with noisy pictures of a colour each."""
    folder = tmp_path_factory.mktemp('pictures')
    for number, (name, colour) in enumerate((('ship', 90), ('bird', 40), ('cat', 180))):
        (folder / name).mkdir()
        for index in range(4):
            rgb = with_square(np.full((CANVAS, CANVAS, 3), colour, np.uint8), 150, 100)
            noise = texture(CANVAS, 10 * number + index) // 8
            assert cv2.imwrite(str(folder / name / f'{index}.png'), rgb // 2 + noise)
    return folder


def test_halves_share_no_picture_and_their_composites_are_the_same(folder):
    images = sorted(folder.glob('*/*.png'))
    labels = np.arange(12)
    tuning, test, both = (zoom.half_of(images, half) for half in ('tuning', 'test', 'both'))
    assert not {*tuning} & {*test} and {*tuning} | {*test} == {*both} == {*range(12)}
    shuffled = images[::-1]
    assert [shuffled[index] for index in zoom.half_of(shuffled, 'test')] == [
        images[index] for index in test]
    whole, half = (zoom.scenes_of(images, labels, ['0.45:blur'], name, None)[1]
                   for name in ('both', 'test'))
    assert {*half.chosen} < {*whole.chosen}
    assert all((whole.picture(index) == half.picture(index)).all() for index in half.chosen)
    assert len(zoom.scenes_of(images, labels, (), 'test', 4)[0].chosen) == 4
    with pytest.raises(BenchmarkError, match='empty'):
        zoom.scenes_of(images[:1], labels, (), 'test', None)


FLAGS = ['--model', 'demo', '--device', 'cpu', '--backend', 'eager', '--quiet', '--small', '24',
         '--draws', '2', '--films', '0']
NAMES = [('centre crop', 32), ('whole square', 32), ('zoom', 32), ('redundancy box', 32),
         ('contrast box', 32), ('spectral residual', 32), ('attention box', 32),
         ('finer picture', 44), ('centre crop', 24), ('whole square', 24), ('zoom', 24)]


def test_a_table_for_each_scene_and_every_row_in_the_file(folder, tmp_path, capsys):
    assert main(['zoom', str(folder), *FLAGS, '--taught', str(folder), '--rounds', '2',
                 '--json', str(tmp_path / 'z.json')]) == 0
    result = json.loads((tmp_path / 'z.json').read_text())
    out, err = capsys.readouterr()
    scenes, rows = ['pictures', '0.45:blur', '0.45:flat', '0.45:sharp', 'taught'], result['rows']
    assert all(out.count(f'{scene}: ') == 1 for scene in scenes)
    assert max(map(len, out.splitlines())) <= 100
    assert err.count('no more than 1 photos a class are taught') == 1
    assert (result['half'], result['backend'], result['precision']) == ('test', 'eager', 'float32')
    assert [(row['scene'], row['rival'], row['input_size']) for row in rows] == [
        (scene, *name) for scene in scenes for name in NAMES]
    assert {row['n'] for row in rows} == {6}  # of 12; taught: 3 asked in each of 2 draws
    assert {row['num_tokens'] for row in rows} == {64, 36}
    assert all((row['ms'] is None) == (row['rival'] == ATTENTION) for row in rows)
    flat = {(row['rival'], row['input_size']): row for row in rows if row['scene'] == '0.45:flat'}
    assert flat['zoom', 32]['box_side'] < 0.8 and flat['centre crop', 32]['box_side'] == 1


def test_the_same_numbers_each_time_without_composites_and_times(folder, tmp_path, capsys):
    results = []
    for name in 'ab':
        assert main(['zoom', str(folder), *FLAGS, '--composites', '--rounds', '0', '--small', '0',
                     '--limit', '3', '--json', str(tmp_path / name)]) == 0
        results.append(json.loads((tmp_path / name).read_text())['rows'])
    assert results[0] == results[1] and len(results[0]) == 8
    assert all(row['n'] == 3 and row['time_share'] is None for row in results[0])
    assert main(['zoom', str(folder), *FLAGS, '--composites', '0.45:grass']) == 2
    assert 'expected SHARE:GROUND' in capsys.readouterr().err
