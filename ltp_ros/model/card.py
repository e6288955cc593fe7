# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of a model by its name and the .json beside its weights; without torch."""
import json
from pathlib import Path
from typing import Any, Dict

from ltp_ros.files import expand, read_text, short
from ltp_ros.model.names import DEMO

MODEL_DIRECTORY = Path(__file__).parent / 'weights'


class ModelError(ValueError):
    """An unusable model, checkpoint or label file; the message says what to do."""


def weights_of(model: str, checkpoint: str = '') -> str:
    """Return the checkpoint that `create_vit` loads for these; '' if it takes timm's weights."""
    return checkpoint or (DEMO if model == DEMO else '')


def model_name(model: str, checkpoint: str = '') -> str:
    """Return the name of the model that `create_vit` makes: the card's architecture, if any."""
    return model if model == DEMO else read_model_card(checkpoint).get('architecture', model)


def read_model_card(checkpoint: str) -> Dict[str, Any]:
    """Return the .json beside a checkpoint (architecture, labels, data config, base); {} if none.

    Raises:
        ModelError: if it is not a JSON object, or a value in it is of another type.
    """
    if not checkpoint:
        return {}
    path = path_of(checkpoint)
    path = path.with_suffix('.json') if path.name else path
    if not path.is_file():
        return {}
    try:
        card = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        advice = '; save it as UTF-8' if isinstance(error, UnicodeDecodeError) else ''
        raise ModelError(f'{path} is not valid JSON: {error}{advice}') from error
    if not isinstance(card, dict):
        raise ModelError(f'{path} is not a model card; expected a JSON object, as written by '
                         'ltp_train')
    for key, kind, what in (('architecture', str, 'a name'), ('model_args', dict, 'an object'),
                            ('pretrained_cfg', dict, 'an object')):
        if not isinstance(card.get(key, kind()), kind):
            raise ModelError(f'{path} is not a model card: {key} is {short(card[key])}; expected '
                             f'{what}, as written by ltp_train')
    return card


def path_of(checkpoint: str) -> Path:
    """Return the file of a checkpoint; 'demo' is the packaged one."""
    return MODEL_DIRECTORY / f'{DEMO}.safetensors' if checkpoint == DEMO else Path(
        expand(checkpoint))
