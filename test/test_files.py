# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Names of files, and texts, as people have them."""
import pytest

from ltp_ros.files import expand, read_text, some_of, walk


def test_a_byte_order_mark_is_no_part_of_a_text(tmp_path):
    (tmp_path / 'a.txt').write_bytes(b'\xef\xbb\xbfcat\n')
    assert read_text(tmp_path / 'a.txt') == 'cat\n'


def test_a_text_without_an_end_is_not_read_for_ever():
    with pytest.raises(OSError, match='more than 64 million letters'):
        read_text('/dev/zero')


def test_a_path_may_begin_with_the_home_folder_and_may_be_empty(monkeypatch):
    monkeypatch.setenv('HOME', '/home/someone')
    assert [expand(path) for path in ('~/x', '/y/~', '')] == ['/home/someone/x', '/y/~', '']


def test_a_folder_is_walked_in_order_with_its_subfolders(tmp_path):
    for name in ('b.JPG', 'a/z.jpg', 'c/d/e.png', 'notes.txt'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [str(path.relative_to(tmp_path)) for path in walk(tmp_path, ('.jpg', '.png'))]
    assert found == ['a/z.jpg', 'b.JPG', 'c/d/e.png']


@pytest.mark.parametrize('name', [
    '._x.jpg', '.x.jpg', '.thumbnails/x.jpg', '__MACOSX/x.jpg', '@eaDir/x.jpg/SYNO_S.jpg',
    '#recycle/x.jpg', '$RECYCLE.BIN/x.jpg', 'System Volume Information/x.jpg',
    'lost+found/x.jpg', '@Recycle/x.jpg', '#snapshot/x.jpg'])
def test_what_a_system_leaves_behind_is_skipped(name, tmp_path):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
    assert walk(tmp_path, ('.jpg',)) == []


@pytest.mark.parametrize('names, expected', [
    ('ab', 'a, b'), ('abc', 'a, b, c'), ('abcde', 'a, b, c and 2 more')])
def test_three_names_and_a_number_stand_for_many(names, expected):
    assert some_of(names) == expected
