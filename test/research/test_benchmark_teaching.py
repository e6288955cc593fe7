# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark teaching`: its numbers on made-up features, and a short real run."""
import json

import cv2
import numpy as np
import pytest

from ltp_ros.research.accuracy.taught import auroc
from ltp_ros.research.benchmarks import BenchmarkError
from ltp_ros.research.benchmarks.figures import new_figure
from ltp_ros.research.benchmarks.teaching import (
    PENALTIES,
    allowed_counts,
    combinations,
    head_of,
    known_rows,
    mean_distances,
    orders,
    ridge_scores,
    split,
    unit,
    unknown_rows,
)
from ltp_ros.research.benchmarks.teaching_plot import draw
from ltp_ros.tools.benchmark import main

D = 12


def nothing(*_):
    """Show no progress."""


def clouds(num_classes, size=60, width=0.2, seed=0):
    """Return features (size, D) of classes around places of their own."""
    rng = np.random.default_rng(seed)
    return [(np.eye(D)[index] + width * rng.normal(size=(size, D))).astype(np.float32)
            for index in range(num_classes)]


def by_key(rows):
    return {(row['count'], row['keep_ratio']): row for row in rows}


@pytest.fixture(scope='module')
def known():
    """Return the rows of three classes, whose features are turned at the lower level."""
    classes = clouds(3, width=0.35)
    levels = {1.0: classes, 0.5: [np.roll(rows, 1, axis=1) for rows in classes]}
    return by_key(known_rows(levels, [2, 20], 4, nothing))


def test_a_draw_teaches_some_pictures_of_each_class_and_asks_all_others():
    classes = [np.arange(5.0)[:, None] + 10 * index for index in range(3)]
    part = split(classes, orders([5, 5, 5], 0), 2)
    assert [len(rows) for rows in part.taught] == [2, 2, 2]
    assert part.truth.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    for index, rows in enumerate(part.taught):
        asked = [float(row[0]) for row, place in zip(part.asked, part.truth) if place == index]
        assert sorted([*rows[:, 0], *asked]) == classes[index][:, 0].tolist()


def test_more_pictures_include_the_fewer_and_draws_differ():
    first, again, other = orders([50], 1)[0], orders([50], 1)[0], orders([50], 2)[0]
    assert (first == again).all() and (first != other).any()
    classes = [np.arange(50.0)[:, None]]
    few, more = (split(classes, [first], count).taught[0] for count in (5, 20))
    assert (more[:5] == few).all()


def test_an_unrelated_folder_does_not_change_what_is_taught():
    assert all((a == b).all() for a, b in zip(orders([7, 8], 3), orders([7, 8, 100], 3)))


def test_rows_are_the_means_over_draws_at_every_count_and_level(known):
    classes = clouds(3, width=0.35)
    found = []
    for number in range(4):
        part = split(classes, orders([60] * 3, number), 2)
        head = head_of(part.taught)
        best = [head.judge(row).probabilities.argmax() for row in part.asked]
        found.append(100 * np.mean(best == part.truth))
    assert set(known) == {(2, 1.0), (2, 0.5), (20, 1.0), (20, 0.5)}
    row = known[2, 1.0]
    assert row['top1'] == pytest.approx(np.mean(found))
    assert row['top1_std'] == pytest.approx(np.std(found, ddof=1)) and row['draws'] == 4


def test_more_pictures_are_better_and_a_head_of_another_level_is_worse(known):
    assert known[20, 1.0]['top1'] > known[2, 1.0]['top1']
    assert known[20, 0.5]['top1_full_head'] < 50 < known[20, 0.5]['top1']
    assert known[20, 1.0]['top1_full_head'] == known[20, 1.0]['top1']


def test_rivals_see_the_same_whichever_way_features_are_turned(known):
    for name in ('top1_nearest_mean', 'top1_ridge'):
        assert known[20, 0.5][name] == known[20, 1.0][name] > 80


def test_known_pictures_are_refused_seldom_and_calibration_is_in_percent(known):
    for row in known.values():
        assert 0 <= row['known_refused'] < 50 and 0 < row['ece'] < 50


def test_one_draw_has_no_deviation():
    row, = known_rows({1.0: clouds(2)}, [5], 1, nothing)
    assert row['top1_std'] is None


def test_the_distance_from_a_mean_is_of_features_of_unit_length():
    taught, asked = clouds(3, size=4), clouds(1, size=5)[0]
    found = mean_distances(taught, list(10 * asked))
    for picture, distances in zip(asked.astype(np.float64), found):
        for rows, distance in zip(taught, distances):
            mean = np.mean([row / np.linalg.norm(row) for row in rows], axis=0)
            assert distance == pytest.approx(
                np.linalg.norm(picture / np.linalg.norm(picture) - mean), rel=1e-5)


