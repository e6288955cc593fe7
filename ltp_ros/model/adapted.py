# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""An adapted level: a checkpoint that holds only what differs from its base.

Its card names the base, so that the original stays as it was, and levels of one model cost the
disk little: {"base": {"model": timm name, "checkpoint": path from the card's folder or '',
"hash": of the base's tensors}}. `ltp_adapt` writes both files.
"""
import hashlib
import os
from pathlib import Path
from typing import Callable, Dict, Mapping, Optional, Tuple

import torch
from torch import nn

from ltp_ros.files import some_of
from ltp_ros.model.card import ModelError, path_of, weights_of
from ltp_ros.model.checkpoint import Checkpoint, named_bytes, read_checkpoint
from ltp_ros.model.hub import Log
from ltp_ros.model.names import DEMO
from ltp_ros.model.timm_models import create
from ltp_ros.reduction.mixed import QuadMerger

FUSE = 'patch_drop.fuse.weight'  # (D, 4 D), the layer of `QuadMerger.add_fuse`
Tensors = Mapping[str, torch.Tensor]


def tensors_hash(tensors: Tensors) -> str:
    """Return the SHA-256 of tensors by name, in hex."""
    digest = hashlib.sha256()
    for name, content in named_bytes(tensors):
        digest.update(f'{name} {tensors[name].dtype} {list(tensors[name].shape)} '.encode())
        digest.update(content)
    return digest.hexdigest()


def base_tensors(model: str, checkpoint: str, progress: Callable[[], None] = lambda: None,
                 log: Optional[Log] = None) -> Tensors:
    """Return the tensors that `create_vit` would load for these, at the size they come in.

    Args:
        model: a timm model name, or 'demo'.
        checkpoint: a file; '': timm's weights.
        progress: as of `create_vit`.
        log: as of `create_vit`.

    Raises:
        ModelError: if they cannot be read or downloaded, or are an adapted level themselves.
    """
    checkpoint = weights_of(model, checkpoint)
    if not checkpoint:
        return create(model, True, {}, progress, log).state_dict()
    weights = read_checkpoint(checkpoint)
    if 'base' in weights.card:
        raise ModelError(f'{checkpoint!r} is an adapted level and cannot be the base of another; '
                         'give the original that its card names')
    return weights.tensors


def base_of(model: str, checkpoint: str, folder: Path) -> Dict[str, str]:
    """Return the entry 'base' of a card in `folder`; the arguments are those of `base_tensors`.

    Raises:
        ModelError: as `base_tensors`.
    """
    found = tensors_hash(base_tensors(model, checkpoint))
    checkpoint = weights_of(model, checkpoint)
    if checkpoint not in ('', DEMO):
        checkpoint = os.path.relpath(path_of(checkpoint).resolve(), folder.resolve())
    return {'model': model, 'checkpoint': checkpoint, 'hash': found}


def whole(weights: Checkpoint, progress: Callable[[], None], log: Optional[Log] = None
          ) -> Tensors:
    """Return the tensors of a checkpoint or, of an adapted level, those of its base.

    Args:
        weights: as read.
        progress: as of `create_vit`.
        log: as of `create_vit`.

    Raises:
        ModelError: if the base cannot be read, or is not the one that was adapted.
    """
    if 'base' not in weights.card:
        return {name: value for name, value in weights.tensors.items() if name != FUSE}
    model, checkpoint, wanted = _entry(weights.name, weights.card['base'])
    if checkpoint not in ('', DEMO):
        file = path_of(weights.name).parent / checkpoint
        if not file.is_file():
            raise ModelError(f'{weights.name!r} is an adapted level, and its base {str(file)!r} '
                             'is not a file. Put the original checkpoint there, or correct "base" '
                             'in the .json beside it')
        checkpoint = str(file)
    tensors = base_tensors(model, checkpoint, progress, log)
    if tensors_hash(tensors) != wanted:
        raise ModelError(f'{weights.name!r} was adapted from other weights than those of its base '
                         f'{checkpoint or model!r}: their hashes differ. Give it the original, or '
                         'adapt anew with ltp_adapt')
    return tensors


def _entry(name: str, base: object) -> Tuple[str, str, str]:
    values = [base.get(key) for key in ('model', 'checkpoint', 'hash')] if isinstance(
        base, dict) else [None]
    if not all(isinstance(value, str) for value in values):
        raise ModelError(f'the card of {name!r} is not a model card: "base" must be an object '
                         'with the texts "model", "checkpoint" and "hash", as ltp_adapt writes it')
    model, checkpoint, wanted = map(str, values)
    return model, checkpoint, wanted


def change(vit: nn.Module, weights: Checkpoint) -> None:
    """Make of the base, which `vit` has, the adapted level; of another checkpoint nothing.

    To be called before a reducer copies the positions.

    Raises:
        ModelError: if a tensor does not fit.
    """
    if 'base' not in weights.card:
        return
    state, misfits = vit.state_dict(), []
    with torch.no_grad():
        for name, value in weights.tensors.items():
            if name in state and state[name].shape == value.shape:
                state[name].copy_(value)
            elif name != FUSE:
                misfits.append(name)
    if misfits:
        size = weights.card.get('input_size')
        raise ModelError(f'checkpoint {weights.name!r} does not fit its base: {some_of(misfits)}. '
                         f'It was adapted at input_size {size} and runs at no other')


def fill_reducer(reducer: nn.Module, weights: Checkpoint) -> None:
    """Give a reducer the layer that a checkpoint may have for it.

    At keep ratio 1 no token is merged, so a reducer that passes every token on does without.

    Args:
        reducer: that in the slot of the model.
        weights: the checkpoint.

    Raises:
        ModelError: if the layer is for another method or another model.
    """
    fuse, name = weights.tensors.get(FUSE), weights.name
    if fuse is None or reducer.one_level:
        return
    if not isinstance(reducer, QuadMerger):
        raise ModelError(f'{name!r} was adapted for the method mixed alone; take method:=mixed, '
                         'or another checkpoint')
    channels = reducer.coarse_pos_embed.shape[1]
    if tuple(fuse.shape) != (channels, 4 * channels):
        raise ModelError(f'checkpoint {name!r} does not fit the model: {FUSE} is '
                         f'{list(fuse.shape)} instead of {[channels, 4 * channels]}')
    reducer.add_fuse(fuse)
