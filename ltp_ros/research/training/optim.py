# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Optimisers and learning-rate schedule.

Weight matrices and convolution filters go to Muon (K. Jordan et al., "Muon: An optimizer for
hidden layers in neural networks", 2024), everything else to AdamW.
"""
import math
from typing import Dict, Iterable, List, Tuple

import torch
from torch import nn


def orthogonalise(matrix: torch.Tensor, steps: int = 4) -> torch.Tensor:
    """Push all singular values of `matrix` (rows, columns) towards 1, to about 0.7 to 1.2.

    Newton-Schulz iteration with the quintic coefficients of Muon.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.bfloat16()
    wide = x.shape[0] > x.shape[1]
    if wide:
        x = x.T
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if wide else x).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Nesterov momentum with an orthogonalised update.

    Convolution filters are treated as matrices (out, in * height * width).

    Args:
        params: tensors of two or more dimensions.
        lr: learning rate; a step has the root mean square of AdamW's at the same rate.
        momentum: Nesterov momentum of the gradient.
        weight_decay: decoupled, multiplied by `lr`.
    """

    def __init__(self, params: Iterable[nn.Parameter], lr: float, momentum: float = 0.95,
                 weight_decay: float = 0.0):
        super().__init__(params, {'lr': lr, 'momentum': momentum, 'weight_decay': weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            for param in group['params']:
                if param.grad is None:
                    continue
                state = self.state[param]
                if not state:
                    state['momentum_buffer'] = torch.zeros_like(param)
                buffer = state['momentum_buffer']
                buffer.lerp_(param.grad, 1.0 - group['momentum'])
                update = param.grad.lerp(buffer, group['momentum'])
                update = orthogonalise(update.reshape(len(update), -1))
                # An orthogonal update has a root mean square of max(shape) ** -0.5
                scale = 0.2 * math.sqrt(max(update.shape))
                param.mul_(1.0 - group['lr'] * group['weight_decay'])
                param.add_(update.view_as(param), alpha=-group['lr'] * scale)


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
    """Return [Muon, AdamW] over the trainable parameters; only matrices have weight decay."""
    matrices, rest = split_parameters(model)
    return [Muon(list(matrices.values()), lr, weight_decay=weight_decay),
            torch.optim.AdamW(list(rest.values()), lr, betas=(0.9, 0.95), weight_decay=0.0)]


def one_cycle(progress: float, warmup: float = 0.15) -> float:
    """Return the share of the peak learning rate: linear warm-up, then linear decay to 0.

    `progress` is the share of the run that is done, 0..1.
    """
    return min(max(progress, 1e-3) / warmup, (1.0 - progress) / (1.0 - warmup))
