# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Files of a training run: the state to resume from, the final weights and the model card.

The state is one safetensors file with JSON metadata instead of a pickle. It is replaced
atomically: a program killed at any time leaves either the old state or the new one.
"""
import json
import os
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, TypedDict

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from ltp_ros.model.adapted import FUSE


class Progress(TypedDict):
    """The progress of a training run."""

    step: int
    seconds: float   # spent in steps
    loss_sum: float  # of the images of this epoch, as are the next two
    correct: int
    seen: int
    history: List[Dict[str, object]]  # a log entry for each epoch


class SavedProgress(Progress, total=False):
    """The progress in a state file, with the settings of its run."""

    settings: Mapping[str, object]


def save_state(path: Path, model: nn.Module, optimizers: Sequence[torch.optim.Optimizer],
               progress: SavedProgress,
               buffers: Optional[Mapping[str, torch.Tensor]] = None) -> None:
    """Write everything that a resumed run needs, with `buffers` in place of the model's own."""
    tensors = {f'model.{name}': value
               for name, value in {**model.state_dict(), **(buffers or {})}.items()}
    for number, optimizer in enumerate(optimizers):
        for index, state in optimizer.state_dict()['state'].items():
            for name, value in state.items():
                tensors[f'optimizer.{number}.{index}.{name}'] = torch.as_tensor(value)
    _replace(path, tensors, {'progress': json.dumps(progress)})


def load_state(path: Path, model: nn.Module,
               optimizers: Sequence[torch.optim.Optimizer]) -> SavedProgress:
    """Restore the state that `save_state` wrote into newly built objects; return the progress.

    Raises:
        FileNotFoundError: if the file does not exist.
        RuntimeError: if the state is that of another model.
    """
    weights: Dict[str, torch.Tensor] = {}
    states: List[Dict[int, Dict[str, torch.Tensor]]] = [{} for _ in optimizers]
    with safe_open(str(path), framework='pt') as file:
        progress: SavedProgress = json.loads(file.metadata()['progress'])
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


def read_progress(path: Path) -> SavedProgress:
    """Return the progress in a state file, without reading its tensors."""
    with safe_open(str(path), framework='pt') as file:
        return json.loads(file.metadata()['progress'])


def export_model(stem: Path, model: nn.Module, card: Mapping[str, object],
                 names: Sequence[str] = ()) -> None:
    """Write the weights to `stem`.safetensors and the model card to `stem`.json.

    `names`: those to write; (): all. With some, the card names the base that has the rest.
    """
    weights = {name: value for name, value in model.state_dict().items()
               if name == FUSE or not name.startswith('patch_drop.')}  # without PaPr's ConvNet
    if names:
        weights = {name: weights[name] for name in names}
    _replace(stem.with_suffix('.safetensors'), weights, {'format': 'pt'})
    text = json.dumps(card, indent=2) + '\n'
    temporary = stem.with_suffix('.json.part')
    temporary.write_text(text, encoding='utf-8')
    os.replace(str(temporary), str(stem.with_suffix('.json')))


def _replace(path: Path, tensors: Dict[str, torch.Tensor], metadata: Dict[str, str]) -> None:
    temporary = path.with_name(path.name + '.part')
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    temporary.touch()
    mode = temporary.stat().st_mode  # safetensors lets no other user read it, such as a service's
    save_file(plain, str(temporary), metadata)
    temporary.chmod(mode)
    os.replace(str(temporary), str(path))
