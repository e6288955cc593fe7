# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Fail before a long measurement rather than after it."""
import os
from pathlib import Path
from typing import Optional


def check_writable(*paths: Optional[str]) -> None:
    """Raise OSError, naming it, for a path that no file can be written to; None is left out."""
    for path in map(Path, filter(None, paths)):
        if path.is_dir() or not os.access(str(path.absolute().parent), os.W_OK):
            raise OSError(f"'{path}' cannot be written: it is a folder, or its folder is not "
                          'there or read-only')
