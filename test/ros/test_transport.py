# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Fast DDS's shared memory, as far as it can be seen without a second machine."""
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import SimpleNamespace

import pytest

from ltp_ros.ros import transport
from ltp_ros.ros.transport import PROFILES_VARIABLES, profiles_file, shared_memory_fault

MB = 10 ** 6
LIBRARY = '7f00-7f10 r-xp 00000000 00:1 7 /opt/ros/jazzy/lib/librmw_fastrtps_cpp.so\n'


@pytest.fixture(autouse=True)
def no_profiles(monkeypatch):
    for name in (*PROFILES_VARIABLES, 'FASTDDS_BUILTIN_TRANSPORTS'):
        monkeypatch.setenv(name, '')  # so that it is put back, whoever sets it
        monkeypatch.delenv(name)


def container(monkeypatch, megabytes):
    monkeypatch.setattr(transport.os, 'statvfs', lambda folder: SimpleNamespace(
        f_bavail=megabytes * MB, f_blocks=megabytes * MB, f_frsize=1))


@pytest.fixture
def mapped(tmp_path):
    """Return a function that writes the mappings of a process with segments of these sizes."""
    def write(*sizes, library=LIBRARY):
        path = tmp_path / 'maps'
        path.write_text(library + ''.join(
            f'{0x7000_0000:x}-{0x7000_0000 + size:x} rw-s 00000000 00:1 9 '
            f'/dev/shm/fastrtps_{index:016x}\n' for index, size in enumerate(sizes)))
        return path
    return write


def test_five_processes_fit_into_the_shared_memory_of_a_container():
    segments = [int(element.text) for element in ElementTree.parse(
        str(transport.share_directory() / 'config' / 'fastdds.xml')).iter()
        if element.tag.endswith('segment_size')]
    assert len(segments) == 1 and 1920 * 1080 * 3 < segments[0]
    assert 5 * (segments[0] * 1.06 + 2 ** 20) < 64 * 2 ** 20  # what Fast DDS adds, seen


@pytest.mark.parametrize('megabytes, name', [(64, 'fastdds.xml'), (4096, 'fastdds_4k.xml')])
def test_the_segment_is_sized_to_the_shared_memory_there_is(monkeypatch, megabytes, name):
    container(monkeypatch, megabytes)
    assert profiles_file(Path('/share')) == Path('/share/config', name)


@pytest.mark.parametrize('name', PROFILES_VARIABLES)
def test_profiles_that_the_user_has_chosen_stay_for_every_distribution(monkeypatch, name):
    monkeypatch.setenv(name, '/my/profiles.xml')
    transport.use_large_images()
    assert {os.environ[name] for name in PROFILES_VARIABLES} == {'/my/profiles.xml'}


@pytest.mark.parametrize('library', ['fastrtps', 'fastdds'])  # before Kilted, and since
def test_a_segment_that_holds_an_image_is_no_fault(mapped, library):
    maps = mapped(549_408, 10_500_000)
    maps.write_text(maps.read_text().replace('shm/fastrtps_', f'shm/{library}_'))
    assert shared_memory_fault(maps) == ''


def test_profiles_without_shared_memory_are_told_where_there_is_enough(monkeypatch, mapped):
    transport.use_large_images()
    container(monkeypatch, 4096)
    fault = shared_memory_fault(mapped(549_408))
    assert 'bring no shared memory' in fault and '--shm-size' not in fault


def test_transports_chosen_by_fast_dds_s_own_variable_are_not_judged(monkeypatch, mapped):
    monkeypatch.setenv('FASTDDS_BUILTIN_TRANSPORTS', 'LARGE_DATA')
    assert shared_memory_fault(mapped(549_408)) == ''


def test_another_middleware_is_not_judged(mapped):
    assert shared_memory_fault(mapped(library='')) == ''


def test_too_little_shared_memory_is_told_with_the_way_out(monkeypatch, mapped):
    transport.use_large_images()
    container(monkeypatch, 64)
    fault = shared_memory_fault(mapped(549_408))
    assert '64 of 64 MB are free in /dev/shm' in fault
    assert '--shm-size=256m or --ipc=host' in fault


def test_default_transports_are_told_with_the_file_to_set(mapped):
    fault = shared_memory_fault(mapped(549_408))
    assert all(name in fault for name in PROFILES_VARIABLES)
    assert f'set both to {profiles_file()}' in fault and 'not set' in fault


def test_profiles_that_are_not_there_are_named(monkeypatch, mapped):
    monkeypatch.setenv(PROFILES_VARIABLES[0], '/nowhere.xml')
    assert '/nowhere.xml, which does not exist' in shared_memory_fault(mapped(549_408))


JOIN = """
import sys
import rclpy
from ltp_ros.ros.transport import shared_memory_fault
rclpy.init()
node = rclpy.create_node('n')
print([shared_memory_fault()], flush=True)
sys.stdin.read()
"""


def test_five_processes_share_the_64_mb_of_a_container(listener, tmp_path):
    tmp_path.joinpath('join.py').write_text(JOIN)
    # A mount namespace of its own, as a container has
    script = f"""mount -t tmpfs -o size=64m tmpfs /dev/shm
        for number in 1 2 3 4 5; do {sys.executable} {tmp_path}/join.py & done; wait"""
    allowed = subprocess.run(['unshare', '--map-root-user', '--mount', 'true'], check=False,
                             stderr=subprocess.DEVNULL) if shutil.which('unshare') else None
    if allowed is None or allowed.returncode:
        pytest.skip('no mount namespaces here')
    profiles = str(transport.share_directory() / 'config' / 'fastdds.xml')
    result = subprocess.run(
        ['unshare', '--map-root-user', '--mount', 'bash', '-c', script], stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=90, cwd=Path(transport.__file__).parents[2],
        env={**os.environ, **dict.fromkeys(PROFILES_VARIABLES, profiles)})
    # Lines of several processes may run into each other
    assert result.stdout.replace('\n', '') == "['']" * 5


@pytest.mark.parametrize('name', ['fastdds.xml', 'fastdds_4k.xml'])
def test_a_process_that_joins_with_our_profiles_has_its_segment(listener, name):
    profiles = str(transport.share_directory() / 'config' / name)
    result = subprocess.run(
        [sys.executable, '-c', JOIN], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=90, cwd=Path(transport.__file__).parents[2],
        env={**os.environ, **dict.fromkeys(PROFILES_VARIABLES, profiles)})
    assert result.stdout.strip() == "['']"


@pytest.mark.parametrize('sizes, largest', [((), 0), ((600_000, 10 * MB), 10 * MB)])
def test_the_largest_segment_says_how_large_an_image_may_be(mapped, sizes, largest):
    assert transport.largest_segment(mapped(*sizes)) == largest
