# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark crops`: every number of boxes, with and without the deadline."""
import io
import json

import pytest
from rich.console import Console

from ltp_ros.tools.benchmark import main
from ltp_ros.tools.benchmarks.crops import make_table

pytest.importorskip('vision_msgs.msg', reason='vision_msgs is not installed')


def test_every_number_of_boxes_is_measured(forked, small_model, tmp_path):
    path = tmp_path / 'result.json'
    assert main(['crops', '--checkpoint', small_model, '--device', 'cpu', '--backend', 'eager',
                 '--precision', 'float32', '--boxes', '2', '5', '--seconds', '1', '--deadline-ms',
                 '5000', '--quiet', '--json', str(path)]) == 0
    result = json.loads(path.read_text())
    rows = result['rows']
    assert [(row['boxes'], row['deadline_ms']) for row in rows] == [
        (2, 5000.0), (2, 0.0), (5, 5000.0), (5, 0.0)]
    assert all(row['answered'] == 1.0 and row['n'] > 1 for row in rows)
    output = io.StringIO()
    Console(width=80, file=output).print(make_table(result, rows))
    assert '…' not in output.getvalue()
