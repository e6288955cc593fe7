# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Profiles: written and read back, refused where broken, not used where they do not fit."""
import dataclasses
import json
import math
from importlib import metadata

import pytest
import yaml

from ltp_ros import machine
from ltp_ros.classifier import Classifier, ClassifierError
from ltp_ros.config import ClassifierConfig
from ltp_ros.frames import startup
from ltp_ros.tools.profile import main
from ltp_ros.tools.support.time_ladder import make_table
from ltp_ros.tuner import ladder_profile as profile
from ltp_ros.tuner.ladder_profile import (
    LevelTime,
    Profile,
    ProfileError,
    Setup,
    mismatches,
    read,
    write,
)
from ltp_ros.tuner.levels import LevelCost

SETUP = Setup(device='cpu', hardware='a board', power_mode='MODE_15W', threads=2,
              backend='eager', method='ltp', precision='float32', torch='2.1.0',
              model='small', model_hash='ab12')
PROFILE = Profile(SETUP, (LevelTime(1.0, 10.0, 11.0, 12.5),
                          LevelTime(0.7, 9.0, 9.5, 10.25), LevelTime(0.3, 4.0, 5.0, 6.0)))


@pytest.fixture
def written(tmp_path):
    """Return the path of a good profile."""
    path = tmp_path / 'profile.yaml'
    write(path, PROFILE, {'rounds': 7})
    return path


def changed(path, **values):
    """Replace values of a profile on disk; return the path."""
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **values}))
    return path


def times_of(*p50s_ms):
    levels = (1.0, 0.7, 0.5, 0.3)
    return Profile(SETUP, tuple(LevelTime(ratio, p50_ms, p50_ms, p50_ms)
                                for ratio, p50_ms in zip(levels, p50s_ms)))


def test_levels_that_were_timed_as_no_faster_are_named_below_the_table():
    busy = make_table(times_of(10.0, 9.0, 9.5, 4.0)).caption
    assert busy.endswith('0.5 took no less time than a higher one; if another program ran, '
                         'profile again')
    assert 'took no less time' not in make_table(times_of(10.0, 9.0, 8.0, 4.0)).caption


def test_a_profile_comes_back_as_it_was_written(written):
    assert read(written) == PROFILE
    assert yaml.safe_load(written.read_text())['rounds'] == 7


@pytest.mark.parametrize('p50s_ms, expected', [
    ((10, 9, 8, 7), 0.7), ((10, 11, 8, 7), 0.5), ((10, 10, 10, 10), None), ((10, 12, 11, 9), 0.3)])
def test_break_even_is_the_highest_level_faster_than_the_unpruned_model(p50s_ms, expected):
    assert times_of(*p50s_ms).break_even == expected


def test_a_profile_of_this_machine_and_model_fits():
    assert mismatches(PROFILE, SETUP, (1.0, 0.3)) == []


@pytest.mark.parametrize('name', [field.name for field in dataclasses.fields(Setup)])
def test_whatever_the_times_depend_on_is_named_where_it_differs(name):
    here = dataclasses.replace(SETUP, **{name: 3 if name == 'threads' else 'other'})
    clause, = mismatches(PROFILE, here, (1.0,))
    assert clause.startswith(f'{name} was {getattr(SETUP, name)!r} and is ')


def test_levels_that_were_not_timed_are_named():
    assert mismatches(PROFILE, SETUP, (1.0, 0.9, 0.3)) == ['keep_ratios [0.9] were not timed']


@pytest.mark.parametrize('content, words', [
    (b'levels: [', 'cannot be read'), (b'\xff\xfe\x00', 'cannot be read'), (b'', 'not a mapping'),
    (b'- 1', 'not a mapping'), (b'device: cpu', "has no 'hardware'")])
def test_a_file_that_is_no_profile_is_refused_with_its_name(content, words, tmp_path):
    path = tmp_path / 'broken.yaml'
    path.write_bytes(content)
    with pytest.raises(ProfileError, match=words) as refusal:
        read(path)
    assert 'broken.yaml' in str(refusal.value)
    assert 'make one with ltp_profile' in str(refusal.value)


