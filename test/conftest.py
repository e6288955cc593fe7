# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What several test modules share: where the test data lies, the device, a small model."""
import os
from pathlib import Path

import pytest
import torch

DATA = Path(os.environ.get('LTP_TEST_DATA', Path(__file__).parents[2] / 'shared' / 'data'))


@pytest.fixture(scope='session')
def data():
    """Return the folder of test data (see its README); skip where it is missing."""
    if not DATA.is_dir():
        pytest.skip(f'no test data at {DATA}; name its folder in LTP_TEST_DATA')
    return DATA


@pytest.fixture(scope='session')
def deit_tiny(data):
    """Return the keyword arguments that name the real DeiT-tiny checkpoint."""
    return {'model': 'deit_tiny_patch16_224',
            'checkpoint': str(data / 'deit_tiny_patch16_224.safetensors')}


@pytest.fixture(autouse=True)
def seeded():
    """Make every test draw the same random numbers."""
    torch.manual_seed(0)
