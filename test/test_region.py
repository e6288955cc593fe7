# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The part of an image that `roi` names, in shares or in pixels."""
import numpy as np
import pytest

from ltp_ros.parameter import ConfigError
from ltp_ros.region import Region, RegionError, region_of
from ltp_ros.settings import check


@pytest.mark.parametrize('roi, size, region', [
    ((0, 0, 1, 1), (480, 640), Region(0, 0, 480, 640)),
    ((0.25, 0, 0.5, 1), (480, 640), Region(0, 160, 480, 320)),
    ((0, 0.5, 1, 0.5), (481, 640), Region(240, 0, 241, 640)),
    ((0.1, 0.2, 0.3, 0.4), (100, 100), Region(20, 10, 40, 30)),
    ((0.7, 0.1, 0.3, 0.9), (100, 100), Region(10, 70, 90, 30)),  # 0.1 + 0.9 is not quite 1
    ((0.999, 0.999, 0.001, 0.001), (10, 10), Region(9, 9, 1, 1)),
    ((0, 0, 0.001, 1), (1, 1), Region(0, 0, 1, 1)),
    ((100, 20, 320, 240), (480, 640), Region(20, 100, 240, 320)),
    ((0, 0, 640, 480), (480, 640), Region(0, 0, 480, 640)),
    ((1, 1, 639, 479), (480, 640), Region(1, 1, 479, 639)),
])
def test_a_roi_names_whole_pixels_of_an_image(roi, size, region):
    assert region_of(check('roi', roi), *size) == region


@pytest.mark.parametrize('side', [1, 2, 3, 7, 480, 1079])
def test_shares_that_meet_at_an_edge_divide_an_image_without_a_gap_or_an_overlap(side):
    seen = np.zeros((side, side), int)
    for x in (0.0, 0.3):
        for y in (0.0, 0.6):
            roi = (x, y, 0.7 if x else 0.3, 0.4 if y else 0.6)
            seen[region_of(roi, side, side).slices] += 1
    assert seen.min() >= 1
    assert (seen == 1).all() or side == 1  # a region is never empty


@pytest.mark.parametrize('roi, size', [
    ((0, 0, 641, 480), (480, 640)), ((0, 0, 640, 481), (480, 640)),
    ((1, 0, 640, 480), (480, 640)), ((0, 470, 64, 64), (480, 640)),
    ((2000, 0, 64, 64), (480, 640)), ((0, 0, 480, 640), (480, 640))])
def test_a_roi_in_pixels_that_an_image_does_not_hold_is_refused_with_both_sizes(roi, size):
    with pytest.raises(RegionError) as refusal:
        region_of(check('roi', roi), *size)
    assert f'roi {list(roi)} does not lie inside an image of 640x480 pixels' in str(refusal.value)
    assert 'shares' in str(refusal.value)


@pytest.mark.parametrize('roi, reason', [
    ([0, 0, 0, 0], 'width and height must be above 0; [0, 0, 1, 1] is the whole image'),
    ([0, 0, 640, 0], 'width and height must be above 0'),
    ([0.5, 0, 0.6, 1], 'an offset and its size must not exceed 1 together'),
    ([1, 1, 1, 1], 'an offset and its size must not exceed 1 together'),
    ([0.5, 0, 640, 480], 'it mixes shares of the image with pixels'),
    ([100, 0, 0.5, 1], 'it mixes shares of the image with pixels'),
    ([0, 0, 640.5, 480], 'it mixes shares of the image with pixels'),
    ([0, 0, 1, 480], 'a width or height of 1 may be one pixel or the whole image'),
    ([0, 0, 640], 'it needs 4 items: x_offset, y_offset, width, height'),
    ([0, 0, 640, 480, 1], 'it needs 4 items'),
    ([0, -1, 640, 480], 'roi -1 is not allowed; it must be >= 0'),
    ([0, 0, float('nan'), 1], 'roi nan is not allowed'),
    ([0, 0, float('inf'), 2], 'roi inf is not allowed'),
    ([0, 0, 10 ** 400, 2], 'is not allowed'),
    ([0, 0, True, 1], 'roi True is a boolean'),
    ('0 0 1 1', 'is not a list'),
])
def test_a_roi_that_means_nothing_or_two_things_is_refused_with_the_reason(roi, reason):
    with pytest.raises(ConfigError) as refusal:
        check('roi', roi)
    assert reason in str(refusal.value)
    assert str(refusal.value).startswith('roi ')


def test_a_roi_keeps_its_order_and_numbers_that_come_twice():
    assert check('roi', [0, 0, 640, 480]) == (0.0, 0.0, 640.0, 480.0)
    assert check('roi', [0.1, 0.2, 0.3, 0.3]) == (0.1, 0.2, 0.3, 0.3)


def test_an_empty_roi_is_the_whole_image():
    assert check('roi', []) == (0.0, 0.0, 1.0, 1.0)


@pytest.mark.parametrize('region, before, after, expected', [
    (Region(0, 0, 480, 640), (480, 640), (240, 320), Region(0, 0, 240, 320)),
    (Region(20, 100, 240, 320), (480, 640), (240, 320), Region(10, 50, 120, 160)),
    (Region(719, 1279, 1, 1), (720, 1280), (360, 640), Region(359, 639, 1, 1)),
])
def test_a_region_is_found_again_in_a_resized_image(region, before, after, expected):
    assert region.scaled(before, after) == expected
