# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""docker/healthcheck.py beside a real node, as Docker runs it: a process and its exit code."""
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from ros_helpers import classifier_process, state

SCRIPT = Path(__file__).parents[2] / 'docker' / 'healthcheck.py'
TIMEOUT_S = 240.0  # where ten processes share a core

pytestmark = pytest.mark.skipif(not SCRIPT.is_file(), reason='the sources have no containers')


@pytest.fixture
def asked(tmp_path):
    """Return a function that runs the program and returns its exit code and what it says."""
    def run(*argv, seconds=60):
        logs = tmp_path / 'logs'
        result = subprocess.run(
            [sys.executable, str(SCRIPT), '--seconds', str(seconds), *argv], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT_S,
            env={**os.environ, 'ROS_LOG_DIR': str(logs)})
        assert not logs.exists() or not list(logs.iterdir())  # thousands a day otherwise
        return result.returncode, result.stdout
    return run


def test_a_node_that_answers_is_well(listener, asked, small_model):
    with classifier_process(checkpoint=small_model, keep_ratios='[1.0]') as node:
        listener.until(lambda: listener.node.count_subscribers('/ltp/image'), node)
        assert asked() == (0, '/ltp/classifier: well\n')


def test_a_node_that_nobody_has_activated_is_well_only_if_that_is_meant(
        listener, asked, small_model):
    with classifier_process(checkpoint=small_model, autostart=False) as node:
        listener.until(lambda: listener.node.count_publishers('/diagnostics'), node)
        assert state(listener) == 'unconfigured'
        assert asked() == (1, '/ltp/classifier: unconfigured: it answers nothing\n')
        assert asked('--inactive')[0] == 0


def test_a_node_that_is_not_there_is_not_well(asked):
    assert asked(seconds=3) == (1, '/ltp/classifier: no report on /diagnostics for 3 s\n')


def test_a_node_whose_device_hangs_is_not_well(listener, asked):
    publisher = listener.node.create_publisher(DiagnosticArray, '/diagnostics', 10)
    stop = threading.Event()

    def publish():
        while not stop.wait(0.2):
            publisher.publish(DiagnosticArray(status=[
                DiagnosticStatus(name=f'ltp/classifier: {name}', level=level, message=message)
                for name, level, message in (('lifecycle', b'\x00', 'active'),
                                             ('device', b'\x02', 'stuck in one image'))]))

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        assert asked() == (1, '/ltp/classifier: device: stuck in one image\n')
        assert asked('--status', 'lifecycle')[0] == 0
    finally:
        stop.set()
        thread.join()
