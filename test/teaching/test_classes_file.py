# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Files of classes: whole, of this model, or refused."""
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load, save

from ltp_ros.teaching.classes import Classes
from ltp_ros.teaching.classes_file import CARD, ClassesError, read, write
from ltp_ros.teaching.examples import NONE

BACKBONE = {'model': 'demo', 'model_hash': 'abc', 'mean': (0.5, 0.5), 'alpha': 0.5}
LEVELS = (1.0, 0.53)
D = 8


def taught(per_class=3, labels=('mug', 'book', NONE)):
    classes, generator = Classes(LEVELS), np.random.default_rng(0)
    for label in labels:
        for _ in range(per_class):
            classes.add(label, {ratio: generator.normal(size=D) for ratio in LEVELS})
    classes.settle()
    return classes


@pytest.fixture
def path(tmp_path):
    found = tmp_path / 'classes.safetensors'
    write(found, taught(), BACKBONE)
    return found


@pytest.mark.parametrize('per_class', [1, 3, 2 * D])
def test_what_is_written_is_read(tmp_path, per_class):
    before = taught(per_class)
    write(tmp_path / 'f', before, BACKBONE)
    after = read(tmp_path / 'f', BACKBONE, LEVELS)
    assert after.counts == before.counts
    for ratio in LEVELS:
        assert (after.levels[ratio].second == before.levels[ratio].second).all()
        assert (after.heads[ratio].means == before.heads[ratio].means).all()
        assert after.heads[ratio].strangeness == before.heads[ratio].strangeness
    extra = {ratio: np.arange(1.0, D + 1) for ratio in LEVELS}
    for each in (before, after):  # it goes on being taught
        each.add('mug', extra)
        each.settle()
    assert (after.heads[1.0].means == before.heads[1.0].means).all()


def test_the_levels_that_are_asked_for_are_read(path):
    assert tuple(read(path, BACKBONE, (0.53,)).heads) == (0.53,)
    with pytest.raises(ClassesError, match=r'0\.53\].*not at \[0\.7\].*keep_ratios'):
        read(path, BACKBONE, (1.0, 0.7))


@pytest.mark.parametrize('change', [{'model_hash': 'other'}, {'mean': (0.4, 0.5)},
                                    {'alpha': 1.0}, {'model': 'deit_tiny'}])
def test_classes_of_another_model_are_refused(path, change):
    (name, value), = change.items()
    with pytest.raises(ClassesError, match=f'another model: {name} was'):
        read(path, {**BACKBONE, name: value}, LEVELS)


def test_a_file_that_is_not_there_says_what_makes_one(tmp_path):
    with pytest.raises(ClassesError, match='not there; ltp_teach'):
        read(tmp_path / 'none', BACKBONE, LEVELS)
    with pytest.raises(ClassesError, match='not a whole file'):
        read(tmp_path, BACKBONE, LEVELS)


def one_sentence(path, match='.'):
    with pytest.raises(ClassesError, match=match) as caught:
        read(path, BACKBONE, LEVELS)
    message = str(caught.value)
    assert str(path) in message and message.isprintable() and len(message) < 600


def test_a_file_that_was_cut_off_anywhere_is_refused(path):
    content = path.read_bytes()
    for length in range(0, len(content), 53):
        path.write_bytes(content[:length])
        one_sentence(path)


def test_a_file_with_any_wrong_byte_in_its_numbers_is_refused_or_harmless(path):
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], 'little')
    for place in range(header, len(content), 11):
        damaged = bytearray(content)
        damaged[place] ^= 0x40
        path.write_bytes(bytes(damaged))
        one_sentence(path)


def rewritten(path, change_card=None, **tensors):
    content = path.read_bytes()
    size = int.from_bytes(content[:8], 'little')
    card = json.loads(json.loads(content[8:8 + size])['__metadata__'][CARD])
    found = load(content)
    card = change_card(card) if change_card else card
    found.update({name.replace('_', '.'): value for name, value in tensors.items()})
    path.write_bytes(save({name: value for name, value in found.items() if value is not None},
                          {CARD: json.dumps(card)}))


