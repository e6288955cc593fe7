# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of the research programs share."""
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file


@pytest.fixture(scope='module')
def model(small_model, tmp_path_factory):
    """Return the path of a checkpoint whose answer depends on the image and the tokens kept."""
    path = tmp_path_factory.mktemp('model') / 'model.safetensors'
    shutil.copy(str(Path(small_model).with_suffix('.json')), str(path.with_suffix('.json')))
    weights = load_file(small_model)
    for name, weight in weights.items():
        if name.startswith('blocks.') and weight.ndim == 2:
            weight *= 30.0  # as initialised, the blocks hardly moves the logits
    save_file(weights, str(path))
    return str(path)
