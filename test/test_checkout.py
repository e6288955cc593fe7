# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`python -m` in a checkout: its sources, with the generated messages of the installed package."""
import subprocess
import sys
from pathlib import Path

import pytest

import ltp_ros

SOURCE = Path(ltp_ros.__file__).read_text(encoding='utf-8')
WHERE = 'import ltp_ros, ltp_ros.msg, ltp_ros.tools; print(ltp_ros.tools.here, ltp_ros.msg.here)'


@pytest.fixture
def run(tmp_path):
    """Return a function that runs Python in a checkout, beside an installed package if wanted."""
    def make(folder, *packages):
        for package in ('', *packages):
            path = tmp_path / folder / 'ltp_ros' / package
            path.mkdir(parents=True, exist_ok=True)
            (path / '__init__.py').write_text(f'here = {folder!r}\n' if package else SOURCE)

    def python(code, checkout=('tools',), installed=('tools', 'msg')):
        make('checkout', *checkout)
        if installed:
            make('site', *installed)
        return subprocess.run([sys.executable, '-S', '-c', code], capture_output=True, text=True,
                              cwd=tmp_path / 'checkout',
                              env={'PYTHONPATH': str(tmp_path / 'site')})
    return python


def test_a_checkout_takes_the_messages_of_the_installed_package_and_nothing_else(run):
    result = run(WHERE)
    assert result.stdout == 'checkout site\n', result.stderr


def test_a_checkout_with_messages_of_its_own_does_not_look_elsewhere(run):
    result = run(WHERE + '; print(len(ltp_ros.__path__))', checkout=('tools', 'msg'))
    assert result.stdout == 'checkout checkout\n1\n', result.stderr


def test_a_folder_that_a_build_left_behind_is_not_taken_for_the_messages(run, tmp_path):
    (tmp_path / 'checkout' / 'ltp_ros' / 'msg' / '__pycache__').mkdir(parents=True)
    # Python 3.8 has the folder of the checkout twice, as '' and by its name
    result = run('import os, ltp_ros; print(len(set(map(os.path.abspath, ltp_ros.__path__))))')
    assert result.stdout == '2\n', result.stderr


def test_without_an_installed_package_the_sources_work_without_messages(run):
    assert run('import ltp_ros.tools; print(ltp_ros.tools.here)', installed=()).stdout == (
        'checkout\n')
    assert "No module named 'ltp_ros.msg'" in run(WHERE, installed=()).stderr
