# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Output files of the programs, checked before a long measurement rather than after it."""
import json
import os
from pathlib import Path
from typing import Mapping, Optional


def check_writable(*paths: Optional[str]) -> None:
    """Raise OSError, naming the path, if a file cannot be written; None is skipped."""
    for path in map(Path, filter(None, paths)):
        if path.is_dir() or not os.access(str(path.absolute().parent), os.W_OK):
            raise OSError(f"'{path}' cannot be written: it is a folder, or its parent folder is "
                          'missing or read-only')


def write_json(path: Optional[str], result: Mapping[str, object]) -> None:
    """Write a result as JSON, unless `path` is None."""
    if path:
        Path(path).write_text(json.dumps(result, indent=2) + '\n', encoding='utf-8')