def solved(rows, targets, penalty, asked):
    """Return the answers of a ridge regression with an intercept, by its normal equations."""
    centre, offset = rows.mean(axis=0), targets.mean(axis=0)
    weights = np.linalg.solve((rows - centre).T @ (rows - centre) + penalty * np.eye(D),
                              (rows - centre).T @ (targets - offset))
    return (asked - centre) @ weights + offset


@pytest.mark.parametrize('count, width', [(2, 0.1), (4, 1.0), (20, 0.3), (20, 3.0)])
def test_ridge_is_that_which_is_best_when_each_picture_is_left_out(count, width):
    taught, asked = clouds(3, count, width), clouds(3, 5, width, seed=1)[1]
    rows, targets = unit([row for each in taught for row in each]), np.repeat(
        np.eye(3), count, axis=0)
    size = ((rows - rows.mean(axis=0)) ** 2).sum() / D
    every = np.arange(len(rows))
    errors = [sum(((solved(rows[every != out], targets[every != out], factor * size, rows[out])
                    - targets[out]) ** 2).sum() for out in every) for factor in PENALTIES]
    best = PENALTIES[int(np.argmin(errors))] * size
    assert ridge_scores(taught, list(asked)) == pytest.approx(
        solved(rows, targets, best, unit(list(asked))))


def test_classes_are_taught_in_other_combinations_as_far_as_there_are_any():
    assert combinations(4, 10) == [(0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)]
    assert len(set(combinations(5, 10))) == 10
    assert len({way[0] for way in combinations(8, 5)}) > 2  # not the first five
    assert combinations(3, 10) == []


def test_unknown_pictures_are_told_by_all_numbers_and_better_with_negatives():
    classes = clouds(5, width=0.3)
    near = classes[0] + classes[1] + 0.3  # between two classes that are taught
    levels = {1.0: [*classes[:3], *[np.roll(near, 1, axis=0)] * 2]}
    found = {}
    for row in unknown_rows(levels, None, [20], 1, nothing):
        found = row
    assert found['count'] == 20 and found['draws'] == 1
    assert found['auroc_negatives'] > max(90, found['auroc'])
    assert 'auroc_unrelated' not in found


def test_the_numbers_of_unknown_pictures_are_those_of_a_loop():
    classes, far = clouds(4, width=0.5), clouds(1, 30, seed=2)[0] - 1
    row, = unknown_rows({1.0: classes}, {1.0: far}, [20], 1, nothing)
    order = orders([60] * 4 + [30], 0)
    part = split(classes[:3], order[:3], 20)
    strangers = [classes[3][place] for place in range(60) if place not in order[3][:20]]
    heads = {'auroc': head_of(part.taught),
             'auroc_negatives': head_of(part.taught, list(classes[3][order[3][:20]])),
             'auroc_unrelated': head_of(part.taught, list(far[order[4][:20]]))}
    for name, head in heads.items():
        seen = [np.array([head.judge(each).unknown for each in rows])
                for rows in (part.asked, strangers)]
        assert row[name] == pytest.approx(auroc(*seen))
    sure = [np.array([-heads['auroc'].judge(each).probabilities.max() for each in rows])
            for rows in (part.asked, strangers)]
    assert row['auroc_softmax'] == pytest.approx(auroc(*sure))
    assert row['auroc_nearest_mean'] == pytest.approx(auroc(
        *(mean_distances(part.taught, rows).min(axis=1) for rows in (part.asked, strangers))))


def test_unseen_are_the_unknown_pictures_of_classes_that_were_not_taught_as_none():
    classes = clouds(5, width=0.5)
    row, = unknown_rows({1.0: classes}, None, [20], 1, nothing)
    order = orders([60] * 5, 0)
    part = split(classes[:3], order[:3], 20)  # draw 0: none is taught with the fourth
    head = head_of(part.taught, list(classes[3][order[3][:20]]))
    seen = [np.array([head.judge(each).unknown for each in rows])
            for rows in (part.asked, classes[4])]
    assert row['auroc_negatives_unseen'] == pytest.approx(auroc(*seen))
    four, = unknown_rows({1.0: classes[:4]}, None, [20], 1, nothing)
    assert 'auroc_negatives_unseen' not in four


def test_counts_leave_a_picture_to_ask_of_the_smallest_class():
    told = []
    assert allowed_counts([20, 5, 5, 9], {'a': 9, 'b': 30}, told.append) == [5]
    assert told == ['no more than 5 photos a class are taught: a has 9 usable images, and one at '
                    'least has to be asked']
    assert allowed_counts([5], {'a': 9, 'b': 30}, told.append) == [5] and len(told) == 1


