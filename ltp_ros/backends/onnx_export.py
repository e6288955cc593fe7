# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Write a level of the ladder as an ONNX file: pixels in, best classes and kept patches out."""
import inspect
import os
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator, Optional, Sequence, Tuple

import torch
from torch import nn

from ltp_ros.backends.protocol import MAX_CLASSES
from ltp_ros.model.features import logits_and_features
from ltp_ros.model.input_sizes import sides_of

# The last without LayerNormalization, which the TensorRT of JetPack 5 (8.5) does not know;
# ONNX Runtime fuses it again
OPSET = 16
OUTPUTS = ('scores', 'class_ids', 'keep_indices', 'features')
TRACED_AT = 0.53   # a keep ratio at which every method has tokens of each kind


class _Level(nn.Module):
    """The model, with the outputs that the backend needs."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, pixels: torch.Tensor) -> Tuple[torch.Tensor, ...]:
        logits, features = logits_and_features(self.model, pixels)
        # torch 2.0 leaves the shape of the outputs open where the number is traced
        most = min(MAX_CLASSES, int(logits.shape[-1]))
        scores, class_ids = logits.softmax(dim=-1).topk(most)
        return scores, class_ids, self.model.patch_drop.last_keep_indices, features


class _Ladder(_Level):
    """The model with the counts of its tokens left open: a level is the lengths of `slots`."""

    def forward(self, pixels: torch.Tensor, *slots: torch.Tensor) -> Tuple[torch.Tensor, ...]:
        with self.model.patch_drop.counted(tuple(slot.shape[0] for slot in slots)):
            return super().forward(pixels)


def export_level(model: nn.Module, keep_ratio: float, path: Path, batch: int = 1,
                 int8: bool = False) -> None:
    """Write one level as ONNX with static shapes.

    Args:
        model: the Vision Transformer with a `TokenReducer` in `patch_drop`, in eval mode, in
            float32 on the CPU.
        keep_ratio: (0, 1].
        path: the file; its folder is made. Written whole or not at all.
        batch: B, how many images at once.
        int8: whether the linear layers compute in 8 bits.

    The inputs and outputs: pixels (B, 3, H, W) float32, normalised -> scores (B, C) float32,
    descending, class_ids (B, C) int64, keep_indices (B, K) int64, features (B, D) float32.
    """
    with _traced_at(model.patch_drop, keep_ratio):
        export(_Level(model), {'pixels': torch.zeros(batch, 3, *sides_of(model))},
               OUTPUTS, path, int8)


def export_ladder(model: nn.Module, path: Path, int8: bool = False) -> None:
    """Write all levels as one ONNX file with one copy of the weights, if a reducer has `counts`.

    As `export_level`, batch 1, but for further inputs slot_0, slot_1, ... float32: only their
    lengths are used, which are the `counts` of the level.
    """
    reducer = model.patch_drop
    with _traced_at(reducer, TRACED_AT):
        slots = {f'slot_{index}': torch.zeros(count)
                 for index, count in enumerate(reducer.counts)}
        export(_Ladder(model), {'pixels': torch.zeros(1, 3, *sides_of(model)), **slots},
               OUTPUTS, path, int8,
               {**{name: {0: name} for name in slots}, 'keep_indices': {1: 'kept'}})


@contextmanager
def _traced_at(reducer: nn.Module, keep_ratio: float) -> Iterator[None]:
    """Have a reducer keep this share, and note which patches."""
    before = (reducer.keep_ratio, reducer.trace)
    reducer.keep_ratio, reducer.trace = keep_ratio, True
    try:
        yield
    finally:
        reducer.keep_ratio, reducer.trace = before


def export(module: nn.Module, inputs: Dict[str, torch.Tensor], outputs: Sequence[str],
           path: Path, int8: bool = False,
           open_sizes: Optional[Dict[str, Dict[int, str]]] = None) -> None:
    """Write a module as ONNX with the shapes of these inputs, whole or not at all.

    `open_sizes`: of inputs and outputs, the axes whose size is left open, with a name for each.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f'.{os.getpid()}.partial')
    try:
        with torch.inference_mode(), _plain_attention(module), warnings.catch_warnings():
            warnings.simplefilter('ignore')  # every Python number of a traced model is a constant
            torch.onnx.export(  # it leaves the modules in the mode that it finds the outermost in
                module.eval(), tuple(inputs.values()), str(partial), input_names=list(inputs),
                output_names=list(outputs), opset_version=OPSET, dynamic_axes=open_sizes,
                **_exporter())
        if int8:
            _quantize(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _plain_attention(module: nn.Module) -> Iterator[None]:
    """Have timm's attention made of matrix products: the exporter of torch 2.0 knows no other."""
    fused = [part for part in module.modules() if getattr(part, 'fused_attn', False)]
    for part in fused:
        part.fused_attn = False
    try:
        yield
    finally:
        for part in fused:
            part.fused_attn = True


def _quantize(path: Path) -> None:
    """Let the layers with constant weights compute in 8 bits, scaled to each input as it comes.

    No calibration is needed. The weights have 7 bits: on x86 processors without VNNI, sums of
    products with 8 overflow.
    """
    from onnxruntime.quantization import quantize_dynamic  # noqa: PLC0415  not everywhere
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415
    quant_pre_process(str(path), str(path), skip_optimization=True, skip_symbolic_shape=True)
    quantize_dynamic(str(path), str(path), op_types_to_quantize=['MatMul'], per_channel=True,
                     reduce_range=True)


def _exporter() -> Dict[str, bool]:
    # The tracing exporter: the only one that the torch of a Jetson has
    known = inspect.signature(torch.onnx.export).parameters
    return {'dynamo': False} if 'dynamo' in known else {}
