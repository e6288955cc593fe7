# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What a model expects of its input, and which part of an image that is."""
import math
from dataclasses import dataclass, replace
from typing import Optional, Tuple

from ltp_ros.region import Region

INTERPOLATIONS = ('nearest', 'bilinear', 'bicubic')
CROP_MODES = ('center', 'squash', 'border')
_MAX_RESIZED_PIXELS = 2 ** 26


class ImageSizeError(ValueError):
    """An image that cannot be brought to the size that the model wants."""


@dataclass(frozen=True)
class DataConfig:
    """What a model expects of its input; the fields are those of timm's data config.

    Raises:
        ValueError: if the interpolation or the crop mode is none that this module knows.
    """

    input_size: Tuple[int, int]  # height, width in pixels
    mean: Tuple[float, ...]
    std: Tuple[float, ...]
    interpolation: str = 'bicubic'
    crop_pct: float = 0.875
    crop_mode: str = 'center'

    def __post_init__(self) -> None:
        for name, allowed in (('interpolation', INTERPOLATIONS), ('crop_mode', CROP_MODES)):
            if getattr(self, name) not in allowed:
                raise ValueError(f'{name} {getattr(self, name)!r} of the model is not supported; '
                                 f'expected one of {", ".join(allowed)}')

    @property
    def zoomed(self) -> 'DataConfig':
        """The same for a box that was chosen: without the margin of the crop."""
        return replace(self, crop_pct=1.0)

    def resize_size(self, height: int, width: int) -> Tuple[int, int]:
        """Return the (height, width) that an image of this size is resized to before the crop.

        The sizes and their roundings are those of timm's `create_transform`.

        Raises:
            ImageSizeError: for an image so elongated that its resized form would not fit in
                memory.
        """
        size = self._resize_size(height, width)
        if size[0] * size[1] > _MAX_RESIZED_PIXELS:
            raise ImageSizeError(f'an image of {width}x{height} pixels is too elongated to be '
                                 'resized for the model; crop it upstream')
        return size

    def _resize_size(self, height: int, width: int) -> Tuple[int, int]:
        target = [math.floor(side / self.crop_pct) for side in self.input_size]
        if self.crop_mode == 'squash':
            return target[0], target[1]
        ratios = (height / target[0], width / target[1])
        if self.crop_mode == 'border' or target[0] != target[1]:
            ratio = max(ratios) if self.crop_mode == 'border' else min(ratios)
            return max(1, round(height / ratio)), max(1, round(width / ratio))
        # torchvision's Resize(int) truncates the longer side
        if height <= width:
            return target[0], int(target[0] * width / height)
        return int(target[0] * height / width), target[0]

    def around(self, box: Region, height: int, width: int) -> Region:
        """Return a box grown to the shape of the input, where the crop would cut off its ends.

        Moved rather than cut where it reaches beyond the image, as far as the image is large
        enough.

        Args:
            box: inside the image, of any shape.
            height: of the image, in pixels.
            width: of the image.
        """
        if self.crop_mode != 'center':
            return box
        unit = max(side / target for side, target in zip(box[2:], self.input_size))
        (top, high), (left, wide) = (
            _grown(first, side, round(unit * target), extent) for first, side, target, extent in
            zip(box[:2], box[2:], self.input_size, (height, width)))
        return Region(top, left, high, wide)

    def crop_box(self, height: int, width: int, box: Optional[Region] = None
                 ) -> Tuple[float, float, float, float]:
        """Return the region of an image that the model sees: top, left, height, width (pixels).

        Args:
            height: of the image.
            width: of the image.
            box: that was chosen in the image; None: what `crop_mode` leaves of all of it.
        """
        if box is not None:
            top, left, high, wide = self.zoomed.crop_box(box.height, box.width)
            return box.top + top, box.left + left, high, wide
        resized = self.resize_size(height, width)
        scale_y, scale_x = height / resized[0], width / resized[1]
        crop_height, crop_width = self.input_size
        return (scale_y * (resized[0] - crop_height) / 2, scale_x * (resized[1] - crop_width) / 2,
                scale_y * crop_height, scale_x * crop_width)


def _grown(first: int, side: int, wanted: int, extent: int) -> Tuple[int, int]:
    """Return where a side begins that was grown about its middle, and how long it is."""
    size = min(max(side, wanted), extent)
    return min(max(first - (size - side) // 2, 0), extent - size), size
