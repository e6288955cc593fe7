# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Multiply-accumulates of a model, counted as the paper's tables count them."""
import os
from typing import Callable

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

PRODUCTS = ('aten::conv2d', 'aten::mm', 'aten::addmm', 'aten::bmm', 'aten::baddbmm')
FUSED_ATTENTION = 'aten::scaled_dot_product_attention'


def profiled(work: Callable[[], object], **options: bool) -> profile:
    """Run something under torch's profiler on the CPU, which is told to keep silent."""
    os.environ.setdefault('KINETO_LOG_LEVEL', '99')
    with profile(activities=[ProfilerActivity.CPU], **options) as profiler:
        work()
    return profiler


@torch.inference_mode()
def count_gmacs(model: nn.Module, pixels: torch.Tensor) -> float:
    """Return 1e9 multiply-accumulates of one run, for one image of the batch.

    Matrix products and convolutions; the fused product of queries, keys and values is left out,
    as in the G column of LTP-ViT's Table I. By the profiler, since FlopCounterMode came with torch
    2.1; where both are, they agree.

    Args:
        model: set to the keep ratio in question, on the CPU.
        pixels: its input (B, 3, H, W).
    """
    flops = 0
    for event in profiled(lambda: model(pixels), with_flops=True).events():
        if event.flops and event.name in PRODUCTS and not _in_attention(event):
            flops += event.flops
    return flops / 2 / 1e9 / len(pixels)


def _in_attention(event: 'torch.autograd.profiler_util.FunctionEvent') -> bool:
    # Where there is no fused kernel, attention is made of products
    while event is not None:
        if event.name == FUSED_ATTENTION:
            return True
        event = event.cpu_parent
    return False
