# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_profile IMAGES`: a ladder that a classifier takes, of pictures with and without labels."""
import dataclasses
import json

import cv2
import numpy as np
import pytest
from rich.progress import Progress

from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig
from ltp_ros.frames import startup
from ltp_ros.model.data_config import DataConfig
from ltp_ros.research.ladder_search.space import Wanted
from ltp_ros.research.ladder_search.words import Scored
from ltp_ros.tools.profile import main
from ltp_ros.tools.support import candidates, ladder_search
from ltp_ros.tools.support.as_node import with_costs
from ltp_ros.tools.support.candidates import Candidates
from ltp_ros.tools.support.frame_sources import SAMPLES, panned_samples
from ltp_ros.tools.support.ladder_search import Search, Searcher
from ltp_ros.tools.support.scene import AGREEMENT, TAUGHT, TOP1, Scene, open_scene
from ltp_ros.tuner import ladder_file
from ltp_ros.tuner.ladder_file import Ladder, Level
from ltp_ros.tuner.levels import LevelCost

EAGER = ('--backends', 'eager', '--precisions', 'float32')
FITS = DataConfig((32, 32), (0.5,) * 3, (0.5,) * 3).resize_size


@pytest.fixture(autouse=True)
def few_runs(monkeypatch):
    """Make do with a few runs: which level is the fastest does not matter here."""
    monkeypatch.setattr(ladder_search, 'TIMED_ROUNDS', 1)
    monkeypatch.setattr(ladder_search, 'PAIR_ROUNDS', 2)
    monkeypatch.setattr(ladder_search, 'CHECKED', 4)
    monkeypatch.setattr(candidates, 'CALIBRATION', 4)
    monkeypatch.setattr(ladder_search, 'front', lambda levels: list(levels))


@pytest.fixture(scope='module')
def views():
    """Return views (H, W, 3) uint8 RGB of the packaged photos, with the name of each."""
    return [(name, rgb) for index, (name, rgb) in enumerate(panned_samples(SAMPLES))
            if index % 8 == 0]


def write(folder, pictures):
    for index, (name, rgb) in enumerate(pictures):
        path = folder / (f'{name}/{index}.png' if name else f'{index}.png')
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), rgb[..., ::-1])
    return folder


def run(folder, tmp_path, *more):
    code = main([str(folder), '--model', 'demo', '--device', 'cpu', '--quiet', '--cache',
                 str(tmp_path / 'cache'), '--output', str(tmp_path / 'ladder.yaml'), '--json',
                 str(tmp_path / 'ladder.json'), *more])
    return code, tmp_path / 'ladder.yaml'


def opened(path, tmp_path, **more):
    return Classifier(ClassifierConfig(ladder=str(path), device='cpu',
                                       cache=str(tmp_path / 'cache'), **more))


def test_a_ladder_is_found_that_a_classifier_takes(views, tmp_path, capsys):
    pytest.importorskip('matplotlib')
    images = write(tmp_path / 'images', [('', rgb) for _, rgb in views])
    code, path = run(images, tmp_path, *EAGER, '--plot', str(tmp_path / 'plot.png'))
    assert code == 0
    out = capsys.readouterr().out
    assert f'ladder:={path} device:=cpu' in out and 'only labels can say' in out
    ladder = ladder_file.read(path)
    assert len(ladder.levels) > 1 and ladder.works[0] == 1.0
    for level in ladder.levels:
        assert (level.model, level.backend, level.precision, level.zoom) == (
            'demo', 'eager', 'float32', False)
        assert all(level.input_size) and 0 < level.p50_ms <= level.p99_ms
        assert level.worth.low <= level.worth.score <= level.worth.high
    assert ladder.about['metric'] == AGREEMENT and ladder.about['number'] == len(views)
    classifier = opened(path, tmp_path)
    assert ladder.machine == startup.machine_of(classifier)
    assert [cost.keep_ratio for cost in ladder.costs_on(ladder.machine)] == list(ladder.works)
    for work in ladder.works:
        found = classifier.classify(views[0][1], work)
        assert found.keep_ratio == work and found.labels
    assert (tmp_path / 'plot.png').read_bytes().startswith(b'\x89PNG')
    result = json.loads((tmp_path / 'ladder.json').read_text())
    assert result['unpruned']['worth']['score'] == 100.0
    assert [row['work'] for row in result['rows']] == list(ladder.works)


def test_the_score_is_what_a_loop_over_the_images_counts(views, tmp_path):
    labels = Classifier(ClassifierConfig(model='demo', device='cpu', backend='eager',
                                         precision='float32')).labels
    images = write(tmp_path / 'images', [(labels[index % 2], rgb)
                                         for index, (_, rgb) in enumerate(views)])
    code, path = run(images, tmp_path, *EAGER, '--methods', 'ltp', '--keep-ratios', '0.5',
                     '--input-sizes', '32')
    assert code == 0
    ladder = ladder_file.read(path)
    assert ladder.about['metric'] == TOP1
    classifier = opened(path, tmp_path)
    for level in ladder.levels:
        right = [classifier.classify(rgb, level.work).labels[0] == labels[index % 2]
                 for index, (_, rgb) in enumerate(views)]
        assert level.worth.score == pytest.approx(100 * np.mean(right), abs=0.1)


