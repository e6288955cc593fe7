# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A part of a picture; that which the parameter `roi` names."""
from typing import NamedTuple, Sequence, Tuple

from ltp_ros.config import in_shares


class RegionError(ValueError):
    """A region that does not lie inside an image."""


class Region(NamedTuple):
    """A rectangle of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> Tuple[slice, slice]:
        """The index of its pixels in an image (H, W, ...): a view, no copy."""
        return (slice(self.top, self.top + self.height),
                slice(self.left, self.left + self.width))

    def inside(self, height: int, width: int) -> bool:
        """Return whether it is part of an image of `height` x `width` pixels, and not empty."""
        return all(0 <= first < first + size <= side for first, size, side in zip(
            self[:2], self[2:], (height, width)))

    def check_inside(self, height: int, width: int) -> None:
        """Raise ValueError if it is not `inside`."""
        if not self.inside(height, width):
            raise ValueError(f'{self} does not lie inside an image of {width}x{height} pixels; '
                             'give one that does, of at least 1x1 pixels')

    def side_of(self, shape: Sequence[int]) -> float:
        """Return its shorter side as a share of that of the image (H, W, ...) it lies in."""
        return min(self.height, self.width) / min(shape[:2])

    def moved(self, region: 'Region') -> 'Region':
        """Return it in the image that it lies in a region of."""
        return self._replace(top=self.top + region.top, left=self.left + region.left)

    def scaled(self, before: Tuple[int, int], after: Tuple[int, int]) -> 'Region':
        """Return it in an image that was resized, from (H, W) to (H, W) pixels; never empty."""
        (top, bottom), (left, right) = (
            _ends(offset / old, size / old, new)
            for offset, size, old, new in zip(self[:2], self[2:], before, after))
        return Region(top, left, bottom - top, right - left)


NOTHING = Region(0, 0, 0, 0)


def region_of(roi: Sequence[float], height: int, width: int) -> Region:
    """Return the part of an image of `height` x `width` pixels that a roi names.

    Shares are rounded to whole pixels, at least one; they fit every image. A roi in pixels is not
    clipped: it was chosen on images of another size, and would show something else.

    Args:
        roi: as the parameter: x_offset, y_offset, width, height, in shares of the image or pixels.
        height: of the image, in pixels.
        width: of the image.

    Raises:
        RegionError: if it does not lie inside the image.
    """
    if in_shares(roi):
        (left, right), (top, bottom) = (_ends(offset, size, side) for offset, size, side in zip(
            roi[:2], roi[2:], (width, height)))
        return Region(top, left, bottom - top, right - left)
    left, top, region_width, region_height = map(int, roi)
    if left + region_width > width or top + region_height > height:
        raise RegionError(
            f'roi {[left, top, region_width, region_height]} does not lie inside an image of '
            f'{width}x{height} pixels. Give one that does, or for images of several sizes shares, '
            'such as [0.25, 0.0, 0.5, 1.0] for the middle half')
    return Region(top, left, region_height, region_width)


def pixels_of(box: Sequence[float], height: int, width: int) -> Region:
    """Return the whole pixels of an image of `height` x `width` that lie in a box, at least one.

    Args:
        box: top, left, height, width in pixels; it may reach beyond the image.
        height: of the image.
        width: of the image.
    """
    (top, bottom), (left, right) = (
        _ends(max(first, 0.0) / side, (min(first + size, side) - max(first, 0.0)) / side, side)
        for first, size, side in zip(box, box[2:], (height, width)))
    return Region(top, left, bottom - top, right - left)


def _ends(offset: float, size: float, side: int) -> Tuple[int, int]:
    first = min(round(offset * side), side - 1)
    return first, max(min(round((offset + size) * side), side), first + 1)
