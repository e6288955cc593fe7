# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_export`: files that agree with torch, where the onnx backend finds them."""
import json

import numpy as np
import pytest

from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig
from ltp_ros.tools import export

pytest.importorskip('onnxruntime')


def run(*argv):
    return export.main(['--model', 'demo', '--keep-ratios', '1.0', '0.5', '--quiet', *argv])


def test_exported_levels_are_checked_and_then_used_by_the_backend(tmp_path, monkeypatch, capsys):
    assert run('--cache', str(tmp_path), '--json', str(tmp_path / 'r.json')) == 0
    rows = json.loads((tmp_path / 'r.json').read_text())['rows']
    assert [row['keep_ratio'] for row in rows] == [1.0, 0.5]
    assert all(row['same_label'] and row['same_patches'] and row['max_difference'] < 1e-4
               for row in rows)
    assert 'same' in capsys.readouterr().out
    assert {row['file'] for row in rows} == {str(path) for path in tmp_path.glob('*/*/*.onnx')}
    monkeypatch.setattr('ltp_ros.backends.onnx_export.export_ladder',
                        lambda *args: pytest.fail('exported again'))
    classifier = Classifier(ClassifierConfig(
        model='demo', device='cpu', backend='onnx', cache=str(tmp_path), keep_ratios=(1.0, 0.5)))
    classifier.classify(np.zeros((48, 64, 3), np.uint8), 0.5)


def test_a_folder_may_be_chosen(tmp_path):
    assert run('--output', str(tmp_path / 'onnx')) == 0
    assert sorted(path.name for path in (tmp_path / 'onnx').iterdir()) == [
        'keep_0.5.onnx', 'keep_1.onnx', 'sealed.json']


def test_files_with_other_answers_are_an_error(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(export, 'compare', lambda *args: {
        'max_difference': 0.3, 'same_label': False, 'same_patches': True})
    assert run('--output', str(tmp_path)) == 1
    streams = capsys.readouterr()
    assert 'DIFFERENT' in streams.out and 'do not use these files' in streams.err


def test_what_cannot_be_exported_is_refused_in_a_sentence(capsys):
    assert export.main(['--model', 'resnet50', '--quiet']) == 2
    assert 'ltp_export: ' in capsys.readouterr().err
