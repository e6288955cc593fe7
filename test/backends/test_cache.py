# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What is kept is what was made, and by whom."""
import errno
import multiprocessing
import os
import shutil
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from ltp_ros.backends.cache import (
    SEALS,
    adopt,
    drop_damaged,
    ensure,
    prune,
    seal_all,
    who_else_writes,
)

ORIGIN = {'torch': '2.1', 'ltp_ros': 'abc'}


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'cache' / 'model' / 'keep_0.5.onnx'


class Maker:
    """Writes the file, and counts how often."""

    def __init__(self, content=b'level'):
        self.content, self.calls = content, 0

    def __call__(self, path):
        self.calls += 1
        path.write_bytes(self.content)


def test_a_file_is_made_once_and_for_this_user_alone(path):
    make, told = Maker(), []
    for _ in range(3):
        ensure(path, ORIGIN, make, told.append)
    assert (make.calls, told, path.read_bytes()) == (1, [], b'level')
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700


def test_a_file_made_elsewhere_takes_the_place_of_the_one_that_is_kept(path):
    make, told, made = Maker(), [], path.with_name('new')
    ensure(path, ORIGIN, make, told.append)
    made.write_bytes(b'other')
    adopt(path, made, {**ORIGIN, 'torch': '2.2'}, told.append)
    assert path.read_bytes() == b'other' and not made.exists()
    ensure(path, {**ORIGIN, 'torch': '2.2'}, make, told.append)
    assert (make.calls, told) == (1, [])


def test_a_file_made_elsewhere_stays_out_of_a_folder_that_others_can_write_to(path):
    ensure(path, ORIGIN, Maker(), print)
    made = path.with_name('new')
    made.write_bytes(b'other')
    path.parent.chmod(0o777)
    with pytest.raises(PermissionError):
        adopt(path, made, ORIGIN, print)
    assert path.read_bytes() == b'level'


@pytest.mark.parametrize('damage, reason', [
    (lambda path: path.write_bytes(b'lev\0l'), 'is damaged'),
    (lambda path: path.write_bytes(b''), 'is damaged'),
    (lambda path: (path.parent / SEALS).unlink(), 'was made by an earlier version'),
    (lambda path: (path.parent / SEALS).write_text('{"keep'), 'was made by an earlier version'),
    (lambda path: (path.parent / SEALS).write_text('[]'), 'was made by an earlier version'),
    (lambda path: (path.parent / SEALS).write_text('{"keep_0.5.onnx": 3}'),
     'was made by an earlier version'),
    (lambda path: (path.parent / SEALS).write_bytes(b'\xff\xfe'),
     'was made by an earlier version'),
])
def test_what_does_not_fit_is_told_and_made_anew(path, damage, reason):
    make, told = Maker(), []
    ensure(path, ORIGIN, make, told.append)
    damage(path)
    ensure(path, ORIGIN, make, told.append)
    assert make.calls == 2 and path.read_bytes() == b'level'
    assert len(told) == 1 and f'{path} {reason}' in told[0]
    ensure(path, ORIGIN, make, told.append)
    assert make.calls == 2


def test_a_file_of_other_versions_is_made_anew(path):
    make, told = Maker(), []
    ensure(path, ORIGIN, make, told.append)
    ensure(path, {**ORIGIN, 'torch': '2.2'}, make, told.append)
    assert make.calls == 2 and 'was made by torch 2.1, not 2.2' in told[0]


def test_a_file_that_could_not_be_made_leaves_nothing_that_is_believed(path):
    def fail(path):
        path.write_bytes(b'half')
        raise OSError('no space left')

    with pytest.raises(OSError, match='no space left'):
        ensure(path, ORIGIN, fail, print)
    make = Maker()
    ensure(path, ORIGIN, make, lambda line: None)
    assert make.calls == 1


