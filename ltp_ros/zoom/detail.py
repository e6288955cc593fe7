# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Where a picture has detail.

The measure is the size of the Laplacian, cell by cell, of a small grey copy. It needs no model,
and sees past a blurred ground, which contrast does not. Against LTP-ViT's own redundancy score
(eq. 2) and others: docs/zoom.md.
"""
from typing import NamedTuple, Sequence, Tuple

import cv2
import numpy as np

CELLS = 14  # a side of the largest box: as a model of 16-pixel patches sees 224 pixels
CELL = 16   # pixels of the small copy that a cell has
FAINT = 2.0  # grey levels; what is fainter is noise, or the steps of a gradient
FIRM = 20.0  # of all cells together; a picture with less has nothing to look at


class Frame(NamedTuple):
    """The largest box that a picture holds, in pixels: what all boxes are measured in."""

    height: float
    width: float


def largest_box(shape: Sequence[int], input_size: Tuple[int, int], squash: bool) -> Frame:
    """Return the largest box of the model's shape in a picture; with `squash` all of it.

    Args:
        shape: of the picture, (H, W, ...).
        input_size: height and width of the model's input.
        squash: whether pictures are squeezed into the model's shape.
    """
    height, width = shape[:2]
    if squash:
        return Frame(height, width)
    scale = min(height / input_size[0], width / input_size[1])
    return Frame(scale * input_size[0], scale * input_size[1])


def cells_of(shape: Sequence[int], frame: Frame) -> Tuple[int, int]:
    """Return how many rows and columns of cells a picture (H, W, ...) has."""
    rows, columns = (max(1, round(CELLS * side / unit)) for side, unit in zip(shape, frame))
    return rows, columns


def detail_of(rgb: np.ndarray, frame: Frame) -> np.ndarray:
    """Return how much detail stands out in each cell, (rows, columns) float32.

    That is the root mean square of the Laplacian in grey levels, less that of the median cell:
    0 where a cell is as calm as half of them.

    Args:
        rgb: (H, W, 3) uint8.
        frame: what `CELLS` x `CELLS` cells cover.
    """
    height, width = rgb.shape[:2]
    rows, columns = cells_of(rgb.shape, frame)
    shape = (columns * CELL, rows * CELL)
    # At least two pixels for one of the copy: a camera of 4K is not read whole
    step = max(1, min(width // (2 * shape[0]), height // (2 * shape[1])))
    to_grey = cv2.COLOR_RGB2GRAY
    if rgb.strides[2] < 0:  # a camera's BGR, seen backwards: as it lies it needs no slow copy
        rgb, to_grey = rgb[..., ::-1], cv2.COLOR_BGR2GRAY
    grey = cv2.cvtColor(np.ascontiguousarray(rgb[::step, ::step]), to_grey)
    # By a whole number first: OpenCV is ten times as fast at that, and the rest is little
    times = max(1, min(grey.shape[1] // shape[0], grey.shape[0] // shape[1]))
    fewer = cv2.resize(grey, (grey.shape[1] // times, grey.shape[0] // times),
                       interpolation=cv2.INTER_AREA)
    small = cv2.resize(fewer, shape, interpolation=cv2.INTER_LINEAR)
    edges = cv2.Laplacian(small, cv2.CV_32F)
    energy = cv2.resize(edges * edges, (columns, rows), interpolation=cv2.INTER_AREA)
    strength = np.sqrt(energy)
    return np.clip(strength - max(float(np.median(strength)), FAINT), 0.0, None)
