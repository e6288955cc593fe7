# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Write a ladder whose layers compute in 8 bits, with scales that pictures gave it."""
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Dict, Sequence

import numpy as np

if TYPE_CHECKING:
    import onnx
    import torch


def quantize_static(source: Path, pixels: 'Sequence[torch.Tensor]', counts: Sequence[int],
                    target: Path) -> None:
    """Quantise an exported ladder, weights and activations, by NNCF: SmoothQuant, QDQ nodes.

    All levels are scaled by what the unpruned model makes of the pictures, which takes half a
    minute for DeiT-tiny and some 4 GB of memory at most.

    Args:
        source: what `export_ladder` wrote, in float32.
        pixels: each as the model's input (1, 3, H, W) float32.
        counts: of the level without reduction.
        target: the file; its folder is there.

    Raises:
        ImportError: if nncf is missing.
    """
    sys.modules.setdefault('openvino_telemetry', None)  # type: ignore[arg-type]  # as `runtime`
    import nncf  # noqa: PLC0415  not everywhere
    import onnx  # noqa: PLC0415
    slots = {f'slot_{index}': np.zeros(count, np.float32) for index, count in enumerate(counts)}
    inputs: Sequence[Dict[str, np.ndarray]] = [
        {'pixels': value.numpy(), **slots} for value in pixels]
    with contextlib.redirect_stdout(sys.stderr):  # its bars
        quantized = nncf.quantize(
            with_constants_stored(onnx.load(str(source))), nncf.Dataset(inputs),
            subset_size=len(inputs), model_type=nncf.ModelType.TRANSFORMER,
            preset=nncf.QuantizationPreset.MIXED)
    onnx.save(quantized, str(target))


def with_constants_stored(model: 'onnx.ModelProto') -> 'onnx.ModelProto':
    """Return an ONNX model whose constants are stored beside the weights: NNCF knows no others."""
    nodes = [node for node in model.graph.node if node.op_type == 'Constant'
             and node.attribute[0].name == 'value']
    for node in nodes:
        model.graph.initializer.add().CopyFrom(node.attribute[0].t)
        model.graph.initializer[-1].name = node.output[0]
        model.graph.node.remove(node)
    return model
