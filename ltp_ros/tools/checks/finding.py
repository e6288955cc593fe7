# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`Finding`: one row of the report of `ltp_doctor`."""
from enum import Enum
from typing import NamedTuple


class Level(str, Enum):
    """How bad a finding is; ordered by the severities of REP-107, SKIP beside them."""

    OK = 'OK'
    SKIP = 'SKIP'  # could not be looked at, or does not apply
    WARN = 'WARN'
    ERROR = 'ERROR'


class Finding(NamedTuple):
    """One thing that was looked at."""

    check: str
    level: Level
    message: str  # one sentence: what was found
    remedy: str = ''  # one sentence: what to do; never empty for WARN and ERROR


def skipped(check: str, reason: str) -> Finding:
    """Return the finding of a check that could not be made."""
    return Finding(check, Level.SKIP, reason)


def first_line(error: object) -> str:
    """Return the first line of an error's message that says something, cut to a table's cell."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return text if len(text) <= 300 else f'{text[:297]}...'
