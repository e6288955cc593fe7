# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What killed processes leave in shared memory is told from what lives."""
import fcntl
import shutil

import pytest

from ltp_ros.tools.checks import leftovers
from ltp_ros.tools.checks.finding import Level
from ltp_ros.tools.checks.leftovers import MANY, Leftovers, find, judge


@pytest.fixture
def segment(tmp_path):
    """Return a function that makes a segment with its lock, which a living process holds."""
    held = []

    def make(name, lives):
        (tmp_path / name).write_bytes(b'x' * 8192)
        lock = (tmp_path / f'{name}_el').open('w')
        if lives:
            fcntl.flock(lock, fcntl.LOCK_EX)
            held.append(lock)
        else:
            lock.close()

    yield make
    for lock in held:
        lock.close()


def test_a_segment_is_left_behind_if_nobody_holds_its_lock(tmp_path, segment):
    segment('fastrtps_00000000000000aa', lives=True)
    segment('fastrtps_00000000000000bb', lives=False)
    segment('fastdds_00000000000000cc', lives=False)
    segment('fastrtps_port7411', lives=False)
    segment('of_another_program', lives=False)
    assert find(tmp_path) == Leftovers(3, 3 * 8192)
    with (tmp_path / 'fastrtps_00000000000000bb_el').open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # looking has taken no lock


def test_a_segment_that_is_removed_meanwhile_and_a_folder_that_is_not_there_are_nothing(
        tmp_path, segment):
    segment('fastrtps_00000000000000aa', lives=False)
    (tmp_path / 'fastrtps_00000000000000aa').unlink()
    assert find(tmp_path) == Leftovers(1, 0)
    assert find(tmp_path / 'none') == Leftovers(0, 0)


@pytest.mark.parametrize('tool, remedy', [
    ('/usr/bin/fastdds', 'fastdds shm clean'), (None, 'rm /dev/shm/fastrtps_*')])
def test_many_of_them_are_a_warning_with_the_command_that_is_there(monkeypatch, tool, remedy):
    monkeypatch.setattr(shutil, 'which', lambda name: tool)
    assert judge(Leftovers(MANY - 1, 0)).level is Level.OK
    finding = judge(Leftovers(MANY, 5_000_000))
    assert finding.level is Level.WARN and remedy in finding.remedy
    assert finding.message.startswith(f'{MANY} segments of Fast DDS in /dev/shm, 5 MB')


def test_the_doctor_looks_for_them(monkeypatch):
    from ltp_ros.tools import doctor
    monkeypatch.setattr(leftovers, 'find', lambda: Leftovers(MANY, 0))
    monkeypatch.setattr(doctor.installation, 'import_packages', dict)
    monkeypatch.setattr(doctor.installation, 'NEEDED', ())
    monkeypatch.setattr(doctor.installation, 'judge_packages', lambda *_: [])
    monkeypatch.setattr(doctor, '_examine_further', lambda *_: [])
    assert Level.WARN in {finding.level for finding in doctor.examine(doctor.build_parser(
        ).parse_args([])) if finding.check == 'killed processes'}
