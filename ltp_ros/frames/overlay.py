# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Draw an answer on its image.

Dimmed: patches that the model did not see in full. Grey: outside the part that the model is given,
which the region, and the crop or the zoom, leave and whose frame is drawn.
"""
from typing import Optional, Tuple

import cv2
import numpy as np

from ltp_ros.frames.crops import Crops
from ltp_ros.model.data_config import DataConfig
from ltp_ros.prediction import Prediction
from ltp_ros.region import Region, pixels_of

MAX_WIDTH = 640  # pixels: the picture is for people, and publishing costs by the byte
DIMMED = 0.3
FRAME_COLOUR = (255, 255, 255)


def kept_mask(shape: Tuple[int, int], keep_indices: np.ndarray, grid_size: Tuple[int, int],
              data_config: DataConfig, region: Optional[Region] = None,
              box: Optional[Region] = None) -> np.ndarray:
    """Return (H, W) bool: the pixels of the patches that were kept, in an image of that shape.

    Args:
        shape: (H, W).
        keep_indices: of the patches, row by row over the grid.
        grid_size: rows and columns of the model's patches.
        data_config: how the model cuts its input out of the region.
        region: the part of the image that was classified; None: the whole.
        box: of the region, what the model saw; None: what the crop mode leaves.
    """
    kept = np.zeros(shape, bool)
    region = region or Region(0, 0, *shape)
    kept[region.slices] = _kept_mask(region[2:], keep_indices, grid_size,
                                     data_config.crop_box(region.height, region.width, box))
    return kept


def _kept_mask(shape: Tuple[int, int], keep_indices: np.ndarray, grid_size: Tuple[int, int],
               seen: Tuple[float, float, float, float]) -> np.ndarray:
    (height, width), (top, left, crop_height, crop_width) = shape, seen
    kept = np.zeros(grid_size, bool)
    kept.reshape(-1)[keep_indices] = True
    rows = np.floor((np.arange(height) + 0.5 - top) / crop_height * grid_size[0]).astype(int)
    columns = np.floor((np.arange(width) + 0.5 - left) / crop_width * grid_size[1]).astype(int)
    inside = np.logical_and.outer((rows >= 0) & (rows < grid_size[0]),
                                  (columns >= 0) & (columns < grid_size[1]))
    return inside & kept[rows.clip(0, grid_size[0] - 1)[:, None],
                         columns.clip(0, grid_size[1] - 1)[None]]


def draw(rgb: np.ndarray, prediction: Prediction, region: Optional[Region] = None) -> np.ndarray:
    """Return a new (H, W, 3) uint8 RGB picture, at most `MAX_WIDTH` wide.

    Args:
        rgb: the image, (H, W, 3) uint8.
        prediction: its answer.
        region: the part of the image that was classified; None: the whole.
    """
    data_config = prediction.data_config
    region, box = region or Region(0, 0, *rgb.shape[:2]), prediction.box
    before, rgb = rgb.shape[:2], _small(rgb)
    if rgb.shape[:2] != before:
        small = region.scaled(before, rgb.shape[:2])
        box = box and box.scaled(region[2:], small[2:])
        region = small
    mask = kept_mask(rgb.shape[:2], prediction.keep_indices, prediction.grid_size,
                     data_config, region, box)
    picture = np.where(mask[..., None], rgb, (rgb * DIMMED).astype(np.uint8))
    _frame_seen(picture, pixels_of(data_config.crop_box(*region[2:], box), *region[2:]
                                   ).moved(region))
    answer = _words(prediction)
    kept = f'{prediction.num_keep}/{prediction.num_patches} tokens'
    scale = max(rgb.shape[1] / 900.0, 0.35)
    banner = picture[:round(80 * scale)]
    banner[:] = banner * DIMMED  # so that the text can be read on any image
    for line, text in enumerate((answer, kept), 1):
        _write(picture, text, (round(12 * scale), round(34 * scale * line)), scale)
    return picture


def draw_crops(rgb: np.ndarray, crops: Crops) -> np.ndarray:
    """Return a new (H, W, 3) uint8 RGB picture with each box and its answer.

    Args:
        rgb: the image, (H, W, 3) uint8.
        crops: its boxes; those without an answer are drawn without one.
    """
    picture = _small(rgb).copy()
    scale = max(picture.shape[1] / 1400.0, 0.35)
    for box, prediction in zip(crops.boxes, crops.answers):
        if box is None:
            continue
        box = box.scaled(rgb.shape[:2], picture.shape[:2])
        _frame(picture, box)
        if prediction:
            _write(picture, _words(prediction), (box.left + 2, box.top + round(30 * scale)), scale)
    return picture


def _small(rgb: np.ndarray) -> np.ndarray:
    if rgb.shape[1] <= MAX_WIDTH:
        return rgb
    height = max(1, round(rgb.shape[0] * MAX_WIDTH / rgb.shape[1]))
    return cv2.resize(rgb, (MAX_WIDTH, height), interpolation=cv2.INTER_AREA)


def _words(prediction: Prediction) -> str:
    answer = (f'{prediction.labels[0]} {prediction.scores[0]:.2f}' if prediction.labels
              else 'nothing above the threshold')
    if not prediction.known:
        answer = f'unknown, nearest: {answer}' if prediction.labels else 'unknown'
    return answer


def _write(picture: np.ndarray, text: str, place: Tuple[int, int], scale: float) -> None:
    text = text.encode('ascii', 'replace').decode()  # OpenCV's fonts hold no more
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), 1,
                cv2.LINE_AA)


def _frame(picture: np.ndarray, box: Region) -> None:
    cv2.rectangle(picture, (box.left, box.top),
                  (box.left + box.width - 1, box.top + box.height - 1), FRAME_COLOUR, 1)


def _frame_seen(picture: np.ndarray, seen: Region) -> None:
    outside = np.ones(picture.shape[:2], bool)
    outside[seen.slices] = False
    if outside.any():
        picture[outside] = picture[outside].mean(axis=-1, keepdims=True).astype(np.uint8)
        _frame(picture, seen)
