# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Whether images can travel: ROS's environment, the middleware, shared memory."""
import contextlib
import os
import re
from pathlib import Path
from typing import List, Mapping, NamedTuple, Optional, Sequence

from ltp_ros.ros import transport
from ltp_ros.tools.checks.finding import Finding, Level, skipped

FAST, CYCLONE = 'rmw_fastrtps', 'rmw_cyclonedds'
RANGES = ('SUBNET', 'LOCALHOST', 'OFF', 'SYSTEM_DEFAULT')
MAX_DOMAIN = 232  # above, the ports would be above 65535
SAFE_DOMAIN = 101  # above, Linux may have given their ports to other programs
SEGMENT = 11 * 2 ** 20  # bytes of config/fastdds.xml's, with what Fast DDS adds
RECEIVE_BUFFER = Path('/proc/sys/net/core/rmem_max')
LOCK = '_el'
LITTLE_BUFFER = 2 ** 21  # bytes; ROS's own advice for images is 2 GB
DEFAULT_SEGMENT = 'Fast DDS loses most images over half a megabyte'


def middleware() -> str:
    """Return the middleware that rclpy uses, such as 'rmw_fastrtps_cpp'."""
    from rclpy.utilities import get_rmw_implementation_identifier  # noqa: PLC0415  not everywhere
    return get_rmw_implementation_identifier()


def judge_environment(environment: Mapping[str, str]) -> List[Finding]:
    """Return what the variables of ROS say, and which of them cannot be meant."""
    domain = environment.get('ROS_DOMAIN_ID', '') or '0'
    distribution = environment.get('ROS_DISTRO', '')
    reach = environment.get('ROS_AUTOMATIC_DISCOVERY_RANGE', '')
    localhost = environment.get('ROS_LOCALHOST_ONLY', '')
    check = 'ROS environment'
    if not domain.isdigit() or int(domain) > MAX_DOMAIN:
        return [Finding(check, Level.ERROR, f'ROS_DOMAIN_ID {domain!r} is not a domain',
                        f'set a number from 0 to {SAFE_DOMAIN}, the same for every process')]
    findings = []
    if int(domain) > SAFE_DOMAIN:
        findings.append(Finding(
            check, Level.WARN, f'ROS_DOMAIN_ID {domain} needs ports that Linux gives to other '
            'programs', f'set a number from 0 to {SAFE_DOMAIN}, the same for every process'))
    if reach.upper() == 'OFF':
        findings.append(Finding(
            check, Level.ERROR, 'ROS_AUTOMATIC_DISCOVERY_RANGE is OFF: no process finds another',
            'set it to LOCALHOST or SUBNET, for every process'))
    elif reach and reach.upper() not in RANGES:
        findings.append(Finding(
            check, Level.WARN, f'ROS_AUTOMATIC_DISCOVERY_RANGE {reach!r} is not known, and '
            'ignored', f'set one of {", ".join(RANGES)}'))
    return findings or [Finding(
        check, Level.OK, f'distribution {distribution or "not sourced (wheels)"}, domain '
        f'{domain}, discovery ' + ('on this machine alone' if localhost == '1'
                                   or reach.upper() == 'LOCALHOST' else 'in the network')
        + f', {environment.get("RMW_IMPLEMENTATION") or "the default middleware"}')]


def judge_shared_memory(free: int, total: int) -> Finding:
    """Return whether the segments of a camera, the node and a viewer fit into /dev/shm.

    Args:
        free: bytes.
        total: bytes.
    """
    message = (f'{transport.SHARED_MEMORY} has {total / 1e6:.0f} MB, of which {free / 1e6:.0f} '
               'are free')
    if free >= 3 * SEGMENT:
        return Finding('shared memory', Level.OK, message)
    return Finding('shared memory', Level.WARN,
                   f'{message}: too little for the images of three processes',
                   'give a container --shm-size=256m or --ipc=host, or mount it larger (sudo '
                   f'mount -o remount,size=512m {transport.SHARED_MEMORY}); what ended processes '
                   'left there, fastdds shm clean removes')


class Participant(NamedTuple):
    """A process of this machine that has joined ROS."""

    pid: int
    name: str  # of its program
    segment: int  # bytes of its largest one in shared memory


