# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Every row of docs/faults.md names the tests that try it, and these exist."""
import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / 'docs' / 'faults.md').read_text(encoding='utf-8')
HEADER = re.compile(r'\| (fault|file) \|')
ROWS = [line for line in PAGE.splitlines()
        if line.startswith('| ') and not HEADER.match(line)]


def named_in(row):
    """Return the tests in the last cell of a row, as pairs of a file and a name."""
    return re.findall(r'`(test/\S+\.py)::(test_\w+)`', row.rstrip(' |').rpartition(' | ')[2])


def functions(path):
    return {node.name for node in ast.parse((ROOT / path).read_text(encoding='utf-8')).body
            if isinstance(node, ast.FunctionDef)}


def test_the_page_has_a_table_for_each_kind_of_fault():
    assert len(ROWS) >= 20 and len(re.findall('^## ', PAGE, re.MULTILINE)) == 6


@pytest.mark.parametrize('row', ROWS, ids=[row.split(' | ')[0].strip('| ') for row in ROWS])
def test_a_row_names_its_tests_and_they_exist(row):
    assert named_in(row)
    for path, name in named_in(row):
        assert (ROOT / path).is_file() and name in functions(path), f'{path}::{name}'


def test_every_test_that_the_page_names_stands_in_a_row():
    named = set(re.findall(r'(test/\S+\.py)::(test_\w+)', PAGE))
    assert named == {test for row in ROWS for test in named_in(row)}
