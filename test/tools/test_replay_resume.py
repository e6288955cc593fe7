# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_replay` killed and started again: the very same output, whenever that was."""
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from replay_bags import CAMERA, FLAGS, jpeg, pictures, write_bag

import ltp_ros
from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig
from ltp_ros.frames.latency import FrameLatency
from ltp_ros.region import Region
from ltp_ros.research.replay import part as part_module
from ltp_ros.research.replay.bag_images import Header
from ltp_ros.research.replay.outcome import Answer, Outcome, from_line, to_line
from ltp_ros.research.replay.part import Part, PartInUseError, differences
from ltp_ros.tools.replay import main
from ltp_ros.tools.support.replay_job import as_before

COUNT = 16
OUTCOME = Outcome(
    7, '/c', 1_700_000_000_123_456_789, Header(-3, 999_999_999, 'ä"\n'), '', '',
    Answer('m', ('a', 'b,c'), (3, 1), (0.1 + 0.2, 5e-324), 0.7, 5, 9, 1 / 3, False,
           Region(1, 2, 3, 4), 5),
    FrameLatency(1, 0.7, 2.5, 0.1, 0.2, 1e300, 0.3, 0.1 + 0.7, 2, 30.0, True, 3), (0, 17, 99))


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    """Return a bag with an image that is damaged, and a scene that a zoom follows."""
    shown = [jpeg(rgb) for rgb in pictures(COUNT, (480, 360))]
    shown[5] = shown[5][:300]
    return write_bag(tmp_path_factory.mktemp('bags') / 'drive', {f'{CAMERA}/compressed': shown})


def run(bag, output, *more):
    return main([str(bag), '--output', str(output), *FLAGS, '--zoom', *more])


