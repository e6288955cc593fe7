# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What several test modules share: where the test data lies, the device, a small model."""
import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest

# What needs ROS is left out where there is none, so that the rest can be tested on any machine
collect_ignore = [] if importlib.util.find_spec('rclpy') else ['ros']

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


@pytest.fixture(scope='session')
def device():
    """Return the torch device that LTP_TEST_DEVICE names, by default the CPU."""
    import torch
    return torch.device(os.environ.get('LTP_TEST_DEVICE', 'cpu'))


@pytest.fixture
def needs_cpu_numbers():
    """Return a function that skips the test where torch cannot compute in a dtype on the CPU."""
    import torch

    def check(dtype):
        try:
            torch.nn.functional.linear(*(torch.ones(1, 2, dtype=dtype) for _ in range(2)))
        except RuntimeError as error:
            pytest.skip(f'torch {torch.__version__}: {error}')
    return check


@pytest.fixture(autouse=True)
def seeded():
    """Make every test draw the same random numbers."""
    if 'torch' in sys.modules:  # the tests of what needs no torch run without it too
        sys.modules['torch'].manual_seed(0)


@pytest.fixture(scope='session', autouse=True)
def own_cache(tmp_path_factory):
    """Keep what is exported here out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))
        yield


@pytest.fixture(scope='session')
def small_model(tmp_path_factory):
    """Save a small model with random weights and its card; return the checkpoint's path."""
    import timm
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp('small_model')
    args = {'img_size': 64, 'embed_dim': 48, 'depth': 2, 'num_heads': 3}
    torch.manual_seed(0)
    model = timm.create_model('vit_tiny_patch16_224', num_classes=7, **args)
    save_file(model.state_dict(), folder / 'small.safetensors')
    (folder / 'small.json').write_text(json.dumps({
        'architecture': 'vit_tiny_patch16_224', 'model_args': args,
        'label_names': [f'thing {index}' for index in range(7)],
        'pretrained_cfg': {'crop_pct': 1.0}}))
    return str(folder / 'small.safetensors')


@pytest.fixture
def listener(monkeypatch):
    """Return a `Listener` in a ROS domain of this test run alone."""
    import rclpy
    from ros_helpers import Listener

    from ltp_ros.tools.support.processes import isolate

    # What the developer's shell sets must not reach the test; monkeypatch puts it back afterwards
    for name in ('ROS_DOMAIN_ID', 'ROS_AUTOMATIC_DISCOVERY_RANGE', 'ROS_LOCALHOST_ONLY',
                 'FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'):
        monkeypatch.setenv(name, '')
        monkeypatch.delenv(name)
    isolate()
    rclpy.init()
    listener = Listener()
    yield listener
    listener.node.destroy_node()
    rclpy.try_shutdown()
