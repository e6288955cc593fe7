# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Hardware and software: card, driver, libraries, and the attention kernel that torch chooses."""
import os
import platform
from typing import Dict

import torch
import torch.nn.functional as F
from torch.profiler import ProfilerActivity, profile

from ltp_ros.machine import hardware, power_mode
from ltp_ros.research.benchmarks.gpu.nvml import card_state
from ltp_ros.research.benchmarks.gpu.parts import Task


def run(task: Task) -> None:
    """List the hardware and software, and on a GPU the attention kernels."""
    for item, value in found(task.settings.device).items():
        task.row('hardware and software', item=item, value=value)
    if task.settings.device == 'cuda':
        for tokens in (105, 197):
            task.row('attention of ViT-S in float16', tokens=tokens, kernels=attention(tokens))


def found(device: str) -> Dict[str, object]:
    """Return names, versions and settings by item."""
    items: Dict[str, object] = {
        'hardware': hardware(device), 'host': platform.platform(), 'cores': os.cpu_count(),
        'python': platform.python_version(), 'torch': torch.__version__,
        'torch threads': torch.get_num_threads(), 'power mode': power_mode()}
    if device == 'cuda':
        card = torch.cuda.get_device_properties()
        items.update({
            'compute capability': f'{card.major}.{card.minor}',
            'multiprocessors': card.multi_processor_count,
            'memory (MiB)': card.total_memory // 2 ** 20, 'CUDA': torch.version.cuda,
            'cuDNN': torch.backends.cudnn.version(),
            'TF32 in convolutions': torch.backends.cudnn.allow_tf32,
            'TF32 in products': torch.backends.cuda.matmul.allow_tf32, **card_state().known()})
    return items


def attention(tokens: int) -> str:
    """Return the names of the kernels that compute the attention of ViT-S for so many tokens."""
    q, k, v = torch.randn(3, 1, 6, tokens, 64, device='cuda', dtype=torch.float16)
    for _ in range(2):
        with profile(activities=[ProfilerActivity.CUDA]) as profiler:
            F.scaled_dot_product_attention(q, k, v)
            torch.cuda.synchronize()
    return ', '.join(sorted({event.name[:60] for event in profiler.events()
                             if event.device_type == torch.autograd.DeviceType.CUDA}))
