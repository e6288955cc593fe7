# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_evaluate --composite` and `--zoom`: small objects, and the same models through the zoom."""
import csv
import io
import json
import shutil

import cv2
import numpy as np
import pytest
import torch
from rich.console import Console

from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig
from ltp_ros.images import Unread, decode_rgb
from ltp_ros.research.accuracy.batches import Pixels, batches
from ltp_ros.research.composites import Composites
from ltp_ros.teaching.temperatures import fit_labels
from ltp_ros.tools import evaluate as evaluate_program
from ltp_ros.tools.evaluate import main
from ltp_ros.tools.reports.evaluation import make_table
from ltp_ros.tools.support import evaluation as program
from ltp_ros.tools.teach import main as teach

CLASSES = [0, 1, 2, 3, 4, 5, 6, 0, 1]
LEVELS = (1.0, 0.53, 0.25)
COMPOSITE = '0.3:blur'


def pattern(number):
    """Return a picture (H, W, 3) uint8 RGB, each of another size."""
    rng = np.random.default_rng(number)
    return cv2.resize(rng.integers(0, 256, (5, 5, 3), np.uint8), (60 + 9 * number, 110),
                      interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Return a folder of images with labels.csv."""
    folder = tmp_path_factory.mktemp('csv')
    with (folder / 'labels.csv').open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['file', 'class_index'])
        for number, label in enumerate(CLASSES):
            assert cv2.imwrite(str(folder / f'{number}.png'), pattern(number)[..., ::-1])
            writer.writerow([f'{number}.png', label])
    return folder


def flags(images, model, *more):
    return [str(images), '--checkpoint', model, '--device', 'cpu', '--quiet', '--keep-ratios',
            *map(str, LEVELS), *map(str, more)]


def evaluate(images, model, tmp_path, *more):
    """Run the program on the CPU; return its JSON."""
    path = tmp_path / 'result.json'
    assert main(flags(images, model, '--json', path, *more)) == 0
    return json.loads(path.read_text())


def refusal(capsys, *argv):
    assert main(flags(*argv)) == 2
    return capsys.readouterr().err


def classifier_of(model):
    return Classifier(ClassifierConfig(checkpoint=model, device='cpu', backend='eager', zoom=True,
                                       precision='float32', keep_ratios=LEVELS))


def composites(folder):
    paths = [folder / f'{number}.png' for number in range(len(CLASSES))]
    return [decode_rgb(image) for image in Composites(paths, COMPOSITE)]


def test_composites_are_evaluated_as_pictures_of_the_classes_of_the_small_ones(
        folder, model, tmp_path):
    (tmp_path / 'made').mkdir()
    shutil.copy(str(folder / 'labels.csv'), str(tmp_path / 'made'))
    for number, rgb in enumerate(composites(folder)):
        assert cv2.imwrite(str(tmp_path / 'made' / f'{number}.png'), rgb[..., ::-1])
    result = evaluate(folder, model, tmp_path, '--composite', COMPOSITE)
    saved = evaluate(tmp_path / 'made', model, tmp_path)
    assert (result['composite'], saved['composite']) == (COMPOSITE, '')
    assert result['rows'] == saved['rows'] != evaluate(folder, model, tmp_path)['rows']
    assert evaluate(folder, model, tmp_path, '--composite', COMPOSITE, '--workers', '2',
                    '--batch', '4')['rows'] == saved['rows']
    unlabelled = evaluate(folder, model, tmp_path, '--composite', COMPOSITE, '--no-labels')
    assert [row['agreement'] for row in unlabelled['rows']] == [
        row['agreement'] for row in saved['rows']]


def test_a_limited_run_has_the_composites_of_the_whole_set(folder, model, tmp_path, monkeypatch):
    seen = []
    answer_all = program.answer_all

    def keep(models, batches, *args, **more):
        answer_all(models, (seen.append(batch) or batch for batch in batches), *args, **more)
    monkeypatch.setattr(program, 'answer_all', keep)
    evaluate(folder, model, tmp_path, '--composite', COMPOSITE)
    evaluate(folder, model, tmp_path, '--composite', COMPOSITE, '--limit', '3')
    assert torch.equal(seen[1], seen[0][[0, 3, 6]])


def test_composites_that_there_are_not_are_refused_with_what_is_allowed(folder, model, capsys):
    message = refusal(capsys, folder, model, '--composite', '0.45:grey')
    assert "'0.45:grey'" in message and 'expected SHARE:GROUND' in message


def test_a_composite_of_one_picture_is_refused(folder, model, tmp_path, capsys):
    shutil.copy(str(folder / '0.png'), str(tmp_path))
    (tmp_path / 'labels.csv').write_text('file,class_index\n0.png,0\n')
    assert 'a second picture' in refusal(capsys, tmp_path, model, '--composite', COMPOSITE)


def test_damaged_pictures_and_composites_with_them_are_left_out(model, tmp_path, capsys):
    lines = ['file,class_index']
    for number in range(30):
        path = tmp_path / f'{number:02d}.png'
        assert cv2.imwrite(str(path), pattern(number % 9)[..., ::-1])
        lines.append(f'{path.name},{number % 7}')
    (tmp_path / 'labels.csv').write_text('\n'.join(lines))
    (tmp_path / '02.png').write_bytes(b'')
    result = evaluate(tmp_path, model, tmp_path, '--composite', COMPOSITE, '--zoom')
    assert (result['n'], result['unread']) == (28, 2)
    assert '02.png, ' in capsys.readouterr().err


def test_the_rows_with_zoom_are_what_a_classifier_answers_with_its_box(folder, model, tmp_path):
    result = evaluate(folder, model, tmp_path, '--composite', COMPOSITE, '--zoom')
    classifier, pictures = classifier_of(model), composites(folder)
    boxes = [classifier.box(rgb) for rgb in pictures]
    assert any(boxes)
    right = {(ratio, zoom): [
        classifier.classify(rgb, ratio, box=box if zoom else None).class_ids[0] == label
        for rgb, box, label in zip(pictures, boxes, CLASSES)]
        for ratio in LEVELS for zoom in (False, True)}
    assert right[1.0, True] != right[1.0, False]
    assert [(row['keep_ratio'], row['zoom']) for row in result['rows']] == list(right)
    for row in result['rows']:
        key = row['keep_ratio'], row['zoom']
        assert row['top1'] == pytest.approx(100 * np.mean(right[key]))
        gain = 100 * (np.mean(right[key]) - np.mean(right[row['keep_ratio'], False]))
        assert row['zoom_gain'] == (pytest.approx(gain) if row['zoom'] else None)
    assert result['zoom_side'] == pytest.approx(np.mean(
        [box.height / 480 if box else 1.0 for box in boxes]))


def test_zoom_changes_nothing_in_the_rows_without_it(folder, model, tmp_path):
    rows = evaluate(folder, model, tmp_path, '--zoom')['rows']
    plain = evaluate(folder, model, tmp_path)
    assert [row for row in rows if not row['zoom']] == plain['rows']
    assert plain['zoom_side'] is None


def test_each_image_is_delivered_without_and_with_its_box(folder, model):
    config = classifier_of(model).data_config
    images = Composites([folder / '0.png', folder / '1.png'], COMPOSITE)
    sides, unread = [], Unread(2)
    both, = batches(images, config, 2, 0, torch.device('cpu'), torch.float32, unread, sides)
    plain, = batches(images, config, 2, 0, torch.device('cpu'), torch.float32, unread)
    assert both.shape == (2, 2, *plain.shape[1:]) and len(sides) == 2
    assert torch.equal(both[:, 0], plain) and not torch.equal(both[:, 1], plain)


def test_a_picture_without_a_box_is_seen_as_without_zoom(model):
    config = classifier_of(model).data_config
    calm = cv2.imencode('.png', np.full((480, 640, 3), 90, np.uint8))[1].reshape(-1)
    pixels, reason, side = Pixels([calm], config, zoom=True)[0]
    assert torch.equal(pixels[0], pixels[1]) and (reason, side) == ('', 1.0)


def test_a_stopped_run_goes_on_and_ends_as_if_it_had_not(folder, model, tmp_path, monkeypatch):
    more = ['--batch', '4', '--composite', COMPOSITE, '--zoom']
    whole = evaluate(folder, model, tmp_path, *more)
    answer_all = program.answer_all

    def stop(models, batches, *args, **more):
        answer_all(models, (one for one, _ in zip(batches, range(1))), *args, **more)
        raise KeyboardInterrupt
    more += ['--state', tmp_path / 'state.npz']
    with monkeypatch.context() as patch:
        patch.setattr(program, 'answer_all', stop)
        assert main(flags(folder, model, *more)) == 130
    with np.load(str(tmp_path / 'state.npz')) as state:
        assert len(state['sides']) == 4
    again = evaluate(folder, model, tmp_path, *more)
    assert (again['rows'], again['zoom_side']) == (whole['rows'], whole['zoom_side'])


@pytest.mark.parametrize('more, words', [
    ([], "composite='0.3:blur', not ''"), (['--composite', '0.3:flat', '--zoom'], "'0.3:flat'"),
    (['--composite', COMPOSITE], 'zoom=True, not False')])
def test_a_state_of_other_pictures_is_refused(more, words, folder, model, tmp_path, capsys):
    state = ['--state', tmp_path / 'state.npz']
    evaluate(folder, model, tmp_path, '--composite', COMPOSITE, '--zoom', *state)
    assert words in refusal(capsys, folder, model, *more, *state)


@pytest.mark.parametrize('more', [['--scores', 'srb', 'redundancy', '--rounds', '1'],
                                  ['--methods', 'ltp', 'tome'], ['--no-labels']])
def test_the_table_says_which_rows_are_zoomed_and_fits_a_terminal(more, folder, model, tmp_path):
    result = evaluate(folder, model, tmp_path, '--composite', COMPOSITE, '--zoom', *more)
    output = io.StringIO()
    Console(width=80, file=output).print(make_table(result, result['rows']))
    text = output.getvalue()
    assert '…' not in text and text.count('\n   + zoom ') == len(result['rows']) // 2
    assert f'{len(CLASSES)} composites {COMPOSITE}' in text
    assert f'{100 * result["zoom_side"]:.0f} % of the shorter side' in text
    assert ('zoom gain' in text) == ('--no-labels' not in more)
    assert all((row['p50_ms'] is not None) == ('--rounds' in more and not row['zoom'])
               for row in result['rows'])  # the zoom is not timed


@pytest.mark.parametrize('more', [[], ['--rounds', '2', '--alpha', '0.2', '0.8']])
def test_a_plot_has_dashed_lines_for_what_is_zoomed(more, folder, model, tmp_path, monkeypatch):
    pytest.importorskip('matplotlib')
    figures, new_figure = [], evaluate_program.new_figure
    monkeypatch.setattr(evaluate_program, 'new_figure', lambda *args: figures.append(
        new_figure(*args)) or figures[0])
    evaluate(folder, model, tmp_path, '--zoom', '--plot', tmp_path / 'plot.png', *more)
    first, *others = figures[0].axes
    zoomed = [label for label in first.get_legend_handles_labels()[1] if 'zoom' in label]
    assert len(zoomed) == 2 + bool(more)
    assert {line.get_linestyle() for line in first.get_lines()} >= {'-', '--'}
    assert len(others) == 2 * bool(more)
    assert not any('zoom' in label for axes in others
                   for label in axes.get_legend_handles_labels()[1])


def test_temperatures_are_found_through_the_zoom(folder, model, tmp_path):
    rows = evaluate(folder, model, tmp_path, '--calibrate', tmp_path / 'temperatures.json',
                    '--composite', COMPOSITE, '--zoom', '--backend', 'eager', '--unknown', folder)
    classifier = classifier_of(model)
    for row in rows['rows']:
        answers = [classifier.classify(rgb, row['keep_ratio'], top_k=100, box=classifier.box(rgb))
                   for rgb in composites(folder)]
        right = np.array([answer.class_ids for answer in answers]) == np.array(CLASSES)[:, None]
        assert row['temperature'] == pytest.approx(fit_labels(
            np.array([answer.scores for answer in answers]), right, 7))
        assert row['top1'] == pytest.approx(100 * right[:, 0].mean())
        assert row['auroc'] == 50.0  # of the same composites
    assert (rows['composite'], rows['zoom']) == (COMPOSITE, True)


DEMO = ['--model', 'demo', '--device', 'cpu', '--backend', 'eager', '--keep-ratios', '1.0',
        '--quiet']


@pytest.fixture(scope='module')
def taught(folder, tmp_path_factory):
    """Return class folders, and a file of what was taught of them through the zoom."""
    root = tmp_path_factory.mktemp('taught')
    for number in range(9):
        (root / 'pictures' / f'thing {number % 3}').mkdir(parents=True, exist_ok=True)
        shutil.copy(str(folder / f'{number}.png'),
                    str(root / 'pictures' / f'thing {number % 3}' / f'{number}.png'))
    assert teach([str(root / 'pictures'), '--output', str(root / 'file'), '--zoom', *DEMO]) == 0
    return root / 'pictures', root / 'file'


@pytest.mark.parametrize('zoom', [False, True])
def test_taught_classes_are_asked_with_composites_through_the_zoom(
        zoom, taught, tmp_path, capsys):
    pictures, file = taught
    path = tmp_path / 'result.json'
    assert main([str(pictures), '--classes', str(file), '--composite', COMPOSITE, '--unknown',
                 str(pictures), *DEMO, '--json', str(path), *['--zoom'] * zoom]) == 0
    result, told = json.loads(path.read_text()), capsys.readouterr().err
    assert ('was taught through the zoom, and is asked without zoom' in told) is not zoom
    classifier = Classifier(ClassifierConfig(
        model='demo', device='cpu', backend='eager', precision='float32', keep_ratios=(1.0,),
        classes=str(file), zoom=zoom))
    paths = sorted(pictures.glob('*/*.png'))
    found = [classifier.classify(rgb, box=classifier.box(rgb)).labels[0] for rgb in map(
        decode_rgb, Composites(paths, COMPOSITE))]
    row, = result['rows']
    assert row['top1'] == pytest.approx(100 * np.mean(
        [label == path.parent.name for label, path in zip(found, paths)]))
    assert row['auroc'] == 50.0  # of the same composites
    assert (result['composite'], result['zoom'], result['n']) == (COMPOSITE, zoom, 9)
