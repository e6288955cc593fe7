# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A signal to stop ends every program quietly, also in the seconds in which it imports torch."""
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import ltp_ros
from ltp_ros import programs

FOLDER = Path(ltp_ros.__file__).parents[1]  # that of the installed package, if it is installed
NAMES = re.findall(r'^(ltp_\w+) = "ltp_ros\.programs:\1"$', (
    Path(__file__).parents[1] / 'pyproject.toml').read_text(), re.MULTILINE)
NODES = {'ltp_classifier', 'ltp_image_source'}  # run until they are told to stop
STOP = (signal.SIGINT, signal.SIGTERM)
MAIN = '''
import os, signal, sys, time
from ltp_ros import programs
sys.modules['made_up'] = sys.modules['__main__']

def main():
    {main}

sys.exit(programs.run('made_up', interrupted={code}))
'''


def start(*words):
    """Start Python, with SIGINT not ignored as in a background job."""
    return subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=str(FOLDER), preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.default_int_handler))


def stop_when_imported(imported, number, *words):
    """Send a signal once a module has been imported; return the exit code and what was written."""
    program = start('-X', 'importtime', *words)
    written = []
    for line in program.stderr:
        if not line.startswith('import time:'):
            written.append(line)
        elif line.split('|')[-1].strip() == imported:
            program.send_signal(number)
    out, _ = program.communicate(timeout=60)
    return program.returncode, ''.join([*written, out])


def test_every_program_of_pyproject_is_here():
    assert len(NAMES) == 12 and all(callable(getattr(programs, name)) for name in NAMES)


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('number', STOP)
def test_a_program_that_still_imports_ends_quietly(name, number):
    if name in NODES:
        pytest.importorskip('rclpy')
    assert stop_when_imported('argparse', number, '-c', f"""
import sys
from ltp_ros.programs import {name}
sys.exit({name}())""") == (0 if name in NODES else 130, '')


@pytest.mark.parametrize('number, imported', [
    (signal.SIGINT, 'numpy'), (signal.SIGTERM, 'cv2'), (signal.SIGINT, 'ltp_ros.opening')])
def test_the_node_ends_quietly_whatever_it_imports(number, imported):
    pytest.importorskip('rclpy')
    assert stop_when_imported(imported, number, '-m', 'ltp_ros.node') == (0, '')


@pytest.mark.parametrize('name', sorted(set(NAMES) - {'ltp_classifier'}))
def test_python_m_ends_quietly_too(name):
    if name in NODES:
        pytest.importorskip('rclpy')
    assert stop_when_imported('argparse', signal.SIGTERM, '-m', name.replace(
        'ltp_', 'ltp_ros.tools.')) == (0 if name in NODES else 130, '')


@pytest.mark.parametrize('number', STOP)
@pytest.mark.parametrize('main', [
    'os.kill(os.getpid(), signal.{name}); time.sleep(600)',
    'import atexit; atexit.register(lambda: os.kill(os.getpid(), signal.{name})); return 130',
    'import threading; threading.Timer(0.1, os.kill, (os.getpid(), signal.{name})).start(); '
    'return 130'], ids=['in main', 'at exit', 'while a thread is awaited'])
def test_a_program_ends_quietly_later_too(number, main):
    program = start('-c', MAIN.format(main=main.format(name=number.name), code=130))
    assert (*program.communicate(timeout=60), program.returncode) == ('', '', 130)


@pytest.mark.parametrize('number', STOP)
def test_what_main_opened_is_closed_first(number):
    program = start('-c', MAIN.format(main=f'''
    try:
        os.kill(os.getpid(), signal.{number.name})
        time.sleep(600)
    finally:
        print('closed')''', code=130))
    assert program.communicate(timeout=60) == ('closed\n', '') and program.returncode == 130


def test_a_background_job_that_ignores_control_c_goes_on_ignoring_it():
    program = subprocess.run([sys.executable, '-c', 'import signal; signal.signal('
                              'signal.SIGINT, signal.SIG_IGN)' + MAIN.format(main='''
    os.kill(os.getpid(), signal.SIGINT)
    return 7''', code=130)], cwd=str(FOLDER), timeout=60)
    assert program.returncode == 7


def test_a_signal_waits_for_the_handler_that_a_block_installs():
    program = start('-c', '''
import os, signal
from ltp_ros.programs import postponed
with postponed(signal.SIGTERM):
    os.kill(os.getpid(), signal.SIGTERM)
    print('begun')
    signal.signal(signal.SIGTERM, lambda *_: print('came'))
''')
    assert program.communicate(timeout=60) == ('begun\ncame\n', '')


def test_a_block_that_fails_leaves_everything_as_it_was():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(RuntimeError), programs.postponed(signal.SIGTERM):
        raise RuntimeError
    assert signal.getsignal(signal.SIGTERM) is before