def test_a_profile_saved_by_an_editor_with_a_byte_order_mark_is_read(written):
    written.write_bytes(b'\xef\xbb\xbf' + written.read_bytes())
    assert read(written) == PROFILE


@pytest.mark.parametrize('path', ['nowhere.yaml', '.'])
def test_a_path_without_a_file_is_refused(path):
    with pytest.raises(ProfileError, match='cannot be read'):
        read(path)


def test_a_profile_of_before_that_tells_an_agreement_is_read(written):
    levels = yaml.safe_load(written.read_text())['levels']
    assert read(changed(written, levels=[{**level, 'agreement': 97.5} for level in levels])
                ) == PROFILE


LEVEL = {'keep_ratio': 1.0, 'p50_ms': 1.0, 'p95_ms': 1.0, 'p99_ms': 1.0}


@pytest.mark.parametrize('values, words', [
    ({'threads': 'two'}, "threads 'two' is a str; expected a int"),
    ({'model': 7}, 'model 7 is a int; expected a str'),
    ({'threads': True}, 'threads True is a bool'),
    ({'levels': 1.0}, 'levels 1.0 is a float; expected a list'),
    ({'levels': []}, 'must hold 1.0'), ({'levels': [1.0]}, '1.0 in levels is not a mapping'),
    ({'levels': [{**LEVEL, 'p50_ms': 0.0}]}, 'p50_ms 0.0 in levels is not allowed'),
    ({'levels': [{**LEVEL, 'p99_ms': math.nan}]}, 'p99_ms nan'),
    ({'levels': [{**LEVEL, 'p99_ms': math.inf}]}, 'p99_ms inf'),
    ({'levels': [{**LEVEL, 'keep_ratio': 1.5}]}, 'keep_ratio 1.5'),
    ({'levels': [LEVEL, LEVEL]}, 'none of them twice'),
    ({'levels': [{**LEVEL, 'keep_ratio': 0.5}]}, 'must hold 1.0'),
    ({'levels': [{'keep_ratio': 1.0}]}, "has no 'p50_ms'")])
def test_a_value_that_is_not_allowed_is_refused_by_name(values, words, written):
    with pytest.raises(ProfileError, match='is not a profile') as refusal:
        read(changed(written, **values))
    assert words in str(refusal.value)


def test_a_hash_tells_names_and_bytes_apart():
    hashes = {profile.model_hash(parts) for parts in (
        [('a', b'12')], [('a', b'13')], [('b', b'12')], [('a', b'1'), ('b', b'2')], [])}
    assert len(hashes) == 5


@pytest.fixture(scope='module')
def profiled(small_model, tmp_path_factory):
    """Run the program; return the folder of what it wrote."""
    pytest.importorskip('matplotlib')
    folder = tmp_path_factory.mktemp('profiled')
    assert main([*flags(small_model), '--keep-ratios', '0.5', '0.25',
                 '--rounds', '2', '--output', str(folder / 'profile.yaml'),
                 '--json', str(folder / 'profile.json'),
                 '--plot', str(folder / 'profile.png')]) == 0
    return folder


def flags(small_model):
    return ['--checkpoint', small_model, '--device', 'cpu', '--backend', 'eager',
            '--precision', 'float32', '--quiet']


