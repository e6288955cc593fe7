# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The head of the JSON files: versions and, in a git checkout only, the commit."""
import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from ltp_ros.tools.support import provenance as module


@pytest.fixture
def repository(tmp_path):
    """Return a fresh git repository."""
    if not shutil.which('git'):
        pytest.skip('git is not installed')
    git(tmp_path, 'init', '--quiet')
    return tmp_path


def git(folder, *args):
    return subprocess.run(
        ['git', '-C', str(folder), '-c', 'user.name=a', '-c', 'user.email=a@b',
         '-c', 'commit.gpgsign=false', *args],
        check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def commit(folder):
    """Commit all there is; return the commit."""
    git(folder, 'add', '.')
    git(folder, 'commit', '--quiet', '--message', 'all')
    return git(folder, 'rev-parse', 'HEAD')


def commit_said_in(folder):
    """Return what a copy of the module in `folder` says."""
    copy = Path(shutil.copy(module.__file__, str(folder)))
    spec = importlib.util.spec_from_file_location('copy', str(copy))
    copied = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copied)
    return copied.provenance('cpu').get('commit')


def test_versions_are_those_in_use():
    found = module.provenance('cpu')
    assert found['torch'] == torch.__version__
    assert found['device'] == 'cpu'
    assert found['hardware']


def test_a_checkout_names_its_commit(repository):
    commit_said_in(repository)
    assert commit(repository) == commit_said_in(repository)


def test_a_changed_checkout_says_so(repository):
    commit_said_in(repository)
    (repository / 'other.txt').write_text('first')
    head = commit(repository)
    (repository / 'other.txt').write_text('second')
    assert commit_said_in(repository) == f'{head}-dirty'


def test_a_copy_installed_inside_another_repository_names_no_commit(repository):
    (repository / 'theirs.txt').write_text('theirs')
    commit(repository)
    assert commit_said_in(repository) is None
