# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The head against its definition, and on clouds whose answer is known."""
import numpy as np
import pytest

from ltp_ros.teaching.examples import NONE, SCALE, Examples
from ltp_ros.teaching.head import LEAST_SPREAD, TYPICAL_SPREAD, fit

D = 24


def clouds(centres, count, seed=0, width=0.35):
    """Return rows around each centre, by label."""
    generator = np.random.default_rng(seed)
    return {label: [Examples(D).row(centre + width * generator.normal(size=D))
                    for _ in range(count)] for label, centre in centres.items()}


def centres_of(labels, seed=5):
    generator = np.random.default_rng(seed)
    return {label: 1.5 * generator.normal(size=D) / np.sqrt(D) for label in labels}


def taught(pictures):
    examples = Examples(D)
    for label, rows in pictures.items():
        for row in rows:
            examples.add(label, row)
    return examples


def energies_by_definition(pictures, row):
    """Return the squared Mahalanobis distances to each class, as the module defines them."""
    names = sorted(pictures, key=lambda name: (name == NONE, name))
    means = {name: np.mean(pictures[name], axis=0) / SCALE for name in names}
    within, freedom = np.zeros((D, D)), 0
    for name in names:
        for each in pictures[name]:
            within += np.outer(each / SCALE - means[name], each / SCALE - means[name])
        freedom += len(pictures[name]) - 1
    spread = max((np.trace(within) + TYPICAL_SPREAD) / (freedom + 1), LEAST_SPREAD)
    covariance = (within + spread * np.eye(D)) / (freedom + D)
    apart = [row / SCALE - means[name] for name in names]
    return np.array([each @ np.linalg.solve(covariance, each) for each in apart]), names


@pytest.mark.parametrize('count', [1, 2, 5, 80])
@pytest.mark.parametrize('labels', ['ab', ['a', NONE], 'abcdefg'])
def test_the_closest_class_by_the_mahalanobis_distance_is_the_most_likely(labels, count):
    pictures = clouds(centres_of(labels), count)
    head = fit(taught(pictures))
    for (row,) in clouds(centres_of(labels), 1, seed=9).values():
        energies, names = energies_by_definition(pictures, row)
        odds = np.exp(-0.5 * (energies - energies.min()) / head.temperature)
        expected = dict(zip(names, odds / odds.sum()))
        found = head.judge(row / SCALE).probabilities
        np.testing.assert_allclose(found, [expected[name] for name in head.labels], rtol=2e-3,
                                   atol=1e-5)


def test_a_picture_is_left_out_as_if_it_had_never_been_there():
    pictures = clouds(centres_of('abc'), 12)
    head = fit(taught(pictures))
    assert np.bincount(head.left_out.truth).tolist() == [12, 12, 12]
    kept = {label: moments.kept for label, moments in taught(pictures).classes.items()}
    for index, (truth, energies) in enumerate(zip(*head.left_out)):
        label, row = 'abc'[truth], kept['abc'[truth]][index % 12]
        others = [each for each in pictures[label] if not np.array_equal(each, row)]
        expected, _ = energies_by_definition({**pictures, label: others}, row)
        # The spread that the covariance is drawn to is that of all
        np.testing.assert_allclose(energies, expected, rtol=0.05)
        assert energies.argmin() == expected.argmin()


def test_the_order_in_which_classes_were_taught_changes_no_bit():
    pictures = clouds(centres_of('abcd'), 9)
    one, other = fit(taught(pictures)), fit(taught(dict(reversed(list(pictures.items())))))
    assert one.labels == other.labels and one.temperature == other.temperature
    assert (one.whitening == other.whitening).all() and (one.means == other.means).all()


def test_scores_are_right_as_often_as_they_say():
    pictures = clouds(centres_of('abcde'), 30, width=0.5)
    head = fit(taught(pictures))
    asked = clouds(centres_of('abcde'), 200, seed=3, width=0.5)
    verdicts = [(head.judge(row / SCALE).probabilities, head.labels.index(label))
                for label, rows in asked.items() for row in rows]
    said = np.mean([probabilities.max() for probabilities, _ in verdicts])
    right = np.mean([probabilities.argmax() == truth for probabilities, truth in verdicts])
    assert 0.3 < right < 0.98 and abs(said - right) < 0.05


