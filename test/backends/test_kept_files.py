# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What an earlier start has left is believed only where it is whole and private."""
import os

import pytest

from ltp_ros.backends import kept_choice, summary
from ltp_ros.backends.kept_choice import Kept
from ltp_ros.backends.summary import LevelSize, ModelSummary
from ltp_ros.model.data_config import DataConfig

KEPT = Kept('onnx', 'int8', 'checked', ((1.0, 8.0, 9.0), (0.5, 4.5, 5.0)))
SUMMARY = ModelSummary(
    'demo', 'abc', ('cat', 'dog'), DataConfig((32, 32), (0.5, 0.4, 0.3), (0.2, 0.2, 0.2)), 64,
    (8, 8), {1.0: LevelSize(64, 64, (64,)), 0.5: LevelSize(32, 32, (32,))})
BOTH = [(kept_choice, KEPT), (summary, SUMMARY)]
DAMAGES = [  # of a text, for each of the two
    [lambda text: '', lambda text: '[]', lambda text: 'null', lambda text: text[:-9],
     *(lambda text, pair=pair: text.replace(*pair) for pair in pairs)]
    for pairs in ([('8.0', 'NaN'), ('8.0', '-1'), ('8.0', '[]'), ('backend', 'b')],
                  [('grid_size', 'grid'), ('"bicubic"', '"no"'), ('0.5', '"half"'),
                   ('"1.0"', '"one"')])]


@pytest.mark.parametrize('room, content', BOTH)
def test_what_is_written_is_read_again(tmp_path, room, content):
    path = tmp_path / 'model' / 'ltp' / 'x.json'
    room.write(path, content)
    assert room.read(path) == content
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize('room, content, damage', [
    (*each, damage) for each, damages in zip(BOTH, DAMAGES) for damage in damages])
def test_what_is_damaged_is_none(tmp_path, room, content, damage):
    path = tmp_path / 'x.json'
    room.write(path, content)
    whole = path.read_text()
    assert damage(whole) != whole
    path.write_text(damage(whole))
    assert room.read(path) is None


@pytest.mark.parametrize('room, content', BOTH)
def test_what_others_may_have_written_is_not_believed(tmp_path, room, content):
    path = tmp_path / 'x.json'
    room.write(path, content)
    tmp_path.chmod(0o777)
    assert room.read(path) is None
    with pytest.raises(PermissionError, match='can be written to by everybody'):
        room.write(path, content)


def test_summaries_do_not_pile_up(tmp_path):
    for index in range(summary.MOST + 3):
        path = tmp_path / f'{index}.json'
        summary.write(path, SUMMARY)
        os.utime(path, (index, index))
    summary.write(tmp_path / 'last.json', SUMMARY)
    left = {path.stem for path in tmp_path.iterdir()}
    assert len(left) == summary.MOST and 'last' in left and '0' not in left
