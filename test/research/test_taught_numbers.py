# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The numbers of taught classes, against loops over single pictures."""
import numpy as np
import pytest

from ltp_ros.research.accuracy.confusion import confusions, judged
from ltp_ros.research.accuracy.lesson import Lesson, same_picture
from ltp_ros.research.accuracy.taught import (
    BINS,
    auroc,
    calibration_error,
    crossed,
    false_accepts,
    judge,
    own_level,
    reliability,
    row_of,
)
from ltp_ros.teaching.classes import Classes
from ltp_ros.teaching.examples import NONE, whole

D = 12


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def picture(rng, place, width=0.5):
    """Return features around a place of their own, at two levels of which one is turned."""
    centre = np.zeros(D)
    centre[place] = 1.0
    features = (centre + width * rng.normal(size=D)).astype(np.float32)
    return {1.0: features, 0.5: np.roll(features, 3)}


@pytest.fixture
def classes(rng):
    taught = Classes((1.0, 0.5))
    for place, label in enumerate('abc'):
        for _ in range(9):
            taught.add(label, picture(rng, place))
    taught.settle()
    return taught


@pytest.mark.parametrize('n, m', [(1, 1), (7, 5), (40, 60)])
def test_auroc_is_how_often_an_unknown_picture_is_the_stranger_one(n, m, rng):
    known, unknown = rng.integers(0, 6, n) / 6, rng.integers(2, 9, m) / 6
    wins = [(b > a) + 0.5 * (b == a) for a in known for b in unknown]
    assert auroc(known, unknown) == pytest.approx(100 * np.mean(wins))


def test_auroc_of_what_cannot_be_told_apart_is_half_and_of_the_opposite_nothing():
    same, other = np.full(5, 0.3), np.full(4, 0.9)
    assert (auroc(same, same), auroc(same, other), auroc(other, same)) == (50.0, 100.0, 0.0)


@pytest.mark.parametrize('n', [1, 19, 20, 21, 100])
def test_unknown_pictures_are_counted_where_95_percent_of_the_known_are_accepted(n, rng):
    known, unknown = rng.random(n), rng.random(50)
    allowed = [t for t in known if np.mean(known <= t) >= 0.95]
    assert false_accepts(known, unknown) == pytest.approx(100 * np.mean(unknown <= min(allowed)))


def test_the_calibration_error_is_the_mean_distance_of_bins(rng):
    probability = rng.random(400)
    right = rng.random(400) < probability ** 2
    expected = 0.0
    for number in range(BINS):
        inside = [index for index in range(400)
                  if number / BINS < probability[index] <= (number + 1) / BINS]
        if inside:
            expected += len(inside) / 400 * abs(np.mean(probability[inside])
                                                - np.mean(right[inside]))
    assert calibration_error(reliability(probability, right)) == pytest.approx(100 * expected)


def test_answers_that_are_right_as_often_as_they_say_have_no_calibration_error():
    bins = reliability(np.array([0.5, 0.5, 1.0, 1.0]), np.array([True, False, True, True]))
    assert calibration_error(bins) == 0.0
    assert [(each.place, each.n) for each in bins] == [(7, 2), (14, 2)]


def test_a_probability_of_nothing_or_all_has_a_bin():
    assert [each.place for each in reliability(np.array([0.0, 1.0]), np.array([True, False]))] == [
        0, BINS - 1]


def test_the_numbers_of_a_head_are_those_of_single_answers(classes, rng):
    head = classes.heads[1.0]
    features = [picture(rng, place, 1.0)[1.0] for place in (0, 0, 1, 1, 2, 2)]
    labels = np.array([0, 0, 1, 1, 2, 2])
    strangers = [picture(rng, place)[1.0] for place in (7, 8, 9)]
    row = row_of(judge(head, features), labels, judge(head, strangers))
    answers = [head.judge(each) for each in features]
    assert row['n'] == 6
    assert row['top1'] == pytest.approx(100 * np.mean(
        [answer.probabilities.argmax() == label for answer, label in zip(answers, labels)]))
    assert row['top1_low'] < row['top1'] < row['top1_high'] or row['top1'] in (0.0, 100.0)
    others = [head.judge(each) for each in strangers]
    for key, strange in (('', lambda answer: answer.unknown),
                         ('_softmax', lambda answer: 1 - answer.probabilities.max())):
        known, unknown = (np.array([strange(each) for each in some])
                          for some in (answers, others))
        assert row[f'auroc{key}'] == pytest.approx(auroc(known, unknown))
        assert row[f'fpr95{key}'] == pytest.approx(false_accepts(known, unknown))


