# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_evaluate --classes`: what taught classes are worth, and what it refuses."""
import io
import json

import cv2
import numpy as np
import pytest
from rich.console import Console

from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig
from ltp_ros.tools.evaluate import main
from ltp_ros.tools.reports.taught import make_tables
from ltp_ros.tools.teach import main as teach

COLOURS = {'red': (200, 40, 40), 'green': (40, 200, 40), 'blue': (40, 40, 200)}
LADDER = ['--keep-ratios', '1.0', '0.5']
FLAGS = ['--model', 'demo', '--device', 'cpu', '--backend', 'eager', '--quiet']


def picture(colour, seed):
    """Return a picture of a colour with much noise of its own, (48, 64, 3) uint8 RGB."""
    noise = np.random.default_rng(seed).integers(-150, 150, (6, 8, 3))
    return np.clip(np.kron(noise, np.ones((8, 8, 1))) + colour, 0, 255).astype(np.uint8)


def paint(folder, colours, seeds):
    """Save pictures of classes; return the folder."""
    for name, colour in colours.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for seed in seeds:
            assert cv2.imwrite(str(folder / name / f'{seed:03d}.png'),
                               picture(colour, seed)[..., ::-1])
    return folder


@pytest.fixture(scope='module')
def classes(tmp_path_factory):
    """Return a file of three taught classes."""
    folder = tmp_path_factory.mktemp('taught')
    assert teach([str(paint(folder / 'pictures', COLOURS, range(6))), '--output',
                  str(folder / 'classes'), *LADDER, *FLAGS]) == 0
    return str(folder / 'classes')


@pytest.fixture(scope='module')
def known(tmp_path_factory):
    """Return a folder of other pictures of two of the classes."""
    two = {name: COLOURS[name] for name in ('green', 'blue')}
    return paint(tmp_path_factory.mktemp('known'), two, range(50, 56))


@pytest.fixture(scope='module')
def unknown(tmp_path_factory):
    return paint(tmp_path_factory.mktemp('unknown'), {'grey': (128, 128, 128)}, range(70, 75))


def evaluate(images, classes, tmp_path, *more):
    """Run the program; return its JSON."""
    path = tmp_path / 'result.json'
    assert main([str(images), '--classes', classes, *LADDER, *FLAGS, '--json', str(path),
                 *map(str, more)]) == 0
    return json.loads(path.read_text())


def refusal(capsys, *argv):
    """Run the program, which must refuse; return the sentence."""
    assert main([*map(str, argv), *LADDER, *FLAGS]) == 2
    return capsys.readouterr().err


def test_rows_are_what_a_classifier_answers(known, unknown, classes, tmp_path):
    result = evaluate(known, classes, tmp_path, '--unknown', unknown)
    classifier = Classifier(ClassifierConfig(
        model='demo', device='cpu', backend='eager', precision='float32',
        keep_ratios=(1.0, 0.5), classes=classes))
    rows = [row for row in result['rows'] if row['keep_ratio'] == row['taught_keep_ratio']]
    assert [row['keep_ratio'] for row in rows] == [1.0, 0.5]
    for row in rows:
        answers = [(classifier.classify(picture(COLOURS[name], seed), row['keep_ratio']), name)
                   for name in ('blue', 'green') for seed in range(50, 56)]
        others = [classifier.classify(picture((128, 128, 128), seed), row['keep_ratio'])
                  for seed in range(70, 75)]
        assert row['n'] == len(answers)
        assert row['top1'] == pytest.approx(
            100 * np.mean([answer.labels[0] == name for answer, name in answers]))
        assert row['top1_low'] <= row['top1'] <= row['top1_high']
        wins = [(other.unknown > answer.unknown) + 0.5 * (other.unknown == answer.unknown)
                for answer, _ in answers for other in others]
        assert row['auroc'] == pytest.approx(100 * np.mean(wins))
        wins = [(other.scores[0] < answer.scores[0]) + 0.5 * (other.scores[0] == answer.scores[0])
                for answer, _ in answers for other in others]
        assert row['auroc_softmax'] == pytest.approx(100 * np.mean(wins))
        assert all(0 <= row[key] <= 100 for key in ('ece', 'fpr95', 'fpr95_softmax'))


