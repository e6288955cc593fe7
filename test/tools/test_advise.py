# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark deadline --advise`: every other way to run the model, timed in turns."""
import json

import pytest

from ltp_ros.tools.benchmark import main
from ltp_ros.tools.benchmarks import advise


def test_every_way_is_timed_or_said_to_be_left_out(small_model, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(advise, 'BUDGET_S', 0.0)
    path = tmp_path / 'advice.json'
    assert main(['deadline', '--advise', '--checkpoint', small_model, '--device', 'cpu',
                 '--backend', 'eager', '--precision', 'float32', '--quiet',
                 '--json', str(path)]) == 0
    found = json.loads(path.read_text())
    timed = [row['change'] for row in found['rows']]
    told = [note.split(' is left out: ')[0] for note in found['notes']]
    assert found['rounds'] == advise.FEWEST_ROUNDS
    assert sum(change == advise.NOW for change in timed) == 1
    assert not set(timed) & set(told)
    for name in ('precision:=int8', 'backend:=onnx', 'input_size:='):
        assert any(name in way for way in timed + told)
    shares = [row['of_now'] for row in found['rows']]
    assert shares == sorted(shares)
    assert 1.0 in shares
    assert all(0 < row['floor_ms'] <= row['floor_p99_ms'] for row in found['rows'])
    shown = capsys.readouterr().out
    assert all(word in shown for change in timed for word in change.split())


@pytest.mark.parametrize('flag, name', [('--plot', 'x.png'), ('--frames', 'x.csv')])
def test_a_file_that_it_has_nothing_for_is_refused(flag, name, tmp_path, capsys):
    pytest.importorskip('matplotlib')
    assert main(['deadline', '--advise', flag, str(tmp_path / name)]) == 2
    assert '--json' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
