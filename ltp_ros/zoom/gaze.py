# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`Zoom`: where a model looks in pictures. `Gaze`: the same, steady over those of one camera."""
import math
from typing import List, Optional, Tuple

import numpy as np

from ltp_ros.model.data_config import DataConfig
from ltp_ros.region import Region
from ltp_ros.zoom.box import LEAST, MOST, Box, find, in_pixels, separate, share_in
from ltp_ros.zoom.detail import CELLS, Frame, detail_of, largest_box

SPEED = 0.02      # of an edge, a picture, in shares of the largest box, beside what the scene moves
HELD = 0.85       # share of the detail with which a box may stay
LOOSE = 3.5 / CELLS  # a box that is larger than need be by this may not
CHANGED = 0.3     # share of the detail that lies where it did; below, the scene is another
PATIENCE = 3      # pictures in a row that want another box before it moves
STEPS = 50        # sides of boxes in the largest: each costs the weights of a resize


class Zoom:
    """Finds where a model is to look; each picture for itself.

    A box is never smaller in the camera's pixels than the model's input: there is nothing finer to
    be seen.

    Args:
        config: the input that the model expects.
    """

    def __init__(self, config: DataConfig):
        self._config = config

    def frame(self, shape: Tuple[int, ...]) -> Frame:
        """Return what boxes in a picture (H, W, ...) are measured in."""
        return largest_box(shape, self._config.input_size, self._config.crop_mode == 'squash')

    def least(self, frame: Frame) -> float:
        """Return the side of the smallest box."""
        return max(LEAST, *(pixels / unit for pixels, unit in zip(
            self._config.input_size, frame)))

    def box(self, rgb: np.ndarray) -> Optional[Region]:
        """Return where the model is to look in a picture (H, W, 3) uint8; None: as without zoom."""
        frame = self.frame(rgb.shape)
        least = self.least(frame)
        box = find(detail_of(rgb, frame), least) if least < MOST else None
        return box and in_pixels(box, rgb.shape, frame)

    def boxes(self, rgb: np.ndarray, most: int) -> List[Region]:
        """Return up to `most` boxes for regions that lie apart, the largest first."""
        frame = self.frame(rgb.shape)
        least = self.least(frame)
        return [in_pixels(box, rgb.shape, frame)
                for box in separate(detail_of(rgb, frame), most, least)] if least < MOST else []


class Gaze:
    """Where the model looks in the pictures of one camera, one after the other.

    The box stays where it is while it holds the detail well. Else it follows, no faster than the
    detail moves and `SPEED`; where the scene has changed, it jumps.

    Args:
        zoom: of the model.
    """

    def __init__(self, zoom: Zoom):
        self._zoom = zoom
        self._shape: Tuple[int, ...] = ()
        self._box: Optional[Box] = None
        self._before: Optional[np.ndarray] = None  # the detail of the picture before
        self._centre = (0.0, 0.0)  # of it
        self._restless = 0  # pictures in a row in which the box did not do

    def follow(self, rgb: np.ndarray) -> Optional[Region]:
        """Return where to look in the next picture (H, W, 3) uint8; None: as without zoom."""
        frame = self._zoom.frame(rgb.shape)
        least = self._zoom.least(frame)
        if least >= MOST:
            return None
        detail = detail_of(rgb, frame)
        extent = rgb.shape[0] / frame.height, rgb.shape[1] / frame.width
        wanted = find(detail, least)
        centre = _centre(detail)
        if self._before is None or rgb.shape != self._shape or _is_another(self._before, detail):
            self._box, self._restless = wanted, 0
        else:
            moved = max(abs(now - then) for now, then in zip(centre, self._centre))
            self._move(detail, wanted, moved, extent)
        self._shape, self._before, self._centre = rgb.shape, detail, centre
        return self._box and in_pixels(_quantised(self._box, extent), rgb.shape, frame)

    def _move(self, detail: np.ndarray, wanted: Optional[Box], moved: float,
              extent: Tuple[float, float]) -> None:
        box = self._box
        if (wanted is None and box is None) or (box and wanted and _does(box, wanted, detail)):
            self._restless = 0
            return
        self._restless += 1
        if self._restless < PATIENCE and moved < SPEED:
            return
        whole = Box(extent[0] / 2, extent[1] / 2, 1.0)
        near = _towards(box or whole, wanted or whole, moved).within(*extent)
        self._box = None if wanted is None and near.side >= MOST else near


def _does(box: Box, wanted: Box, detail: np.ndarray) -> bool:
    return box.side <= wanted.side + LOOSE and share_in(detail, box) >= HELD


def _towards(box: Box, wanted: Box, moved: float) -> Box:
    """Return a box on the way: no edge goes further than SPEED, and what the scene has moved."""
    y, x = (now + _clipped(then - now, moved + SPEED / 2)
            for now, then in zip(box[:2], wanted[:2]))
    return Box(y, x, box.side + _clipped(wanted.side - box.side, SPEED))


def _clipped(value: float, most: float) -> float:
    return min(max(value, -most), most)


def _quantised(box: Box, extent: Tuple[float, float]) -> Box:
    side = math.ceil(box.side * STEPS - 1e-6) / STEPS  # not below the least
    return box._replace(side=side).within(*extent)


def _centre(detail: np.ndarray) -> Tuple[float, float]:
    """Return the centre of the detail, y and x in shares of the largest box."""
    total = max(float(detail.sum()), 1e-9)
    rows, columns = (float(detail.sum(axis=1 - axis) @ (np.arange(extent) + 0.5)) / total / CELLS
                     for axis, extent in enumerate(detail.shape))
    return rows, columns


def _is_another(before: np.ndarray, now: np.ndarray) -> bool:
    """Return whether the detail lies elsewhere than in the picture before."""
    totals = float(before.sum()), float(now.sum())
    if not all(totals):
        return any(totals)
    return float(np.minimum(before / totals[0], now / totals[1]).sum()) < CHANGED
