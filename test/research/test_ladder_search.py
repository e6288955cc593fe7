# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The search of a ladder with candidates that are made up: who goes, who stays, what is said."""
import dataclasses
import math

import numpy as np
import pytest

from ltp_ros.backends.summary import LevelSize, ModelSummary
from ltp_ros.model.data_config import DataConfig
from ltp_ros.research.ladder_search import halving, space
from ltp_ros.research.ladder_search.folds import taught_hits
from ltp_ros.research.ladder_search.front import front, named, works_of
from ltp_ros.research.ladder_search.halving import Trial
from ltp_ros.research.ladder_search.intervals import gain_interval, worth_of
from ltp_ros.research.ladder_search.words import (
    PHRASES,
    Scored,
    advice,
    described,
    family,
    key_of,
)
from ltp_ros.research.ladder_search.zoomed import gain_of, pairs_of
from ltp_ros.tuner.ladder_file import Level, Worth


def hits(right, n):
    """Return `right` hits of n, the first ones: of two such, one is right where the other is."""
    return np.arange(n) < right


def trial(time_ms, right, n=256):
    return Trial(time_ms, hits(right, n))


def survivors(trials, needed=('reference',), room=100):
    return halving.survivors(trials, needed, room)


def test_one_that_is_slower_and_worse_beyond_the_interval_is_dropped():
    assert survivors({'reference': trial(10.0, 200), 'worse': trial(11.0, 150)}) == ['reference']


def test_one_that_is_slower_and_worse_within_the_interval_is_not():
    found = survivors({'reference': trial(10.0, 14, 16), 'unlucky': trial(11.0, 12, 16)})
    assert found == ['reference', 'unlucky']


def test_one_that_is_as_good_and_clearly_slower_is_dropped():
    assert survivors({'fast': trial(5.0, 200), 'slow': trial(9.0, 200),
                      'reference': trial(10.0, 201)}) == ['fast', 'reference']


def test_on_few_pictures_nobody_is_as_good():
    assert 'slow' in survivors({'fast': trial(5.0, 16, 16), 'slow': trial(9.0, 16, 16),
                                'reference': trial(10.0, 16, 16)})


def test_one_that_is_hardly_slower_and_as_good_stays():
    assert 'near' in survivors({'reference': trial(10.0, 200), 'near': trial(10.4, 200)})


def test_the_unpruned_model_stays_however_bad():
    assert survivors({'reference': trial(10.0, 1), 'better': trial(1.0, 250)}
                     ) == ['better', 'reference']


def test_a_chain_of_as_good_ones_does_not_end_far_below_its_beginning():
    """Each is a point below the next: beside the fastest, the third is clearly better."""
    trials = {'reference': trial(30.0, 900, 1000), 'first': trial(9.0, 900, 1000),
              'second': trial(7.0, 891, 1000), 'third': trial(5.0, 882, 1000)}
    found = survivors(trials)
    assert found[0] == 'third'
    assert 'first' in found


def test_where_there_is_no_room_those_furthest_behind_go():
    trials = {f'{right}': trial(10.0, right) for right in (200, 196, 198, 199)}
    assert survivors(trials, (), 2) == ['200', '199']
    assert survivors(trials, ('196',), 1) == ['200', '196']


def test_rounds_double_until_all_have_been_asked():
    assert halving.rounds_of(250) == [16, 32, 64, 128, 250]
    assert halving.rounds_of(160) == [16, 32, 64, 160]
    assert halving.rounds_of(7) == [7]
    assert halving.rounds_of(600, first=60) == [60, 120, 240, 600]


def test_of_the_ways_to_run_a_model_those_stay_that_are_better_than_every_faster_one():
    trials = {'int8': trial(5.0, 180), 'bfloat16': trial(7.0, 183), 'float32': trial(10.0, 220),
              'slow': trial(12.0, 221)}
    assert halving.worth_their_time(trials) == ['int8', 'float32']


def test_ways_that_are_nearly_as_fast_as_the_fastest_may_be_faster_elsewhere():
    trials = {name: Trial(time_ms, hits(60, 100)) for name, time_ms in (
        ('bfloat16', 10.0), ('int8', 10.8), ('other', 10.9), ('onnx', 11.5), ('float32', 30.0))}
    assert halving.worth_their_time(trials) == ['bfloat16', 'int8']
    trials['int8'] = Trial(10.8, hits(20, 100))  # but surely worse
    assert halving.worth_their_time(trials) == ['bfloat16', 'other']


@pytest.mark.parametrize('n', [16, 100, 400])
def test_equal_answers_are_the_surer_equal_the_more_there_are(n):
    low, high = gain_interval(hits(n, n), hits(n, n), 0.95)
    assert low == -high
    assert high == pytest.approx(1.96 / (n + 2), rel=1e-3)


def test_the_interval_holds_the_difference_as_often_as_it_says():
    """Of 500 samples of 64 pictures, with a true gain of 0.1, a tenth are to miss it."""
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(500):
        kinds = rng.choice(3, 64, p=[0.2, 0.1, 0.7])
        low, high = gain_interval(kinds == 0, kinds == 1, 0.9)
        inside += low <= 0.1 <= high
    assert 0.86 < inside / 500 < 0.96


