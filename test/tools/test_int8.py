# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_export --int8`: levels in 8 bits, taken by a node only where their answers hold."""
import json

import numpy as np
import pytest

from ltp_ros.backends import choice, guard, kept_choice
from ltp_ros.backends.level_files import calibrated_file
from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig
from ltp_ros.frames.startup import prepare
from ltp_ros.tools import export
from ltp_ros.tools.support import int8

pytest.importorskip('onnxruntime')
RATIOS = (1.0, 0.5)

pictures_in = int8.pictures_in


@pytest.fixture(autouse=True)
def few_pictures(monkeypatch):
    """Make do with a few views, and a few runs."""
    pictures = int8.pictures_in('', print)[::5]
    monkeypatch.setattr(int8, 'pictures_in', lambda folder, note: pictures)
    monkeypatch.setattr(int8, 'RUNS', 2)


@pytest.fixture
def without_nncf(monkeypatch):
    """Do as where nncf is not installed."""
    def missing(*args):
        raise ImportError("No module named 'nncf'")
    monkeypatch.setattr(int8, 'quantize_static', missing)


@pytest.fixture
def first_of(monkeypatch):
    """Return a function by which a way to run the model is the fastest."""
    def prefer(*pair):
        monkeypatch.setattr(choice, 'fastest', lambda pairs, make, *args: make(
            *(pair if pair in pairs else pairs[0])))
    return prefer


def run(tmp_path, *argv):
    code = export.main(['--model', 'demo', '--keep-ratios', *map(str, RATIOS), '--quiet',
                        '--cache', str(tmp_path), '--json', str(tmp_path / 'r.json'), *argv])
    rows = json.loads((tmp_path / 'r.json').read_text())['int8'] if code == 0 else []
    return code, {(row['backend'], row['precision']): row for row in rows}


def start(tmp_path, **changes):
    told = []
    classifier, _ = prepare(ClassifierConfig(
        model='demo', device='cpu', cache=str(tmp_path), keep_ratios=RATIOS, **changes),
        told.append, told.append, lambda: True)
    return classifier, '\n'.join(told)


def test_a_node_takes_checked_int8_and_tells_what_the_check_gave(
        tmp_path, without_nncf, first_of, capsys):
    first_of('onnx', 'int8')
    code, rows = run(tmp_path, '--int8')
    assert code == 0
    assert [pair for pair, row in rows.items() if row['taken']] == [('onnx', 'int8')]
    assert "pip install 'ltp_ros[quantize]'" in capsys.readouterr().out
    assert 'not calibrated' in rows['openvino', 'int8']['refused'] or (
        'openvino' in rows['openvino', 'int8']['refused'])
    classifier, told = start(tmp_path)
    assert (classifier.backend.name, classifier.precision) == ('onnx', 'int8')
    assert 'unknown ones told apart' in told and classifier.kept.check in told


def test_int8_whose_answers_do_not_hold_is_refused(tmp_path, without_nncf, first_of, monkeypatch):
    monkeypatch.setattr(guard, 'MAX_DIVERGENCE', -1.0)
    first_of('onnx', 'int8')
    code, rows = run(tmp_path, '--int8')
    assert code == 0 and 'are allowed' in rows['onnx', 'int8']['refused']
    assert [pair for pair, row in rows.items() if row['taken']] == [('eager', 'float32')]
    assert start(tmp_path)[0].precision == 'float32'


def test_calibrated_levels_are_near_the_model_and_kept(tmp_path, first_of, monkeypatch):
    for module in ('nncf', 'openvino'):
        pytest.importorskip(module)
    monkeypatch.setattr(int8, 'pictures_in', pictures_in)
    first_of('openvino', 'int8')
    code, rows = run(tmp_path, '--int8')
    row = rows['openvino', 'int8']
    assert code == 0 and row['taken'] and not row['refused']
    fast, _ = start(tmp_path)
    exact, _ = start(tmp_path, backend='eager', precision='float32')
    assert (fast.backend.name, fast.precision) == ('openvino', 'int8')
    for keep_ratio in RATIOS:
        for rgb in int8.pictures_in('', print):
            ours, theirs = (each.classify(rgb, keep_ratio, 10) for each in (fast, exact))
            assert len(ours.keep_indices) == len(theirs.keep_indices)
            assert abs(ours.scores[0] - theirs.scores[0]) < 0.25
    quantized, = tmp_path.rglob(calibrated_file(tmp_path).name)
    assert quantized.stat().st_size < 0.5 * (quantized.parent / 'ladder.onnx').stat().st_size


