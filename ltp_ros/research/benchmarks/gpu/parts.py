# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A part of `ltp_benchmark gpu`: a function that receives a `Task` and reports its findings."""
import time
from dataclasses import asdict, dataclass, field
from typing import Callable, Dict, List, Union

PASSED, FAILED, SKIPPED = 'passed', 'failed', 'skipped'
LEVELS = 'levels'  # folder for what a part exports; removed when the part ends


class Skip(Exception):
    """Raised by a part that cannot run here; the message gives the reason."""


@dataclass(frozen=True)
class Settings:
    """The settings of a run, shared by all parts."""

    device: str            # 'cuda' or 'cpu'; on a CPU every part runs at a small size
    model: str = ''        # architecture of the checkpoint
    checkpoint: str = ''   # '': only the packaged model
    photos: str = ''       # a folder; '': synthetic pictures
    output: str = ''       # the results folder
    input_size: int = 0    # of the checkpoint's images; 0: as it was trained

    @property
    def small(self) -> bool:
        """Whether the run only checks that every part works, without a valid measurement."""
        return self.device == 'cpu'


@dataclass(frozen=True)
class Row:
    """A row of a table of the report."""

    table: str
    numbers: Dict[str, object]


@dataclass(frozen=True)
class Check:
    """A statement about the program, and whether it holds."""

    sentence: str
    holds: bool
    found: str = ''


@dataclass(frozen=True)
class Note:
    """A remark in the report."""

    sentence: str


Finding = Union[Row, Check, Note]


class Task:
    """The settings and the time limit of a part, and the channel for its findings.

    Args:
        settings: those of the run.
        limit_s: time limit, which the part has to observe itself.
        report: called with every finding.
    """

    def __init__(self, settings: Settings, limit_s: float, report: Callable[[Finding], None]):
        self.settings = settings
        self._end = time.monotonic() + limit_s
        self._limit_s = limit_s
        self._report = report

    @property
    def left_s(self) -> float:
        """Seconds left; 0 after the time limit."""
        return max(self._end - time.monotonic(), 0.0)

    def has(self, share: float, what: str) -> bool:
        """Return whether this share of the time is left; if not, note that `what` is left out."""
        if self.left_s >= share * self._limit_s:
            return True
        self.note(f'no time for {what}')
        return False

    def row(self, table: str, **numbers: object) -> None:
        """Add a row to a table of the report."""
        self._report(Row(table, numbers))

    def check(self, sentence: str, holds: bool, found: str = '') -> None:
        """Report whether a statement about the program holds; if not, the part fails."""
        self._report(Check(sentence, bool(holds), found))

    def note(self, sentence: str) -> None:
        """Add a remark to the report."""
        self._report(Note(sentence))


@dataclass(frozen=True)
class Part:
    """One part, run in a process of its own.

    `seconds` is its share of the time: its seconds in a run of four minutes.
    """

    name: str
    title: str
    seconds: float
    run: Callable[[Task], None]
    needs_gpu: bool = False


@dataclass
class Result:
    """Status and findings of a part."""

    name: str
    title: str
    status: str = SKIPPED
    reason: str = ''
    seconds: float = 0.0
    checks: List[Check] = field(default_factory=list)
    notes: List[str] = field(default_factory=list)
    tables: Dict[str, List[Dict[str, object]]] = field(default_factory=dict)

    def take(self, finding: Finding) -> None:
        """Add a finding of the part."""
        if isinstance(finding, Row):
            self.tables.setdefault(finding.table, []).append(finding.numbers)
        elif isinstance(finding, Check):
            self.checks.append(finding)
        else:
            self.notes.append(finding.sentence)

    @property
    def failed_checks(self) -> List[Check]:
        """The checks that do not hold."""
        return [check for check in self.checks if not check.holds]

    def as_dict(self) -> Dict[str, object]:
        """Return name, status, reason and figures as JSON values."""
        found = asdict(self)
        figures = {name: found.pop(name) for name in ('checks', 'notes', 'tables')}
        return {**found, 'figures': figures}
