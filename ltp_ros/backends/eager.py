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
        model: the Vision Transformer with a `TokenReducer` in `patch_drop`, in eval mode.
        data_config: what the model expects of its input.
        device: where it runs.
        precision: number format of the weights and activations.
    """

    name = 'eager'

    def __init__(self, model: nn.Module, data_config: DataConfig, device: torch.device,
                 precision: str):
        self.device, self.precision = device, precision
        dtype = getattr(torch, precision)
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
        self.model.patch_drop.keep_ratio = keep_ratio
        # torch has neither read-only tensors nor ones that run backwards
        image = torch.from_numpy(np.require(rgb, requirements='CW')).to(self.device)
        packed = whole_model(self.model, self.preprocessor, image, top_k)
        return unpack(packed.cpu().numpy(), top_k)


def whole_model(model: nn.Module, preprocessor: Preprocessor, image: torch.Tensor,
                top_k: int) -> torch.Tensor:
    """Return the scores, classes and kept patches of one image as one float32 tensor.

    So that they are read back at once: float32 holds the integers up to 2**24 exactly.
    """
    logits = model(preprocessor(image)).float()
    scores, class_ids = logits.softmax(dim=-1).topk(top_k, dim=-1)
    kept = model.patch_drop.last_keep_indices
    return torch.cat([scores[0], class_ids[0].float(), kept[0].float()])


def unpack(packed: np.ndarray, top_k: int) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return scores, class ids and kept patches from what `whole_model` packed."""
    integers = packed[top_k:].astype(np.int64)
    return packed[:top_k], integers[:top_k], integers[top_k:]
