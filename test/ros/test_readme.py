# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The README's section for those without the ros2 command, run as it stands."""
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import ltp_ros
from ltp_ros.tools.support.processes import STOP_TIMEOUT_S

SAMPLES = Path(ltp_ros.__file__).parent / 'tools' / 'samples'
README = Path(__file__).parents[2] / 'README.md'
SECTION = README.read_text(encoding='utf-8').split('\n## Without the ros2 command\n')[1].split(
    '\n## ')[0]
BLOCKS = re.findall(r'^```(\w+)\n(.*?)^```', SECTION, re.MULTILINE | re.DOTALL)


@pytest.fixture
def run(tmp_path):
    """Return a function that starts a command in a folder of its own, its output in a file."""
    started = []

    def start(*command):
        log = (tmp_path / f'{len(started)}.log').open('w+b')
        started.append(subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=tmp_path,
            env={**os.environ, 'PYTHONUNBUFFERED': '1', 'OMP_NUM_THREADS': '1'},
            start_new_session=True))
        return Path(log.name), started[-1]

    yield start
    for number in (signal.SIGTERM, signal.SIGKILL):  # a killed node leaves its shared memory
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for process in started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
                while time.monotonic() < deadline:  # bash ends before its jobs
                    os.killpg(process.pid, 0)
                    process.poll()
                    time.sleep(0.02)


@pytest.mark.skipif(shutil.which('ltp_classifier') is None, reason='the package is not installed')
def test_the_section_without_the_ros2_command_works_as_it_is_written(listener, run, tmp_path):
    assert [language for language, _ in BLOCKS] == ['bash', 'yaml', 'python', 'python']
    commands, parameters, recorder, tuning = (text for _, text in BLOCKS)
    (tmp_path / 'robot.yaml').write_text(parameters)
    node_log, _ = run('bash', '-euc', commands)
    listener.until(lambda: len(listener.classifications) > 3)
    assert len(listener.classifications[-1].labels) == 5
    run(sys.executable, '-c', recorder)
    answers = tmp_path / 'answers.csv'
    listener.until(lambda: answers.exists() and answers.read_text().count('\n') > 2)
    seconds, label, score = answers.read_text().splitlines()[0].split(',')
    assert float(seconds) > 1e9 and 0 < float(score) <= 1 and label
    shutil.copy(SAMPLES / 'chelsea.jpg', tmp_path / 'picture.jpg')
    tuning_log, process = run(sys.executable, '-c', tuning)
    listener.until(lambda: process.poll() is not None)
    first, second = tuning_log.read_text().splitlines()
    assert first.endswith(' 0.53') and second == 'cat'
    assert 'rror' not in node_log.read_text()
