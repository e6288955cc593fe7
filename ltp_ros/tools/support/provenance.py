# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The provenance of a measurement: the head of every JSON file that the programs write."""
import platform
import subprocess
from pathlib import Path
from typing import Dict

import numpy as np
import torch

from ltp_ros.backends.level_files import versions
from ltp_ros.machine import hardware


def provenance(device: str) -> Dict[str, str]:
    """Return hardware and versions for 'cuda' or 'cpu', and `commit` in a git checkout."""
    count = torch.get_num_threads()
    threads = f', {count} thread{"s" if count > 1 else ""}' if device == 'cpu' else ''
    found = {'device': device, 'hardware': hardware(device) + threads,
             'python': platform.python_version(), 'torch': str(torch.__version__),
             'numpy': np.__version__}
    found.update(versions(('timm', 'ltp_ros')))  # colcon installs no metadata
    commit = _commit()
    return {**found, 'commit': commit} if commit else found


def _commit() -> str:
    """Return the commit that this file belongs to, with '-dirty' if any file is modified."""
    here = Path(__file__)
    git = ['git', '--no-optional-locks', '-C', str(here.parent)]
    try:
        # An installed copy may lie in a virtual environment inside another repository
        subprocess.run([*git, 'ls-files', '--error-unmatch', here.name], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return subprocess.run([*git, 'describe', '--always', '--dirty', '--abbrev=40',
                               '--exclude=*'], check=True, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True).stdout.strip()
    except (subprocess.CalledProcessError, OSError):
        return ''
