# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Configure Fast DDS to carry camera images, and tell whether it can."""
import os
import re
import sys
from pathlib import Path
from typing import Iterator, Mapping, Optional, Tuple

# The name before Kilted, and since; whichever is not known is ignored
PROFILES_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
FAST_DDS = 'librmw_fastrtps'  # its library; others are not judged
SHARED_MEMORY = '/dev/shm'
ROOMY = 2 ** 29  # bytes: a dozen processes with the segments of fastdds_4k.xml
SCARCE = 2 ** 26  # bytes free: a segment may not fit in less
HOLDS_AN_IMAGE = 2 ** 20  # bytes: Fast DDS's own segment has half of it, ours ten times as much
_SEGMENT = re.compile(r'^([0-9a-f]+)-([0-9a-f]+) .*?(/\S*/fast(?:rtps|dds)_[0-9a-f]{16})$',
                      re.MULTILINE)


def share_directory() -> Path:
    """Return the folder where config/ and launch/ are installed."""
    try:
        from ament_index_python import get_package_share_directory  # noqa: PLC0415  comes with ROS
        return Path(get_package_share_directory('ltp_ros'))
    except (ImportError, LookupError, OSError):  # no ROS is sourced: pip installs it beside Python
        beside_python = Path(sys.prefix) / 'share' / 'ltp_ros'
        sources = Path(__file__).parents[2]  # if run from the sources, without an installation
        return beside_python if (beside_python / 'config').is_dir() else sources


def profiles_file(share: Optional[Path] = None) -> Path:
    """Return the Fast DDS profiles whose segments fit into this machine's shared memory.

    Fast DDS reserves a segment for every process, whole: 10 MB, so that five fit into the 64 MB
    of a container, or 32 MB, more than a 4K image, where there is room.
    """
    roomy = _space(SHARED_MEMORY)[0] >= ROOMY
    name = 'fastdds_4k.xml' if roomy else 'fastdds.xml'
    return (share or share_directory()) / 'config' / name


def use_large_images() -> None:
    """Point Fast DDS to `profiles_file`, unless the user has chosen other profiles.

    With the default transports three of four images are lost, since an image is larger than the
    512 KiB shared-memory segment. Call this before rclpy.init; child processes inherit it.
    """
    chosen = chosen_profiles(os.environ) or str(profiles_file())
    os.environ.update(dict.fromkeys(PROFILES_VARIABLES, chosen))


def largest_segment(maps: Path = Path('/proc/self/maps')) -> int:
    """Return the bytes of the largest segment of Fast DDS that a process has mapped; 0 if none.

    Args:
        maps: the mappings of the process, as in proc(5).
    """
    return _largest(maps.read_text(errors='replace') if maps.exists() else '')


def segments(maps: str) -> Iterator[Tuple[str, int]]:
    """Yield path and bytes of each segment of Fast DDS among the mappings of a process."""
    return ((path, int(end, 16) - int(begin, 16)) for begin, end, path in _SEGMENT.findall(maps))


def _largest(maps: str) -> int:
    return max((size for _, size in segments(maps)), default=0)


def shared_memory_fault(maps: Path = Path('/proc/self/maps')) -> str:
    """Return why Fast DDS cannot carry images in shared memory, and what to do; '' if it can.

    Args:
        maps: the mappings of a process that has joined ROS, as in proc(5).
    """
    text = maps.read_text(errors='replace') if maps.exists() else ''
    if FAST_DDS not in text or os.environ.get('FASTDDS_BUILTIN_TRANSPORTS'):  # chosen knowingly
        return ''
    if _largest(text) >= HOLDS_AN_IMAGE:
        return ''
    chosen = chosen_profiles(os.environ)
    if not Path(chosen).is_file():  # Path('') is a folder
        found = f'name {chosen}, which does not exist' if chosen else 'are not set'
        return (f'{" and ".join(PROFILES_VARIABLES)} {found}, and Fast DDS loses most images '
                f'over half a megabyte; set both to {profiles_file()}, for the camera too')
    free, total = _space(SHARED_MEMORY)
    if free < SCARCE:
        return (f'Fast DDS got no shared memory for images ({free / 1e6:.0f} of '
                f'{total / 1e6:.0f} MB are free in {SHARED_MEMORY}), and some are lost; give a '
                'container --shm-size=256m or --ipc=host; fastdds shm clean removes what killed '
                'processes left there')
    return (f'the Fast DDS profiles {chosen} bring no shared memory for images, and some may be '
            f'lost; set {" and ".join(PROFILES_VARIABLES)} to {profiles_file()}, for the camera '
            'too')


def chosen_profiles(environment: Mapping[str, str]) -> str:
    """Return the file that the user has chosen; '' if none."""
    return next(filter(None, map(environment.get, PROFILES_VARIABLES)), '')


def _space(folder: str) -> Tuple[int, int]:
    """Return the bytes that are free, and those that there are."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return 0, 0
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
