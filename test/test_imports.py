# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Which module may import what; see the layers in the design."""
import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ltp_ros

PACKAGE = Path(ltp_ros.__file__).parent
SOURCES = {str(path.relative_to(PACKAGE)): path for path in sorted(PACKAGE.rglob('*.py'))
           if 'msg' not in path.relative_to(PACKAGE).parts}  # generated

ROS = ('rclpy', 'rcl_interfaces', 'sensor_msgs', 'std_msgs', 'diagnostic_msgs', 'vision_msgs',
       'lifecycle_msgs', 'cv_bridge', 'ament_index_python', 'ltp_ros.msg', 'ltp_ros.messages')
# Each group of modules is imported in a process where these are not to be had
LAYERS = [
    ('config latency mailbox controller replay profile', ROS + ('numpy', 'torch', 'cv2', 'timm')),
    ('image datasets', ROS + ('torch', 'timm')),
    ('token_pruning preprocessing conv_stem mixed papr tome', ROS + ('cv2', 'timm')),
    ('vit backends.eager classifier pipeline worker overlay health machine '
     'accuracy.answers accuracy.rows accuracy.maps training.adaptation training.recordings '
     'tools.benchmark tools.benchmark_methods tools.benchmark_gpu', ROS),
]
BLOCK_AND_IMPORT = '''
import importlib, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if any((name + '.').startswith(blocked + '.') for blocked in sys.argv[1].split()):
            raise ImportError(name + ' is blocked')

sys.meta_path.insert(0, Blocker())
for name in sys.argv[2].split():
    importlib.import_module('ltp_ros.' + name)
'''


def import_with_blocked(modules, blocked):
    return subprocess.run(
        [sys.executable, '-c', BLOCK_AND_IMPORT, ' '.join(blocked), modules],
        stderr=subprocess.PIPE, text=True, timeout=300, cwd=PACKAGE.parent)


def imported_packages(path):
    """Return the top-level names that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split('.')[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split('.')[0]


def test_the_blocker_blocks():
    result = import_with_blocked('latency', ('dataclasses',))
    assert 'ImportError: dataclasses is blocked' in result.stderr
    assert result.returncode != 0


@pytest.mark.parametrize('modules, blocked', LAYERS, ids=[modules for modules, _ in LAYERS])
def test_the_core_imports_without_what_its_layer_may_not_know(modules, blocked):
    result = import_with_blocked(modules, blocked)
    assert result.returncode == 0, result.stderr


def test_only_vit_imports_timm():
    assert [name for name, path in SOURCES.items() if 'timm' in imported_packages(path)] == [
        'vit.py']


@pytest.mark.parametrize('name', SOURCES)
def test_every_file_is_of_python_3_8(name):
    ast.parse(SOURCES[name].read_text(encoding='utf-8'), feature_version=(3, 8))


def test_ros_is_known_to_the_outermost_modules_alone():
    ros = {name for name, path in SOURCES.items() if set(ROS) & set(imported_packages(path))}
    assert {name for name in ros if not name.startswith('tools')} <= {
        'configured_node.py', 'messages.py', 'node.py', 'outputs.py', 'parameters.py',
        'subscriptions.py'}
