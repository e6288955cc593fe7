# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Multiply-accumulates of a model, counted as the paper's tables count them."""
import torch
from torch import nn


@torch.inference_mode()
def count_gmacs(model: nn.Module, pixels: torch.Tensor) -> float:
    """Return 1e9 multiply-accumulates of one run, for one image of the batch.

    Matrix products and convolutions; the fused product of queries, keys and values is left out,
    as in the G column of LTP-ViT's Table I.

    Args:
        model: set to the keep ratio in question.
        pixels: its input (B, 3, H, W).
    """
    from torch.utils.flop_counter import FlopCounterMode  # noqa: PLC0415  came with torch 2.1
    with FlopCounterMode(display=False) as counter:
        model(pixels)
    flops = sum(count for operator, count in counter.get_flop_counts()['Global'].items()
                if 'scaled_dot_product' not in str(operator))
    return flops / 2 / 1e9 / len(pixels)
