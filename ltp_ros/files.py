# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Names of files, and texts, as people have them."""
import os
from pathlib import Path
from typing import Iterable, List, Sequence, Union

SHOWN = 3  # names in a message
# What systems leave in folders of pictures: hidden files, macOS's resource forks ('._x.jpg') and
# archives, the thumbnails, bins and snapshots of network drives and of Windows, Linux's finds
_NOT_CONTENT = ('.', '__MACOSX', '@eaDir', '@Recycle', '#recycle', '#snapshot', '$RECYCLE.BIN',
                'System Volume Information', 'lost+found')


def expand(path: str) -> str:
    """Return a path with ~ expanded; '' stays ''."""
    return os.path.expanduser(path) if path else path


def read_text(path: Union[str, Path]) -> str:
    """Return a UTF-8 text without the byte order mark that editors on Windows put in front.

    Raises:
        OSError, UnicodeDecodeError: if it cannot be read, or is not UTF-8.
    """
    return Path(path).read_text(encoding='utf-8-sig')


def some_of(names: Iterable[str]) -> str:
    """Return the first few names, and how many more there are."""
    names = list(names)
    more = f' and {len(names) - SHOWN} more' if len(names) > SHOWN else ''
    return ', '.join(names[:SHOWN]) + more


def is_content(path: Path) -> bool:
    """Return whether an entry of a folder was put there by its user, not by a system."""
    return not path.name.startswith(_NOT_CONTENT)


def walk(folder: Path, suffixes: Sequence[str]) -> List[Path]:
    """Return the files in a folder and its subfolders with these endings, in order."""
    found = []
    for root, folders, files in os.walk(str(folder)):
        folders[:] = sorted(name for name in folders if is_content(Path(name)))
        found += [Path(root, name) for name in files if is_content(Path(name))
                  and os.path.splitext(name)[1].lower() in suffixes]
    return sorted(found)
