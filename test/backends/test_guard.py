# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The guard: what is as sure of the same classes passes, whatever else is told apart."""
import numpy as np
import pytest

from ltp_ros.backends.guard import MAX_DIVERGENCE, MAX_LOSS, Check, check, disordered
from ltp_ros.backends.protocol import BackendAnswer

CLASSES = 7
PICTURES = [np.random.default_rng(seed).integers(0, 256, (40, 56, 3), np.uint8)
            for seed in range(9)]
for index, picture in enumerate(PICTURES):  # a bright field, which disorder tears apart
    picture[:20, :28] = 255 - index


def backend(sharpness=1.0, noise=0.0, flat=False):
    """Return a backend that is the surer the brighter the first quarter of the picture."""
    def run(rgb, keep_ratio, top_k):
        assert keep_ratio == 1.0
        rng = np.random.default_rng(int(rgb.sum()))
        logits = noise * rng.standard_normal(CLASSES)
        logits[int(rgb[0, 0, 0]) % CLASSES] += (
            6.0 if flat else sharpness * rgb[:20, :28].mean() / 40)
        odds = np.exp(logits - logits.max())
        order = np.argsort(-odds, kind='stable')[:top_k]
        return BackendAnswer((odds / odds.sum())[order], order, np.arange(4), np.zeros(1))
    return run


def test_the_same_answers_diverge_by_nothing():
    found = check(backend(), backend(), PICTURES, CLASSES)
    assert found.pictures == 9 and found.divergence == pytest.approx(0, abs=1e-12)
    assert found.agreement == 1.0 and found.apart == found.apart_before > 0.9
    assert found.fault == ''


def test_other_answers_are_refused_with_both_numbers():
    found = check(backend(), backend(noise=5.0), PICTURES, CLASSES)
    assert found.divergence > MAX_DIVERGENCE and found.agreement < 1
    assert f'{found.divergence:.4f} bits, and {MAX_DIVERGENCE} are allowed' in found.fault


def test_the_same_classes_are_refused_where_the_unknown_is_as_sure():
    found = check(backend(), backend(flat=True), PICTURES, CLASSES)
    assert found.agreement == 1.0
    assert found.apart == pytest.approx(0.5, abs=0.2)
    assert check(backend(), backend(flat=True), PICTURES, CLASSES)._replace(
        divergence=0.0).fault.startswith('it tells ')


@pytest.mark.parametrize(('change', 'allowed'), [
    ({}, True), ({'divergence': MAX_DIVERGENCE}, True), ({'divergence': float('nan')}, False),
    ({'divergence': MAX_DIVERGENCE * 1.01}, False), ({'apart': 0.9 - MAX_LOSS}, True),
    ({'apart': 0.9 - MAX_LOSS - 0.001}, False), ({'apart': float('nan')}, False)])
def test_the_bounds_are_those_that_are_told(change, allowed):
    assert (Check(9, 0.0, 1.0, 0.9, 0.9)._replace(**change).fault == '') == allowed


def test_disorder_keeps_every_part_once_and_the_order_by_its_seed():
    picture = np.arange(16 * 24 * 3, dtype=np.uint8).reshape(16, 24, 3)
    first = disordered(picture, 1)
    assert first.shape == picture.shape and not np.array_equal(first, picture)
    assert np.array_equal(np.sort(first, axis=None), np.sort(picture, axis=None))
    assert np.array_equal(first, disordered(picture, 1))
    assert not np.array_equal(first, disordered(picture, 2))


@pytest.mark.parametrize('shape', [(1, 1, 3), (3, 50, 3), (17, 9, 3)])
def test_a_picture_of_any_size_can_be_put_in_disorder(shape):
    assert disordered(np.zeros(shape, np.uint8), 0).size > 0
