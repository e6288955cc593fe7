# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark choose`: which method, precision and level is recommended, and in which words."""
import json

import cv2
import numpy as np
import pytest

from ltp_ros.research.benchmarks.choice import Choice, Way, recommended
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


def test_a_way_that_is_unavailable_is_left_out_and_named(choose):
    out, result = choose('--deadline-ms', '60000', '--run', 'eager:float32', 'graph:float16')
    assert 'ltp graph:float16 is left out: backend graph cannot run' in out
    assert {row['backend'] for row in result['rows']} == {'eager'}


@pytest.mark.parametrize('flags, words', [
    (['--images', 'nowhere'], "'nowhere' has no images"),
    (['--keep-ratios', '2'], 'keep_ratios 2.0 is not allowed'),
    (['--target-miss-rate', '5'], 'target_miss_rate 5.0 is not allowed'),
    (['--run', 'graph:float16'], 'backend graph cannot run'),
    (['--limit', '1'], 'at least two are needed')])
def test_what_cannot_be_used_is_refused_in_a_sentence(flags, words, images, small_model, capsys):
    assert main(['choose', '--images', str(images), '--checkpoint', small_model, '--device', 'cpu',
                 '--run', 'eager:float32', '--deadline-ms', '10', '--quiet', *flags]) == 2
    assert words in capsys.readouterr().err


def test_the_times_are_measured_at_the_priority_that_is_recommended(choose, monkeypatch):
    asked = []
    monkeypatch.setattr('ltp_ros.tools.benchmarks.choose.set_priority', asked.append)
    out, _ = choose('--deadline-ms', '60000', '--priority', '50')
    assert asked == [50] and 'priority:=50' in out
