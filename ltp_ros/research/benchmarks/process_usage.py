# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What a process holds, and how long it waits for a core: read from /proc. No ROS."""
import os
from pathlib import Path
from typing import NamedTuple

KIB_PER_MIB = 1024.0


class Usage(NamedTuple):
    """What a process holds at one moment."""

    rss_mib: float  # resident: the two below, and programs and files
    own_mib: float  # anonymous
    shared_mib: float  # shared memory that it has touched
    mapped_mib: float  # of /dev/shm, touched or not: segments of its peers
    threads: int
    descriptors: int
    waited_s: float  # of its present threads for a core, so far; 0 where the kernel does not count


def usage(pid: int, proc: Path = Path('/proc')) -> Usage:
    """Return what a process holds.

    Raises:
        OSError: if it has ended, or belongs to another user.
    """
    folder = proc / str(pid)
    status = dict(line.split(':', 1) for line in (
        folder / 'status').read_text(encoding='utf-8', errors='replace').splitlines())
    rss_mib, own_mib, shared_mib = (
        int(status[name].split()[0]) / KIB_PER_MIB for name in ('VmRSS', 'RssAnon', 'RssShmem'))
    return Usage(rss_mib, own_mib, shared_mib, _mapped_mib(folder), int(status['Threads']),
                 len(os.listdir(folder / 'fd')), _waited_s(folder))


def _mapped_mib(folder: Path) -> float:
    sizes = (int(end, 16) - int(begin, 16) for begin, _, end in (
        line.split(' ', 1)[0].partition('-') for line in (
            folder / 'maps').read_text(encoding='utf-8', errors='replace').splitlines()
        if '/dev/shm/' in line))
    return sum(sizes) / KIB_PER_MIB ** 2


def _waited_s(folder: Path) -> float:
    waited_ns = 0
    for file in folder.glob('task/*/schedstat'):
        try:
            waited_ns += int(file.read_text(encoding='ascii').split()[1])
        except OSError:
            continue  # that thread has just ended
    return waited_ns / 1e9
