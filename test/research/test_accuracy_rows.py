# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Counting right answers, and the intervals around the counts."""
import dataclasses
from statistics import NormalDist

import numpy as np
import pytest
import torch

from ltp_ros.research.accuracy.answers import UNPRUNED, Answers, Variant
from ltp_ros.research.accuracy.rows import (
    accuracy_row,
    ltp_beside,
    paired_interval,
    wilson_interval,
)

Z_95 = NormalDist().inv_cdf(0.975)  # 95 % lie within so many standard deviations
LTP, MIXED = Variant('ltp', 0.5, 'srb', 0.5), Variant('mixed', 0.5)


@pytest.mark.parametrize('successes, n', [(0, 10), (3, 10), (10, 10), (1, 1), (8123, 10_000)])
def test_the_bounds_are_the_shares_from_which_the_count_is_z_deviations_away(successes, n):
    for bound in wilson_interval(successes, n):
        variance = bound * (1 - bound) / n
        assert (successes / n - bound) ** 2 == pytest.approx(Z_95 ** 2 * variance, abs=1e-12)


def test_the_interval_holds_the_share_within_0_and_1():
    for successes in range(21):
        low, high = wilson_interval(successes, 20)
        assert 0.0 <= low <= successes / 20 <= high <= 1.0
        assert low < high


def test_the_paired_interval_is_that_of_resampled_images():
    rng = np.random.default_rng(1)
    ours, theirs = rng.random(300) < 0.8, rng.random(300) < 0.7
    drawn = rng.integers(0, 300, (5000, 300))
    means = (ours[drawn].astype(float) - theirs[drawn]).mean(axis=1)
    assert paired_interval(torch.from_numpy(ours), torch.from_numpy(theirs)) == pytest.approx(
        np.percentile(means, (2.5, 97.5)), abs=0.01)


def test_two_that_are_always_alike_differ_by_nothing():
    same = torch.tensor([True, False, True])
    assert paired_interval(same, same) == (0.0, 0.0)


def answers(**classes):
    """Return answers of best and second-best classes, by variant."""
    variants = {'unpruned': UNPRUNED, 'ltp': LTP, 'mixed': MIXED}
    found = Answers([variants[name] for name in classes])
    found.add({variants[name]: torch.tensor(best) for name, best in classes.items()})
    return found


GIVEN = answers(unpruned=[[0, 1], [1, 0], [2, 0], [3, 0]], ltp=[[0, 1], [0, 1], [2, 0], [0, 1]],
                mixed=[[0, 2], [1, 0], [2, 1], [0, 1]])
LABELS = torch.tensor([0, 1, 0, 3])


def test_a_row_counts_what_is_right_and_what_agrees():
    row = accuracy_row(GIVEN, MIXED, LTP, LABELS)
    assert (row['n'], row['top1'], row['top5'], row['agreement']) == (4, 50.0, 50.0, 75.0)
    assert (row['top1_low'], row['top1_high']) == tuple(100 * b for b in wilson_interval(2, 4))
    assert row['diff'] == -25.0
    assert (row['top1_gain'], row['agreement_gain']) == (25.0, 25.0)
    assert row['agreement_gain_low'] <= 25.0 <= row['agreement_gain_high']


def test_top5_counts_hits_among_the_first_five():
    ranks = torch.arange(6).expand(4, 6)
    found = Answers([UNPRUNED])
    found.add({UNPRUNED: ranks})
    row = accuracy_row(found, UNPRUNED, None, torch.tensor([0, 4, 5, 0]))
    assert (row['top1'], row['top5'], row['agreement'], row['diff']) == (50.0, 75.0, 100.0, 0.0)


def test_a_row_with_zoom_is_compared_with_the_unpruned_model_with_zoom_and_itself_without():
    zoomed, unpruned = (dataclasses.replace(variant, zoom=True) for variant in (MIXED, UNPRUNED))
    answers = Answers([UNPRUNED, unpruned, MIXED, zoomed])
    answers.add({UNPRUNED: torch.tensor([[0], [1], [2], [3]]), unpruned: torch.tensor(
        [[0], [1], [0], [2]]), MIXED: torch.tensor([[4], [4], [4], [3]]), zoomed: torch.tensor(
            [[0], [1], [0], [4]])})
    row = accuracy_row(answers, zoomed, None, LABELS)
    assert (row['agreement'], row['diff'], row['zoom_gain']) == (75.0, 0.0, 50.0)
    assert row['zoom_gain_low'] <= 50.0 <= row['zoom_gain_high']
    assert accuracy_row(answers, MIXED, None, LABELS)['zoom_gain'] is None


def test_without_labels_only_the_agreement_is_known():
    row = accuracy_row(GIVEN, MIXED, LTP, None)
    assert row['agreement'] == 75.0
    assert {key for key, value in row.items() if value is None} == {
        f'{name}{end}' for name in ('top1', 'top5', 'diff', 'top1_gain', 'zoom_gain')
        for end in ('', '_low', '_high')}


def test_ltp_is_compared_with_at_the_same_keep_ratio_and_never_with_itself():
    others = [UNPRUNED, LTP, MIXED, Variant('mixed', 0.3)]
    assert ltp_beside(MIXED, others) == LTP
    assert ltp_beside(LTP, others) is None
    assert ltp_beside(others[-1], others) is None
