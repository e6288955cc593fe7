# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The GPU and its driver, cores and clocks, memory, and the folders that are written to."""
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple

from ltp_ros.files import some_of
from ltp_ros.tools.checks.finding import Finding, Level, first_line
from ltp_ros.tools.checks.installation import Package

NVIDIA_MARKS = ('/dev/nvidia0', '/dev/nvhost-gpu', '/dev/nvgpu', '/etc/nv_tegra_release')
SCALING_DRIVER = Path('/sys/devices/system/cpu/cpu0/cpufreq/scaling_driver')
# With these drivers 'powersave' is the dynamic governor, and what laptops and servers have
DYNAMIC_POWERSAVE = ('intel_pstate', 'amd-pstate-epp', 'amd_pstate')
SMI_TIMEOUT_S = 10.0
LITTLE_DISK = 2 ** 29  # bytes free: the nine exported levels of a ViT-S take 800 MB, one 90
# The model as read, the copy of its backend, and what a forward pass needs
COPIES = 3


class Gpu(NamedTuple):
    """The GPU of this machine, as far as its driver tells."""

    present: bool
    driver: str = ''
    cuda: str = ''  # the newest that the driver supports


def find_gpu() -> Gpu:
    """Return what the NVIDIA driver says; a Jetson has no nvidia-smi before JetPack 6."""
    present = any(map(os.path.exists, NVIDIA_MARKS))
    try:
        text = subprocess.run(['nvidia-smi'], check=True, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, timeout=SMI_TIMEOUT_S).stdout
    except (OSError, subprocess.SubprocessError):
        return Gpu(present)
    driver, cuda = (re.search(rf'{name} Version: *([\d.]+)', text) for name in ('Driver', 'CUDA'))
    return Gpu(True, driver.group(1) if driver else '', cuda.group(1) if cuda else '')


def judge_gpu(gpu: Gpu, torch: Package, onnxruntime: Package) -> List[Finding]:
    """Return whether torch and ONNX Runtime can use the GPU that is there."""
    if not gpu.present:
        return [Finding('GPU', Level.OK, 'there is no NVIDIA GPU; the model runs on the CPU')]
    if torch.gpus:
        findings = [Finding('GPU', Level.OK, f'torch sees {", ".join(torch.gpus)} (CUDA '
                            f'{torch.cuda}{gpu.driver and f", driver {gpu.driver}"})')]
    elif not torch.cuda:
        findings = [Finding('GPU', Level.WARN, f'there is a GPU, but torch {torch.version} is '
                            'built for the CPU alone', 'install a torch with CUDA: see '
                            'https://pytorch.org/get-started; on a Jetson the one of its JetPack')]
    elif gpu.cuda and _major(torch.cuda) > _major(gpu.cuda):
        findings = [Finding('GPU', Level.ERROR, f'torch is built for CUDA {torch.cuda}, and the '
                            f'driver {gpu.driver} supports {gpu.cuda} at most',
                            f'install a newer driver, or a torch built for CUDA {gpu.cuda}')]
    else:
        findings = [Finding('GPU', Level.ERROR, f'there is a GPU, but torch (CUDA {torch.cuda}) '
                            'sees none', 'try nvidia-smi; in a container give --gpus all (on a '
                            'Jetson --runtime nvidia), and unset CUDA_VISIBLE_DEVICES')]
    if torch.gpus and onnxruntime.version and (
            'CUDAExecutionProvider' not in onnxruntime.providers):
        findings.append(Finding(
            'ONNX Runtime', Level.OK, 'it has no CUDA provider, so that backend:=onnx runs on the '
            'CPU alone; on a GPU, backend:=auto does not use it',
            'for TensorRT: pip uninstall -y onnxruntime && pip install onnxruntime-gpu'))
    return findings


def _major(version: str) -> int:
    return int(version.split('.')[0])


def judge_clocks(cores: int, usable: int, power: str, driver: str) -> Finding:
    """Return how many cores this process has, and whether their clocks are held down.

    Args:
        cores: of the machine.
        usable: those that this process may run on.
        power: as `ltp_ros.machine.power_mode` returns it.
        driver: of the CPU's clock, as in scaling_driver.
    """
    message = f'{usable} of {cores} cores; {power or "power mode and governor are not readable"}'
    if 'powersave' in power.split(', ') and driver not in DYNAMIC_POWERSAVE:
        return Finding('clocks', Level.WARN, f'{message}: the CPU stays at its lowest clock',
                       'echo schedutil | sudo tee '
                       '/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor')
    if re.search(r'(?<!\d)\d+ ?W', power) and 'MAXN' not in power:
        return Finding('clocks', Level.OK, message, 'for the highest clocks: sudo nvpmodel -m '
                       'MODE && sudo jetson_clocks, with the mode of most watts and cores in '
                       '/etc/nvpmodel.conf: 8 on a Xavier NX, 0 on most others')
    return Finding('clocks', Level.OK, message)


