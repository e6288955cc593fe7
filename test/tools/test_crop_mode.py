# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`--crop-mode`: in every program that classifies pictures, so that they answer as the node."""
import ast
import importlib
import importlib.util
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

import ltp_ros
from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig
from ltp_ros.tools import adapt, benchmark, evaluate, profile

PACKAGE = Path(ltp_ros.__file__).parent
# Their pictures are noise, of the model's own size
WITHOUT_PICTURES = ('methods.py', 'runners.py', 'subjects.py', 'right.py', 'built_model.py')


@pytest.fixture
def images(tmp_path):
    """Return a folder of pictures four times as wide as high, in two classes."""
    rng = np.random.default_rng(0)
    (tmp_path / 'images').mkdir()
    for number in range(24):
        coarse = rng.integers(0, 256, (4, 16, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f'images/{number}.png'), cv2.resize(coarse, (256, 64)))
    (tmp_path / 'images' / 'labels.csv').write_text('file,class_index\n' + ''.join(
        f'{number}.png,{number % 2}\n' for number in range(24)))
    return tmp_path / 'images'


@pytest.fixture
def flags(small_model):
    return ['--checkpoint', small_model, '--quiet', '--device', 'cpu', '--precision', 'float32']


def parsers():
    yield from (program.build_parser() for program in (adapt, evaluate, profile))
    needs_ros = ('deadline', 'overload', 'node') if importlib.util.find_spec('rclpy') else ()
    for command in ('choose', *needs_ros):
        _, names = benchmark.build_parser(command)._actions
        yield names.choices[command]
    if needs_ros:
        yield importlib.import_module('ltp_ros.tools.demo').build_parser()


def test_every_program_that_classifies_pictures_has_it_and_refuses_another_mode(capsys):
    for parser in parsers():
        with pytest.raises(SystemExit):
            parser.parse_args(['--crop-mode', 'stretch'])
        assert "'stretch'" in capsys.readouterr().err, parser.prog


@pytest.mark.parametrize('path', [
    path for room in ('tools', 'research') for path in (PACKAGE / room).rglob('*.py')
    if 'data_config(' in path.read_text(encoding='utf-8') and path.name not in WITHOUT_PICTURES],
    ids=lambda path: path.stem)
def test_every_program_that_cuts_pictures_itself_is_told_the_mode(path):
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding='utf-8')))
             if isinstance(node, ast.Call) and "'data_config'" in ast.dump(node.func)]
    assert calls
    for call in calls:
        assert any("attr='crop_mode'" in ast.dump(arg) for arg in call.args), call.lineno


def test_the_answers_of_a_program_are_those_of_the_classifier(flags, images, small_model,
                                                              tmp_path):
    agreed = {}
    for mode in ('center', 'squash', 'border'):
        state = tmp_path / f'{mode}.npz'
        assert evaluate.main([str(images), *flags, '--crop-mode', mode, '--keep-ratios', '0.5',
                              '--state', str(state), '--json', str(tmp_path / 'e.json')]) == 0
        assert json.loads((tmp_path / 'e.json').read_text())['crop_mode'] == mode
        classifier = Classifier(ClassifierConfig(
            checkpoint=small_model, device='cpu', backend='eager', precision='float32',
            keep_ratios=(1.0,), crop_mode=mode))
        found = [classifier.classify(cv2.imread(str(images / f'{number}.png'))[..., ::-1].copy(),
                                     1.0, 5).class_ids for number in range(24)]
        with np.load(state) as answers:
            assert [tuple(row) for row in answers['classes'][0, :, :5].tolist()] == found
        agreed[mode] = tuple(found)
    assert len(set(agreed.values())) == 3  # so that the modes can be told apart by their answers


def test_answers_of_another_mode_are_not_resumed(flags, images, tmp_path, capsys):
    run = [str(images), *flags, '--keep-ratios', '0.5', '--state', str(tmp_path / 'state.npz')]
    assert evaluate.main([*run, '--crop-mode', 'squash']) == 0
    assert evaluate.main([*run, '--crop-mode', 'border']) == 2
    assert "crop_mode='squash', not" in ' '.join(capsys.readouterr().err.split())


def test_an_adapted_model_keeps_the_mode_that_it_was_adapted_with(flags, images, tmp_path):
    adapted = tmp_path / 'adapted.safetensors'
    assert adapt.main([str(images), *flags, '--crop-mode', 'border', '--batch', '4', '--steps',
                       '1', '--keep-ratios', '0.5', '--output', str(adapted)]) == 0
    config = ClassifierConfig(checkpoint=str(adapted), device='cpu', backend='eager',
                              precision='float32')
    assert Classifier(config).data_config.crop_mode == 'border'


def test_the_node_of_a_benchmark_is_told_the_mode(flags):
    session = pytest.importorskip('ltp_ros.tools.benchmarks.session')
    args = benchmark.build_parser('node').parse_args(['node', *flags, '--crop-mode', 'squash'])
    assert session.model_parameters(args)['crop_mode'] == 'squash'
