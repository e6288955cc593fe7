# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`Zoom`: where a model looks in pictures. `Gaze`: the same, steady over those of one camera."""
from typing import List, NamedTuple, Optional, Tuple

import numpy as np

from ltp_ros.model.data_config import DataConfig
from ltp_ros.region import Region
from ltp_ros.zoom.box import LEAST, MOST, Box, find, in_pixels, separate, share_in
from ltp_ros.zoom.detail import CELLS, FIRM, Frame, detail_of, largest_box

SPEED = 0.01      # of an edge, a picture, in shares of the largest box, beside the scene's own
OWN = 0.7         # of what the scene seems to move; less than all, as it may seem too much
HELD = 0.85       # share of the detail with which a box may stay
LOOSE = 3.5 / CELLS  # a box that is larger than need be by this may not
SMOOTHING = 0.2   # of the newest step in the velocity of the detail
CHANGED = 0.3     # share of the detail that lies where it did; below, the scene is another
LONGEST = 16.0    # extent of a picture that is looked at; longer is no camera's
PATIENCE = 3      # pictures in a row that want another box before it moves


class View(NamedTuple):
    """What boxes in pictures of a size are measured by."""

    frame: Frame
    least: float  # side of the smallest box
    extent: Tuple[float, float]  # of the picture, in shares of the largest box, 1 or more
    without: Box  # what the model sees where there is no box, about


class Zoom:
    """Finds where a model is to look; each picture for itself.

    A box is never smaller in the camera's pixels than the model's input: there is nothing finer to
    be seen.

    Args:
        config: the input that the model expects.
    """

    def __init__(self, config: DataConfig):
        self._config = config

    def view(self, shape: Tuple[int, ...]) -> Optional[View]:
        """Return how pictures (H, W, ...) are looked at; None: no box can be smaller than they."""
        config = self._config
        frame = largest_box(shape, config.input_size, config.crop_mode == 'squash')
        least = max(LEAST, *(pixels / unit for pixels, unit in zip(config.input_size, frame)))
        extent = shape[0] / frame.height, shape[1] / frame.width
        if least >= MOST or max(extent) > LONGEST:
            return None
        side = config.crop_pct * (max(extent) if config.crop_mode == 'border' else 1.0)
        return View(frame, least, extent, Box(extent[0] / 2, extent[1] / 2, max(side, least)))

    def box(self, rgb: np.ndarray) -> Optional[Region]:
        """Return where to look in a picture (H, W, 3) uint8; None: as without zoom."""
        view = self.view(rgb.shape)
        if view is None:
            return None
        box = _box_of(detail_of(rgb, view.frame), view)
        return box and in_pixels(box, rgb.shape, view.frame)

    def boxes(self, rgb: np.ndarray, most: int) -> List[Region]:
        """Return up to `most` boxes for regions that lie apart, the largest first."""
        view = self.view(rgb.shape)
        if view is None:
            return []
        detail = detail_of(rgb, view.frame)
        found = separate(detail, most, view.least) if detail.sum() >= FIRM else []
        return [in_pixels(box, rgb.shape, view.frame) for box in found]


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
        self._centre = self._velocity = np.zeros(2)  # of it; a picture, smoothed
        self._restless = 0  # pictures in a row in which the box did not do

    def follow(self, rgb: np.ndarray) -> Optional[Region]:
        """Return where to look in the next picture (H, W, 3) uint8; None: as without zoom."""
        view = self._zoom.view(rgb.shape)
        if view is None:
            return None
        detail = detail_of(rgb, view.frame)
        wanted = _box_of(detail, view)
        centre = _centre(detail)
        if self._before is None or rgb.shape != self._shape or _is_another(self._before, detail):
            self._box, self._restless, self._velocity = wanted, 0, np.zeros(2)
        else:
            step = centre - self._centre
            self._velocity = self._velocity + SMOOTHING * (step - self._velocity)
            # The less of the two: a cell more or less makes the centre jump
            moved = OWN * min(float(np.abs(each).max()) for each in (step, self._velocity))
            self._move(detail, wanted, moved, view)
        self._shape, self._before, self._centre = rgb.shape, detail, centre
        return self._box and in_pixels(self._box, rgb.shape, view.frame)

    def _move(self, detail: np.ndarray, wanted: Optional[Box], moved: float, view: View
              ) -> None:
        box = self._box
        if (wanted is None and box is None) or (box and wanted and _does(box, wanted, detail)):
            self._restless = 0
            return
        self._restless += 1
        if self._restless < PATIENCE and moved < SPEED:  # what is fast is soon out of the box
            return
        near = _towards(box or view.without, wanted or view.without, moved).within(*view.extent)
        self._box = None if wanted is None and near == view.without else near


def _box_of(detail: np.ndarray, view: View) -> Optional[Box]:
    return find(detail, view.least) if detail.sum() >= FIRM else None


def _does(box: Box, wanted: Box, detail: np.ndarray) -> bool:
    return box.side <= wanted.side + LOOSE and share_in(detail, box) >= HELD


def _towards(box: Box, wanted: Box, moved: float) -> Box:
    """Return a box on the way, none of whose edges goes further than SPEED and `moved`.

    All edges arrive together, so that what lies in both boxes is never outside.
    """
    way = max(abs(then - now) + abs(wanted.side - box.side) / 2
              for now, then in zip(box[:2], wanted[:2]))
    part = (moved + SPEED) / max(way, 1e-9)
    if part >= 1:
        return wanted
    return Box(*(now + part * (then - now) for now, then in zip(box, wanted)))


def _centre(detail: np.ndarray) -> np.ndarray:
    """Return the centre of the detail, (y, x) in shares of the largest box."""
    total = max(float(detail.sum()), 1e-9)
    return np.array([float(detail.sum(axis=1 - axis) @ (np.arange(extent) + 0.5))
                     for axis, extent in enumerate(detail.shape)]) / total / CELLS


def _is_another(before: np.ndarray, now: np.ndarray) -> bool:
    """Return whether the detail lies elsewhere than in the picture before."""
    totals = float(before.sum()), float(now.sum())
    if max(totals) < FIRM:  # where there is nothing, noise lies elsewhere each time
        return False
    if min(totals) < FIRM / 4:
        return True
    return float(np.minimum(before / totals[0], now / totals[1]).sum()) < CHANGED
