# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What several test modules share: where the test data lies, the device, a small model."""
import contextlib
import importlib.util
import json
import os
import socket
import sys
from pathlib import Path

import pytest
import vision_messages

# One thread a process, ours and those that tests start: they run beside each other
os.environ.setdefault('OMP_NUM_THREADS', '1')
# What needs ROS is left out where there is none, so that the rest can be tested on any machine
collect_ignore = [] if importlib.util.find_spec('rclpy') else ['ros']

DOMAIN_PORT = 17_000  # plus the domain: a TCP port that whoever tests in the domain holds
PROCESSES = 4  # each has torch and a node beside it: 2 GB
DATA = Path(os.environ.get('LTP_TEST_DATA', Path(__file__).parents[2] / 'shared' / 'data'))


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist's
def pytest_cmdline_main(config):
    """Share the whole suite among processes, where pytest-xdist is there; `-n 0` undoes it."""
    chosen = config.option
    whole = not (chosen.file_or_dir or chosen.keyword or chosen.markexpr or chosen.usepdb)
    if (whole and config.pluginmanager.hasplugin('xdist') and chosen.numprocesses is None
            and 'PYTEST_XDIST_WORKER' not in os.environ):
        chosen.numprocesses, chosen.maxprocesses, chosen.dist = 'auto', PROCESSES, 'worksteal'


def pytest_configure(config):
    """Have vision_msgs, which the wheels lack; built before pytest-xdist starts its workers."""
    if vision_messages.missing() and config.pluginmanager.hasplugin('cacheprovider'):
        vision_messages.provide(config.cache.mkdir('vision_msgs'))


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


@pytest.fixture(scope='session', autouse=True)
def own_domain():
    """Confine ROS to this machine, in a domain that no other test run on it has."""
    from ltp_ros.tools.support.processes import isolate

    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        # What the developer's shell sets must not reach the tests
        for name in ('ROS_DOMAIN_ID', 'ROS_AUTOMATIC_DISCOVERY_RANGE', 'ROS_LOCALHOST_ONLY',
                     'FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'):
            patch.setenv(name, '')  # so that it is put back
            patch.delenv(name)
        reserved = stack.enter_context(socket.socket())
        for domain in (1 + (os.getpid() + step) % 100 for step in range(100)):
            with contextlib.suppress(OSError):  # another run has it
                reserved.bind(('127.0.0.1', DOMAIN_PORT + domain))
                break
        patch.setenv('ROS_DOMAIN_ID', str(domain))
        isolate()
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
def listener():
    """Return a `Listener` in the ROS domain of this test run alone."""
    import rclpy
    from ros_helpers import Listener

    rclpy.init()
    listener = Listener()
    yield listener
    listener.node.destroy_node()
    rclpy.try_shutdown()


@pytest.fixture
def forked(monkeypatch):
    """Have programs that start the node and a camera fork them."""
    from forked import Forked

    from ltp_ros.tools import demo
    from ltp_ros.tools.benchmarks import session

    for module in (demo, session):
        monkeypatch.setattr(module, 'Process', Forked)
