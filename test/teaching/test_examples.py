# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Sums that forget as exactly as they learn."""
import numpy as np
import pytest

from ltp_ros.teaching.examples import Examples, NotTaughtError, second_moments, whole

D = 6


def rows(count, seed=0):
    return [whole(row) for row in np.random.default_rng(seed).normal(size=(count, D))]


def taught(pairs):
    examples = Examples(D)
    for label, row in pairs:
        examples.add(label, row)
    return examples


def state(examples):
    """Return all that is kept, to the last bit."""
    return (examples.second.tolist(), [
        (label, moments.count, moments.total.tolist(), moments.kept.tolist(),
         None if moments.rest is None else moments.rest.tolist())
        for label, moments in sorted(examples.classes.items())])


@pytest.mark.parametrize('count', [1, 2, D, D + 1, 5 * D])
def test_the_order_of_the_pictures_leaves_no_trace(count):
    pairs = [('ab'[index % 2], row) for index, row in enumerate(rows(2 * count))]
    shuffled = [pairs[index] for index in np.random.default_rng(1).permutation(len(pairs))]
    assert state(taught(pairs)) == state(taught(shuffled))


@pytest.mark.parametrize('count', [1, 2, D])
def test_a_picture_that_is_taken_out_again_leaves_no_trace(count):
    pairs = [('a', row) for row in rows(count)] + [('b', row) for row in rows(3, seed=1)]
    for index, (label, row) in enumerate(pairs):
        examples = taught(pairs)
        examples.remove(label, row)
        assert state(examples) == state(taught(pairs[:index] + pairs[index + 1:]))


def test_of_more_pictures_than_are_kept_one_is_forgotten_in_every_sum():
    others, extra = [('a', row) for row in rows(3 * D)], rows(D, seed=2)
    examples = taught([*others, *(('a', row) for row in extra)])
    for row in extra:
        examples.remove('a', row)
    expected = taught(others)
    moments, before = examples.classes['a'], expected.classes['a']
    assert moments.count == before.count and (moments.total == before.total).all()
    assert (moments.second() == before.second()).all()
    assert (examples.second == expected.second).all()


@pytest.mark.parametrize('count', [2, 4 * D])
def test_a_class_that_is_forgotten_leaves_no_trace(count):
    others = [('b', row) for row in rows(count, seed=1)]
    examples = taught([('a', row) for row in rows(count)] + others)
    examples.forget('a')
    assert state(examples) == state(taught(others))


def test_the_last_picture_of_a_class_takes_the_class_with_it():
    (row,) = rows(1)
    examples = taught([('a', row)])
    examples.remove('a', row)
    assert state(examples) == state(Examples(D))


def test_equal_pictures_count_each():
    (row,) = rows(1)
    examples = taught([('a', row)] * 3 * D)
    assert len(examples) == 3 * D
    for _ in range(3 * D - 1):
        examples.remove('a', row)
    moments = examples.classes['a']
    assert moments.count == 1 and (moments.total == row).all()
    assert (moments.second() == second_moments(row[None])).all()


@pytest.mark.parametrize('label', ['a', 'b'])
def test_a_picture_that_was_not_taught_is_not_forgotten(label):
    first, second = rows(2)
    examples = taught([('a', first)])
    with pytest.raises(NotTaughtError, match='not taught'):
        examples.remove(label, second)
    assert state(examples) == state(taught([('a', first)]))


def test_memory_does_not_grow_with_the_pictures():
    many = taught([('a', row) for row in rows(500)])
    moments = many.classes['a']
    assert moments.kept.shape == (D, D) and moments.rest.shape == (D, D)
    assert (moments.second() == second_moments(np.array(rows(500)))).all()


@pytest.mark.parametrize('features', [np.zeros(D), np.full(D, np.nan), np.full(D, np.inf)])
def test_features_without_a_direction_are_refused(features):
    with pytest.raises(ValueError, match='not finite'):
        Examples(D).row(features)


def test_features_of_another_model_are_refused():
    with pytest.raises(ValueError, match=r'\(7,\).*\(6,\)'):
        Examples(D).row(np.ones(D + 1))


def test_features_are_kept_at_unit_length_whatever_theirs_is():
    features = np.random.default_rng(0).normal(size=D)
    assert (whole(features) == whole(1e4 * features)).all()
