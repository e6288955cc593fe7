# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The node and a camera over DDS, if ROS is installed."""
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

from ltp_ros.files import read_text
from ltp_ros.research.benchmarks.gpu.parts import Skip, Task

KEEP_RATIO = 0.53
START_S = 20.0  # to load the model, warm up and shut down


def run(task: Task) -> None:
    """Run `ltp_benchmark node` in a process of its own."""
    for module in ('rclpy', 'ltp_ros.msg'):
        if importlib.util.find_spec(module) is None:
            raise Skip(f'{module} is not installed')
    seconds = task.left_s - START_S
    if seconds < 3.0:
        raise Skip('no time left')
    found = Path(task.settings.output) / 'node.json'
    subprocess.run(
        [sys.executable, '-m', 'ltp_ros.tools.benchmark', 'node', '--quiet', '--model', 'demo',
         '--device', task.settings.device, '--keep-ratios', f'{KEEP_RATIO:g}', '--seconds',
         f'{min(seconds, 20.0):.0f}', '--json', str(found)], check=True, timeout=task.left_s)
    for row in json.loads(read_text(found))['rows']:
        task.row('demo in the node, 640x480 at 30 Hz', **row)
    found.unlink()