def scaling_driver() -> str:
    """Return the driver of the CPU's clock; '' where there is none."""
    try:
        return SCALING_DRIVER.read_text(encoding='utf-8').strip()
    except OSError:
        return ''


def judge_memory(weights: int, available: int) -> Finding:
    """Return whether a model fits into the memory that is free.

    Args:
        weights: bytes of its file.
        available: bytes that a program can have now.
    """
    message = (f'the weights have {weights / 1e6:.0f} MB and loading them takes about '
               f'{COPIES * weights / 1e6:.0f} MB; {available / 1e6:.0f} MB are free')
    if COPIES * weights > available:
        return Finding('memory', Level.ERROR, f'the model does not fit: {message}',
                       'take a smaller model, such as vit_tiny_patch16_224 or model:=demo, or end '
                       'other programs')
    return Finding('memory', Level.OK, message)


def available_memory(meminfo: Path = Path('/proc/meminfo'),
                     cgroup: Path = Path('/sys/fs/cgroup')) -> Optional[int]:
    """Return the bytes that a program can have, also in a container; None if not known."""
    try:
        found = re.search(r'MemAvailable: *(\d+) kB', meminfo.read_text(encoding='utf-8'))
    except OSError:
        return None
    if found is None:
        return None
    free = int(found.group(1)) * 1024
    try:
        limit, used = ((cgroup / name).read_text(encoding='utf-8').strip()
                       for name in ('memory.max', 'memory.current'))
        return free if limit == 'max' else min(free, int(limit) - int(used))
    except (OSError, ValueError):  # no limit, or the first version of cgroups
        return free


def judge_folder(check: str, folder: Optional[Path], parameter: str,
                 attempt: Optional[Callable[[Path], None]] = None) -> Finding:
    """Return whether a folder that files are kept in can be written to.

    Args:
        check: name of the finding.
        folder: need not exist yet; None: there is no home folder.
        parameter: how another folder is chosen.
        attempt: writes a file into a folder and removes it, or raises OSError; None: that.
    """
    if folder is None:
        return Finding(check, Level.WARN, 'this user has no home folder, so that nothing is kept '
                       'from one start to the next', f'set {parameter}')
    there = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        (_write if attempt is None else attempt)(there)
    except OSError as error:
        return Finding(check, Level.ERROR, f'{folder} cannot be written to: {first_line(error)}',
                       f'sudo chown -R $USER {there}, mount it writable, or set {parameter}')
    free = shutil.disk_usage(str(there)).free
    size, files = folder_size(folder)
    message = f'{folder}: {files} files, {size / 1e6:.0f} MB; {free / 1e9:.1f} GB are free'
    if free < LITTLE_DISK:
        return Finding(check, Level.WARN, message,
                       f'remove what is not needed from that disk, or set {parameter}')
    return Finding(check, Level.OK, message)


def _write(folder: Path) -> None:
    # Root passes both questions, but the node may be another user's
    if not folder.stat().st_mode & 0o222 or not os.access(str(folder), os.W_OK | os.X_OK):
        raise PermissionError(f'it belongs to another user, or is read-only for user '
                              f'{os.geteuid()}')
    with tempfile.TemporaryFile(dir=str(folder)) as file:
        file.write(b'x')


def folder_size(folder: Path) -> Tuple[int, int]:
    """Return the bytes and the number of the files in a folder, (0, 0) if it does not exist."""
    sizes = []
    for root, _, names in os.walk(str(folder)):
        for name in names:
            try:
                sizes.append(os.lstat(os.path.join(root, name)).st_size)
            except OSError:  # removed meanwhile
                continue
    return sum(sizes), len(sizes)


def judge_exports(misfits: Sequence[str]) -> Finding:
    """Return whether the exported levels in the cache are whole, and of these versions.

    Args:
        misfits: a sentence on each that is not.
    """
    check = 'exported models'
    if not misfits:
        return Finding(check, Level.OK, 'all that are there are whole, and of these versions')
    return Finding(check, Level.OK, f'{some_of(misfits)}: not used, but made anew',
                   'nothing; the next start with that model makes it')