def test_int8_of_openvino_by_hand_says_what_to_run_first(tmp_path):
    pytest.importorskip('openvino')
    with pytest.raises(RuntimeError, match='ltp_export --int8'):
        Classifier(ClassifierConfig(model='demo', device='cpu', cache=str(tmp_path),
                                    backend='openvino', precision='int8'))


def test_a_method_whose_levels_cannot_share_a_file_has_int8_in_onnx_alone(tmp_path):
    pytest.importorskip('openvino')
    code, rows = run(tmp_path, '--int8', '--method', 'tome')
    assert code == 0 and not rows['onnx', 'int8']['refused']
    assert 'does not come with tome' in rows['openvino', 'int8']['refused']


def test_a_model_that_drops_nothing_has_int8_in_openvino_at_every_size(tmp_path):
    for package in ('openvino', 'nncf'):
        pytest.importorskip(package)
    code, _ = run(tmp_path, '--int8', '--method', 'resize', '--keep-ratios', '1', '0.3')
    made = sorted(path.parent.name for path in tmp_path.rglob('ladder_calibrated.onnx'))
    assert code == 0 and len(made) == 2 and made[0] == 'resize' and made[1].endswith('16x16')
    classifier = Classifier(ClassifierConfig(
        model='demo', device='cpu', method='resize', keep_ratios=(1.0, 0.3), backend='openvino',
        precision='int8', cache=str(tmp_path)))
    rgb = int8.pictures_in('', print)[0]
    assert [classifier.classify(rgb, ratio).num_keep for ratio in (1.0, 0.3)] == [64, 16]


@pytest.mark.parametrize('argv', [('--calibration', 'x'), ('--once',),
                                  ('--int8', '--output', 'x')])
def test_flags_that_do_not_go_together_are_refused(argv, capsys):
    assert export.main(['--model', 'demo', '--quiet', *argv]) == 2
    assert '--calibration and --once go with --int8' in capsys.readouterr().err


def test_pictures_come_evenly_from_all_of_a_folder(tmp_path, monkeypatch):
    import cv2
    monkeypatch.undo()
    for index in range(10):
        cv2.imwrite(str(tmp_path / f'{index:02}.png'), np.full((9, 9, 3), index, np.uint8))
    monkeypatch.setattr(int8, 'MOST', 4)
    assert [int(rgb[0, 0, 0]) for rgb in int8.pictures_in(str(tmp_path), print)] == [0, 3, 6, 9]


def test_what_was_done_is_done_again_only_for_other_pictures(
        tmp_path, without_nncf, monkeypatch, capsys):
    made = []
    make = int8.make
    monkeypatch.setattr(int8, 'make', lambda *args, **more: (
        made.append(args) or make(*args, **more)))
    assert run(tmp_path, '--int8', '--once')[0] == 0 and len(made) == 1
    start(tmp_path)  # which times the ladder, and writes the choice again
    assert run(tmp_path, '--int8', '--once') == (0, {}) and len(made) == 1
    assert 'done before' in capsys.readouterr().out
    assert run(tmp_path, '--int8')[0] == 0 and len(made) == 2
    others = [rgb[::-1] for rgb in int8.pictures_in('', print)]
    monkeypatch.setattr(int8, 'pictures_in', lambda folder, note: others)
    assert run(tmp_path, '--int8', '--once')[0] == 0 and len(made) == 3


def test_one_picture_is_too_few(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(int8, 'pictures_in', lambda folder, note: [np.zeros((9, 9, 3), np.uint8)])
    assert run(tmp_path, '--int8') == (2, {})
    assert 'too few' in capsys.readouterr().err
    assert not list(tmp_path.rglob('choice_*.json'))
    assert kept_choice.read(tmp_path / 'choice_0.json') is None
