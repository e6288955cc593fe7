# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`Status`: one line of the diagnostics, and what several of them are made with."""
import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Dict

SILENT_AFTER_S = 5.0
FEWEST = 5  # answers that a status is decided by


class Severity(IntEnum):
    """Severities of REP-107; the values of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True)
class Status:
    """One line of the diagnostics; keys carry the units, 'n/a' stands for unknown."""

    part: str
    level: Severity
    message: str
    values: Dict[str, str]
    hardware: str = ''  # what it is about; empty: this machine


def number(value: float, digits: int = 1) -> str:
    """Return a number as a value of a status."""
    return 'n/a' if math.isnan(value) else f'{value:.{digits}f}'
