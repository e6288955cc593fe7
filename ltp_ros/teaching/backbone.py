# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Files that fit one model alone: of another they would answer wrongly without a word."""
import json
from typing import Any, Mapping

from ltp_ros.files import short

Backbone = Mapping[str, object]  # JSON values that features and scores depend on, by name
# How `model/features.py` makes features; another name for every other way
FEATURES = {'features': 'class token, patches before the last attention'}


class BackboneError(ValueError):
    """What is wrong with a file, as a clause that follows its name."""


def check_backbone(theirs: Any, ours: Backbone, what: str) -> None:
    """Raise BackboneError if a file is of another model.

    Args:
        theirs: as the file has it.
        ours: of the model in use.
        what: begins the sentence, such as 'its classes were taught to'.
    """
    for name, value in ours.items():
        if json.loads(json.dumps(value)) != theirs.get(name):
            if name in FEATURES:
                raise BackboneError(
                    f'{what} the features of another release of ltp_ros, and this one computes '
                    f'others ({short(value)}). Teach the pictures again')
            raise BackboneError(
                f'{what} another model: {name} was {short(theirs.get(name))}, and is '
                f'{short(value)} here. Use that one, or make the file anew')
