# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Every file of msg/, srv/ and action/ is built, installed and named where a build needs it."""
import importlib
import re
from pathlib import Path

import pytest
from rclpy.serialization import deserialize_message, serialize_message

from ltp_ros.ros.transport import share_directory

ROOT = Path(__file__).parents[2]
# The parts of each that travel as messages
PARTS = {'msg': ('',), 'srv': ('Request', 'Response'), 'action': ('Goal', 'Result', 'Feedback')}
INTERFACES = [f'{kind}/{path.name}' for kind in PARTS
              for path in sorted((ROOT / kind).glob(f'*.{kind}'))]


def test_there_are_interfaces_of_each_kind():
    assert {name.split('/')[0] for name in INTERFACES} == set(PARTS)


@pytest.mark.parametrize('name', INTERFACES)
def test_each_is_built_and_travels(name):
    kind, stem = Path(name).parent.name, Path(name).stem
    interface = getattr(importlib.import_module(f'ltp_ros.{kind}'), stem)
    for part in PARTS[kind]:
        message = getattr(interface, part)() if part else interface()
        assert deserialize_message(serialize_message(message), type(message)) == message


@pytest.mark.parametrize('name', INTERFACES)
def test_the_fields_built_are_those_of_the_file(name):
    kind, stem = Path(name).parent.name, Path(name).stem
    interface = getattr(importlib.import_module(f'ltp_ros.{kind}'), stem)
    sections = re.split(r'^---$', (ROOT / name).read_text(encoding='utf-8'), flags=re.MULTILINE)
    assert len(sections) == len(PARTS[kind])
    for part, section in zip(PARTS[kind], sections):
        message = getattr(interface, part) if part else interface
        assert list(message.get_fields_and_field_types()) == re.findall(
            r'^[\w/\[\]]+ +(\w+)(?: *#.*)?$', section, re.MULTILINE), f'{part}: reinstall ltp_ros'


@pytest.mark.parametrize('name', INTERFACES)
def test_each_is_in_the_share_of_the_installed_package(name):
    assert (share_directory() / name).is_file()


def test_colcon_builds_each():
    assert re.findall(r'^ +"((?:msg|srv|action)/.*)"$', (ROOT / 'CMakeLists.txt').read_text(
        encoding='utf-8'), re.MULTILINE) == INTERFACES


@pytest.mark.parametrize('kind', PARTS)
def test_pip_takes_each_kind_along(kind):
    assert f'"share/ltp_ros/{kind}" = ["{kind}/*.{kind}"]' in (ROOT / 'pyproject.toml').read_text(
        encoding='utf-8')
    assert f'recursive-include {kind} *.{kind}\n' in (ROOT / 'MANIFEST.in').read_text(
        encoding='utf-8')