def test_of_new_pictures_of_known_classes_a_twentieth_is_stranger_than_the_bound():
    head = fit(taught(clouds(centres_of('abc'), 40)))
    known = [head.judge(row / SCALE).unknown
             for rows in clouds(centres_of('abc'), 300, seed=4).values() for row in rows]
    assert 0.02 < np.mean(np.array(known) > 0.95) < 0.09


@pytest.mark.parametrize('count', [1, 2, 30])
def test_what_was_never_taught_is_stranger_than_what_was(count):
    everything = centres_of('abcxyz')
    head = fit(taught(clouds({label: everything[label] for label in 'abc'}, count)))
    known, strange = ([head.judge(row / SCALE).unknown for label in labels for row in
                       clouds(everything, 30, seed=6)[label]] for labels in ('abc', 'xyz'))
    assert np.median(strange) > np.median(known)
    assert 0.0 <= min(known + strange) and max(known + strange) <= 1.0


def test_pictures_of_none_of_the_classes_make_the_like_of_them_unknown():
    everything = centres_of(['a', 'b', NONE])
    pictures = clouds(everything, 15)
    asked = clouds(everything, 40, seed=8)
    without = fit(taught({label: pictures[label] for label in 'ab'}))
    with_them = fit(taught(pictures))
    assert with_them.labels == ('a', 'b')

    def unknown(head, label):
        return np.mean([head.judge(row / SCALE).unknown > 0.95 for row in asked[label]])

    assert unknown(with_them, NONE) > max(unknown(without, NONE), 0.8)
    assert unknown(with_them, 'a') < 0.2


def test_one_picture_of_one_class_is_enough_to_answer():
    (row,) = clouds(centres_of('a'), 1)['a']
    head = fit(taught({'a': [row]}))
    verdict = head.judge(row / SCALE)
    assert verdict.probabilities.tolist() == [1.0] and 0.0 <= verdict.unknown < 0.5
    assert head.judge(-row / SCALE).unknown > verdict.unknown


@pytest.mark.parametrize('count', [1, 2, 50])
def test_equal_pictures_are_enough_to_answer(count):
    pictures = {label: rows * count for label, rows in clouds(centres_of('ab'), 1).items()}
    head = fit(taught(pictures))
    for index, rows in enumerate(pictures.values()):
        verdict = head.judge(rows[0] / SCALE)
        assert verdict.probabilities.argmax() == index and np.isfinite(verdict.unknown)


def test_a_thousand_classes_of_one_picture_each_are_told_apart():
    labels = [f'{number:04}' for number in range(1000)]
    generator = np.random.default_rng(0)
    pictures = {label: [Examples(D).row(generator.normal(size=D))] for label in labels}
    head = fit(taught(pictures))
    for index in range(0, 1000, 97):
        assert head.judge(pictures[labels[index]][0] / SCALE).probabilities.argmax() == index


def test_the_class_that_a_class_is_mostly_taken_for_is_named():
    centres = centres_of('abc')
    centres['b'] = centres['a'] + 0.01
    head = fit(taught(clouds(centres, 30)))
    share, worst = head.own_accuracy('a')
    assert worst == 'b' and 0.2 < share < 0.8
    assert head.own_accuracy('c')[0] > 0.9


def test_of_a_class_of_one_picture_nothing_is_said():
    share, worst = fit(taught(clouds(centres_of('ab'), 1))).own_accuracy('a')
    assert np.isnan(share) and worst == ''


@pytest.mark.parametrize('count, apart', [(1, 0.0), (2, 0.0), (30, 0.0), (2, 0.03), (30, 0.03)])
def test_many_pictures_of_one_moment_do_not_make_other_views_unknown(count, apart):
    generator = np.random.default_rng(0)
    thing = generator.normal(size=D) / np.sqrt(D)

    def view(noise):
        return Examples(D).row(thing + noise * generator.normal(size=D) / np.sqrt(D))

    head = fit(taught({'a': [view(apart) for _ in range(count)]}))
    assert all(head.judge(view(0.1) / SCALE).unknown < 0.95 for _ in range(20))
    strange = [head.judge(generator.normal(size=D)).unknown for _ in range(20)]
    assert np.median(strange) > 0.8
