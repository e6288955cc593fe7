# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`Part`: what is finished of an output, kept through whatever ends the program.

A file that is only ever appended to: a line with the settings of the run, then one for each image.
A line that was cut off in the middle, and whatever follows it, was never written.
"""
import fcntl
import json
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Callable, Dict, Iterator, Mapping, Optional, Type

from ltp_ros.files import short
from ltp_ros.research.replay.outcome import Outcome, from_line, to_line

Settings = Dict[str, Any]  # JSON values
HEAD = b'{"asked": '  # how each file begins, which may be cut off within it
ON_DISK_EVERY_S = 1.0  # a line outlives the process at once, a power cut only after this


class PartError(RuntimeError):
    """What is kept cannot be gone on with; the message says why and what to do."""


class PartInUseError(PartError):
    """Another process writes it."""


class Part:
    """The outcomes that are known so far. A context manager that closes the file.

    Args:
        path: of the file, which is made if it does not exist.
        now_s: a monotonic clock.

    Raises:
        PartInUseError: if another process has it open.
        PartError: if the file is something else.
        OSError: if it cannot be opened.
    """

    def __init__(self, path: Path, now_s: Callable[[], float] = time.monotonic):
        self.path = path
        self.settings: Settings = {}  # of the run that began it; empty: nothing is kept
        self._now_s, self._on_disk_s = now_s, now_s()
        self._places: Dict[int, int] = {}  # number of an image -> where its line begins
        self._file = path.open('a+b', buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._end = self._read()
            self._file.truncate(self._end)
        except BlockingIOError as error:
            self._file.close()
            raise PartInUseError(f"'{path}' is being written by another process; wait for it, or "
                                 'name another --output') from error
        except BaseException:
            self._file.close()
            raise
        self._reader = path.open('rb')

    def __enter__(self) -> 'Part':
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        os.fsync(self._file.fileno())
        if not self.settings:  # nothing was begun
            self.path.unlink()
        self._file.close()
        self._reader.close()

    def __len__(self) -> int:
        return len(self._places)

    def begin(self, settings: Settings) -> None:
        """Note the settings of a new run, first of them 'asked'."""
        self.settings = settings
        self._append(json.dumps(settings).encode() + b'\n')

    def add(self, outcome: Outcome) -> None:
        """Keep an outcome, unless it is kept already."""
        if outcome.number not in self._places:
            self._places[outcome.number] = self._end
            self._append(to_line(outcome))

    def known(self, number: int) -> Optional[Outcome]:
        """Return the outcome of an image; None if it is not kept."""
        place = self._places.get(number)
        if place is None:
            return None
        self._reader.seek(place)
        return from_line(self._reader.readline())

    def outcomes(self) -> Iterator[Outcome]:
        """Yield what is kept, in the order of the bag."""
        for number in sorted(self._places):
            outcome = self.known(number)
            assert outcome is not None
            yield outcome

    def _append(self, line: bytes) -> None:
        written = self._file.write(line)
        if written != len(line):
            raise OSError(f"'{self.path}' cannot be written further: the disk may be full; make "
                          'room and run the same command again')
        self._end += len(line)
        if self._now_s() - self._on_disk_s > ON_DISK_EVERY_S:
            os.fsync(self._file.fileno())
            self._on_disk_s = self._now_s()

    def _read(self) -> int:
        """Read the places of all lines; return where the last whole one ends."""
        end = 0
        with self.path.open('rb') as lines:
            head = lines.read(len(HEAD))
            if not HEAD.startswith(head):
                raise PartError(f"'{self.path}' was not written by ltp_replay; move it away, or "
                                'name another --output')
            lines.seek(0)
            for line in lines:
                try:
                    self._note(line, end)
                except (ValueError, TypeError):
                    break
                end += len(line)
        return end

    def _note(self, line: bytes, place: int) -> None:
        if not line.endswith(b'\n'):
            raise ValueError('the line was cut off')
        if place:
            self._places[from_line(line).number] = place
        else:
            self.settings = dict(json.loads(line))


def differences(before: Mapping[str, object], now: Mapping[str, object]) -> str:
    """Return which settings are others than before, as 'NAME was X and is Y'; '' if none."""
    return ', '.join(f'{name} was {short(before.get(name))} and is {short(now.get(name))}'
                     for name in {**before, **now} if before.get(name) != now.get(name))