def test_features_of_a_picture_are_computed_once_a_level(known, classes, tmp_path, monkeypatch):
    classify, calls = Classifier.classify, []

    def count(self, rgb, keep_ratio=None, **more):
        calls.append(keep_ratio)
        return classify(self, rgb, keep_ratio, **more)
    monkeypatch.setattr(Classifier, 'classify', count)
    result = evaluate(known, classes, tmp_path)
    assert calls == [1.0, 0.5] * 12 and len(result['rows']) == 4


def test_without_unknown_pictures_their_numbers_are_left_out(known, classes, tmp_path, capsys):
    result = evaluate(known, classes, tmp_path)
    assert all(row[key] is None for row in result['rows']
               for key in ('auroc', 'fpr95', 'auroc_softmax', 'fpr95_softmax'))
    assert (result['unknown'], result['n_unknown']) == (None, 0)
    assert 'auroc' not in capsys.readouterr().out


def test_the_head_says_what_was_measured_and_on_what(known, unknown, classes, tmp_path):
    result = evaluate(known, classes, tmp_path, '--unknown', unknown, '--limit', '4')
    assert (result['program'], result['backend'], result['precision']) == (
        'ltp_evaluate', 'eager', 'float32')
    assert (result['images'], result['classes'], result['unknown']) == (
        str(known), classes, str(unknown))
    assert (result['n'], result['n_unknown'], result['num_classes']) == (4, 4, 3)


def test_pictures_that_were_taught_are_told(known, classes, tmp_path, capsys):
    seen = paint(tmp_path / 'seen', COLOURS, range(4, 8))
    assert evaluate(seen, classes, tmp_path)['taught_before'] == 6
    assert '6 of 12 images were taught' in capsys.readouterr().err
    assert evaluate(known, classes, tmp_path)['taught_before'] == 0
    assert 'taught' not in capsys.readouterr().err


def test_a_damaged_picture_is_left_out_and_told(classes, tmp_path, capsys):
    folder = paint(tmp_path / 'some', COLOURS, range(60, 64))
    (folder / 'red' / '060.png').write_bytes(b'no picture')
    result = evaluate(folder, classes, tmp_path)
    assert (result['n'], result['unread']) == (11, 1)
    assert 'left out: 1 of 12 images' in capsys.readouterr().err
    (folder / 'red' / '060.png').unlink()
    assert evaluate(folder, classes, tmp_path)['rows'] == result['rows']


def test_classes_that_were_not_taught_are_refused_by_name(classes, tmp_path, capsys):
    folder = paint(tmp_path / 'some', {'red': COLOURS['red'], 'mauve': (180, 90, 200)}, [1])
    message = refusal(capsys, folder, '--classes', classes)
    assert "not taught: 'mauve'" in message and "['blue', 'green', 'red']" in message
    (folder / 'mauve').rename(folder / 'none')
    assert 'go to --unknown' in refusal(capsys, folder, '--classes', classes)


@pytest.mark.parametrize('flags, words', [
    (['--no-labels'], '--no-labels'), (['--state', 'x.npz'], '--state'),
    (['--rounds', '3'], '--rounds'), (['--maps', 'x'], '--maps'), (['--batch', '3'], '--batch'),
    (['--methods', 'all'], '--methods'), (['--methods', 'ltp', 'tome'], '--methods'),
    (['--scores', 'srb', 'random'], '--scores'), (['--alpha', '0.1', '0.5'], '--alpha'),
    (['--alpha', '2'], 'alpha 2'), (['--alpha', '0.3'], 'alpha was 0.5')])
def test_flags_that_have_no_meaning_for_taught_classes_are_refused(
        flags, words, known, classes, capsys):
    assert words in refusal(capsys, known, '--classes', classes, *flags)