def test_a_score_comes_with_wilsons_interval():
    assert worth_of(hits(90, 100)) == Worth(90.0, 82.6, 94.5)
    assert worth_of(hits(4, 4)).high == 100.0


OWN = Level(1.0, model='deit', method='ltp', input_size=(224, 224), precision='float32',
            backend='onnx', zoom=False)


def level(p50_ms, score, **more):
    return dataclasses.replace(OWN, p50_ms=p50_ms, p99_ms=2 * p50_ms,
                               worth=Worth(score, score - 3.0, min(100.0, score + 3.0)), **more)


def times(levels):
    return [each.p50_ms for each in levels]


def test_the_front_holds_what_nothing_beats():
    assert times(front([level(10.0, 80.0), level(8.0, 79.0), level(9.0, 78.0), level(5.0, 60.0),
                        level(12.0, 79.9)])) == [10.0, 8.0, 5.0]


def test_levels_of_one_time_are_one_and_that_the_better():
    assert times(front([level(10.0, 80.0), level(9.9, 78.0), level(5.0, 60.0)])) == [10.0, 5.0]
    assert times(front([level(10.0, 80.0), level(9.7, 78.0)])) == [10.0, 9.7]


def test_what_is_hardly_better_is_not_worth_more_time():
    assert times(front([level(10.0, 80.0), level(8.0, 79.6), level(6.0, 79.2)])) == [8.0, 6.0]
    assert times(front([level(10.0, 80.0), level(8.0, 79.5)])) == [10.0, 8.0]


def test_a_level_alone_is_a_front():
    assert times(front([level(10.0, 0.0)])) == [10.0]


@pytest.mark.parametrize('times_ms, works', [
    ((10.0, 7.333, 5.0), (1.0, 0.733, 0.5)), ((10.0, 9.9999, 9.9998), (1.0, 0.999, 0.998)),
    ((1000.0, 0.02, 0.01), (1.0, 0.002, 0.001)), ((3.0,), (1.0,))])
def test_works_are_shares_of_the_dearest_and_distinct(times_ms, works):
    assert works_of(times_ms) == works


def test_a_ladder_has_its_works_the_dearest_first():
    found = named([level(5.0, 60.0), level(10.0, 80.0)])
    assert [each.work for each in found] == [1.0, 0.5]


