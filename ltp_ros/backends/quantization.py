# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Write a ladder whose layers compute in 8 bits, with scales that pictures gave it."""
import contextlib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Sequence

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
    model = with_constants_stored(onnx.load(str(source)))
    with contextlib.redirect_stdout(sys.stderr):  # its bars
        quantized = nncf.quantize(
            model, nncf.Dataset(inputs), subset_size=len(inputs),
            model_type=nncf.ModelType.TRANSFORMER,
            preset=nncf.QuantizationPreset.MIXED,
            ignored_scope=nncf.IgnoredScope(patterns=of_last_block(model), validate=False))
    onnx.save(quantized, str(target))


def of_last_block(model: 'onnx.ModelProto') -> List[str]:
    """Return what the names of the nodes of a `LastBlock` match, which is to be left as it is.

    It computes one token: there is little to gain. And it multiplies the tokens themselves, whose
    channels differ too much for one scale: of DeiT-tiny, the cosine of the class token with that
    of float32 is 0.84 in 8 bits and 0.98 so, where that of a whole block in 8 bits is 0.97.
    """
    products = [found for found in (re.match(r'(.*/blocks\.\d+/)MatMul', node.name)
                                    for node in model.graph.node) if found]
    return [f'{re.escape(products[-1][1])}.*'] if products else []


def with_constants_stored(model: 'onnx.ModelProto') -> 'onnx.ModelProto':
    """Return an ONNX model whose constants are stored beside the weights: NNCF knows no others.

    What is computed of constants alone, as the parts of a weight are, is stored too.
    """
    from onnx import helper, numpy_helper  # noqa: PLC0415  not everywhere
    from onnx.reference import ReferenceEvaluator  # noqa: PLC0415
    graph = model.graph
    stored = {value.name: value for value in graph.initializer}
    for node in list(graph.node):
        if node.op_type == 'Constant' and node.attribute[0].name == 'value':
            values = [node.attribute[0].t]
        elif node.input and all(name in stored for name in node.input):
            given = {name: stored[name] for name in node.input}
            alone = helper.make_graph(
                [node], node.name, [helper.make_tensor_value_info(
                    name, value.data_type, list(value.dims)) for name, value in given.items()],
                [helper.make_empty_tensor_value_info(name) for name in node.output])
            found = ReferenceEvaluator(helper.make_model(
                alone, opset_imports=model.opset_import)).run(
                    None, {name: numpy_helper.to_array(value) for name, value in given.items()})
            values = [numpy_helper.from_array(np.asarray(each)) for each in found]
        else:
            continue
        for name, value in zip(node.output, values):
            graph.initializer.add().CopyFrom(value)
            graph.initializer[-1].name = name
            stored[name] = graph.initializer[-1]
        graph.node.remove(node)
    used = {name for node in graph.node for name in node.input}
    used.update(value.name for value in graph.output)
    for value in [value for value in graph.initializer if value.name not in used]:
        graph.initializer.remove(value)
    return model