@pytest.mark.parametrize('sizes, words', [
    ({'a': 5, 'b': 30}, 'a has 5 usable images, and one at least has to be asked; give fewer'),
    ({'a': 50}, 'fewer than two classes')])
def test_what_cannot_be_measured_is_refused_in_a_sentence(sizes, words):
    with pytest.raises(BenchmarkError, match=words):
        allowed_counts([5], sizes, nothing)


def test_the_plot_has_a_line_for_each_level_and_a_dashed_one_for_the_full_head(tmp_path):
    pytest.importorskip('matplotlib')
    rows = [{'method': method, 'count': count, 'keep_ratio': ratio, 'top1': 50 + count * ratio,
             'top1_full_head': 40 + count * ratio}
            for method in ('ltp', 'mixed') for count in (1, 20) for ratio in (1.0, 0.5)]
    figure = new_figure(str(tmp_path / 'p.png'), 10, 4)
    draw(figure, {'model': 'm', 'draws': 3, 'classes': {'a': 9, 'b': 9}, 'known': rows})
    assert [axes.get_title() for axes in figure.axes] == ['ltp', 'mixed']
    for axes in figure.axes:
        lines = [line for line in axes.get_lines() if len(line.get_xdata())]
        assert [(line.get_linestyle(), list(line.get_ydata())) for line in lines] == [
            ('-', [51, 70]), ('-', [50.5, 60]), ('--', [40.5, 50])]
    texts = [text.get_text() for text in figure.axes[-1].get_legend().get_texts()]
    assert texts == ['keep 1', 'keep 0.5', 'taught at 1 alone']


FLAGS = ['--model', 'demo', '--device', 'cpu', '--backend', 'eager', '--quiet', '--keep-ratios',
         '1', '0.5', '--draws', '2', '--methods', 'ltp']


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Return a folder of four colours in class folders, with much noise, and one of grey."""
    folder = tmp_path_factory.mktemp('pictures')
    rng = np.random.default_rng(0)
    for name, colour, count in (('red', (200, 40, 40), 22), ('green', (40, 200, 40), 22),
                                ('blue', (40, 40, 200), 22), ('white', (190, 190, 190), 22),
                                ('../grey', (100, 100, 100), 8)):
        (folder / 'classes' / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            pixels = np.kron(rng.integers(-90, 90, (6, 8, 3)), np.ones((8, 8, 1))) + colour
            assert cv2.imwrite(str(folder / 'classes' / name / f'{index:02d}.png'),
                               np.clip(pixels, 0, 255).astype(np.uint8)[..., ::-1])
    return folder


def test_one_table_a_part_and_the_same_numbers_each_time(folder, tmp_path, capsys):
    results = []
    for name in ('a.json', 'b.json'):
        assert main(['teaching', str(folder / 'classes'), *FLAGS, '--counts', '2', '20', '50',
                     '--negatives', str(folder / 'grey'), '--json', str(tmp_path / name)]) == 0
        results.append(json.loads((tmp_path / name).read_text()))
    out, err = capsys.readouterr()
    assert out.count('4 classes taught to ') == out.count('3 of them taught, others unknown') == 2
    assert 'no more than 20 photos a class are taught: blue has 22 usable images' in err
    result, again = results
    assert (result['known'], result['unknown']) == (again['known'], again['unknown'])
    assert result['classes'] == {'blue': 22, 'green': 22, 'red': 22, 'white': 22}
    assert [(row['count'], row['keep_ratio']) for row in result['known']] == [
        (2, 1.0), (2, 0.5), (20, 1.0), (20, 0.5)]
    assert [row['count'] for row in result['unknown']] == [20, 20]
    assert result['known'][2]['top1'] > 50
    assert all(0 <= row['auroc_unrelated'] <= 100 for row in result['unknown'])


def test_three_classes_repeated_pictures_and_those_of_none_are_told_of(folder, tmp_path, capsys):
    for name in ('red', 'green', 'blue', 'none'):
        (tmp_path / name).mkdir()
        source = folder / ('grey' if name == 'none' else f'classes/{name}')
        for index in range(4):
            (tmp_path / name / f'{index}.png').write_bytes(
                (source / f'{index:02d}.png').read_bytes())
    (tmp_path / 'red' / '9.png').write_bytes((tmp_path / 'red' / '0.png').read_bytes())
    assert main(['teaching', str(tmp_path), *FLAGS, '--counts', '2', '--methods', 'ltp',
                 'mixed']) == 0
    out, err = capsys.readouterr()
    assert err.count('left out: 1 images look to the model just as another of their class: '
                     'red/9.png') == 1
    assert err.count('how unknown pictures are told is left out: it needs pictures of 4 '
                     'classes') == 1
    assert 'left out: the pictures of none of the classes; give their folder to' in err
    assert '3 classes taught to ' in out and 'others unknown' not in out