def judge_profile(rmw: str, shell_fault: str,
                  participants: Sequence[Participant]) -> Finding:
    """Return whether Fast DDS has been given shared memory that holds images.

    Args:
        rmw: as `middleware` returns it; '' where there is no ROS.
        shell_fault: of this shell's environment: what a camera started here would lack.
        participants: the node and the cameras that run here; they decide, if there are any.
    """
    check = 'DDS profile'
    if not rmw:
        return skipped(check, 'there is no ROS here')
    if rmw.startswith(CYCLONE):
        return judge_receive_buffer(_receive_buffer())
    if not rmw.startswith(FAST):
        return skipped(check, f'{rmw} is not judged')
    lacking = [process for process in participants if process.segment < transport.HOLDS_AN_IMAGE]
    if lacking:
        named = ' and '.join(f'{process.name} (process {process.pid})' for process in lacking)
        return Finding(check, Level.WARN, f'{named} started without shared memory for images: '
                       f'{DEFAULT_SEGMENT}', f'{_remedy()}, then start it again')
    if participants:
        named = ' and '.join(f'{process.name} ({process.pid})' for process in participants)
        return Finding(check, Level.OK, f'{named} can carry images in shared memory')
    if shell_fault:
        return Finding(check, Level.WARN, f'{shell_fault} in this shell: a camera started here '
                       f"would use Fast DDS's defaults, and {DEFAULT_SEGMENT}", _remedy())
    return Finding(check, Level.OK, 'the Fast DDS profiles are set in this shell')


def _remedy() -> str:
    first, second = transport.PROFILES_VARIABLES
    return f'export {first}={transport.profiles_file()} {second}={transport.profiles_file()}'


def shell_fault(environment: Mapping[str, str]) -> str:
    """Return what is wrong with the variables that name the profiles; '' if they can be used."""
    if environment.get('FASTDDS_BUILTIN_TRANSPORTS'):  # chosen knowingly
        return ''
    names = transport.PROFILES_VARIABLES
    chosen = transport.chosen_profiles(environment)
    if not chosen:
        return f'{" and ".join(names)} are not set'
    if not Path(chosen).is_file():
        return f'{" and ".join(names)} name {chosen}, which does not exist,'
    return ''


def judge_receive_buffer(size: Optional[int]) -> Finding:
    """Return whether the kernel lets Cyclone DDS receive images in bursts."""
    check = 'receive buffer'
    if size is None:
        return skipped(check, f'{RECEIVE_BUFFER} is not readable')
    message = f'net.core.rmem_max is {size / 1e6:.1f} MB'
    if size >= LITTLE_BUFFER:
        return Finding(check, Level.OK, message)
    return Finding(check, Level.WARN, f'{message}; Cyclone DDS loses parts of large images',
                   'sudo sysctl -w net.core.rmem_max=2147483647, or publish compressed images')


def _receive_buffer() -> Optional[int]:
    try:
        return int(RECEIVE_BUFFER.read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return None


def participant_of(gid: Sequence[int], own_gid: Sequence[int]) -> Optional[Participant]:
    """Return the process of this machine that a publisher or a subscription belongs to.

    A GUID of Fast DDS begins with its vendor (2 bytes), the machine (2) and the low half of the
    process id (2).

    Args:
        gid: of the endpoint.
        own_gid: of any endpoint of this process.
    """
    if list(gid[:4]) != list(own_gid[:4]):  # another machine, another middleware
        return None
    for folder in Path('/proc').glob('[0-9]*'):
        pid = int(folder.name)
        if pid % 2 ** 16 == gid[4] + 256 * gid[5]:
            sizes = own_segments(folder)
            if sizes:  # else another program, or one whose profile has no shared memory
                return Participant(pid, _program_of(pid), max(sizes))
    return None


def own_segments(process: Path) -> List[int]:
    """Return the bytes of each segment that a process has made, not those that it reads from.

    Args:
        process: its folder in /proc. Fast DDS holds a lock beside each segment of its own.
    """
    links = []
    try:
        for file in (process / 'fd').iterdir():
            with contextlib.suppress(OSError):  # closed since it was listed
                links.append(os.readlink(str(file)))
        maps = (process / 'maps').read_text(errors='replace')
    except OSError:  # another user's, or gone
        return []
    own = {link[:-len(LOCK)] for link in links if link.endswith(LOCK)}
    return [size for path, size in transport.segments(maps) if path in own]


def _program_of(pid: int) -> str:
    """Return what people call the program of a process."""
    words = _read(pid, 'cmdline').decode(errors='replace').split('\0')
    if '-c' in words[:3]:  # then the program itself follows
        words = words[:1]
    words = [word for word in words if word and not word.startswith('-')]
    script = len(words) > 1 and re.match(r'python[\d.]*$', os.path.basename(words[0]))
    return os.path.basename(words[1 if script else 0]) if words else 'a program'


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f'/proc/{pid}/{name}').read_bytes()
    except OSError:  # another user's, or gone
        return b''
