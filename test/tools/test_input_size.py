# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`--input-size`: in every program that has a model, and for every model that it makes."""
import ast
import importlib
import importlib.util
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

import ltp_ros
from ltp_ros.model.vit import create_vit, data_config
from ltp_ros.research.benchmarks.gpu.parts import Settings
from ltp_ros.research.benchmarks.gpu.subjects import subjects
from ltp_ros.tools import adapt, benchmark, evaluate, export, profile, train

SIZE, PATCHES = 96, 36  # of a model that was trained at 64 pixels, with 16 patches of 16x16
PACKAGE = Path(ltp_ros.__file__).parent


@pytest.fixture
def images(tmp_path):
    """Return a folder of pictures in two classes."""
    rng = np.random.default_rng(0)
    (tmp_path / 'images').mkdir()
    for number in range(20):
        cv2.imwrite(str(tmp_path / f'images/{number}.png'),
                    rng.integers(0, 256, (70, 90, 3), np.uint8))
    (tmp_path / 'images' / 'labels.csv').write_text('file,class_index\n' + ''.join(
        f'{number}.png,{number % 2}\n' for number in range(20)))
    return str(tmp_path / 'images')


@pytest.fixture
def flags(small_model):
    return ['--checkpoint', small_model, '--input-size', str(SIZE), '--quiet']


def parsers():
    yield from (program.build_parser() for program in (adapt, evaluate, export, profile, train))
    needs_ros = ('deadline', 'overload', 'node') if importlib.util.find_spec('rclpy') else ()
    for command in ('choose', 'methods', 'gpu', *needs_ros):
        _, names = benchmark.build_parser(command)._actions
        yield names.choices[command]
    if needs_ros:
        yield importlib.import_module('ltp_ros.tools.demo').build_parser()


def test_every_program_with_a_checkpoint_has_it_and_refuses_a_size_out_of_range(capsys):
    programs = [parser for parser in parsers() if '--checkpoint' in parser.format_help()]
    assert len(programs) >= 7
    for parser in programs:
        assert '--input-size' in parser.format_help(), parser.prog
        with pytest.raises(SystemExit):
            parser.parse_args(['--input-size', '-1'])
        assert 'input_size -1 is not allowed; it must be in [0, 2048]' in capsys.readouterr().err


@pytest.mark.parametrize('path', [
    path for room in ('tools', 'research') for path in (PACKAGE / room).rglob('*.py')
    if 'create_vit(' in path.read_text(encoding='utf-8')], ids=lambda path: path.stem)
def test_every_model_that_a_program_makes_is_told_the_size(path):
    for call in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        name = getattr(call, 'func', None)
        if isinstance(call, ast.Call) and 'create_vit' in ast.dump(name):
            told = 'input_size' in [keyword.arg for keyword in call.keywords]
            assert told or path.stem == 'built_model', call.lineno  # there one asks for it


def test_it_profiles_at_that_size(flags, tmp_path):
    assert profile.main([*flags, '--device', 'cpu', '--rounds', '1', '--keep-ratios', '0.5',
                         '--backend', 'eager', '--precision', 'float32', '--output',
                         str(tmp_path / 'p.yaml'), '--json', str(tmp_path / 'p.json')]) == 0
    assert json.loads((tmp_path / 'p.json').read_text())['num_patches'] == PATCHES


def test_it_evaluates_and_draws_at_that_size(flags, images, tmp_path):
    pytest.importorskip('matplotlib')
    assert evaluate.main([images, *flags, '--device', 'cpu', '--keep-ratios', '0.5',
                          '--methods', 'mixed', 'ltp', '--limit', '1', '--maps',
                          str(tmp_path / 'maps'), '--json', str(tmp_path / 'e.json')]) == 0
    assert json.loads((tmp_path / 'e.json').read_text())['tokens_total'] == PATCHES
    assert (tmp_path / 'maps' / '00000.png').is_file()


def test_it_exports_at_that_size(flags, tmp_path):
    onnxruntime = pytest.importorskip('onnxruntime')
    assert export.main([*flags, '--keep-ratios', '1.0', '--output', str(tmp_path)]) == 0
    session = onnxruntime.InferenceSession(str(tmp_path / 'keep_1.onnx'))
    assert session.get_inputs()[0].shape == [1, 3, SIZE, SIZE]


def test_it_compares_methods_at_that_size(flags, tmp_path):
    assert benchmark.main(['methods', *flags, '--methods', 'ltp', '--run', 'eager:float32',
                           '--rounds', '1', '--device', 'cpu', '--json',
                           str(tmp_path / 'm.json')]) == 0
    assert json.loads((tmp_path / 'm.json').read_text())['num_patches'] == PATCHES


def test_what_was_adapted_or_trained_at_a_size_runs_at_it(flags, images, tmp_path):
    common = [images, *flags, '--device', 'cpu', '--precision', 'float32', '--batch', '4']
    adapted, trained = tmp_path / 'adapted.safetensors', tmp_path / 'model.safetensors'
    assert adapt.main([*common, '--steps', '1', '--keep-ratios', '0.5', '--output',
                       str(adapted)]) == 0
    assert train.main([*common, '--epochs', '1', '--output', str(tmp_path)]) == 0
    for checkpoint in (adapted, trained):
        assert data_config(create_vit('', str(checkpoint))).input_size == (SIZE, SIZE)


def test_the_node_of_a_benchmark_is_told_the_size(flags):
    session = pytest.importorskip('ltp_ros.tools.benchmarks.session')
    args = benchmark.build_parser('node').parse_args(['node', *flags])
    assert session.model_parameters(args)['input_size'] == SIZE


def test_the_checks_on_a_gpu_run_at_that_size(small_model):
    given, packaged = subjects(Settings('cpu', '', small_model, input_size=SIZE))
    assert given.model('ltp').patch_drop.num_patches == PATCHES
    assert packaged.model('ltp').patch_drop.num_patches == 64