def test_int8_of_the_ladder_is_what_a_classifier_then_runs(views, tmp_path):
    for module in ('nncf', 'openvino'):
        pytest.importorskip(module)
    scene = open_scene(str(write(tmp_path / 'images', [('', rgb) for _, rgb in views])),
                       ['a', 'b'], None, True, FITS, print)
    level = Level(1.0, model='demo', method='ltp', input_size=(32, 32), backend='openvino',
                  precision='int8', zoom=False)
    config = ClassifierConfig(model='demo', device='cpu', cache=str(tmp_path / 'cache'))
    runs = Candidates(config, scene, scene.some(4))
    runs.ask_all([level], 2)
    runs.release()
    ladder_file.write(tmp_path / 'ladder.yaml', Ladder((level,)))
    classifier = opened(tmp_path / 'ladder.yaml', tmp_path)
    assert (classifier.backend.name, classifier.precision) == ('openvino', 'int8')
    ids = [classifier.classify(scene.rgb(index)).class_ids[0] for index in range(2)]
    assert ids == runs.class_ids(level)


def test_the_runtimes_can_be_narrowed_to_one_that_is_not_torch(views, tmp_path):
    pytest.importorskip('onnxruntime')
    images = write(tmp_path / 'images', [('', rgb) for _, rgb in views[:4]])
    code, path = run(images, tmp_path, '--backends', 'onnx', '--precisions', 'float32',
                     '--methods', 'ltp', '--keep-ratios', '0.5', '--input-sizes', '32')
    assert code == 0
    assert {level.backend for level in ladder_file.read(path).levels} == {'onnx'}


def test_what_was_calibrated_on_the_same_pictures_is_not_calibrated_again(views, tmp_path,
                                                                        monkeypatch):
    for module in ('nncf', 'openvino'):
        pytest.importorskip(module)
    made = []
    calibrate = candidates.int8.calibrate
    monkeypatch.setattr(candidates.int8, 'calibrate',
                        lambda *args: made.append(1) or calibrate(*args))
    scene = open_scene(str(write(tmp_path / 'images', [('', rgb) for _, rgb in views])),
                       ['a', 'b'], None, True, FITS, print)
    level = Level(1.0, model='demo', method='ltp', input_size=(32, 32), backend='openvino',
                  precision='int8', zoom=False)
    config = ClassifierConfig(model='demo', device='cpu', cache=str(tmp_path / 'cache'))
    for pictures in (scene.some(4), scene.some(4), scene.some(3)):
        Candidates(config, scene, pictures).open(level)
    assert len(made) == 2


@pytest.mark.parametrize('names, per_folder, beside, metric', [
    (('cat', 'dog'), 5, 0, TOP1), (('bolt', 'nut'), 5, 0, TAUGHT),
    (('bolt', 'nut', 'screw'), 5, 0, TAUGHT), (('bolt', 'nut'), 3, 0, AGREEMENT),
    (('bolt',), 9, 0, AGREEMENT), (('bolt', 'nut'), 5, 1, AGREEMENT), ((), 0, 3, AGREEMENT),
    (('bolt', 'nut', 'none'), 5, 0, TAUGHT)])
def test_the_folder_says_what_is_scored(names, per_folder, beside, metric, tmp_path):
    rng = np.random.default_rng(0)
    pictures = [(name, rng.integers(0, 256, (40, 60, 3), np.uint8))
                for name in [*names * per_folder, *[''] * beside]]
    scene = open_scene(str(write(tmp_path, pictures)), ['cat', 'dog', 'cow'], None, True, FITS,
                       print)
    assert scene.metric == metric and scene.aspect == 1.5
    assert len(scene) == len(pictures) - (per_folder if 'none' in names else 0)
    if metric == TAUGHT:
        taught = set(scene.truth)
        assert set(scene.truth[:len(taught)]) == taught  # classes take turns


def test_labels_can_be_ignored(tmp_path):
    rng = np.random.default_rng(0)
    write(tmp_path, [(name, rng.integers(0, 256, (40, 60, 3), np.uint8))
                     for name in ('cat', 'dog') * 5])
    scene = open_scene(str(tmp_path), ['cat', 'dog'], 4, False, FITS, print)
    assert (scene.metric, scene.truth, len(scene)) == (AGREEMENT, None, 4)


def test_labels_that_cannot_be_read_are_told_of(tmp_path):
    rng = np.random.default_rng(0)
    write(tmp_path, [('', rng.integers(0, 256, (40, 60, 3), np.uint8))])
    (tmp_path / 'labels.csv').write_text('file,class_index\n0.png,seven\n')
    notes = []
    assert open_scene(str(tmp_path), ['cat'], None, True, FITS, notes.append).metric == AGREEMENT
    assert 'without labels, since' in notes[0] and 'row 1' in notes[0]