def content(path):
    """Return the bytes of an output, a file or a folder."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return {file.name: file.read_bytes() for file in files}


@pytest.fixture(scope='module')
def whole(bag, tmp_path_factory):
    """Return a folder of outputs of runs that were never killed."""
    folder = tmp_path_factory.mktemp('whole')
    for name in ('answers', 'answers.csv', 'answers.db3'):
        assert run(bag, folder / name) == 0
    return folder


@pytest.fixture
def unfinished(bag, tmp_path, monkeypatch):
    """Return a function that makes what is left of a run that did all but the last step."""
    def make(name):
        with monkeypatch.context() as patch:
            patch.setattr('ltp_ros.research.replay.output.write', lambda *args: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                run(bag, tmp_path / name)
        return tmp_path / name, tmp_path / f'{name}.part'
    return make


@pytest.mark.parametrize('name', ['answers', 'answers.csv'])
def test_a_run_that_is_killed_while_it_works_ends_with_the_same_output(name, bag, whole, tmp_path):
    part = tmp_path / f'{name}.part'
    process = subprocess.Popen(
        [sys.executable, '-m', 'ltp_ros.tools.replay', str(bag), '--output',
         str(tmp_path / name), *FLAGS, '--zoom'], cwd=str(Path(ltp_ros.__file__).parents[1]))
    while process.poll() is None and (
            not part.exists() or part.read_bytes().count(b'\n') < COUNT // 3):
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 0 < part.read_bytes().count(b'\n') and not (tmp_path / name).exists()
    assert run(bag, tmp_path / name) == 0
    assert content(tmp_path / name) == content(whole / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, f'{name}.replay.json']


@pytest.mark.parametrize('name, share', [
    ('answers.csv', 0.0), ('answers.csv', 0.02), ('answers.db3', 0.4), ('answers', 0.6),
    ('answers.csv', 0.999)])
def test_whatever_was_written_when_it_was_killed_the_output_is_the_same(
        name, share, bag, whole, unfinished):
    output, part = unfinished(name)
    lines = part.read_bytes()
    part.write_bytes(lines[:int(share * len(lines))])
    assert run(bag, output) == 0
    assert content(output) == content(whole / name)


def test_what_is_known_is_not_computed_again(bag, unfinished, monkeypatch, capsys):
    output, part = unfinished('answers.csv')
    lines = part.read_bytes().splitlines(keepends=True)
    part.write_bytes(b''.join(lines[:-3]))
    asked = []
    classify = Classifier.classify
    monkeypatch.setattr(Classifier, 'classify', lambda self, rgb, *args, **more: (
        asked.append(rgb), classify(self, rgb, *args, **more))[1])
    assert run(bag, output) == 0
    assert len(asked) == 3
    assert f'{COUNT - 3} of {COUNT} images were done by an earlier run' in capsys.readouterr().err


@pytest.mark.parametrize('damage', [b'\0' * 4096, b'{"not": "a line"}\n', b'[1,2]\n', b'\xff\n'])
def test_what_a_power_cut_leaves_behind_the_last_line_is_forgotten(damage, bag, whole, unfinished):
    output, part = unfinished('answers.csv')
    lines = part.read_bytes().splitlines(keepends=True)
    part.write_bytes(b''.join([*lines[:6], damage, *lines[7:]]))
    assert run(bag, output) == 0
    assert content(output) == content(whole / 'answers.csv')


def test_a_run_that_was_killed_just_before_its_end_is_seen_to_be_done(bag, unfinished, capsys):
    output, part = unfinished('answers.csv')
    kept = part.read_bytes()
    assert run(bag, output) == 0
    part.write_bytes(kept)  # the output was in place, and this not yet deleted
    assert run(bag, output) == 0
    assert not part.exists() and 'was there already' in capsys.readouterr().out


@pytest.mark.parametrize('more, words', [
    (('--keep-ratio', '0.5'), 'keep_ratio was 0.7 and is 0.53'),
    (('--topics', f'{CAMERA}/compressed'), 'topics was [] and is '),
    (('--real-time',), 'real_time was False and is True')])
def test_a_run_of_other_settings_does_not_go_on_with_it(more, words, bag, unfinished, capsys):
    output, part = unfinished('answers.csv')
    before = part.read_bytes()
    assert run(bag, output, *more) == 2
    told = capsys.readouterr().err
    assert words in told and 'Give the same to go on with it, or delete it' in told
    assert part.read_bytes() == before


def test_another_bag_of_the_same_name_is_noticed(bag, unfinished, tmp_path, capsys):
    output, _ = unfinished('answers.csv')
    (tmp_path / 'other').mkdir()
    other = write_bag(tmp_path / 'other' / 'drive', {CAMERA: pictures(3)})
    assert run(other, output) == 2
    assert 'bag was {' in capsys.readouterr().err


def test_another_model_in_the_same_place_is_noticed(bag, unfinished, monkeypatch, capsys):
    output, _ = unfinished('answers.csv')
    monkeypatch.setattr(Classifier, 'backbone', {'model_hash': 'other'})
    assert run(bag, output) == 2
    assert "model_hash was '" in capsys.readouterr().err


def test_auto_means_what_it_was_found_to_be_when_the_run_began():
    model = {'backend': 'onnx', 'precision': 'int8', 'device': 'cpu', 'num_threads': 3}
    found = as_before(ClassifierConfig(precision='float32'), model)
    assert {name: getattr(found, name) for name in model} == {**model, 'precision': 'float32'}
    assert as_before(ClassifierConfig(), None) == ClassifierConfig()


def test_a_line_gives_every_number_back_to_the_last_bit():
    assert from_line(to_line(OUTCOME)) == OUTCOME


def test_a_part_is_written_by_one_process_at_a_time(tmp_path):
    with Part(tmp_path / 'part') as part:
        part.begin({'asked': 1})
        with pytest.raises(PartInUseError, match='by another process'):
            Part(tmp_path / 'part')
        part.add(OUTCOME)
    with Part(tmp_path / 'part') as part:
        assert (part.settings, list(part.outcomes())) == ({'asked': 1}, [OUTCOME])


def test_a_part_is_on_the_disk_after_a_second(tmp_path, monkeypatch):
    now, synced = [0.0], []
    monkeypatch.setattr(part_module.os, 'fsync', synced.append)
    part = Part(tmp_path / 'part', lambda: now[0])
    part.begin({'asked': 1})
    assert not synced
    now[0] = 1.5
    part.add(OUTCOME)
    assert len(synced) == 1


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    with Part(tmp_path / 'part') as part:
        part.begin({'asked': 1})
        raw, part._file = part._file, type('Full', (), {
            'write': lambda self, line: 3, 'fileno': lambda self: raw.fileno(),
            'close': lambda self: raw.close()})()
        with pytest.raises(OSError, match='the disk may be full'):
            part.add(OUTCOME)


@pytest.mark.parametrize('content', [b'a download', b'\0' * 512, b'{"a": 1}\n'])
def test_a_file_of_somebody_else_is_not_touched(content, bag, tmp_path, capsys):
    (tmp_path / 'a.csv.part').write_bytes(content)
    assert run(bag, tmp_path / 'a.csv') == 2
    assert 'was not written by ltp_replay' in capsys.readouterr().err
    assert (tmp_path / 'a.csv.part').read_bytes() == content


def test_a_part_that_nothing_was_written_to_is_not_left(tmp_path):
    with Part(tmp_path / 'part'):
        pass
    assert not any(tmp_path.iterdir())


def test_differences_are_named_with_both_values():
    assert differences({'a': 1, 'b': 2}, {'a': 1, 'b': 3, 'c': 4}) == (
        'b was 2 and is 3, c was None and is 4')


def test_an_output_that_cannot_be_written_leaves_what_was_done(bag, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(os, 'replace', lambda *args: (_ for _ in ()).throw(OSError('no room')))
    assert run(bag, tmp_path / 'a.csv') == 2
    assert 'no room' in capsys.readouterr().err
    assert (tmp_path / 'a.csv.part').exists() and not (tmp_path / 'a.csv').exists()
