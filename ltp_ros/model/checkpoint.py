# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A file of weights: how it is read, and what can be told from it alone."""
import argparse
import contextlib
import math
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, Mapping, Tuple

import torch
from safetensors.torch import load_file

from ltp_ros.files import some_of
from ltp_ros.model.card import ModelError, path_of, read_model_card

# Where training programs put the weights in a file of more, the averaged ones first
CONTAINERS = ('state_dict_ema', 'model_ema', 'model_state_dict', 'state_dict', 'model', 'net',
              'weights')


@dataclass(frozen=True)
class Checkpoint:
    """Weights by the names that timm gives them, and the model card beside the file."""

    name: str  # as it was given
    tensors: Mapping[str, torch.Tensor]
    card: Mapping[str, Any]

    @property
    def model_args(self) -> Dict[str, object]:
        """The arguments of timm's `create_model` that the weights and the card tell."""
        found: Dict[str, object] = {'num_classes': 0}
        if 'head.weight' in self.tensors:
            found['num_classes'] = len(self.tensors['head.weight'])
        if 'fc_norm.weight' in self.tensors:  # an MAE fine-tune averages the patches
            found['global_pool'] = 'avg'
        img_size = self._img_size()
        if img_size:
            found['img_size'] = img_size
        return {**found, **self.card.get('model_args', {})}

    def _img_size(self) -> int:
        """Return the side of the square images it was trained on; 0 if that cannot be told."""
        positions, patch = (self.tensors.get(name) for name in (
            'pos_embed', 'patch_embed.proj.weight'))
        if positions is None or patch is None or positions.ndim != 3 or patch.shape[1:2] != (3,):
            return 0  # or the patches are not cut out of the image itself
        prefix = sum(self.tensors[name].shape[1] for name in (
            'cls_token', 'dist_token', 'reg_token') if name in self.tensors)
        for num_patches in (positions.shape[1] - prefix, positions.shape[1]):
            side = math.isqrt(max(num_patches, 0))
            if side and side * side == num_patches:
                return side * patch.shape[-1]
        return 0


def read_checkpoint(checkpoint: str) -> Checkpoint:
    """Return what a .safetensors, or a .pth that holds weights only, contains.

    Args:
        checkpoint: the file; 'demo' for the packaged one.

    Raises:
        ModelError: if the file or the card beside it cannot be read.
    """
    path = path_of(checkpoint)
    if not path.is_file():
        raise ModelError(f'checkpoint {checkpoint!r} is not a file; expected a .safetensors, '
                         'or a .pth that holds weights only')
    try:
        content = _content_of(path)
    except Exception as error:  # of the libraries, by version and kind of damage
        # Without torch's advice, in several lines, to run whatever the file contains
        reason = re.split(r' Please use|\n', str(error).rpartition('Unpickler error: ')[2])[0] or (
            'it is cut off, or something else')
        raise ModelError(f'checkpoint {checkpoint!r} cannot be read as weights alone: {reason}. '
                         'Save the state dict as .safetensors') from error
    if not isinstance(content, Mapping):
        content = {type(content).__name__: None}
    tensors = _weights_in(content)
    if not tensors:
        raise ModelError(f'checkpoint {checkpoint!r} holds no weights, but '
                         f'{some_of(map(str, content))}; save the state dict as .safetensors')
    card = read_model_card(checkpoint)
    if 'base' not in card:  # an adapted level may have tensors of the blocks alone
        tensors = _without_shared_prefix(tensors)
    return Checkpoint(checkpoint, tensors, card)


def _content_of(path: Path) -> object:
    if path.suffix == '.safetensors':
        return load_file(str(path))
    if tarfile.is_tarfile(str(path)):  # torch below 2.6 unpacks it first (CVE-2025-32434)
        raise ValueError('it is a tar, as torch wrote them before 1.0')
    # Of torch 2.5. The files of timm, DeiT and MAE hold the flags of their training too
    allowed = getattr(torch.serialization, 'safe_globals', contextlib.nullcontext)
    with allowed([argparse.Namespace]):
        return torch.load(str(path), map_location='cpu', weights_only=True)


def _weights_in(content: Mapping[str, Any]) -> Dict[str, torch.Tensor]:
    """Return the named tensors of a mapping, or of the one in it that holds the weights.

    That is the first of CONTAINERS which holds tensors, else the mapping with most of them. The
    state of an optimizer is left out, and a loss or a best accuracy is outnumbered.
    """
    inner = {name: value for name, value in content.items()
             if isinstance(value, Mapping) and 'optim' not in str(name).lower()}
    for name in filter(inner.__contains__, CONTAINERS):
        found = _weights_in(inner[name])
        if found:
            return found
    own = {name: value for name, value in content.items()
           if isinstance(name, str) and torch.is_tensor(value)}
    return max([own, *map(_weights_in, inner.values())], key=len)


def _without_shared_prefix(tensors: Mapping[str, torch.Tensor]) -> Dict[str, torch.Tensor]:
    """Strip what a wrapper puts in front of every name: 'model.', 'module.', '_orig_mod.'."""
    found = dict(tensors)
    while True:
        first = {name.split('.', 1)[0] for name in found}
        if len(first) > 1 or not all('.' in name for name in found):
            return found
        found = {name.split('.', 1)[1]: value for name, value in found.items()}


def misfit(tensors: Mapping[str, torch.Tensor],
           expected: Mapping[str, torch.Tensor]) -> str:
    """Return why weights do not fit those of a model, in a clause or three; '' if they do."""
    missing = [name for name in expected if name not in tensors]
    unknown = [name for name in tensors if name not in expected]
    other = [f'{name} {list(tensors[name].shape)} instead of {list(value.shape)}'
             for name, value in expected.items()
             if name in tensors and tensors[name].shape != value.shape]
    return '; '.join(
        f'{len(names)} {one if len(names) == 1 else many}: {some_of(names)}'
        for one, many, names in (('is missing', 'are missing', missing),
                                 ('is unknown', 'are unknown', unknown),
                                 ('has another shape', 'have another shape', other)) if names)


def named_bytes(tensors: Mapping[str, torch.Tensor]) -> Iterator[Tuple[str, bytes]]:
    """Yield the name and the bytes of each tensor by name, as `model_hash` takes them."""
    for name, tensor in sorted(tensors.items()):
        yield name, tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy(
            ).tobytes()  # numpy has no bfloat16