@pytest.mark.parametrize('change', [
    lambda card: None, lambda card: [], lambda card: 'x' * 10 ** 6,
    lambda card: {**card, 'format': 2}, lambda card: {**card, 'format': '\x1b[31m' * 1000},
    lambda card: {**card, 'backbone': []}, lambda card: {**card, 'num_features': 10 ** 12},
    lambda card: {**card, 'num_features': True}, lambda card: {**card, 'num_features': D + 1},
    lambda card: {**card, 'keep_ratios': []}, lambda card: {**card, 'keep_ratios': [2.0, 0.53]},
    lambda card: {**card, 'keep_ratios': [float('nan')]},
    lambda card: {**card, 'keep_ratios': 5}, lambda card: {**card, 'classes': {}},
    lambda card: {**card, 'classes': card['classes'] * 2},
    lambda card: {**card, 'classes': [{'label': 'a\n', 'count': 3}]},
    lambda card: {**card, 'classes': [{'label': 3, 'count': 3}]},
    lambda card: {**card, 'classes': [{'label': 'a', 'count': 0}]},
    lambda card: {**card, 'classes': [{'label': 'a', 'count': 4}]},
    lambda card: {**card, 'classes': [{'label': 'a', 'count': 10 ** 30}]},
    lambda card: {key: card[key] for key in card if key != 'classes'},
])
def test_a_hostile_card_is_refused_in_a_sentence(path, change):
    rewritten(path, change)
    one_sentence(path)


@pytest.mark.parametrize('name, value', [
    ('0_0_kept', None), ('0_0_total', None), ('0_0_total', np.full(D, np.nan)),
    ('0_0_total', np.zeros(D)), ('0_0_total', np.zeros(D + 1)), ('0_0_total', np.zeros(D, 'f4')),
    ('0_0_kept', np.zeros((3, D), np.int16)), ('0_0_kept', np.full((3, D), 32767, np.int16)),
    ('0_0_kept', np.zeros((3, D + 1), np.int16)), ('0_0_kept', np.zeros(D, np.int16)),
    ('0_0_kept', np.zeros((3, D), np.float32)), ('0_0_kept', np.zeros((9, D), np.int16)),
])
def test_hostile_numbers_are_refused_in_a_sentence(path, name, value):
    rewritten(path, **{name: value})
    one_sentence(path)


@pytest.mark.parametrize('rest', [np.full((D, D), np.nan), np.full((D, D), 1e300),
                                  np.triu(np.ones((D, D))), -np.eye(D), None,
                                  np.diag([-1e12, *[1e12] * (D - 1)])])
def test_hostile_second_moments_are_refused_in_a_sentence(path, rest):
    write(path, taught(2 * D), BACKBONE)
    rewritten(path, **{'0_0_rest': rest})
    one_sentence(path)


def test_a_file_of_weights_is_told_from_one_of_classes(path):
    path.write_bytes(save({'head.weight': np.zeros((3, 3))}))
    one_sentence(path, 'no card of taught classes')


def test_where_nothing_can_be_written_the_old_file_is_whole(path, monkeypatch):
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError, match='No space'):
        write(path, taught(9), BACKBONE)
    assert path.read_bytes() == before and os.listdir(path.parent) == [path.name]


KILLED = '''
import os, pathlib, signal, sys
sys.path.insert(0, sys.argv[2])
from test_classes_file import BACKBONE, taught, write
os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
write(pathlib.Path(sys.argv[1]), taught(9), BACKBONE)
'''


def test_a_program_that_is_killed_while_it_saves_leaves_the_old_file_whole(path):
    before = path.read_bytes()
    for _ in range(2):
        code = subprocess.run([sys.executable, '-c', KILLED, str(path), os.path.dirname(__file__)],
                              timeout=120).returncode
        assert code == -signal.SIGKILL
        assert path.read_bytes() == before
    assert len(os.listdir(path.parent)) == 2  # what was left once is used again
    write(path, taught(9), BACKBONE)
    assert os.listdir(path.parent) == [path.name]
