# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What this machine is, as far as the speed of a model depends on it; costs from a profile."""
import gc
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Callable, List, Tuple

import torch

from ltp_ros import profile
from ltp_ros.classifier import Classifier, ClassifierError
from ltp_ros.config import ClassifierConfig
from ltp_ros.profile import ProfileError, Setup
from ltp_ros.replay import LevelCost

CPU_FOLDER, CPU_INFO = Path('/sys/devices/system/cpu'), Path('/proc/cpuinfo')
GPU_FOLDER = Path('/sys/class/devfreq')
GPU_NAMES = re.compile(r'\.(gpu|g[a-z]\d\d[a-z])$')  # as 17000000.gv11b, a Jetson Xavier's
NVPMODEL_TIMEOUT_S = 10.0


def prepare(config: ClassifierConfig, tell: Callable[[str], None], warn: Callable[[str], None],
            is_running: Callable[[], bool]) -> Tuple[Classifier, List[LevelCost]]:
    """Load a model, warm it up, and find out the costs of its ladder.

    Args:
        config: of the classifier.
        tell: told of every step, since a slow board takes minutes.
        warn: told why a profile that was given is not used.
        is_running: false once the program is told to stop, which must not wait for the rest.

    Raises:
        ltp_ros.vit.ModelError: if the model, its weights or its labels cannot be used.
        ClassifierError: if it cannot run as configured, or is told to stop.
    """
    def progress(keep_ratio: float) -> None:
        if not is_running():
            raise ClassifierError('told to stop while warming up')
        tell(f'warmed up at keep_ratio {keep_ratio:g}')

    set_scheduling(config.num_threads, config.priority)
    tell(f'loading {config.model}')
    classifier = Classifier(config, tell)
    classifier.warm_up(progress)
    costs = level_costs(classifier, warn)
    gc.collect()
    gc.freeze()  # the model is here to stay: no collection looks through it again
    return classifier, costs


def set_scheduling(num_threads: int, priority: int) -> None:
    """Set how many threads torch may use, and the real-time priority of the calling thread.

    0 leaves either as it is.

    Raises:
        ClassifierError: if this process may not have that priority.
    """
    if num_threads:
        torch.set_num_threads(num_threads)
    if priority:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
        except OSError as error:
            raise ClassifierError(
                f'priority {priority} is not allowed to this process ({error}); give it '
                'CAP_SYS_NICE or an rtprio limit in /etc/security/limits.conf, or set '
                'priority:=0') from error


def level_costs(classifier: Classifier, warn: Callable[[str], None]) -> List[LevelCost]:
    """Return the costs of the ladder: from the profile that the config names, else timed now.

    Args:
        classifier: warmed up.
        warn: told why a profile that was given is not used.

    Raises:
        ClassifierError: if the profile cannot be read.
    """
    config = classifier.config
    if not config.profile:
        return classifier.measure()
    try:
        found = profile.read(config.profile)
    except ProfileError as error:
        raise ClassifierError(str(error)) from error
    clauses = profile.mismatches(found, setup_of(classifier), config.ladder)
    if clauses:
        warn(f'profile {config.profile!r} does not fit: {"; ".join(clauses)}. Timing the ladder '
             'instead; run ltp_profile here')
        return classifier.measure()
    return [LevelCost(level.keep_ratio, level.p50_ms, level.p99_ms)
            for level in found.levels if level.keep_ratio in config.ladder]


def setup_of(classifier: Classifier) -> Setup:
    """Return what the speed of a classifier depends on."""
    device = classifier.device.type
    return Setup(
        device=device, hardware=hardware(device), power_mode=power_mode(),
        threads=torch.get_num_threads() if device == 'cpu' else 0,
        backend=classifier.backend.name, precision=classifier.precision,
        torch=str(torch.__version__), model=classifier.model_name,
        method=classifier.config.method, model_hash=classifier.model_hash)


def hardware(device: str) -> str:
    """Return the name of the GPU for 'cuda', of the processor for 'cpu'."""
    if device == 'cuda':
        return torch.cuda.get_device_name()
    names = [line.split(':', 1)[1].strip() for line in _read(CPU_INFO).splitlines()
             if line.startswith('model name')]
    return names[0] if names else platform.machine()


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
