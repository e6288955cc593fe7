# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_evaluate --calibrate`: temperatures that a classifier takes, and nothing else."""
import csv
import json

import cv2
import numpy as np
import pytest

from ltp_ros.classifier import Classifier, ClassifierError
from ltp_ros.config import ClassifierConfig
from ltp_ros.images import decode_rgb
from ltp_ros.teaching.temperatures import tempered
from ltp_ros.tools.evaluate import main

LADDER = ['--keep-ratios', '1.0', '0.5']
FLAGS = ['--device', 'cpu', '--backend', 'eager', '--precision', 'float32', '--quiet']


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Return a folder of pictures of noise with labels."""
    folder, generator = tmp_path_factory.mktemp('csv'), np.random.default_rng(0)
    with (folder / 'labels.csv').open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['file', 'class_index'])
        for number in range(12):
            rgb = generator.integers(0, 256, (40, 50, 3), np.uint8)
            assert cv2.imwrite(str(folder / f'{number}.png'), rgb)
            writer.writerow([f'{number}.png', number % 7])
    return folder


def config(small_model, **more):
    return ClassifierConfig(checkpoint=small_model, device='cpu', backend='eager',
                            precision='float32', keep_ratios=(1.0, 0.5), **more)


def calibrate(folder, small_model, tmp_path, *more):
    """Return the exit code, the file that the node takes, and the JSON file."""
    path = tmp_path / 'temperatures.json'
    code = main([str(folder), '--checkpoint', small_model, '--calibrate', str(path), *LADDER,
                 *FLAGS, '--json', str(tmp_path / 'rows.json'), *more])
    rows = tmp_path / 'rows.json'
    return code, path, json.loads(rows.read_text()) if rows.exists() else None


def test_the_node_takes_what_was_found_and_answers_the_same_classes(folder, small_model, tmp_path):
    code, path, result = calibrate(folder, small_model, tmp_path)
    assert code == 0 and [row['keep_ratio'] for row in result['rows']] == [1.0, 0.5]
    assert all(0 <= row[name] <= 100 for row in result['rows']
               for name in ('top1', 'ece_before', 'ece'))
    before = Classifier(config(small_model))
    after = Classifier(config(small_model, temperatures=str(path)))
    rgb = decode_rgb(folder / '0.png')
    for row in result['rows']:
        plain = before.classify(rgb, row['keep_ratio'], top_k=100)
        found = after.classify(rgb, row['keep_ratio'], top_k=3)
        assert found.class_ids == plain.class_ids[:3]
        np.testing.assert_allclose(found.scores, tempered(
            np.array(plain.scores), 7, row['temperature'])[:3], rtol=1e-5)


def test_what_is_left_out_is_judged_by_the_score_at_the_temperature(folder, small_model, tmp_path):
    _, path, _ = calibrate(folder, small_model, tmp_path)
    classifier = Classifier(config(small_model, temperatures=str(path)))
    rgb = decode_rgb(folder / '0.png')
    scores = classifier.classify(rgb, 1.0).scores
    assert len(classifier.classify(rgb, 1.0, score_threshold=scores[1]).scores) == 2


def test_without_labels_the_highest_level_stays_as_it_is(folder, small_model, tmp_path):
    code, _, result = calibrate(folder, small_model, tmp_path, '--no-labels')
    highest, _ = result['rows']
    assert code == 0 and highest['temperature'] == pytest.approx(1.0, abs=0.01)
    assert highest['top1'] is None and highest['ece'] is None


def test_temperatures_of_another_method_are_refused(folder, small_model, tmp_path):
    _, path, _ = calibrate(folder, small_model, tmp_path)
    with pytest.raises(ClassifierError, match='another model: method was'):
        Classifier(config(small_model, temperatures=str(path), method='mixed'))


@pytest.mark.parametrize('flags, named', [
    (['--methods', 'ltp', 'tome'], '--methods has several'), (['--state', 'x'], '--state'),
    (['--plot', 'x.png', '--no-labels'], '--plot'), (['--classes', 'x'], '--classes')])
def test_what_does_not_go_with_it_is_refused(folder, small_model, tmp_path, capsys, flags, named):
    code, path, _ = calibrate(folder, small_model, tmp_path, *flags)
    assert code == 2 and named in capsys.readouterr().err and not path.exists()


def test_what_is_of_none_of_the_classes_is_told_apart_by_the_score(folder, small_model, tmp_path):
    strange = tmp_path / 'strange'
    strange.mkdir()
    for number in range(5):
        assert cv2.imwrite(str(strange / f'{number}.png'), np.full((40, 50, 3), 40 * number,
                                                                   np.uint8))
    code, _, result = calibrate(folder, small_model, tmp_path, '--unknown', str(strange),
                                '--plot', str(tmp_path / 'plot.png'))
    assert code == 0 and result['n_unknown'] == 5
    assert all(0 <= row[name] <= 100 for row in result['rows'] for name in ('auroc', 'fpr95'))
    pytest.importorskip('matplotlib')
    assert cv2.imread(str(tmp_path / 'plot.png')).shape[0] > 100