def test_a_damaged_image_is_left_out_and_told(tmp_path):
    rng = np.random.default_rng(0)
    write(tmp_path, [('', rng.integers(0, 256, (40, 60, 3), np.uint8)) for _ in range(3)])
    (tmp_path / '1.png').write_bytes(b'damaged')
    notes = []
    assert len(open_scene(str(tmp_path), ['cat'], None, True, FITS, notes.append)) == 2
    assert f'1 of 3 images cannot be used: {tmp_path / "1.png"}' in notes[0]


@pytest.mark.parametrize('more, words', [
    (['--backends', 'graph', '--precisions', 'int8'], 'none of --backends graph'),
    (['--keep-ratios', '1.5'], '1.5'), (['--models', 'nonsense'], 'nonsense')])
def test_what_cannot_be_searched_is_refused_by_name(more, words, views, tmp_path, capsys):
    images = write(tmp_path / 'images', [('', rgb) for _, rgb in views[:2]])
    assert run(images, tmp_path, *more)[0] == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / 'ladder.yaml').exists()


def test_a_folder_without_pictures_is_refused(tmp_path, capsys):
    (tmp_path / 'empty').mkdir()
    for folder, words in (('empty', 'has no images'), ('nowhere', 'is not a folder with images')):
        assert run(tmp_path / folder, tmp_path, *EAGER)[0] == 2
        assert words in capsys.readouterr().err


def test_an_unknown_method_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        run(tmp_path, tmp_path, '--methods', 'magic')
    assert 'magic' in capsys.readouterr().err


def test_a_model_that_takes_one_size_alone_has_one_level(tmp_path, views, monkeypatch):
    """Its tokens cannot be reduced either: only the ways to run it are left."""
    images = write(tmp_path / 'images', [('', rgb) for _, rgb in views[:3]])
    notes = []
    search = Search(ClassifierConfig(model='demo', device='cpu', cache=str(tmp_path / 'cache')),
                    [('demo', '')], str(images), None, True, Wanted(('resize',)), ('eager',),
                    ('float32',), 2)
    fixed = ladder_search.space.base_of

    def of_one_size(summary, *args):
        object.__setattr__(summary, 'step', (0, 0))
        return fixed(summary, *args)

    monkeypatch.setattr(ladder_search.space, 'base_of', of_one_size)
    found = Searcher(search, Progress(disable=True), notes.append).run()
    assert len(found.levels) == 1
    assert any('one size alone' in note for note in notes)


def test_the_time_of_a_level_that_zooms_is_with_the_zoom():
    plain, left = Level(1.0, zoom=False), Level(1.0, keep_ratio=0.5)
    levels = [plain, Level(1.0, zoom=True), left]
    scored = [Scored(dataclasses.replace(level, p50_ms=5.0 + 2.0 * bool(level.zoom), p99_ms=7.0),
                     np.ones(3, bool)) for level in levels]
    costs = dict.fromkeys(levels[:2], LevelCost(1.0, 10.0, 12.0))
    found = [each.level for each in with_costs(scored, costs, plain, 2.0)]
    assert [(level.p50_ms, level.p99_ms) for level in found] == [
        (10.0, 12.0), (12.0, 14.0), (10.0, 14.0)]  # the last as the machine is now: half as fast


def test_the_model_of_two_levels_runs_once_a_turn(views):
    runs = Candidates(ClassifierConfig(model='demo', device='cpu', backend='eager',
                                       precision='float32'),
                      Scene([], None, AGREEMENT, 1.0), [])
    levels = [Level(1.0, model='demo', method='ltp', zoom=zoom) for zoom in (False, True)]
    groups = runs.plan(levels)
    runs.time_in_turns(groups, 3)
    assert len(groups) == 1 and len(runs._times[levels[0]]) == 3
    assert runs.time_ms(levels[0]) == runs.time_ms(levels[1]) == min(runs._times[levels[0]])


@pytest.mark.parametrize('share, opened', [(1.0, 1), (0.0, 2)])
def test_models_that_do_not_fit_together_are_not_opened_for_each_run(share, opened, monkeypatch):
    monkeypatch.setattr(candidates, 'MEMORY_SHARE', share)
    runs = Candidates(ClassifierConfig(model='demo', device='cpu', backend='eager',
                                       precision='float32'),
                      Scene([], None, AGREEMENT, 1.0), [])
    made, open_one = [], runs._open
    monkeypatch.setattr(runs, '_open', lambda config: made.append(config) or open_one(config))
    levels = [Level(1.0, model='demo', method='ltp', input_size=(side, side), zoom=False)
              for side in (32, 24, 16)]
    turns = []
    runs.time_in_turns(runs.plan(levels), 5, lambda: turns.append(1))
    assert len(turns) == 15 and len(made) <= 3 * opened
    assert all(len(runs._times[level]) == 5 for level in levels)
