# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark choose`: which method, precision and level is recommended, and in which words."""
import json
import shlex
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from ltp_ros.config import Config
from ltp_ros.research.benchmarks.choice import Choice, Way, recommended
from ltp_ros.settings import update
from ltp_ros.tools.benchmark import main

LTP, MIXED = Way('ltp', 'onnx', 'int8'), Way('mixed', 'onnx', 'int8')


def choice(way, keep_ratio, right, tail_ms=10.0):
    return Choice(way, keep_ratio, tail_ms / 2, tail_ms,
                  None if right is None else np.array(right, bool))


def test_the_choice_that_is_right_most_often_is_recommended():
    better = choice(MIXED, 0.53, [1, 1, 1, 1])
    assert recommended([choice(LTP, 0.53, [1, 1, 0, 1]), better,
                        choice(LTP, 0.45, [0, 1, 0, 0])]) is better


def test_it_is_chosen_by_every_other_image_and_reported_on_the_rest():
    chosen, other = choice(LTP, 0.53, [1, 0, 1, 1]), choice(MIXED, 0.53, [0, 1, 1, 1])
    assert recommended([other, chosen]) is chosen
    assert (chosen.share(0), chosen.share(1)) == (1.0, 0.5)
    low, high = chosen.interval(1)
    assert 0.0 < low < 0.5 < high < 1.0


def test_of_equal_ones_that_with_the_better_lower_levels_is_recommended():
    # Without pruning both are the same model; the tuner will go down from there
    everything = [choice(way, 1.0, [1, 1, 1, 1], tail_ms) for way, tail_ms in (
        (LTP, 9.0), (MIXED, 10.0))]
    lower = [choice(LTP, 0.45, [0, 0, 0, 0]), choice(MIXED, 0.45, [1, 0, 0, 0])]
    assert recommended([*everything, *lower]) is everything[1]


def test_of_equal_ones_the_faster_is_recommended():
    slow, fast = choice(LTP, 0.53, [1, 1], 10.0), choice(MIXED, 0.53, [1, 1], 9.0)
    assert recommended([slow, fast]) is fast


def test_what_is_too_slow_is_not_recommended_however_right():
    assert recommended([choice(LTP, 1.0, None)]) is None


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    """Return a folder of six images in two class folders."""
    folder = tmp_path_factory.mktemp('images')
    rng = np.random.default_rng(0)
    for index in range(6):
        (folder / f'thing {index % 2}').mkdir(exist_ok=True)
        cv2.imwrite(str(folder / f'thing {index % 2}' / f'{index}.png'),
                    rng.integers(0, 256, (40, 60, 3), np.uint8))
    return folder


@pytest.fixture
def choose(images, small_model, tmp_path, capsys):
    """Return a function that runs the program; it returns the printed text and the JSON."""
    def run(*flags):
        path = tmp_path / 'choice.json'
        code = main(['choose', '--images', str(images), '--checkpoint', small_model, '--device',
                     'cpu', '--run', 'eager:float32', 'eager:bfloat16', '--keep-ratios', '1',
                     '0.5', '--rounds', '2', '--quiet', '--json', str(path), *flags])
        out, err = capsys.readouterr()
        assert code == 0, err
        return ' '.join(out.split()), json.loads(path.read_text())
    return run


def test_one_table_and_one_sentence_with_the_parameters_to_give(choose, small_model):
    out, result = choose('--deadline-ms', '60000')
    assert 'give checkpoint:=' + small_model in out
    assert 'To hold 60000 ms in 99 % of the runs' in out
    assert 'deadline_ms:=60000.0: it agrees' in out
    assert 'of the 3 images that it was not chosen by.' in out
    assert len(result['rows']) == 2 * 2 * 2
    (best,) = [row for row in result['rows'] if row['recommended']]
    assert f'method:={best["method"]} backend:=eager precision:={best["precision"]} ' in out
    assert best['chosen_by'] == max(row['chosen_by'] for row in result['rows'])


def test_the_unpruned_float32_model_agrees_with_itself(choose):
    _, result = choose('--deadline-ms', '60000')
    for row in result['rows']:
        if (row['precision'], row['keep_ratio']) == ('float32', 1.0):
            assert row['chosen_by'] == row['rest'] == 1.0


def test_with_labels_right_is_what_the_labels_say(choose):
    out, result = choose('--deadline-ms', '60000', '--labelled', '--target-miss-rate', '0.1')
    assert 'To hold 60000 ms in 90 % of the runs' in out and 'p90 ms' in out
    assert 'it is right on ' in out and 'the unpruned float32 model on ' in out
    assert all(0.0 <= row['rest'] <= 1.0 for row in result['rows'])


