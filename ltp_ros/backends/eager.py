# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Run the model with plain torch calls, on any device."""
from typing import Tuple

import numpy as np
import torch
from torch import nn

from ltp_ros.preprocessing import DataConfig, Preprocessor


class EagerBackend:
    """Upload, preprocess, run, choose the best classes on the device, read back once.

    Args:
        model: the Vision Transformer with a `TokenPruner` in `patch_drop`, in eval mode.
        data_config: what the model expects of its input.
        device: where it runs.
        dtype: number format of the weights and activations.
    """

    def __init__(self, model: nn.Module, data_config: DataConfig, device: torch.device,
                 dtype: torch.dtype):
        self.device = device
        self.model = model.to(device=device, dtype=dtype)
        self.model.patch_drop.trace = True
        self.preprocessor = Preprocessor(data_config, dtype).to(device)

    @torch.inference_mode()
    def __call__(self, rgb: np.ndarray, keep_ratio: float,
                 top_k: int) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Classify (H, W, 3) uint8.

        Returns:
            scores (top_k,) float32, descending; class ids (top_k,) int64; indices of the kept
            patches (K,) int64, ascending.
        """
        if not rgb.flags.writeable:  # torch has no read-only tensors
            rgb = rgb.copy()
        pruner = self.model.patch_drop
        pruner.keep_ratio = keep_ratio
        pixels = self.preprocessor(torch.from_numpy(rgb).to(self.device))
        scores, class_ids = self.model(pixels).float().softmax(dim=-1).topk(top_k, dim=-1)
        # One read-back: float32 holds the integers up to 2**24 exactly.
        packed = torch.cat([scores[0], class_ids[0].float(), pruner.last_keep_indices[0].float()])
        packed = packed.cpu().numpy()
        integers = packed[top_k:].astype(np.int64)
        return packed[:top_k], integers[:top_k], integers[top_k:]