def test_every_head_is_asked_with_the_features_of_every_level(classes, rng):
    pictures = [picture(rng, place, 0.2) for place in (0, 1, 2) * 4]
    labels = np.array((0, 1, 2) * 4)
    features = {ratio: [each[ratio] for each in pictures] for ratio in (1.0, 0.5)}
    rows = list(crossed(classes.heads, features, labels, None))
    assert [(row['taught_keep_ratio'], row['keep_ratio']) for row in rows] == [
        (1.0, 1.0), (1.0, 0.5), (0.5, 1.0), (0.5, 0.5)]
    # The other level's features are turned, and so of no use to a head
    assert [row['top1'] > 90 for row in rows] == [True, False, False, True]
    assert own_level(rows) == [rows[0], rows[3]]
    assert all(row['auroc'] is None and row['fpr95_softmax'] is None for row in rows)


def test_confusions_are_those_that_the_head_counts(rng):
    taught = Classes((1.0,))
    for place, label in enumerate('abc'):
        for _ in range(D):
            taught.add(label, {1.0: picture(rng, place, 1.5)[1.0]})
    taught.settle()
    head, examples = taught.heads[1.0], taught.levels[1.0]
    for label in 'abc':
        accuracy, worst = head.own_accuracy(label)
        found = confusions(head, examples, label)
        assert found and judged(head, label) == D
        assert 1 - accuracy == pytest.approx(sum(each.share for each in found))
        assert max(each.share for each in found) == found[0].share
        assert worst in [each.taken_for for each in found if each.share == found[0].share]
        kept = {row.tobytes() for row in examples.classes[label].kept}
        astray = [row.tobytes() for each in found for row in each.rows]
        assert kept.issuperset(astray) and len(set(astray)) == len(astray)
        assert len(astray) == round((1 - accuracy) * D)


def test_the_picture_farthest_astray_comes_first(rng):
    taught = Classes((1.0,))
    lesson = Lesson(taught)
    for place, label in enumerate('ab'):
        for number in range(9):
            lesson.add(label, {1.0: picture(rng, place, 0.3)[1.0]}, f'{label}{number}')
    for share in (0.7, 1.0):  # of the way to b
        lesson.add('a', {1.0: (1 - share) * np.eye(D)[0] + share * np.eye(D)[1]}, f'astray{share}')
    taught.settle()
    confusion, = confusions(taught.heads[1.0], taught.levels[1.0], 'a')
    names = [lesson.names['a', row.tobytes()] for row in confusion.rows]
    assert names[:2] == ['astray1.0', 'astray0.7']


def test_a_picture_is_known_again_in_spite_of_rounding_and_another_is_not(rng):
    rows = np.stack([whole(picture(rng, place)[1.0]) for place in (0, 0, 1)])
    again = rows[1] + rng.integers(-3, 4, D).astype(np.int16)
    assert (same_picture(again, rows) == rows[1]).all()
    assert same_picture(whole(picture(rng, 0)[1.0]), rows) is None
    assert same_picture(again, rows[:0]) is None


def test_a_class_of_one_picture_is_confused_with_none(rng):
    taught = Classes((1.0,))
    taught.add('a', {1.0: picture(rng, 0)[1.0]})
    taught.add('b', {1.0: picture(rng, 1)[1.0]})
    taught.settle()
    assert confusions(taught.heads[1.0], taught.levels[1.0], 'a') == []


def test_pictures_of_none_are_taught_and_confused_with_no_class(rng):
    taught = Classes((1.0,))
    for label in ('a', 'b', NONE):
        for _ in range(6):
            taught.add(label, {1.0: picture(rng, len(label), 2.0)[1.0]})
    taught.settle()
    for label in 'ab':
        assert {each.taken_for for each in confusions(
            taught.heads[1.0], taught.levels[1.0], label)} <= {'a', 'b'}
