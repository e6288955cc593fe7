# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A part of the GPU's day: a function that is given a `Task` and tells it what it finds."""
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Callable, Dict, List

PASSED, FAILED, SKIPPED = 'passed', 'failed', 'skipped'
LEVELS = 'levels'  # folder of what a part exports; it goes with the part


class Skip(Exception):
    """Raised by a part that cannot be run here; the message says why."""


@dataclass(frozen=True)
class Settings:
    """What every part works on."""

    device: str            # 'cuda' or 'cpu'; on a CPU everything is done at a small size
    model: str = ''        # architecture of the checkpoint
    checkpoint: str = ''   # '': the packaged model alone
    photos: str = ''       # a folder; '': made-up pictures
    output: str = ''       # the folder of the results

    @property
    def small(self) -> bool:
        """Whether the point is that everything runs, not what it finds."""
        return self.device == 'cpu'


class Task:
    """What a part is given: the settings, the time it has, and whom to tell.

    Args:
        settings: of the run.
        limit_s: how long the part may take. It is asked to keep to it by itself.
        tell: takes a kind ('row', 'check' or 'note') and its content.
    """

    def __init__(self, settings: Settings, limit_s: float, tell: Callable[[str, Any], None]):
        self.settings = settings
        self._end = time.monotonic() + limit_s
        self._limit_s = limit_s
        self._tell = tell

    @property
    def left_s(self) -> float:
        """Seconds left, 0 if none."""
        return max(self._end - time.monotonic(), 0.0)

    def has(self, share: float, what: str) -> bool:
        """Return whether this share of the part's time is left; note what is left out if not."""
        if self.left_s >= share * self._limit_s:
            return True
        self.note(f'no time for {what}')
        return False

    def row(self, table: str, **numbers: Any) -> None:
        """Add a row to a table of the report."""
        self._tell('row', (table, numbers))

    def check(self, sentence: str, holds: bool, found: str = '') -> None:
        """Note whether a sentence about the program holds; one that does not fails the part."""
        self._tell('check', {'sentence': sentence, 'holds': bool(holds), 'found': found})

    def note(self, sentence: str) -> None:
        """Add a remark to the report."""
        self._tell('note', sentence)


@dataclass(frozen=True)
class Part:
    """One part, in a process of its own.

    `seconds` is its share of the time: what it takes of four minutes.
    """

    name: str
    title: str
    seconds: float
    run: Callable[[Task], None]
    needs_gpu: bool = False


@dataclass
class Result:
    """What became of a part."""

    name: str
    title: str
    status: str = SKIPPED
    reason: str = ''
    seconds: float = 0.0
    checks: List[Dict[str, Any]] = field(default_factory=list)
    notes: List[str] = field(default_factory=list)
    tables: Dict[str, List[Dict[str, Any]]] = field(default_factory=dict)

    def take(self, kind: str, content: Any) -> None:
        """Take what a part told."""
        if kind == 'row':
            table, numbers = content
            self.tables.setdefault(table, []).append(numbers)
        elif kind == 'check':
            self.checks.append(content)
        else:
            self.notes.append(content)

    @property
    def failed_checks(self) -> List[Dict[str, Any]]:
        """The checks that do not hold."""
        return [check for check in self.checks if not check['holds']]

    def as_dict(self) -> Dict[str, Any]:
        """Return name, status, reason and figures as plain values."""
        found = asdict(self)
        figures = {name: found.pop(name) for name in ('checks', 'notes', 'tables')}
        return {**found, 'figures': figures}
