# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The page that lists the parameters is the one that the config makes."""
from pathlib import Path

from ltp_ros.tools.parameter_table import parameter_table


def test_the_page_of_the_parameters_is_made_from_the_config():
    page = Path(__file__).parents[2] / 'docs' / 'parameters.md'
    assert page.read_text() == parameter_table()
