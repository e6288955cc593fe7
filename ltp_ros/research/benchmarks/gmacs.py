# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The multiply-accumulates of a model, counted as in the LTP-ViT paper."""
import os
from typing import Callable

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

PRODUCTS = ('aten::conv2d', 'aten::mm', 'aten::addmm', 'aten::bmm', 'aten::baddbmm')
FUSED_ATTENTION = 'aten::scaled_dot_product_attention'


def profiled(work: Callable[[], object], **options: bool) -> profile:
    """Run `work` under torch's CPU profiler, with its log silenced; return the profiler."""
    os.environ.setdefault('KINETO_LOG_LEVEL', '99')
    with profile(activities=[ProfilerActivity.CPU], **options) as profiler:
        work()
    return profiler


@torch.inference_mode()
def count_gmacs(model: nn.Module, pixels: torch.Tensor) -> float:
    """Return the 1e9 multiply-accumulates (GMACs) per image of one forward pass.

    Counts matrix products and convolutions but not the products of queries, keys and values, as
    in column G of LTP-ViT, Table I. Uses the profiler because FlopCounterMode needs torch 2.1; the
    two agree.

    Args:
        model: set to a keep ratio, on the CPU.
        pixels: its input (B, 3, H, W).
    """
    flops = 0
    for event in profiled(lambda: model(pixels), with_flops=True).events():
        if event.flops and event.name in PRODUCTS and not _in_attention(event):
            flops += event.flops
    return flops / 2 / 1e9 / len(pixels)


def _in_attention(event: 'torch.autograd.profiler_util.FunctionEvent') -> bool:
    # Without a fused kernel, attention consists of separate products
    while event is not None:
        if event.name == FUSED_ATTENTION:
            return True
        event = event.cpu_parent
    return False
