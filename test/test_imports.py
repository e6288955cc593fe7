# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Which room may import what: down the floors of docs/architecture.md, never up."""
import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ltp_ros

PACKAGE = Path(ltp_ros.__file__).parent
SOURCES = {str(path.relative_to(PACKAGE)): path for path in sorted(PACKAGE.rglob('*.py'))
           if path.parent.name not in ('msg', 'srv', 'action')}  # generated

# From the ground up: a room may import those before it, and itself
FLOORS = ('programs', 'files', 'parameter', 'config', 'region', 'machine', 'teaching', 'reduction',
          'tuner', 'settings', 'model', 'zoom', 'backends', 'opening', 'rungs', 'prediction',
          'classifier', 'frames', 'images', 'research', 'ros', 'client', 'node', 'tools')
# Which of them besides must not know each other
STRANGERS = {'teaching': {'parameter', 'config', 'region', 'machine'},
             'reduction': {'files', 'parameter', 'config', 'region', 'machine', 'teaching'},
             'tuner': {'region', 'machine', 'teaching', 'reduction'},
             'zoom': {'machine', 'teaching', 'reduction', 'tuner'},
             'model': {'machine', 'teaching', 'tuner'},
             'backends': {'machine', 'teaching', 'tuner'}, 'ros': {'research'},
             'client': {'research'}, 'node': {'research'}}
ROS = ('rclpy', 'rcl_interfaces', 'sensor_msgs', 'std_msgs', 'diagnostic_msgs', 'vision_msgs',
       'lifecycle_msgs', 'builtin_interfaces', 'action_msgs', 'ament_index_python',
       'ltp_ros.msg', 'ltp_ros.srv', 'ltp_ros.action')
# Each group is imported in a process where these are not to be had
WITHOUT = [
    ('config tuner settings', (*ROS, 'numpy', 'torch', 'cv2', 'timm')),
    ('images frames/decoding', (*ROS, 'torch', 'timm')),
    ('teaching', (*ROS, 'torch', 'cv2', 'timm')),
    ('zoom', (*ROS, 'torch', 'timm')),
    ('client', ('torch', 'cv2', 'timm')),
    ('node', ('torch', 'timm', 'huggingface_hub')),  # a second start does without
    ('tools/image_source', ('torch', 'timm')),  # a camera starts at once
    ('reduction model/preprocessing model/conv_stem', (*ROS, 'cv2', 'timm')),
    # Where packages are broken, ltp_doctor says which
    ('tools/doctor tools/checks/installation tools/checks/transport tools/checks/leftovers',
     (*ROS, 'numpy', 'torch', 'cv2', 'timm')),
    ('machine model backends classifier frames research tools/benchmark tools/benchmarks/choose '
     'tools/benchmarks/methods tools/benchmarks/gpu tools/benchmarks/board tools/adapt '
     'tools/evaluate tools/export tools/profile tools/replay tools/teach tools/train',
     ROS),
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


def modules_of(rooms):
    """Return the dotted names of the modules of rooms, such as 'tuner' or 'tools/benchmark'."""
    return ' '.join(name[:-3].replace('/', '.') for name in SOURCES for room in rooms.split()
                    if f'{name[:-3]}/'.startswith(f'{room}/') and not name.endswith('__init__.py'))


def imported(path):
    """Return the dotted names that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f'{node.module}.{alias.name}' for alias in node.names)


def rooms_that(name):
    """Return the rooms of this package that a file imports from."""
    return {dotted.split('.')[1] for dotted in imported(SOURCES[name])
            if dotted.startswith('ltp_ros.')} - {'msg', 'srv', 'action'}


def room_of(name):
    return name.split('/')[0].replace('.py', '')


def test_the_blocker_blocks():
    result = import_with_blocked('machine', ('platform',))
    assert 'ImportError: platform is blocked' in result.stderr
    assert result.returncode != 0


@pytest.mark.parametrize('rooms, blocked', WITHOUT, ids=[rooms for rooms, _ in WITHOUT])
def test_a_room_imports_without_what_it_may_not_know(rooms, blocked):
    if not set(ROS) & set(blocked):
        pytest.importorskip('rclpy')  # what is left is for ROS
    modules = modules_of(rooms)
    assert len(modules.split()) >= len(rooms.split())
    result = import_with_blocked(modules, blocked)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize('name', [name for name in SOURCES if name != '__init__.py'])
def test_imports_point_downwards(name):
    room = room_of(name)
    allowed = set(FLOORS[:FLOORS.index(room) + 1]) - STRANGERS.get(room, set())
    assert rooms_that(name) <= allowed


def test_only_the_room_of_models_knows_the_models_of_timm():
    assert {name for name, path in SOURCES.items() for dotted in imported(path)
            if dotted.split('.')[0] == 'timm' and not dotted.startswith(
                ('timm.optim', 'timm.data'))} == {
                    'model/features.py', 'model/input_sizes.py', 'model/last_block.py',
                    'model/timm_models.py', 'model/vit.py'}


@pytest.mark.parametrize('name', SOURCES)
def test_every_file_is_of_python_3_8(name):
    ast.parse(SOURCES[name].read_text(encoding='utf-8'), feature_version=(3, 8))


def test_ros_is_known_to_its_room_to_the_doors_and_to_programs_alone():
    ros = {room_of(name) for name, path in SOURCES.items()
           if any(f'{dotted}.'.startswith(f'{package}.')
                  for dotted in imported(path) for package in ROS)}
    assert ros <= {'ros', 'client', 'node', 'tools'}
