# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A frame's way to the device and back: the camera's bytes up, the answer down."""
import contextlib
from typing import Iterator, Optional, OrderedDict, Sequence, Tuple

import numpy as np
import torch

from ltp_ros.backends.protocol import Device
from ltp_ros.model.data_config import DataConfig, ImageSizeError
from ltp_ros.model.preprocessing import Preprocessor
from ltp_ros.region import Region

MAX_SIZES = 8  # camera sizes whose buffers are kept; the one used longest ago goes first


class Transfer:
    """Copies through pinned memory on a GPU, so that neither direction is staged by the driver.

    A buffer is written again only after `read_back` of the frame before, which waits for the
    device, so one of each kind is enough.

    Args:
        data_config: the input that the model expects.
        device: where the model runs.
        dtype: of its input.
    """

    def __init__(self, data_config: DataConfig, device: Device, dtype: torch.dtype):
        self.device = device
        self.preprocessor = Preprocessor(data_config, dtype).to(device)
        self._images: OrderedDict[Tuple[int, ...], Tuple[torch.Tensor, torch.Tensor]] = (
            OrderedDict())
        self._answer = torch.empty(0)

    def pixels(self, rgb: np.ndarray, out: Optional[torch.Tensor] = None,
               box: Optional[Region] = None) -> torch.Tensor:
        """Return the model's input (1, 3, h, w) on the device for an image (H, W, 3) uint8.

        Args:
            rgb: the image on the host, of any size and memory layout.
            out: where the input must lie; None for anywhere.
            box: the part of the image that the model sees; None: as its crop mode has it.

        Raises:
            ImageSizeError: if the image cannot be resized for the model, or the device has no
                memory for it.
        """
        with _room_for(rgb):
            # The whole image: a buffer for each size of a box would be pinned anew all the time
            return self.preprocessor(self.upload(rgb), out, box)

    def parts(self, rgb: np.ndarray, boxes: Sequence[Region],
              out: Optional[torch.Tensor] = None) -> torch.Tensor:
        """Return the inputs (B, 3, h, w) for parts of one image, which is uploaded once.

        Args and errors are those of `pixels`; `out` may have room for more.
        """
        with _room_for(rgb):
            image = self.upload(rgb)
            if out is None:
                return torch.cat([self.preprocessor(image, None, box) for box in boxes])
            for index, box in enumerate(boxes):
                self.preprocessor(image, out[index:index + 1], box)
            return out

    def upload(self, rgb: np.ndarray) -> torch.Tensor:
        """Return (H, W, 3) uint8 on the device; valid until the next image of this size."""
        if self.device.type == 'cpu':
            # torch has neither read-only tensors nor ones that run backwards
            return torch.from_numpy(np.require(rgb, requirements=['C', 'W']))
        pinned, image = self._buffers(rgb.shape)
        np.copyto(pinned.numpy(), rgb)
        return image.copy_(pinned, non_blocking=True)

    def _buffers(self, shape: Tuple[int, ...]) -> Tuple[torch.Tensor, torch.Tensor]:
        if shape in self._images:
            self._images.move_to_end(shape)
            return self._images[shape]
        self.preprocessor.config.resize_size(*shape[:2])  # refused before another size goes
        while len(self._images) >= MAX_SIZES:
            self._images.popitem(last=False)
        image = torch.empty(shape, dtype=torch.uint8, device=self.device)
        pinned = torch.empty(shape, dtype=torch.uint8, pin_memory=True)
        self._images[shape] = pinned, image
        return pinned, image

    def read_back(self, answer: torch.Tensor) -> np.ndarray:
        """Wait for the device and return a float32 tensor (n,) as an array of its own."""
        if self.device.type == 'cpu':
            return answer.numpy()
        if len(self._answer) < len(answer):
            self._answer = torch.empty(len(answer), pin_memory=True)
        pinned = self._answer[:len(answer)].copy_(answer, non_blocking=True)
        torch.cuda.current_stream(self.device).synchronize()
        return pinned.numpy().copy()


@contextlib.contextmanager
def _room_for(rgb: np.ndarray) -> Iterator[None]:
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise ImageSizeError(
            f'an image of {rgb.shape[1]}x{rgb.shape[0]} pixels does not fit in the memory '
            'that is free on the device; shrink it upstream') from error
