# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark gpu`: no part takes another one with it, and all of it runs without a GPU."""
import json
import os
import signal
import subprocess
import sys
import time
from multiprocessing import forkserver
from pathlib import Path

import pytest

import ltp_ros
from ltp_ros.research.benchmarks.gpu import PARTS, times
from ltp_ros.research.benchmarks.gpu.parts import (
    FAILED,
    PASSED,
    SKIPPED,
    Part,
    Result,
    Settings,
    Skip,
    Task,
)
from ltp_ros.research.benchmarks.gpu.report import markdown, shown
from ltp_ros.research.benchmarks.gpu.runner import run_parts
from ltp_ros.research.benchmarks.gpu.tests import outcomes
from ltp_ros.tools.benchmark import main

TIMEOUT_S = 300.0  # where ten processes share a core


def tell(task):
    task.row('numbers', one=1)
    task.note('a remark')
    task.check('two and two are four', True)


def find_fault(task):
    task.check('the earth is flat', False, 'it is round')


def raise_error(task):
    task.row('numbers', before=1)
    raise ZeroDivisionError('what it says')


def crash(task):
    task.row('numbers', before=2)
    time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGSEGV)


def hang(task):
    task.row('numbers', before=3)
    time.sleep(600)


def give_up(task):
    raise Skip('no hardware of this kind')


def part(function, seconds=10.0, **changes):
    return Part(function.__name__, 'a title', seconds, function, **changes)


@pytest.fixture(scope='module', autouse=True)
def own_forks():
    """Let nobody after these tests be forked from a process that has their modules alone."""
    yield
    forkserver._forkserver._stop()


@pytest.fixture(scope='module')
def eventful(tmp_path_factory):
    """Run parts that go wrong in every way; return results, by name, and the folder."""
    folder = tmp_path_factory.mktemp('results')
    parts = [part(raise_error), part(crash), part(find_fault), part(give_up),
             part(tell, needs_gpu=True), part(hang, 0.01), part(tell)]
    # Minutes enough for a machine that is busy, of which the one that hangs is given the least
    results = run_parts(parts, Settings('cpu', output=str(folder)), 10.0, {'hardware': 'this'},
                        lambda name, share: None)
    return results, folder


def test_a_part_that_goes_wrong_does_not_end_the_run(eventful):
    results, _ = eventful
    assert [(result.name, result.status) for result in results] == [
        ('raise_error', FAILED), ('crash', FAILED), ('find_fault', FAILED), ('give_up', SKIPPED),
        ('tell', SKIPPED), ('hang', FAILED), ('tell', PASSED)]


def test_every_part_that_did_not_pass_says_why(eventful):
    reasons = [result.reason for result in eventful[0]]
    assert 'raise_error(' not in reasons[0] and 'ZeroDivisionError: what it says' in reasons[0]
    assert reasons[1:] == [
        'exited with code -11; see log.txt', 'does not hold: the earth is flat (it is round)',
        'no hardware of this kind', 'needs a CUDA device',
        'terminated: it exceeded its time limit', '']


def test_what_a_part_found_before_it_went_wrong_is_in_the_report(eventful):
    results, folder = eventful
    parts = json.loads((folder / 'report.json').read_text())['parts']
    assert parts == [result.as_dict() for result in results]
    assert [list(each['figures']['tables'].get('numbers', [])) for each in parts] == [
        [{'before': 1}], [{'before': 2}], [], [], [], [{'before': 3}], [{'one': 1}]]
    text = (folder / 'report.md').read_text()
    assert 'ZeroDivisionError' in text and '* **NO**: the earth is flat (it is round)' in text
    assert 'Segmentation fault' in (folder / 'log.txt').read_text()


def test_a_run_that_is_killed_leaves_the_parts_that_had_ended(tmp_path):
    program = subprocess.Popen(
        [sys.executable, '-m', 'ltp_ros.tools.benchmark', 'gpu', '--quiet', '--device', 'cpu',
         '--output', str(tmp_path)], cwd=Path(ltp_ros.__file__).parents[1])
    try:
        end = time.monotonic() + TIMEOUT_S
        report = tmp_path / 'report.json'
        while not report.is_file() and time.monotonic() < end:
            time.sleep(0.05)
    finally:
        program.kill()
        program.wait()
    (only,) = json.loads(report.read_text())['parts']
    assert only['name'] == 'here' and only['status'] == PASSED
    assert 'hardware and software' in only['figures']['tables']
    assert (tmp_path / 'report.md').is_file()


def test_without_a_gpu_the_same_command_runs_small_and_names_what_it_leaves_out(tmp_path):
    started = time.monotonic()
    assert main(['gpu', '--quiet', '--device', 'cpu', '--minutes', '1', '--output',
                 str(tmp_path), '--json', str(tmp_path / 'copy.json')]) == 0
    assert time.monotonic() - started < 60 + 15  # the clock of a busy machine
    report = json.loads((tmp_path / 'report.json').read_text())
    assert json.loads((tmp_path / 'copy.json').read_text()) == report
    assert report['device'] == 'cpu' and report['torch'] and report['started']
    parts = {each['name']: each for each in report['parts']}
    assert list(parts) == [each.name for each in PARTS]
    for each in PARTS:
        expected = (SKIPPED, 'needs a CUDA device') if each.needs_gpu else (PASSED, '')
        assert (parts[each.name]['status'], parts[each.name]['reason']) == expected
    assert not (tmp_path / 'levels').exists()


# What needs a GPU must not be run for the first time where one is at hand for minutes
@pytest.mark.parametrize('name, seconds', [('strains', 20.0), ('tuner', 8.0)])
def test_what_is_for_a_gpu_alone_runs_on_a_cpu_as_far_as_that_goes(name, seconds, tmp_path):
    chosen = next(each for each in PARTS if each.name == name)
    result = Result(name, chosen.title)
    chosen.run(Task(Settings('cpu', output=str(tmp_path)), seconds, result.take))
    assert result.checks and not result.failed_checks


def test_no_more_rounds_are_begun_than_fit_though_the_machine_becomes_slower(monkeypatch):
    now_s = [0.0]
    monkeypatch.setattr(times.time, 'perf_counter', lambda: now_s[0])

    def work():
        now_s[0] += 0.01 if now_s[0] < 0.1 else 1.0

    assert len(times.in_turns([work, work], 5.0)[0]) == 7
    assert times.in_turns([work, work], 0.0) == [[1e3] * times.FEWEST_ROUNDS] * 2
    now_s[0] = -1e9
    assert len(times.in_turns([work], 100.0)[0]) == times.MOST_ROUNDS


def test_the_closing_line_of_pytest_is_understood():
    assert outcomes('F.s\nFAILED test_a.py::b - no\n1 failed, 20 passed, 3 skipped in 4.5s\n') == {
        'failed': 1, 'passed': 20, 'skipped': 3}
    assert outcomes('==== 2 passed, 1 error in 0.5s ====\n!!! Interrupted\n') == {
        'passed': 2, 'error': 1}
    assert outcomes('nothing') == {}


def test_cells_of_the_report_are_legible():
    assert [shown(value) for value in (None, float('nan'), 0.123456, 12345.6, 7, 'a|b')] == [
        '', '', '0.123', '12346', '7', 'a\\|b']
    result = Result('a', 'b', tables={'t': [{'x': 1}, {'y': 2.0}]})
    assert '| x | y |\n|---|---|\n| 1 |  |\n|  | 2 |' in '\n'.join(
        markdown({'hardware': 'h'}, [result]))
