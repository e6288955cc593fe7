# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A ladder in a file: what is written is read again, and what is no ladder is refused."""
import dataclasses
import os

import pytest

from ltp_ros.tuner import ladder_file
from ltp_ros.tuner.ladder_file import Ladder, LadderError, Level, Machine, Worth
from ltp_ros.tuner.levels import LevelCost

HERE = Machine('cpu', 'Some Processor', '', 2)
LEVELS = (
    Level(1.0, 'vit_tiny_patch16_224', '/models/a.safetensors', 'ltp', (320, 320), 0, 0.49,
          'float32', 'openvino', True, 20.5, 31.0, Worth(86.0, 82.5, 89.0)),
    Level(0.4, 'levit_128', method='resize', input_size=(160, 288), patch_size=12, p50_ms=8.0,
          p99_ms=9.0))


def written(path, text):
    path.write_text('levels:\n' + text)
    return path


def test_what_is_written_is_read_again(tmp_path):
    ladder = Ladder(LEVELS, HERE, {'images': 'photos', 'num_images': 250})
    ladder_file.write(tmp_path / 'ladder.yaml', ladder)
    assert ladder_file.read(tmp_path / 'ladder.yaml') == ladder


def test_a_few_lines_by_hand_do(tmp_path):
    path = written(tmp_path / 'by_hand.yaml', '''
- {work: 0.5, input_size: 160, method: resize}
- {work: 1}
''')
    ladder = ladder_file.read(path)
    assert ladder.works == (1.0, 0.5)  # the dearest first
    assert ladder.levels == (Level(1.0), Level(0.5, method='resize', input_size=(160, 160)))
    assert ladder.machine is None and ladder.costs_on(HERE) == []


def test_a_relative_checkpoint_lies_beside_the_file(tmp_path):
    path = written(tmp_path / 'ladder.yaml', '''
- {work: 1.0, checkpoint: small.safetensors}
- {work: 0.5, checkpoint: /elsewhere/small.safetensors}
- {work: 0.2, checkpoint: demo}
''')
    assert [level.checkpoint for level in ladder_file.read(path).levels] == [
        str(tmp_path / 'small.safetensors'), '/elsewhere/small.safetensors', 'demo']


@pytest.mark.parametrize('elsewhere', [
    {'hardware': 'Another'}, {'threads': 1}, {'device': 'cuda'}, {'power_mode': '15W'}])
def test_times_count_on_the_machine_that_they_were_measured_on(elsewhere):
    ladder = Ladder(LEVELS, HERE)
    assert ladder.costs_on(HERE) == [LevelCost(1.0, 20.5, 31.0), LevelCost(0.4, 8.0, 9.0)]
    assert ladder.costs_on(dataclasses.replace(HERE, **elsewhere)) == []


def test_the_times_of_some_levels_are_none_of_the_ladder():
    assert Ladder((*LEVELS, Level(0.2)), HERE).costs_on(HERE) == []


@pytest.mark.parametrize('text, reason', [
    ('', "it has no list 'levels'"), (' 3', "it has no list 'levels'"),
    ('- 3', '3 in levels is not a mapping'),
    ('- {input_size: 160}', 'has no work'),
    ('- {work: 1.0, size: 160}', "a level has no 'size'"),
    ('- {work: 0}', r'work 0 is not allowed; it must be a number in \(0, 1\]'),
    ('- {work: .nan}', 'work nan is not allowed'), ('- {work: true}', 'work True is not allowed'),
    ('- {work: 1.0}\n- {work: 1}', r'no work twice, not \[1.0, 1.0\]'),
    ('- {work: 1.0, keep_ratio: 2}', 'keep_ratio 2 is not allowed'),
    ('- {work: 1.0, input_size: [1, 2, 3]}', r'input_size \[1, 2, 3\] is not allowed'),
    ('- {work: 1.0, input_size: 16.5}', 'input_size 16.5 is not allowed'),
    ('- {work: 1.0, input_size: 0}', 'input_size 0 is not allowed'),
    ('- {work: 1.0, method: 3}', 'method 3 is a int; expected a str'),
    ('- {work: 1.0, zoom: yes please}', "zoom 'yes please' is a str; expected a bool"),
    ('- {work: 1.0, p50_ms: -1}', 'p50_ms -1 is not allowed'),
    ('- {work: 1.0, p50_ms: .inf}', 'p50_ms inf is not allowed'),
    ('- {work: 1.0, worth: 86}', 'worth 86 is not allowed'),
    ('- {work: 1.0, worth: {score: 101, low: 1, high: 2}}', 'score 101 is not allowed'),
    ('- {work: 1.0}\nmachine: {device: cpu}', 'machine .* is not allowed; it needs device'),
])
def test_what_is_no_ladder_is_refused_with_the_reason(tmp_path, text, reason):
    with pytest.raises(LadderError, match=reason):
        ladder_file.read(written(tmp_path / 'ladder.yaml', text))


@pytest.mark.parametrize('content', [b'levels: [', b'\xff\xfe\x00', b'- 1\n'])
def test_what_cannot_be_read_is_said(tmp_path, content):
    path = tmp_path / 'ladder.yaml'
    path.write_bytes(content)
    with pytest.raises(LadderError, match='ltp_profile IMAGES'):
        ladder_file.read(path)
    with pytest.raises(LadderError, match='cannot be read'):
        ladder_file.read(tmp_path / 'missing.yaml')


@pytest.mark.parametrize('level, name', [
    (Level(1.0), 'as the parameters have it'),
    (LEVELS[0], 'vit_tiny_patch16_224 ltp 0.49 at 320 px zoomed, openvino float32'),
    (LEVELS[1], 'levit_128 at 288x160 px with patches of 12 px'),
    (Level(0.5, method='mixed', keep_ratio=0.7, backend='onnx'), 'mixed 0.7, onnx')])
def test_a_level_has_a_name(level, name):
    assert level.name == name


@pytest.mark.parametrize('kind', ['/dev/zero', 'pipe', 'folder'])
def test_what_is_no_file_is_refused_at_once(kind, tmp_path):
    path = tmp_path / 'ladder'
    if kind == 'pipe':
        os.mkfifo(path)
    elif kind == 'folder':
        path.mkdir()
    with pytest.raises(LadderError, match='there is no such file'):
        ladder_file.read(path if kind != '/dev/zero' else kind)
