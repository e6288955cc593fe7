# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What an adaptation writes: a whole checkpoint, or the changed tensors and the base's name."""
from pathlib import Path
from typing import Dict, List, Mapping, Sequence

from torch import nn

from ltp_ros.model import adapted
from ltp_ros.model.card import read_model_card, weights_of
from ltp_ros.model.checkpoint import read_checkpoint
from ltp_ros.model.data_config import DataConfig
from ltp_ros.research.training.built_model import BuiltModel, model_card
from ltp_ros.research.training.state import export_model


def write_adapted(output: Path, model: str, checkpoint: str, vit: nn.Module, config: DataConfig,
                  label_names: List[str], more: Mapping[str, object],
                  changed: Sequence[str] = ()) -> None:
    """Write the weights to `output`, and the model card beside it.

    Args:
        output: ends in .safetensors.
        model: the timm name of the original.
        checkpoint: the file of the original; '': timm's weights.
        vit: the adapted model.
        config: its input.
        label_names: one a class.
        more: further entries of the card, 'training' among them.
        changed: names of the tensors to write; (): all.

    Raises:
        ModelError: if the original cannot be read.
        OSError: if the files cannot be written.
    """
    weights = weights_of(model, checkpoint)
    card = read_model_card(weights)
    height, width = config.input_size
    model_args: Dict[str, object] = {
        **card.get('model_args', {}), 'img_size': height if height == width else [height, width]}
    base: Dict[str, object] = {}
    if changed:
        if weights:
            model_args = {**read_checkpoint(weights).model_args, **model_args}
        model_args['num_classes'] = vit.num_classes
        base['base'] = adapted.base_of(model, checkpoint, output.parent)
        if vit.pos_embed is not None:  # or they would be resampled and strengthened anew
            changed = ['pos_embed', *changed]
    built = BuiltModel(vit, card.get('architecture', model), model_args, config)
    export_model(output.with_suffix(''), vit,
                 {**model_card(built, label_names, {}), **base, **more}, changed)
