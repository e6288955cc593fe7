# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Optimisers and learning-rate schedule.

Weight matrices and convolution filters go to Muon (K. Jordan et al., "Muon: An optimizer for
hidden layers in neural networks", 2024), everything else to AdamW.
"""
from typing import Dict, List, Tuple

import torch
from timm.optim import Muon
from torch import nn


def split_parameters(model: nn.Module, head_names: Tuple[str, ...] = ('head',)
                     ) -> Tuple[Dict[str, nn.Parameter], Dict[str, nn.Parameter]]:
    """Return the trainable parameters by name: matrices for Muon, the rest for AdamW.

    The rest are the classifier head, embeddings (leading dimension 1), biases and norms.
    """
    matrices: Dict[str, nn.Parameter] = {}
    rest: Dict[str, nn.Parameter] = {}
    for name, param in model.named_parameters():
        if param.requires_grad:
            plain = param.ndim < 2 or len(param) == 1 or name.split('.')[0] in head_names
            (rest if plain else matrices)[name] = param
    return matrices, rest


def make_optimizers(model: nn.Module, lr: float, weight_decay: float
                    ) -> List[torch.optim.Optimizer]:
    """Return [Muon, AdamW] over the trainable parameters; only matrices have weight decay.

    A step of Muon has the root mean square of one of AdamW at the same `lr`.
    """
    matrices, rest = split_parameters(model)
    return [Muon(list(matrices.values()), lr, weight_decay=weight_decay, nesterov=True, ns_steps=4,
                 adjust_lr_fn='match_rms_adamw', normalize_spatial=False),
            torch.optim.AdamW(list(rest.values()), lr, betas=(0.9, 0.95), weight_decay=0.0)]


def one_cycle(progress: float, warmup: float = 0.15) -> float:
    """Return the share of the peak learning rate: linear warm-up, then linear decay to 0.

    `progress` is the share of the run that is done, 0..1.
    """
    return min(max(progress, 1e-3) / warmup, (1.0 - progress) / (1.0 - warmup))