def test_a_disk_that_is_full_when_the_seal_is_written_keeps_no_half_of_it(path, monkeypatch):
    def fill(partial, text, **kwargs):
        partial.write_bytes(text[:10].encode())
        raise OSError(errno.ENOSPC, 'No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr(type(path), 'write_text', fill)
        with pytest.raises(OSError, match='No space'):
            ensure(path, ORIGIN, Maker(), print)
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # whole, but not believed
    make = Maker()
    ensure(path, ORIGIN, make, lambda line: None)
    assert make.calls == 1


def test_a_cache_that_can_only_be_read_serves_what_it_has(path, monkeypatch):
    ensure(path, ORIGIN, Maker(), print)

    def refuse(*args, **kwargs):
        raise PermissionError(30, 'Read-only file system')

    monkeypatch.setattr(os, 'utime', refuse)
    ensure(path, ORIGIN, refuse, print)


def _make_slowly(path, entered, go_on):
    def make(path):
        entered.set()
        assert go_on.wait(60)
        path.write_bytes(b'first')
    ensure(path, ORIGIN, make, print)


def test_two_processes_make_a_file_once_and_the_second_says_that_it_waits(path):
    context = multiprocessing.get_context('spawn')
    entered, go_on = context.Event(), context.Event()
    other = context.Process(target=_make_slowly, args=(path, entered, go_on))
    other.start()
    try:
        assert entered.wait(60)
        told = []

        def hear(line):
            told.append(line)
            go_on.set()

        ensure(path, ORIGIN, Maker(b'second'), hear)
    finally:
        go_on.set()
        other.join(60)
    assert path.read_bytes() == b'first' and 'waiting for another process' in told[0]


def test_engines_that_do_not_fit_their_seal_are_removed(tmp_path):
    (tmp_path / 'a.engine').write_bytes(b'a')
    (tmp_path / 'b.engine').write_bytes(b'b')
    seal_all(tmp_path, print)
    (tmp_path / 'b.engine').write_bytes(b'c')
    (tmp_path / 'c.engine').write_bytes(b'never finished')
    told = []
    drop_damaged(tmp_path, told.append)
    assert [path.name for path in tmp_path.glob('*.engine')] == ['a.engine']
    assert len(told) == 2


def test_the_models_used_longest_ago_make_room(tmp_path):
    for age, model in enumerate(('newest', 'in use', 'old', 'oldest')):
        path = tmp_path / f'{model}-hash' / 'ltp' / 'keep_1.onnx'
        ensure(path, ORIGIN, Maker(bytes(1000)), print)
        os.utime(str(path.parent), (1e9 - age, 1e9 - age))
    (tmp_path / 'not ours').mkdir()
    (tmp_path / 'not ours' / 'thesis.onnx').write_bytes(bytes(5000))
    in_use = tmp_path / 'in use-hash' / 'ltp'
    prune(tmp_path, in_use, max_bytes=5000)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'in use-hash', 'newest-hash', 'not ours', 'old-hash', 'oldest-hash']
    prune(tmp_path, in_use, max_bytes=2500)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'in use-hash', 'newest-hash', 'not ours']
    prune(tmp_path, in_use, max_bytes=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['in use-hash', 'not ours']


@pytest.mark.parametrize('mode, who', [
    (0o700, ''), (0o755, ''), (0o775, ''), (0o777, 'can be written to by everybody'),
    (0o1777, ''), (0o702, 'can be written to by everybody')])
@pytest.mark.parametrize('level', range(1, 3))
def test_a_cache_that_everybody_can_write_to_is_not_used(path, mode, who, level):
    ensure(path, ORIGIN, Maker(), print)
    path.parents[level].chmod(mode)
    assert who_else_writes(path.parents[level]) == who
    if who:
        with pytest.raises(PermissionError, match=f'{who}.*chmod go-w.*cache:=FOLDER'):
            ensure(path, ORIGIN, pytest.fail, print)
    else:
        ensure(path, ORIGIN, pytest.fail, print)


def test_files_that_others_may_have_put_there_are_not_used_though_they_cannot_replace_ours(path):
    ensure(path, ORIGIN, Maker(), print)
    path.parent.chmod(0o1777)
    with pytest.raises(PermissionError, match='can be written to by everybody'):
        ensure(path, ORIGIN, pytest.fail, print)


@pytest.mark.parametrize('mode', [0o777, 0o702])
def test_a_folder_of_files_that_everybody_can_write_to_is_not_used(path, mode):
    ensure(path, ORIGIN, Maker(), print)
    path.parent.chmod(mode)
    with pytest.raises(PermissionError, match='can be written to by everybody'):
        ensure(path, ORIGIN, pytest.fail, print)


def folder_of(monkeypatch, **fields):
    """Let every folder be one with these fields."""
    found = os.stat_result((0o40700, 1, 1, 1, 0, 0, 0, 0, 0, 0))
    values = {name: getattr(found, name) for name in ('st_mode', 'st_uid', 'st_gid')}
    monkeypatch.setattr(Path, 'stat', lambda path: SimpleNamespace(**{**values, **fields}))


@pytest.mark.parametrize('fields, who', [
    ({'st_uid': 1234}, 'belongs to user 1234'), ({'st_uid': 0}, ''), ({'st_uid': 1000}, ''),
    ({'st_uid': 1000, 'st_mode': 0o40770, 'st_gid': 44}, 'can be written to by group 44'),
    ({'st_uid': 1000, 'st_mode': 0o40770, 'st_gid': 1000}, ''),
    ({'st_uid': 1234, 'st_mode': 0o41777}, 'belongs to user 1234')])
def test_a_cache_of_another_user_is_not_used(monkeypatch, fields, who):
    monkeypatch.setattr(os, 'geteuid', lambda: 1000)
    monkeypatch.setattr(os, 'getegid', lambda: 1000)
    folder_of(monkeypatch, **fields)
    assert who_else_writes(Path('anywhere')) == who


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can give a folder to another user')
def test_a_link_to_the_folder_of_another_user_is_not_followed(path, tmp_path):
    ensure(path, ORIGIN, Maker(), print)
    (tmp_path / 'theirs').mkdir()
    os.chown(str(tmp_path / 'theirs'), 12345, 12345)
    shutil.rmtree(str(path.parent))
    path.parent.symlink_to(tmp_path / 'theirs')
    with pytest.raises(PermissionError, match='belongs to user 12345'):
        ensure(path, ORIGIN, pytest.fail, print)