def test_unknown_pictures_need_classes(known, unknown, capsys):
    assert '--unknown goes with --classes' in refusal(capsys, known, '--unknown', unknown)


@pytest.mark.parametrize('make, words', [
    (lambda path: None, 'is not there'),
    (lambda path: path.write_bytes(b'x'), 'not a whole file')],
    ids=['absent', 'damaged'])
def test_a_file_that_cannot_be_used_is_refused(make, words, known, tmp_path, capsys):
    make(tmp_path / 'classes')
    assert words in refusal(capsys, known, '--classes', tmp_path / 'classes')


def test_a_level_that_was_not_taught_is_refused(known, classes, capsys):
    assert main([str(known), '--classes', classes, *FLAGS, '--keep-ratios', '0.9']) == 2
    assert 'not at [0.9]' in capsys.readouterr().err


def test_one_process_evaluates_taught_classes(known, classes, monkeypatch, capsys):
    monkeypatch.setattr('ltp_ros.tools.evaluate.ranks.join', lambda: (0, 2))
    monkeypatch.setattr('ltp_ros.tools.evaluate.ranks.leave', lambda count: None)
    assert 'leave torchrun out' in refusal(capsys, known, '--classes', classes)


@pytest.mark.parametrize('ratios', [('1.0',), ('1.0', '0.5')])
def test_a_plot_shows_the_calibration_and_the_levels(ratios, known, classes, tmp_path):
    pytest.importorskip('matplotlib')
    path = tmp_path / 'plot.png'
    evaluate(known, classes, tmp_path, '--plot', path, '--keep-ratios', *ratios)
    assert cv2.imread(str(path)).std() > 0


def test_the_tables_fit_a_terminal_with_all_levels():
    ratios = (1.0, 0.9, 0.8, 0.7, 0.6, 0.53, 0.45, 0.35, 0.25)
    numbers = dict.fromkeys(('top1', 'top1_low', 'top1_high', 'ece', 'auroc', 'fpr95',
                             'auroc_softmax', 'fpr95_softmax'), 100.0)
    result = {'num_classes': 1000, 'n': 50_000, 'n_unknown': 50_000, 'precision': 'float32',
              'model': 'vit_small_patch16_224.augreg_in21k_ft_in1k',
              'rows': [{'taught_keep_ratio': taught, 'keep_ratio': asked, **numbers}
                       for taught in ratios for asked in ratios]}
    output = io.StringIO()
    for table in make_tables(result):
        Console(width=80, file=output).print(table)
    assert '…' not in output.getvalue() and output.getvalue().count('100.0') == 9 * 8 + 81


def test_real_features_tell_materials_apart(data, deit_tiny, tmp_path):
    """Half of some classes of trash600 are taught, the other half is recognised."""
    for half in ('taught', 'asked'):
        for name in ('cardboard', 'glass', 'metal'):
            folder = tmp_path / half / name
            folder.mkdir(parents=True)
            files = sorted((data / 'trash600' / name).iterdir())[:24]
            for file in files[half == 'asked'::2]:
                (folder / file.name).symlink_to(file)
    flags = ['--model', deit_tiny['model'], '--checkpoint', deit_tiny['checkpoint'], '--device',
             'cpu', '--backend', 'eager', '--quiet', '--keep-ratios', '1.0', '0.25']
    assert teach([str(tmp_path / 'taught'), '--output', str(tmp_path / 'classes'), *flags]) == 0
    path = tmp_path / 'result.json'
    assert main([str(tmp_path / 'asked'), '--classes', str(tmp_path / 'classes'), '--json',
                 str(path), *flags]) == 0
    rows = json.loads(path.read_text())['rows']
    assert rows[0]['top1_low'] > 100 / 3 and rows[0]['n'] == 36
    assert rows[0]['top1'] > rows[1]['top1']  # asked at a level that it was not taught at
