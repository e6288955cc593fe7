# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The choice of a backend as it was made before, under the same conditions."""
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Mapping, Optional, Tuple

from ltp_ros.backends import cache

LIBRARIES = ('torch', 'timm', 'onnx', 'onnxruntime', 'onnxruntime-gpu', 'openvino')


@dataclass(frozen=True)
class Kept:
    """A backend and its precision, and what is known of them."""

    backend: str
    precision: str
    check: str = ''  # what the guard said of int8
    levels: Tuple[Tuple[float, float, float], ...] = ()  # keep ratio, p50 and p99 in ms
    threads: int = 0  # of the runtime; 0: as many as it likes
    pictures: str = ''  # the hash of those that int8 was calibrated and checked on


def file_of(folder: Path, conditions: Mapping[str, object]) -> Path:
    """Return the file of the choice that is made under some conditions."""
    return folder / f'choice_{cache.hash_of(conditions)[:12]}.json'


def read(path: Path) -> Optional[Kept]:
    """Return what was chosen; None if nothing was, or the file is not to be trusted."""
    try:
        found = cache.read_json(path)
        levels = tuple((float(ratio), float(p50), float(p99))
                       for ratio, p50, p99 in found['levels'])
        if not all(0 < number < math.inf for level in levels for number in level):
            return None
        return Kept(str(found['backend']), str(found['precision']), str(found['check']), levels,
                    int(found['threads']), str(found['pictures']))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write(path: Path, kept: Kept) -> None:
    """Keep a choice, whole or not at all.

    Raises:
        OSError: if it cannot be kept.
    """
    cache.write_json(path, asdict(kept))
