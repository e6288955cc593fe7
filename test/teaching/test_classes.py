# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The classes at every level."""
import numpy as np
import pytest

from ltp_ros.teaching.classes import MAX_LABEL, Classes, LabelError
from ltp_ros.teaching.examples import NONE, NotTaughtError

LEVELS = (1.0, 0.5)


def features(seed, levels=LEVELS):
    generator = np.random.default_rng(seed)
    return {ratio: generator.normal(size=8).astype(np.float32) for ratio in levels}


def taught(**counts):
    classes = Classes(LEVELS)
    for label, count in counts.items():
        for number in range(count):
            classes.add(label, features([number, *label.encode()]))
    classes.settle()
    return classes


def test_before_the_first_picture_there_is_nothing():
    classes = Classes(LEVELS)
    classes.settle()
    assert classes.labels == [] and classes.counts == {} and classes.heads == {}
    assert classes.num_features == 0


def test_every_level_has_a_head_of_its_own_of_the_same_classes():
    classes = taught(mug=3, book=2)
    assert classes.labels == ['book', 'mug'] and classes.counts == {'book': 2, 'mug': 3}
    assert set(classes.heads) == set(LEVELS)
    assert {head.labels for head in classes.heads.values()} == {('book', 'mug')}
    assert not np.array_equal(classes.heads[1.0].means, classes.heads[0.5].means)


def test_what_was_taught_is_shown_at_all_levels_at_once():
    classes = taught(mug=3)
    before = classes.heads
    classes.add('book', features(0))
    classes.fit(1.0)
    assert classes.heads is before
    classes.settle()
    assert all(head.labels == ('book', 'mug') for head in classes.heads.values())


def test_a_class_that_is_forgotten_leaves_the_heads_of_one_that_never_learnt_it():
    classes, without = taught(mug=3, book=2), taught(book=2)
    classes.forget('mug')
    classes.settle()
    for ratio in LEVELS:
        one, other = classes.heads[ratio], without.heads[ratio]
        assert (one.whitening == other.whitening).all() and (one.means == other.means).all()
        assert one.strangeness == other.strangeness and one.temperature == other.temperature


def test_when_all_is_forgotten_there_are_no_heads():
    classes = taught(mug=2)
    classes.add(NONE, features(5))
    classes.forget('mug')
    classes.settle()
    assert classes.heads == {} and classes.labels == [] and classes.counts == {NONE: 1}


def test_a_picture_that_misses_a_level_is_not_taught_at_all():
    classes = taught(mug=1)
    with pytest.raises((KeyError, ValueError)):
        classes.add('mug', {1.0: features(0)[1.0], 0.5: np.full(8, np.nan)})
    assert classes.counts == {'mug': 1}
    assert [len(examples) for examples in classes.levels.values()] == [1, 1]


def test_what_was_not_taught_cannot_be_forgotten():
    with pytest.raises(NotTaughtError, match="no class 'book'"):
        taught(mug=1).forget('book')
    with pytest.raises(NotTaughtError, match='none of the classes'):
        taught(mug=1).forget(NONE)


@pytest.mark.parametrize('label', [' mug', 'mug\n', 'm\x1bug', 'm' * (MAX_LABEL + 1), '\ud800',
                                   'None'])
def test_a_name_that_no_class_can_have_is_refused(label):
    with pytest.raises(LabelError, match='cannot be the name of a class'):
        taught(mug=1).add(label, features(1))


@pytest.mark.parametrize('label', ['Käse', 'coffee mug', '左', '0'])
def test_any_text_is_a_name(label):
    classes = taught(mug=1)
    classes.add(label, features(1))
    assert label in classes.labels