def test_where_nothing_holds_the_deadline_the_fastest_is_named(choose):
    out, result = choose('--deadline-ms', '0.0001')
    assert 'Nothing holds 0.0001 ms in 99 % of the runs. The fastest is checkpoint:=' in out
    assert not any(row['recommended'] or row['rest'] for row in result['rows'])


def recommended_parameters(out):
    """Return the recommended parameters as a shell would pass them on, by name."""
    words = shlex.split(out[out.index('give checkpoint:='):out.index(': it agrees')])[1:]
    return dict(word.split(':=') for word in words)


def test_the_node_runs_what_is_recommended_with_the_parameters_given(choose):
    out, _ = choose('--deadline-ms', '60000', '--keep-ratios', '0.35', '0.62',
                    '--target-miss-rate', '0.05')
    given = recommended_parameters(out)
    assert given['keep_ratios'] == '[0.62, 0.35]' and given['target_miss_rate'] == '0.05'
    changes = {name: yaml.safe_load(value) for name, value in given.items()}
    config = update(Config(), changes)
    assert config.classifier.keep_ratio == float(given['keep_ratio'])
    assert config.tuner.min_keep_ratio <= config.classifier.keep_ratio


def test_a_level_below_the_bound_of_the_tuner_is_recommended_with_that_bound(choose):
    out, _ = choose('--deadline-ms', '60000', '--keep-ratios', '0.35')
    given = recommended_parameters(out)
    assert given['keep_ratio'] == given['min_keep_ratio'] == '0.35'
    assert 'keep_ratios' not in given and 'target_miss_rate' not in given


def test_a_path_with_a_space_is_quoted_for_the_shell(choose, small_model, tmp_path):
    path = tmp_path / 'my models' / 'x.safetensors'
    path.parent.mkdir()
    for suffix in ('.safetensors', '.json'):
        shutil.copy(str(Path(small_model).with_suffix(suffix)), str(path.with_suffix(suffix)))
    out, _ = choose('--deadline-ms', '60000', '--checkpoint', str(path))
    assert recommended_parameters(out)['checkpoint'] == str(path)


def test_a_way_that_is_unavailable_is_left_out_and_named(choose):
    out, result = choose('--deadline-ms', '60000', '--run', 'eager:float32', 'graph:float16')
    assert 'ltp graph:float16 is left out: backend graph cannot run' in out
    assert {row['backend'] for row in result['rows']} == {'eager'}


@pytest.mark.parametrize('flags', [[], ['--labelled']])
def test_a_damaged_image_is_left_out_and_told(flags, images, small_model, tmp_path, capsys):
    shutil.copytree(str(images), str(tmp_path / 'images'))
    bad = tmp_path / 'images' / 'thing 0' / '2.png'
    bad.write_bytes(b'damaged')
    assert main(['choose', '--images', str(tmp_path / 'images'), '--checkpoint', small_model,
                 '--device', 'cpu', '--run', 'eager:float32', '--keep-ratios', '1',
                 '--rounds', '1', '--deadline-ms', '60000', '--quiet', *flags]) == 0
    out, err = capsys.readouterr()
    assert f'left out: 1 of 6 images cannot be used: {bad};' in err
    assert 'of the 2 images that it was not chosen by' in ' '.join(out.split())


def test_a_single_image_is_too_few_to_choose_by(images, small_model, capsys):
    assert main(['choose', '--images', str(images / 'thing 0' / '0.png'), '--checkpoint',
                 small_model, '--device', 'cpu', '--run', 'eager:float32', '--deadline-ms', '10',
                 '--quiet']) == 2
    assert "0.png' has one image; at least two are needed" in capsys.readouterr().err


@pytest.mark.parametrize('flags, words', [
    (['--images', 'nowhere'], "'nowhere' is not a folder with images"),
    (['--run', 'graph:float16'], 'backend graph cannot run'),
    (['--limit', '1'], 'at least two are needed')])
def test_what_cannot_be_used_is_refused_in_a_sentence(flags, words, images, small_model, capsys):
    assert main(['choose', '--images', str(images), '--checkpoint', small_model, '--device', 'cpu',
                 '--run', 'eager:float32', '--deadline-ms', '10', '--quiet', *flags]) == 2
    assert words in capsys.readouterr().err


def test_a_keep_ratio_that_is_not_allowed_is_refused_with_the_range(capsys):
    with pytest.raises(SystemExit):
        main(['choose', '--images', 'x', '--deadline-ms', '10', '--keep-ratios', '2'])
    assert 'keep_ratio 2.0 is not allowed; it must be in (0, 1]' in capsys.readouterr().err


def test_the_times_are_measured_at_the_priority_that_is_recommended(choose, monkeypatch):
    asked = []
    monkeypatch.setattr('ltp_ros.tools.benchmarks.choose.set_priority', asked.append)
    out, _ = choose('--deadline-ms', '60000', '--priority', '50')
    assert asked == [50] and 'priority:=50' in out
