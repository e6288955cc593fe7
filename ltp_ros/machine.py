# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What this machine is, as far as the speed of a model depends on it."""
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Union

CPU_FOLDER, CPU_INFO = Path('/sys/devices/system/cpu'), Path('/proc/cpuinfo')
GPU_FOLDER = Path('/sys/class/devfreq')
GPU_NAMES = re.compile(r'\.(gpu|g[a-z]\d\d[a-z])$')  # as 17000000.gv11b, a Jetson Xavier's
GPU_DEVICES = ('nvidia[0-9]*', 'nvhost-gpu', 'nvgpu', 'dxg', 'kfd')
NVPMODEL_TIMEOUT_S = 10.0


def hardware(device: str) -> str:
    """Return the name of the GPU for 'cuda' or 'cuda:N', of the processor for 'cpu'."""
    if device != 'cpu':
        import torch  # noqa: PLC0415  seconds, and half a gigabyte
        return torch.cuda.get_device_name(device)
    names = [line.split(':', 1)[1].strip() for line in _read(CPU_INFO).splitlines()
             if line.startswith('model name')]
    return names[0] if names else platform.machine()


def may_have_gpu(devices: Path = Path('/dev')) -> bool:
    """Return whether torch may find a GPU: NVIDIA's, on a Jetson or in Windows too, or AMD's."""
    return any(any(devices.glob(name)) for name in GPU_DEVICES)


def power_mode(cpu_folder: Path = CPU_FOLDER, gpu_folder: Path = GPU_FOLDER) -> str:
    """Return the Jetson's power mode, and governors and clock limits of CPU and GPU.

    '' where none is readable. `jetson_clocks` changes the GPU's limits alone.
    """
    modes = [line.split(':', 1)[1].strip() for line in _nvpmodel().splitlines()
             if line.startswith('NV Power Mode:')]
    governors = {_read(path).strip()
                 for path in cpu_folder.glob('cpu[0-9]*/cpufreq/scaling_governor')}
    gpus = [f'GPU {governor} {low} to {high} Hz' for governor, low, high in (
        (_read(folder / name).strip() for name in ('governor', 'min_freq', 'max_freq'))
        for folder in sorted(gpu_folder.glob('*')) if GPU_NAMES.search(folder.name)) if governor]
    return ', '.join(modes + sorted(governors - {''}) + gpus)


def resident_mib(pid: Union[int, str] = 'self') -> float:
    """Return the resident memory of a process in MiB; by default, of this one."""
    pages = int(Path(f'/proc/{pid}/statm').read_text(encoding='ascii').split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / 2 ** 20


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding='utf-8')
    except OSError:  # not there, or not for this user
        return ''


def _nvpmodel() -> str:
    try:
        return subprocess.run(['nvpmodel', '-q'], check=True, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True,
                              timeout=NVPMODEL_TIMEOUT_S).stdout
    except (OSError, subprocess.SubprocessError):  # no Jetson, or not for this user
        return ''
