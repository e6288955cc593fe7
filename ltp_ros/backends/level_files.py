# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The files of exported levels: their names, and what they are made of; without torch."""
import functools
import hashlib
from importlib import metadata
from pathlib import Path
from typing import Dict, Sequence

SOURCES = ('reduction', 'model', 'backends/onnx_export.py')  # what a level is made by
LIBRARIES = ('torch', 'timm', 'onnx')
QUANTIZERS = ('onnxruntime', 'onnxruntime-gpu')  # of int8: the one or the other


def level_file(folder: Path, keep_ratio: float, int8: bool = False) -> Path:
    """Return the file of a level in `folder`."""
    return folder / f'keep_{keep_ratio:g}{"_int8" if int8 else ""}.onnx'


def ladder_file(folder: Path, int8: bool = False) -> Path:
    """Return the file of all levels in `folder`."""
    return folder / f'ladder{"_int8" if int8 else ""}.onnx'


def calibrated_file(folder: Path) -> Path:
    """Return the file of all levels in 8 bits, with fixed scales, in `folder`."""
    return folder / 'ladder_calibrated.onnx'


def origin(int8: bool) -> Dict[str, str]:
    """Return the versions of all that shapes an exported level, besides the model itself."""
    return {'ltp_ros': sources_hash(),
            **versions([*LIBRARIES, *(QUANTIZERS if int8 else ())])}


@functools.lru_cache(maxsize=None)
def sources_hash() -> str:
    """Return a hash of the sources that a level is made by."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(path for name in SOURCES
                       for path in ([package / name] if name.endswith('.py')
                                    else (package / name).rglob('*.py'))):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def versions(names: Sequence[str]) -> Dict[str, str]:
    """Return the versions of those of some distributions that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
