# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Clocks, temperatures and throttling of a board while it is measured, as the kernel has them."""
import time
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional

from ltp_ros.machine import GPU_NAMES

EVERY_S = 1.0
# A Jetson's zone of its power chip says 100 degrees always
NO_ZONES = ('PMIC',)
NO_BRAKES = ('fan', 'Fan')  # they cool and take nothing away


class State(NamedTuple):
    """What can be read at one moment; None or empty where the kernel does not say."""

    cpu_mhz: Optional[float] = None  # mean of the cores
    gpu_mhz: Optional[float] = None
    degrees: Dict[str, float] = {}   # by thermal zone, Celsius
    brakes: Dict[str, int] = {}      # cooling devices in action and their step, by name
    throttled: int = 0               # how often a core was, since the start of the machine
    available_mib: Optional[float] = None  # of memory; a Jetson's GPU has the same


def read(root: Path = Path('/')) -> State:
    """Return the state now.

    Args:
        root: has `sys` and `proc`.
    """
    cpus = root / 'sys/devices/system/cpu'
    thermal = root / 'sys/class/thermal'
    clocks = _numbers(cpus, 'cpu[0-9]*/cpufreq/scaling_cur_freq')
    gpus = [number for folder in sorted((root / 'sys/class/devfreq').glob('*'))
            if GPU_NAMES.search(folder.name) for number in _numbers(folder, 'cur_freq')]
    zones = {_text(folder / 'type'): number / 1e3 for folder in sorted(
        thermal.glob('thermal_zone*')) for number in _numbers(folder, 'temp')}
    brakes = {_text(folder / 'type'): int(number) for folder in sorted(
        thermal.glob('cooling_device*')) for number in _numbers(folder, 'cur_state')}
    memory = [line.split()[1] for line in _text(root / 'proc/meminfo').splitlines()
              if line.startswith('MemAvailable:')]
    return State(
        sum(clocks) / len(clocks) / 1e3 if clocks else None, gpus[0] / 1e6 if gpus else None,
        {name: degrees for name, degrees in zones.items()
         if not any(word in name for word in NO_ZONES)},
        {name: step for name, step in brakes.items()
         if step > 0 and not any(word in name for word in NO_BRAKES)},
        int(sum(_numbers(cpus, 'cpu[0-9]*/thermal_throttle/core_throttle_count'))),
        int(memory[0]) / 1024 if memory else None)


def model_of_board(root: Path = Path('/')) -> Dict[str, str]:
    """Return what a board and its system call themselves, where they do."""
    found = {'board': _text(root / 'proc/device-tree/model').strip('\0'),
             'l4t': ', '.join(_text(root / 'etc/nv_tegra_release').split('\n')[0]
                              .lstrip('# ').split(', ')[:2])}
    return {name: text for name, text in found.items() if text}


class Watch:
    """Looks at the board about once a second, when it is called, and sums up.

    Args:
        look: returns the state.
        now_s: a monotonic clock.
    """

    def __init__(self, look: Callable[[], State] = read,
                 now_s: Callable[[], float] = time.monotonic):
        self._look, self._now_s = look, now_s
        self._next_s = now_s()
        self.seen: List[State] = []

    def __call__(self) -> None:
        """Look, unless it is too soon."""
        if self._now_s() >= self._next_s:
            self.seen.append(self._look())
            self._next_s = self._now_s() + EVERY_S

    def summary(self) -> Dict[str, object]:
        """Return the extremes of what was seen, as the numbers of a row."""
        hottest = max(((degrees, name) for state in self.seen
                       for name, degrees in state.degrees.items()), default=(None, ''))
        throttled = [state.throttled for state in self.seen]
        brakes = sorted({name for state in self.seen for name in state.brakes})
        found: Dict[str, object] = {'looks': len(self.seen)}
        for name in ('cpu_mhz', 'gpu_mhz', 'available_mib'):
            values = [value for value in (getattr(state, name) for state in self.seen)
                      if value is not None]
            found[f'{name}_min'] = min(values, default=None)
            if name != 'available_mib':
                found[f'{name}_max'] = max(values, default=None)
        return {**found, 'hottest_c': hottest[0], 'zone': hottest[1],
                'held_back_by': ', '.join(brakes),
                'throttled': max(throttled) - min(throttled) if throttled else None}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding='utf-8', errors='replace').strip()
    except OSError:  # not there, or asleep: zones of a Jetson whose unit has no power
        return ''


def _numbers(folder: Path, pattern: str) -> List[float]:
    found = (_text(path) for path in sorted(folder.glob(pattern)))
    return [float(text) for text in found if text.lstrip('-').isdigit()]
