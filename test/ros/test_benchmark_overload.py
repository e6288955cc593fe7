# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark overload`: what it makes of recorded answers, and a short real run."""
import io
import json

import pytest
from rich.console import Console

from ltp_ros.msg import FrameLatency
from ltp_ros.tools.benchmark import main
from ltp_ros.tools.benchmarks.overload import FACTORS, make_table, summary


def answer(index, age_ms, inference_ms=30.0, dropped=2):
    """Return one answer to every third image of a camera at 100 Hz."""
    message = FrameLatency(capture_to_publish_ms=age_ms, inference_ms=inference_ms,
                           dropped_since_last=dropped)
    message.header.stamp.nanosec = 30_000_000 * index
    return message


def test_the_bound_is_two_periods_of_the_camera_and_the_inference_of_that_answer():
    found = summary([answer(0, 40.0), answer(1, 49.9), answer(2, 50.1), answer(3, 60.0, 40.0)])
    assert found['period_ms'] == pytest.approx(10.0)
    assert found['bound_p50_ms'] == pytest.approx(50.0)
    assert found['within_bound'] == 0.75
    assert found['age_max_ms'] == pytest.approx(60.0)


def test_node_is_overloaded_stays_fresh_says_so_and_recovers(
        forked, deit_tiny, tmp_path, capsys):
    path = tmp_path / 'result.json'
    assert main(['overload', '--model', deit_tiny['model'],
                 '--checkpoint', deit_tiny['checkpoint'], '--device', 'cpu', '--backend', 'eager',
                 '--precision', 'float32', '--seconds', '3', '--quiet', '--json', str(path)]) == 0
    assert 'every image accounted for: True' in capsys.readouterr().out
    result = json.loads(path.read_text())
    assert [row['phase'] for row in result['rows']] == list(FACTORS)
    calm, overload, _ = result['rows']
    assert overload['deadline_level'] == 'ERROR' != calm['deadline_level']
    assert overload['dropped'] > 0
    assert result['conserved'] is True and result['seconds_until_ok'] > 0
    output = io.StringIO()
    Console(width=80, file=output).print(make_table(result, result['rows']))
    assert '…' not in output.getvalue()
