# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Run the model with plain torch calls, on any device."""
from typing import List, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import nn

from ltp_ros.backends.protocol import BackendAnswer, Device
from ltp_ros.backends.transfer import Transfer
from ltp_ros.model.data_config import DataConfig
from ltp_ros.model.features import logits_and_features, num_features
from ltp_ros.region import Region


class EagerBackend:
    """Upload, preprocess and run on the device, read back once, choose the best classes.

    Args:
        model: the Vision Transformer with a `TokenReducer` in `patch_drop`, in eval mode.
        data_config: the input that the model expects.
        device: where it runs.
        precision: number format of the weights and activations.
    """

    name = 'eager'
    batch_size = 16

    def __init__(self, model: nn.Module, data_config: DataConfig, device: Device,
                 precision: str):
        self.device, self.precision = device, precision
        self.dtype = getattr(torch, precision)
        self.model = model.to(device=device, dtype=self.dtype)
        self.model.patch_drop.trace = True
        self._parts = np.cumsum([model.num_classes, num_features(model)])
        self.transfer = Transfer(data_config, device, self.dtype)
        self.pixels: Optional[torch.Tensor] = None  # where the model's input must lie, if anywhere
        if device.type == 'cuda' and precision == 'float32':
            torch.backends.cudnn.allow_tf32 = False  # else the patch embedding has 10 bits

    @torch.inference_mode()
    def __call__(self, rgb: np.ndarray, keep_ratio: float, top_k: int,
                 box: Optional[Region] = None) -> BackendAnswer:
        """Classify one image; see `Backend`."""
        pixels = self.transfer.pixels(rgb, self.pixels, box)
        return self._answers(self.run(pixels, keep_ratio), top_k)[0]

    @torch.inference_mode()
    def batch(self, rgb: np.ndarray, boxes: Sequence[Region], keep_ratio: float,
              top_k: int) -> List[BackendAnswer]:
        """Classify parts of one image at once; see `Backend`."""
        pixels = self.transfer.parts(rgb, boxes)
        return self._answers(self.run(pixels, keep_ratio), top_k)

    def _answers(self, found: torch.Tensor, top_k: int) -> List[BackendAnswer]:
        answers = []
        for row in self.transfer.read_back(found.flatten()).reshape(found.shape):
            logits, features, kept = np.split(row, self._parts)
            scores, class_ids = best_classes(logits, top_k)
            answers.append(BackendAnswer(scores, class_ids, np.sort(kept.astype(np.int64)),
                                         features))
        return answers

    def run(self, pixels: torch.Tensor, keep_ratio: float) -> torch.Tensor:
        """Return logits, features and kept patches of inputs: (B, C + D + K) float32.

        As one tensor they are read back at once; float32 holds the integers up to 2**24 exactly.
        """
        self.model.patch_drop.keep_ratio = keep_ratio
        logits, features = logits_and_features(self.model, pixels)
        return torch.cat([logits.float(), features,
                          self.model.patch_drop.last_keep_indices.float()], dim=1)


def best_classes(logits: np.ndarray, top_k: int) -> Tuple[np.ndarray, np.ndarray]:
    """Return the softmax probabilities (top_k,) and ids (top_k,) of the best classes, best first.

    On the host: a dozen microseconds for a thousand classes, half a dozen launches on a GPU.
    Equal classes come in the order of their ids.
    """
    lowest = np.partition(logits, -top_k)[-top_k]
    ids = np.flatnonzero(logits >= lowest)
    ids = ids[np.argsort(-logits[ids], kind='stable')][:top_k]
    odds = np.exp(logits - logits.max())
    return odds[ids] / odds.sum(), ids
