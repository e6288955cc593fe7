# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""An int8 model that runs in ONNX Runtime behind the interface of a torch module."""
import copy
from pathlib import Path
from typing import TYPE_CHECKING, Dict, Tuple

import torch
from torch import nn

from ltp_ros.backends.onnx import open_session
from ltp_ros.backends.onnx_export import export_level
from ltp_ros.model import last_block

if TYPE_CHECKING:
    from onnxruntime import InferenceSession  # optional


class Int8Model(nn.Module):
    """Runs with 8-bit linear layers, as the onnx backend does with `precision:=int8`.

    Each setting of the reducer is exported at its first use.

    Args:
        model: with a `TokenReducer` in `patch_drop`, in float32 on the CPU.
        folder: for the exported files; not shared with another model.
    """

    def __init__(self, model: nn.Module, folder: Path):
        super().__init__()
        self._model = copy.deepcopy(model)
        last_block.attach(self._model)  # as in a node
        self.patch_drop = self._model.patch_drop
        self._folder = folder
        self._sessions: Dict[Tuple[object, ...], InferenceSession] = {}

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the probabilities (B, classes) of images (B, 3, H, W); 0 below the top 100."""
        found = images.new_zeros(len(images), self._model.num_classes)
        session = self._session()
        for image, row in zip(images, found):
            scores, class_ids, *_ = session.run(None, {'pixels': image.unsqueeze(0).numpy()})
            row[torch.from_numpy(class_ids[0])] = torch.from_numpy(scores[0])
        return found

    def _session(self) -> 'InferenceSession':
        reducer = self.patch_drop
        setting = tuple(getattr(reducer, name, None) for name in ('keep_ratio', 'score', 'alpha'))
        if setting not in self._sessions:
            path = self._folder / f'{len(self._sessions)}.onnx'
            export_level(self._model, reducer.keep_ratio, path, int8=True)
            self._sessions[setting] = open_session(path)
        return self._sessions[setting]
