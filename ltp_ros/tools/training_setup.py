# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What `ltp_train` decides before the first step, and the model card it writes after the last."""
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Tuple

import numpy as np
import torch
from torch import nn

from ltp_ros.preprocessing import DataConfig
from ltp_ros.vit import create_vit, data_config, read_model_card

_FAST_BFLOAT16_FLAGS = ('avx512_bf16', 'amx_bf16')


def pick_device(asked: str) -> str:
    """Return 'cuda' or 'cpu'; 'auto' takes the GPU where there is one."""
    return ('cuda' if torch.cuda.is_available() else 'cpu') if asked == 'auto' else asked


def pick_precision(asked: str, device: str) -> str:
    """Return 'float32' or 'bfloat16'; 'auto' takes bfloat16 where the hardware computes in it."""
    if asked != 'auto':
        return asked
    if device == 'cuda':
        fast = torch.cuda.is_bf16_supported()
    else:
        fast = any(flag in _cpu_info() for flag in _FAST_BFLOAT16_FLAGS)
    return 'bfloat16' if fast else 'float32'


@dataclass
class BuiltModel:
    """A model and what its card says of it."""

    vit: nn.Module
    architecture: str
    model_args: Dict[str, Any]
    config: DataConfig


def build_model(model: str, checkpoint: str, img_size: int, num_classes: int,
                statistics: Callable[[], Tuple[Tuple[float, ...], Tuple[float, ...]]]
                ) -> BuiltModel:
    """Create the model with a head for `num_classes`.

    Mean and standard deviation are those of the checkpoint, or without one the data's own.

    Raises:
        ModelError: from `create_vit`.
    """
    if checkpoint:
        card = read_model_card(checkpoint)
        vit = create_vit(model, checkpoint, img_size=img_size)
        if vit.num_classes != num_classes:
            vit.reset_classifier(num_classes)
        known = data_config(vit)
        mean, std = known.mean, known.std
    else:
        card = {}
        vit = create_vit(model, pretrained=False, img_size=img_size, num_classes=num_classes)
        mean, std = statistics()
    config = DataConfig((img_size, img_size), mean, std, crop_pct=1.0)
    return BuiltModel(vit, card.get('architecture', model),
                      {**card.get('model_args', {}), 'img_size': img_size}, config)


def model_card(built: BuiltModel, class_names: Iterable[str],
               training: Dict[str, Any]) -> Dict[str, Any]:
    """Return the JSON that lies beside the weights, in timm's words."""
    config = built.config
    return {
        'architecture': built.architecture, 'model_args': built.model_args,
        'num_classes': built.vit.num_classes, 'label_names': list(class_names),
        'pretrained_cfg': {
            'input_size': [3, *config.input_size], 'interpolation': config.interpolation,
            'crop_pct': config.crop_pct, 'crop_mode': config.crop_mode,
            'mean': list(config.mean), 'std': list(config.std)},
        'training': training}


def versions(device: str) -> Dict[str, str]:
    """Return what a run depends on besides its settings: versions and hardware."""
    if device == 'cuda':
        hardware = torch.cuda.get_device_name()
    else:
        names = [line.split(':', 1)[1].strip() for line in _cpu_info().splitlines()
                 if line.startswith('model name')]
        processor = names[0] if names else platform.machine()
        hardware = f'{processor}, {torch.get_num_threads()} threads'
    return {'python': platform.python_version(), 'torch': torch.__version__,
            'timm': version('timm'), 'numpy': np.__version__, 'hardware': hardware}


def _cpu_info() -> str:
    path = Path('/proc/cpuinfo')
    return path.read_text(encoding='utf-8') if path.is_file() else ''