@pytest.fixture(autouse=True)
def nothing_is_known(tmp_path, monkeypatch):
    """Give each test a cache of its own: times that a node has left would be taken for timing."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


def classifier(small_model, **more):
    return Classifier(ClassifierConfig(
        checkpoint=small_model, device='cpu', backend='eager',
        **{'precision': 'float32', 'keep_ratios': (1.0, 0.5, 0.25), 'keep_ratio': 1.0, **more}))


def test_the_program_writes_a_profile_of_every_level_and_the_unpruned_one(profiled, small_model):
    found = read(profiled / 'profile.yaml')
    assert [level.keep_ratio for level in found.levels] == [1.0, 0.5, 0.25]
    assert found.setup == startup.setup_of(classifier(small_model))
    assert all(0 < level.p50_ms <= level.p95_ms <= level.p99_ms for level in found.levels)


def test_the_program_writes_json_and_a_plot(profiled):
    result = json.loads((profiled / 'profile.json').read_text())
    assert result['program'] == 'ltp_profile'
    assert result['torch'] == metadata.version('torch')
    assert [row['keep_ratio'] for row in result['rows']] == [1.0, 0.5, 0.25]
    assert (profiled / 'profile.png').read_bytes().startswith(b'\x89PNG')


def costs(model, monkeypatch):
    """Return the costs and the warnings of a classifier whose own timing says 1 ms."""
    timed = [LevelCost(1.0, 1.0, 1.0)]
    monkeypatch.setattr(startup, 'time_ladder', lambda *args: timed)
    warnings = []
    found = startup.level_costs(model, lambda message: None, warnings.append, lambda: None)
    return ('timed' if found == timed else found), warnings


def test_a_profile_that_fits_stands_in_for_timing(profiled, small_model, monkeypatch):
    path = profiled / 'profile.yaml'
    found, warnings = costs(classifier(small_model, profile=str(path), keep_ratios=(1.0, 0.25)),
                            monkeypatch)
    levels = {level.keep_ratio: level for level in read(path).levels}
    assert found == [LevelCost(ratio, levels[ratio].p50_ms, levels[ratio].p99_ms)
                     for ratio in (1.0, 0.25)]
    assert warnings == []


def test_without_a_profile_the_ladder_is_timed(small_model, monkeypatch):
    assert costs(classifier(small_model), monkeypatch) == ('timed', [])


@pytest.mark.parametrize('more, words', [
    ({'precision': 'bfloat16'}, "precision was 'float32' and is 'bfloat16'"),
    ({'keep_ratios': (1.0, 0.6)}, 'keep_ratios [0.6] were not timed')])
def test_a_profile_that_does_not_fit_is_warned_of_and_the_ladder_timed(
        more, words, profiled, small_model, monkeypatch):
    path = str(profiled / 'profile.yaml')
    found, (warning,) = costs(classifier(small_model, profile=path, **more), monkeypatch)
    assert found == 'timed'
    assert words in warning
    assert path in warning


def test_other_weights_do_not_fit(profiled, small_model, monkeypatch):
    model = classifier(small_model, profile=str(profiled / 'profile.yaml'))
    model.model_hash = model.model_hash[::-1]
    found, (warning,) = costs(model, monkeypatch)
    assert found == 'timed'
    assert 'model_hash was' in warning


def test_a_profile_that_cannot_be_read_stops_the_start(small_model, monkeypatch):
    with pytest.raises(ClassifierError, match='nowhere.yaml'):
        costs(classifier(small_model, profile='nowhere.yaml'), monkeypatch)


def test_the_governors_are_named_once_each(tmp_path):
    for cpu, governor in enumerate(('schedutil', 'performance', 'schedutil')):
        folder = tmp_path / f'cpu{cpu}' / 'cpufreq'
        folder.mkdir(parents=True)
        (folder / 'scaling_governor').write_text(governor + '\n')
    assert machine.power_mode(tmp_path).endswith('performance, schedutil')


def test_the_power_mode_of_a_jetson_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, '_nvpmodel', lambda: 'NV Power Mode: MODE_15W_6CORE\n2\n')
    assert machine.power_mode(tmp_path) == 'MODE_15W_6CORE'


@pytest.mark.parametrize('more, words', [
    (['--limit', '3'], '--limit goes with IMAGES'),
    (['--keep-ratios', '1.5'], '1.5'), (['--alpha', '2'], '2'),
    (['--output', 'nowhere/x.yaml'], 'nowhere/x.yaml'), (['--plot', 'x.nonsense'], 'nonsense')])
def test_what_the_program_cannot_use_is_refused_by_name(more, words, small_model, capsys):
    pytest.importorskip('matplotlib')
    assert main([*more, *flags(small_model)]) == 2
    assert words in capsys.readouterr().err


def test_no_rounds_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(['--rounds', '0'])
    assert 'at least 1' in capsys.readouterr().err
