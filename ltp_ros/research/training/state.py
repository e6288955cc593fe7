# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Files of a training run: the state to resume from, the weights and model card it ends with.

No pickle: tensors and, as metadata, JSON in one safetensors file, replaced in one move, so that
a program killed at any time leaves either the old state or the new one.
"""
import json
import os
from pathlib import Path
from typing import Any, Dict, List, Sequence

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn


def save_state(path: Path, model: nn.Module, optimizers: Sequence[torch.optim.Optimizer],
               progress: Dict[str, Any]) -> None:
    """Write everything a resumed run needs; `progress` must be JSON-able."""
    tensors = {f'model.{name}': value for name, value in model.state_dict().items()}
    for number, optimizer in enumerate(optimizers):
        for index, state in optimizer.state_dict()['state'].items():
            for name, value in state.items():
                tensors[f'optimizer.{number}.{index}.{name}'] = torch.as_tensor(value)
    _replace(path, tensors, {'progress': json.dumps(progress)})


def load_state(path: Path, model: nn.Module,
               optimizers: Sequence[torch.optim.Optimizer]) -> Dict[str, Any]:
    """Restore what `save_state` wrote into freshly built objects; return the progress.

    Raises:
        FileNotFoundError: there is no such file.
        RuntimeError: the model is another one.
    """
    weights: Dict[str, torch.Tensor] = {}
    states: List[Dict[int, Dict[str, torch.Tensor]]] = [{} for _ in optimizers]
    with safe_open(str(path), framework='pt') as file:
        progress = json.loads(file.metadata()['progress'])
        for key in file.keys():
            kind, rest = key.split('.', 1)
            if kind == 'model':
                weights[rest] = file.get_tensor(key)
            else:
                number, index, name = rest.split('.')
                state = states[int(number)].setdefault(int(index), {})
                state[name] = file.get_tensor(key)
    model.load_state_dict(weights)
    for optimizer, restored in zip(optimizers, states):
        groups = optimizer.state_dict()['param_groups']
        optimizer.load_state_dict({'state': restored, 'param_groups': groups})
    return progress


def read_progress(path: Path) -> Dict[str, Any]:
    """Return the progress in a state file, without its tensors."""
    with safe_open(str(path), framework='pt') as file:
        return json.loads(file.metadata()['progress'])


def export_model(stem: Path, model: nn.Module, card: Dict[str, Any]) -> None:
    """Write `stem`.safetensors, the weights alone, and `stem`.json, the model card."""
    weights = {name: value for name, value in model.state_dict().items()
               if not name.startswith('patch_drop.')}  # PaPr's ConvNet is no part of the model
    _replace(stem.with_suffix('.safetensors'), weights, {'format': 'pt'})
    text = json.dumps(card, indent=2) + '\n'
    temporary = stem.with_suffix('.json.part')
    temporary.write_text(text, encoding='utf-8')
    os.replace(str(temporary), str(stem.with_suffix('.json')))


def _replace(path: Path, tensors: Dict[str, torch.Tensor], metadata: Dict[str, str]) -> None:
    temporary = path.with_name(path.name + '.part')
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    save_file(plain, str(temporary), metadata)
    os.replace(str(temporary), str(path))