def summary(sides=(224, 224), step=(16, 16), patch_sizes=(), grid=None):
    grid = grid or (sides[0] // 16, sides[1] // 16)
    return ModelSummary('deit', 'ab', ('a', 'b'), DataConfig(sides, (0.5,) * 3, (0.5,) * 3),
                        grid[0] * grid[1], grid, {1.0: LevelSize(196, 196, ())}, step,
                        patch_sizes)


def tried(wanted=None, method='ltp', **more):
    found = summary(**more)
    return space.levels_of(found, space.base_of(found, 'deit', '', method),
                           wanted or space.Wanted(zooms=(False,)))


def test_the_first_that_is_tried_is_the_unpruned_model():
    first = tried()[0]
    assert (first.keep_ratio, first.input_size, first.method) == (1.0, (224, 224), 'ltp')


def test_larger_inputs_are_tried_with_about_as_many_tokens_at_most():
    larger = [each for each in tried() if each.input_size[0] > 224]
    assert {each.input_size for each in larger} == {(320, 320), (448, 448)}
    for each in larger:
        tokens = each.keep_ratio * each.input_size[0] ** 2 / 224 ** 2
        assert each.keep_ratio < 1.0 and tokens <= 1.3


def test_quads_are_merged_on_even_grids_alone():
    for found in (tried(), tried(sides=(208, 208)), tried(space.Wanted(aspect=1.5))):
        merged = [each.input_size for each in found if each.method == 'mixed']
        assert merged and all(side % 32 == 0 for sides in merged for side in sides)


def test_wide_pictures_have_inputs_of_their_shape_tried():
    shapes = {each.input_size for each in tried(space.Wanted(aspect=16 / 9, zooms=(False,)))}
    wide = [sides for sides in shapes if sides[1] > sides[0]]
    assert wide
    for high, across in wide:
        assert abs(across / high / (16 / 9) - 1) < 0.2
        assert high * across <= 1.2 * 224 ** 2
    assert not [sides for sides in (each.input_size for each in tried()) if sides[0] != sides[1]]


def test_upright_pictures_have_too():
    assert any(each.input_size[0] > each.input_size[1]
               for each in tried(space.Wanted(aspect=9 / 16)))


def test_a_model_whose_tokens_cannot_be_reduced_has_sizes_alone():
    found = tried(method='resize', grid=(7, 7))
    assert {each.keep_ratio for each in found} == {1.0}
    assert len({each.input_size for each in found}) > 3


def test_a_model_of_one_size_has_one_level_of_a_method_that_keeps_all():
    assert len(tried(method='resize', step=(0, 0))) == 1


def test_a_flexivit_has_larger_patches_tried():
    found = tried(patch_sizes=(32, 28, 16, 14), grid=(14, 14))
    assert {each.patch_size for each in found if each.input_size == (224, 224)} >= {0, 28, 32}


def test_what_the_user_names_is_tried_and_no_more():
    found = tried(space.Wanted(('resize', 'ltp'), (160,), (0.6,), (False,)))
    assert {(each.input_size[0], each.method, each.keep_ratio) for each in found} == {
        (224, 'ltp', 1.0), (224, 'ltp', 0.6), (160, 'ltp', 1.0), (160, 'ltp', 0.6)}


def test_the_zoom_is_tried_beside_each_level():
    found = tried(space.Wanted())
    assert [each.zoom for each in found] == [False, True] * (len(found) // 2)


@pytest.mark.parametrize('more, expected', [
    ({}, ''), ({'input_size': (160, 160)}, 'smaller'), ({'zoom': True}, 'zoomed'),
    ({'keep_ratio': 0.5}, 'dropped'), ({'keep_ratio': 0.5, 'method': 'mixed'}, 'merged'),
    ({'input_size': (320, 320), 'keep_ratio': 0.49}, 'closer'),
    ({'input_size': (160, 288)}, 'shaped')])
def test_each_level_has_a_family_that_something_can_be_said_of(more, expected):
    found = family(dataclasses.replace(OWN, **more), OWN)
    assert found == expected
    assert not found or found in PHRASES


def test_levels_are_described_by_what_differs():
    assert described(OWN, OWN) == 'unpruned'
    assert described(dataclasses.replace(OWN, input_size=(320, 320), keep_ratio=0.49, zoom=True),
                     OWN) == 'ltp 0.49 at 320 px, zoomed'
    assert described(dataclasses.replace(OWN, input_size=(160, 288)), OWN) == (
        'unpruned at 288x160 px')


def scored(p50_ms, right, n=400, **more):
    return Scored(level(p50_ms, 100.0 * right / n, **more), hits(right, n))


def said(*others, whole=None):
    whole = whole or scored(10.0, 300)
    finalists = [whole, *others]
    return advice(front([each.level for each in finalists]), finalists, whole.level)


def test_a_closer_look_that_is_better_in_no_more_time_is_advised():
    assert said(scored(9.5, 360, input_size=(320, 320), keep_ratio=0.49)).startswith(
        PHRASES['closer'])


def test_a_smaller_input_that_is_surely_as_good_is_advised():
    assert said(scored(5.0, 299, input_size=(160, 160))).startswith(PHRASES['smaller'])


def test_what_is_dropped_and_not_missed_is_said():
    assert said(scored(5.0, 300, keep_ratio=0.5)).startswith(PHRASES['dropped'])


def test_where_nothing_is_sure_that_is_said():
    apart = Scored(level(5.0, 74.0, keep_ratio=0.5), np.roll(hits(296, 400), 40))
    assert said(apart).startswith('nothing is surely free here; more pictures may tell')
    assert 'bought with right answers' in said(scored(5.0, 200, keep_ratio=0.5))
    assert said().startswith('nothing here is both faster')


def test_levels_are_compared_with_the_unpruned_model_that_runs_alike():
    """In int8 it is faster by itself: that is not what the smaller input does."""
    alike = scored(5.1, 300, precision='int8')
    found = said(scored(4.0, 300, precision='int8', input_size=(160, 160)), alike)
    assert found.startswith(PHRASES['smaller']) and 'in 5.1 ms, onnx int8' in found


def test_whether_the_zoom_helps_is_said_by_levels_that_differ_in_it_alone():
    def said_of(right):
        return gain_of(pairs_of([plain, scored(10.0, right, zoom=True)]))

    plain = scored(10.0, 300)
    assert said_of(360).helps and 'it helps here' in said_of(360).sentence
    assert 'it harms here' in said_of(240).sentence
    assert 'no difference' in said_of(301).sentence and not said_of(300).helps
    assert pairs_of([plain, scored(5.0, 300, keep_ratio=0.5, zoom=True)]) == []


def test_the_gain_of_the_zoom_is_the_mean_over_the_levels():
    pairs = [(scored(10.0, 200), scored(10.0, 300)), (scored(5.0, 100), scored(5.0, 100))]
    found = gain_of(pairs)
    assert (found.before, found.after) == (37.5, 50.0)
    assert found.low < 12.5 < found.high


def test_what_was_measured_makes_no_other_level():
    assert key_of(level(10.0, 80.0)) == key_of(level(11.0, 70.0)) == key_of(OWN)
    assert hash(key_of(level(10.0, 80.0))) == hash(key_of(OWN))
    assert key_of(level(1.0, 1.0, zoom=True)) != key_of(OWN)
    assert math.isnan(key_of(OWN).p50_ms)


def test_taught_classes_are_asked_with_pictures_that_did_not_teach():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 16))
    truth = np.arange(60) % 3
    features = (centres[truth] + 0.1 * rng.normal(size=(60, 16))).astype(np.float32)
    assert taught_hits(features, truth).mean() > 0.95
    assert taught_hits(rng.normal(size=(300, 16)).astype(np.float32),
                       np.arange(300) % 3).mean() < 0.5  # chance is a third: nothing leaks
