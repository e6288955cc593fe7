# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The smallest box that holds the detail of a picture."""
from typing import List, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np

from ltp_ros.region import Region
from ltp_ros.zoom.detail import CELLS, Frame

SHARE = 0.9    # of the detail that a box holds
MARGIN = 0.03  # about the cells that hold it, on each side, in shares of the largest box
LEAST = 0.4    # side of the smallest box, in shares of the largest
MOST = 0.95    # a box that is not smaller says that the detail is spread over the picture
FEWEST_CELLS, LARGEST_CELLS = 3, int((MOST - 2 * MARGIN) * CELLS)  # a side that is looked for
WEAK = 0.1     # of the strongest cell; what is weaker does not tie two regions together
APART = np.ones((2, 2), np.uint8)  # one calm cell between two does not part them
SPECK = 0.05   # of all detail; what has less is no region


class Box(NamedTuple):
    """A box by its centre and its side, in shares of the largest box: x and y from the corner."""

    y: float
    x: float
    side: float

    def within(self, rows: float, columns: float) -> 'Box':
        """Return it moved so that it lies in a picture of this extent."""
        return Box(_inside(self.y, self.side, rows), _inside(self.x, self.side, columns),
                   self.side)


def _inside(centre: float, side: float, extent: float) -> float:
    half = min(side, extent) / 2
    return min(max(centre, half), extent - half)


def find(detail: np.ndarray, least: float = LEAST) -> Optional[Box]:
    """Return the smallest box that holds SHARE of the detail; None if it would be about as large.

    None as well where there is no detail.

    Args:
        detail: (rows, columns), of `detail_of`, or in any other unit.
        least: side of the smallest box.
    """
    total = float(detail.sum())
    if total <= 0 or least >= MOST:
        return None
    needed, table = SHARE * total, cv2.integral(detail, sdepth=cv2.CV_64F)
    if _held(table, LARGEST_CELLS).max() < needed:
        return None
    enough, too_few = LARGEST_CELLS, FEWEST_CELLS - 1
    while enough - too_few > 1:  # a larger window holds no less
        side = (enough + too_few) // 2
        if _held(table, side).max() >= needed:
            enough = side
        else:
            too_few = side
    half = np.minimum(enough, detail.shape) / 2
    box_side = max(enough / CELLS + 2 * MARGIN, least)
    places = np.argwhere(_held(table, enough) >= needed)
    middle = places.mean(axis=0)  # the first would lean to one corner
    nearest = places[np.square(places - middle).sum(axis=1).argmin()]
    boxes = [Box(float(y), float(x), box_side)
             for y, x in ((middle + half) / CELLS, (nearest + half) / CELLS)]
    return next((box for box in boxes if share_in(detail, box) >= SHARE), boxes[-1])


def _held(table: np.ndarray, side: int) -> np.ndarray:
    """Return what a window of `side` cells holds at each place, from the detail's integral."""
    high, wide = (min(side, length - 1) for length in table.shape)
    return (table[high:, wide:] - table[:-high, wide:] - table[high:, :-wide]
            + table[:-high, :-wide])


def share_in(detail: np.ndarray, box: Box) -> float:
    """Return which share of the detail (rows, columns) lies in a box, 0..1."""
    rows, columns = (_covered(centre, box.side, extent)
                     for centre, extent in zip(box[:2], detail.shape))
    total = float(detail.sum())
    return float(rows @ detail @ columns) / total if total else 0.0


def _covered(centre: float, side: float, extent: int) -> np.ndarray:
    """Return of each cell in a row which share lies in a box, (extent,)."""
    first, end = CELLS * (centre - side / 2), CELLS * (centre + side / 2)
    cells = np.arange(extent)
    return np.clip(np.minimum(cells + 1, end) - np.maximum(cells, first), 0.0, 1.0)


def separate(detail: np.ndarray, most: int, least: float = LEAST) -> List[Box]:
    """Return a box for each of the strongest regions that lie apart, the largest first.

    Args:
        detail: (rows, columns), of `detail_of`.
        most: how many at most.
        least: side of the smallest box.
    """
    strongest = float(detail.max())
    if strongest <= 0:
        return []
    grown = cv2.dilate((detail >= WEAK * strongest).astype(np.uint8), APART)
    count, labels = cv2.connectedComponents(grown)
    parts = [np.where(labels == label, detail, 0.0).astype(np.float32)
             for label in range(1, count)]
    parts = sorted((part for part in parts if part.sum() >= SPECK * detail.sum()),
                   key=lambda part: -float(part.sum()))[:most]
    boxes = [box for box in (find(part, least) for part in parts) if box]
    return sorted(boxes, key=lambda box: -box.side)


def in_pixels(box: Box, shape: Sequence[int], frame: Frame) -> Region:
    """Return a box as whole pixels of a picture (H, W, ...), inside of it."""
    (top, height), (left, width) = (
        _pixels(centre * unit, box.side * unit, extent)
        for centre, unit, extent in zip(box[:2], frame, shape))
    return Region(top, left, height, width)


def _pixels(centre: float, side: float, extent: int) -> Tuple[int, int]:
    size = max(1, min(round(side), extent))
    return min(max(round(centre - size / 2), 0), extent - size), size
