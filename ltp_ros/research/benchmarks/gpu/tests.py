# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The tests that need no ROS, with `LTP_TEST_DEVICE=cuda`."""
import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List

from ltp_ros.research.benchmarks.gpu.parts import Skip, Task

ROOT = Path(__file__).parents[4]
# These first, since they run on the device
FIRST = ('backends', 'reduction', 'model', 'test_classifier.py')
SUMMARY_S = 6.0  # for pytest to print its summary after an interrupt
LOG = 'pytest.txt'


def run(task: Task) -> None:
    """Run pytest, and interrupt it when time runs out."""
    folder = ROOT / 'test'
    if not folder.is_dir() or importlib.util.find_spec('pytest') is None:
        raise Skip('needs pytest and the source tree')
    first = [folder / name for name in FIRST]
    rest = sorted(path for path in folder.iterdir() if path not in first and (
        path.is_dir() or path.name.startswith('test_')) and path.name != '__pycache__')
    command = [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider',
               '-p', 'no:randomly',  # which would not begin with the first
               *parallel(), *(str(path) for path in (*first, *rest))]
    log = Path(task.settings.output) / LOG
    with log.open('w', encoding='utf-8') as output:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            env={**os.environ, 'LTP_TEST_DEVICE': task.settings.device,
                 'PYTHONPATH': os.pathsep.join(filter(None, [str(ROOT),
                                                             os.environ.get('PYTHONPATH')]))})
        try:
            wait(process, task.left_s - SUMMARY_S)
            if process.poll() is None:
                task.note('time ran out before all tests had run')
                process.send_signal(signal.SIGINT)
                wait(process, SUMMARY_S)
        finally:
            process.kill()
            process.wait()
    text = log.read_text(encoding='utf-8')
    counts = outcomes(text)
    task.row('tests', **counts)
    failed = re.findall(r'^(?:FAILED|ERROR) (\S+)', text, re.M)
    task.check('no test failed', not failed and bool(counts.get('passed')),
               ', '.join(failed[:10]) or 'see pytest.txt')


def parallel() -> List[str]:
    """Return the flags that spread the tests over half the cores, if pytest-xdist is installed."""
    cores = (os.cpu_count() or 1) // 2
    return ['-n', str(cores)] if cores > 1 and importlib.util.find_spec('xdist') else []


def wait(process: 'subprocess.Popen[bytes]', seconds: float) -> None:
    """Wait up to so many seconds for a process to end."""
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.1)


def outcomes(output: str) -> Dict[str, int]:
    """Return the counts of pytest's closing line, by outcome."""
    for line in reversed(output.splitlines()):
        found = re.findall(r'(\d+) (passed|failed|skipped|errors?)', line)
        if found and ' in ' in line:
            return {kind.rstrip('s') if kind.startswith('error') else kind: int(number)
                    for number, kind in found}
    return {}
