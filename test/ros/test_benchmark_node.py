# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark node`: the stages add up, and every image is accounted for."""
import io
import json

import pytest
from rich.console import Console

from ltp_ros.msg import FrameLatency
from ltp_ros.tools.benchmark import main
from ltp_ros.tools.benchmarks.node import STAGES, make_table, stage_rows


def test_what_the_node_costs_is_the_total_less_the_inference():
    answers = [FrameLatency(total_ms=total, inference_ms=20.0, dropped_since_last=drops)
               for total, drops in ((21.0, 0), (22.0, 2), (30.0, 0))]
    rows = {row['stage']: row for row in stage_rows(answers, 0.5, 6.2)}
    assert rows['beside inference']['p50_ms'] == pytest.approx(2.0)
    assert {(row['n'], row['superseded'], row['lost']) for row in rows.values()} == {(3, 2, 1)}


def test_the_node_is_measured_at_every_keep_ratio_asked_for(forked, small_model, tmp_path):
    path = tmp_path / 'result.json'
    assert main(['node', '--checkpoint', small_model, '--device', 'cpu', '--backend', 'eager',
                 '--precision', 'float32', '--keep-ratios', '1.0', '0.53', '--seconds', '1',
                 '--quiet', '--json', str(path)]) == 0
    result = json.loads(path.read_text())
    assert (result['backend'], result['conserved']) == ('eager', True)
    assert [row['keep_ratio'] for row in result['rows']] == (
        [1.0] * (len(STAGES) + 1) + [0.53] * (len(STAGES) + 1))
    output = io.StringIO()
    Console(width=80, file=output).print(make_table(result, result['rows']))
    assert '…' not in output.getvalue()
    for row in result['rows']:
        assert row['p50_ms'] <= row['p95_ms'] <= row['p99_ms'] and row['n'] > 1
