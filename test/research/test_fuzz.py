# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Hostile images: each follows from its seed, and none breaks the decoder or the pipeline."""
import multiprocessing
import random
from types import SimpleNamespace

import light_workers
import numpy as np
import pytest

from ltp_ros.config import Config
from ltp_ros.frames.decoding import CompressedImage, RawImage
from ltp_ros.parameter import ConfigError
from ltp_ros.research.benchmarks import fuzzing
from ltp_ros.research.benchmarks.fuzzing import (
    PartReport,
    Trial,
    fuzz_pipeline,
    load_image,
    save_image,
)
from ltp_ros.research.hostile import (
    ALL_KINDS,
    FILE_KINDS,
    RAW_KINDS,
    hostile_image,
    hostile_parameter,
)
from ltp_ros.settings import update, value_of
from ltp_ros.tools import benchmark


def test_an_image_follows_from_its_seed_and_its_number():
    first, again, other = (hostile_image(seed, 7) for seed in (1, 1, 2))
    assert repr(first) == repr(again) != repr(other)


def test_every_kind_comes_of_the_type_that_is_asked_for():
    assert {hostile_image(0, number).kind for number in range(500)} == set(ALL_KINDS)
    for kinds, image_type in ((RAW_KINDS, RawImage), (FILE_KINDS, CompressedImage)):
        images = [hostile_image(0, number, kinds) for number in range(300)]
        assert {image.kind for image in images} == set(kinds)
        assert {type(image.image) for image in images} == {image_type}


def test_hostile_images_are_decoded_or_refused_and_every_one_is_accounted_for(capfd):
    trial = Trial()
    for number in range(3000):
        trial.show(number, hostile_image(0, number))
    counts = trial.check(number)
    assert trial.tally.faults == []
    assert counts.received == 3000
    assert min(counts.published, counts.dropped['undecodable'], counts.dropped['superseded']) > 100
    assert capfd.readouterr() == ('', '')


@pytest.mark.parametrize('error, fault', [
    (TypeError('broken'), 'TypeError: broken'), (None, 'another picture was seen')])
def test_a_decoder_that_breaks_is_told_with_the_number_of_the_image(error, fault, monkeypatch):
    def break_down(image):
        if error is not None:
            raise error
        return np.zeros((2, 2, 3), np.uint8)

    trial = Trial()
    monkeypatch.setattr(fuzzing, 'decode', break_down)
    trial.show(7, hostile_image(0, 7, ('good raw',)))
    assert [found.number for found in trial.tally.faults] == [7, 7][:1 + (error is not None)]
    assert fault in trial.tally.faults[0].sentence


def test_a_slow_image_is_told(monkeypatch):
    trial = Trial()
    monkeypatch.setattr(fuzzing, 'decode', lambda image: picture)
    picture = hostile_image(0, 1, ('good raw',)).picture
    monkeypatch.setattr(fuzzing.time, 'perf_counter', iter((0.0, 3.0, 3.0, 3.0)).__next__)
    monkeypatch.setattr(fuzzing.time, 'process_time', iter((0.0, 2.0)).__next__)
    trial.show(1, hostile_image(0, 1, ('good raw',)))
    assert [found.sentence for found in trial.tally.faults] == ['it took 2.0 s']


def test_images_that_are_lost_are_told(monkeypatch):
    trial = Trial()
    trial.show(1, hostile_image(0, 1))
    trial.tally.images += 1
    trial.check(1)
    assert 'images are lost' in trial.tally.faults[0].sentence


@pytest.mark.parametrize('image', [
    hostile_image(0, 1, ('good png',)).image, hostile_image(0, 1, ('raw',)).image,
    RawImage(1, 2, 'rgb8', None, 10 ** 40, b'\xff')], ids=['file', 'raw', 'strange'])
def test_an_image_that_broke_something_is_kept_in_a_file(image, tmp_path):
    save_image(tmp_path / 'image.json', image, {'seed': 0})
    assert load_image(tmp_path / 'image.json') == image


def test_the_process_counts_the_images_and_reports_at_the_end():
    reports, sender = multiprocessing.Pipe(duplex=False)
    at = SimpleNamespace(value=-1)
    fuzzing._work(0, 200, 60.0, at, sender)
    found = []
    with pytest.raises(EOFError):
        while True:
            found.append(reports.recv())
    assert at.value == 199
    assert found[-1].counts['received'] == found[-1].images == 200


def test_the_command_reports_and_succeeds_where_nothing_breaks(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr('ltp_ros.tools.benchmarks.fuzz.fuzz_pipeline',
                        lambda seed, most, seconds, advance: fuzzing.Tally(images=most))
    assert benchmark.main(['fuzz', '--quiet', '--parts', 'decoder', '--most', '200', '--output',
                           str(tmp_path)]) == 0
    report = (tmp_path / 'report.md').read_text()
    assert '| images | 200 |' in report and 'nothing' in report
    assert report in capsys.readouterr().out


def test_the_command_fails_and_keeps_the_image_where_something_breaks(
        tmp_path, monkeypatch, capsys):
    def found(seed, most, seconds, advance):
        tally = fuzzing.Tally(images=3)
        tally.note(2, 'the process ended with -11')
        return tally

    monkeypatch.setattr('ltp_ros.tools.benchmarks.fuzz.fuzz_pipeline', found)
    command = ['fuzz', '--quiet', '--parts', 'decoder', '--output', str(tmp_path)]
    assert benchmark.main(command) == 1
    assert 'decoder_2.json: the process ended with -11' in capsys.readouterr().out
    assert benchmark.main(['fuzz', '--replay', str(tmp_path / 'decoder_2.json')]) == 0
    assert 'decoder_2.json: ' in capsys.readouterr().out


def test_a_process_that_dies_is_a_fault_of_its_image(monkeypatch):
    monkeypatch.setattr(fuzzing, '_work', light_workers.die_at_two)
    tally = fuzz_pipeline(0, 10, 60.0, lambda images: None)
    assert [fault.number for fault in tally.faults] == [2]
    assert 'ended with 3' in tally.faults[0].sentence


def test_memory_growth_is_of_the_last_quarter_to_the_first():
    assert PartReport({}, {}, [100.0, 101.0, 200.0, 102.0], []).memory_growth == pytest.approx(.02)
    assert PartReport({}, {}, [100.0], []).memory_growth is None


def test_hostile_parameters_are_refused_with_a_sentence_or_allowed():
    rng, config, outcomes = random.Random(0), Config(), set()
    for _ in range(5000):
        changes = dict(hostile_parameter(rng) for _ in range(rng.choice((1, 1, 3))))
        try:
            config = update(config, changes)
        except ConfigError as error:
            assert 0 < len(str(error)) < 1000
            outcomes.add('refused')
        else:
            outcomes.add('allowed')
            assert update(config, {name: value_of(config, name) for name in changes}) == config
    assert outcomes == {'refused', 'allowed'}
