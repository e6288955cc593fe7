# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Progress where no bar can be drawn: in a file, a pipe, or a terminal that cannot move back."""
import io
import time

import pytest
from rich.console import Console
from rich.progress import Progress

from ltp_ros.tools.support import progress


@pytest.fixture(autouse=True)
def often(monkeypatch):
    for name in ('FIRST_LINE_S', 'LINE_EVERY_S'):
        monkeypatch.setattr(progress, name, 0.01)


def output_of(terminal=False, quiet=False, environment=None):
    """Return what is written while half of a task is done."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, _environ=environment or {})
    with progress.shown(Progress(console=console, disable=quiet)) as bar:
        task = bar.add_task('[measuring]', total=4.0)
        bar.advance(task)
        bar.advance(task)
        give_up = time.monotonic() + 10.0
        while not quiet and 'measuring' not in file.getvalue() and time.monotonic() < give_up:
            time.sleep(0.01)
    return file.getvalue()


def test_lines_tell_the_task_and_its_share():
    assert output_of().startswith('[measuring]: 50 %')


def test_a_terminal_that_cannot_draw_a_bar_gets_lines():
    assert '[measuring]: 50 %' in output_of(terminal=True, environment={'TERM': 'dumb'})


def test_a_terminal_gets_a_bar_and_no_lines():
    assert ': 50 %' not in output_of(terminal=True, environment={'TERM': 'xterm'})


def test_quiet_is_quiet():
    assert output_of(quiet=True) == ''
