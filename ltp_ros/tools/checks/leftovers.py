# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What processes that were killed have left of Fast DDS in shared memory."""
import contextlib
import fcntl
import os
import re
import shutil
from pathlib import Path
from typing import List, NamedTuple

from ltp_ros.ros.transport import SHARED_MEMORY
from ltp_ros.tools.checks.finding import Finding, Level
from ltp_ros.tools.checks.transport import LOCK

MANY = 100  # every process that starts looks at each of them
_LOCK = re.compile(rf'(fast(?:rtps|dds)_\w+){LOCK}')


class Leftovers(NamedTuple):
    """Segments and ports whose process has ended."""

    number: int
    size: int  # bytes


def find(folder: Path = Path(SHARED_MEMORY)) -> Leftovers:
    """Return what nobody holds any more.

    A process holds a lock beside each segment of its own for as long as it lives, whatever ends
    it. The test leaves no trace, and a lock of another user counts as held.
    """
    names: List[str] = []
    with contextlib.suppress(OSError):  # no such folder
        names = os.listdir(str(folder))
    left = [folder / found.group(1) for found in map(_LOCK.fullmatch, names)
            if found and not _is_held(folder / found.group())]
    size = 0
    for path in left:
        with contextlib.suppress(OSError):  # removed meanwhile, as Fast DDS does now and then
            size += path.stat().st_blocks * 512
    return Leftovers(len(left), size)


def _is_held(lock: Path) -> bool:
    try:
        descriptor = os.open(str(lock), os.O_RDONLY)
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except OSError:
        return True
    finally:
        os.close(descriptor)


def judge(left: Leftovers) -> Finding:
    """Return whether what was left behind fills the shared memory, or slows discovery down."""
    message = (f'{left.number} segments of Fast DDS in {SHARED_MEMORY}, {left.size / 1e6:.0f} MB, '
               'are of processes that have ended')
    if left.number < MANY:
        return Finding('killed processes', Level.OK, message)
    return Finding('killed processes', Level.WARN, f'{message}; nodes find each other slowly',
                   'fastdds shm clean' if shutil.which('fastdds') else
                   f'end every ROS process, then rm {SHARED_MEMORY}/fastrtps_* '
                   f'{SHARED_MEMORY}/fastdds_* {SHARED_MEMORY}/sem.fast*')
