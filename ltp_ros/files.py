# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Names of files, and texts, as people have them."""
import contextlib
import hashlib
import os
import reprlib
import threading
import unicodedata
from pathlib import Path
from typing import Iterable, List, Sequence, Union

SHOWN = 3  # names in a message
_WRITING = threading.Lock()
_CHUNK = 2 ** 20  # bytes
MOST_LETTERS = 2 ** 26  # of a text: a million of labels has fewer
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
        OSError, UnicodeDecodeError: if it cannot be read, has no end (/dev/zero), or is not UTF-8.
    """
    with Path(path).open(encoding='utf-8-sig') as file:
        text = file.read(MOST_LETTERS + 1)
    if len(text) > MOST_LETTERS:
        raise OSError(f'it has more than {MOST_LETTERS >> 20} million letters')
    return text


def write_whole(path: Path, content: bytes) -> None:
    """Have a file hold these bytes, or what it held before, whatever happens.

    Raises:
        OSError: if the file cannot be written.
    """
    # One name for all: what a process that was killed has left is overwritten by the next
    partial = path.with_name(f'.{path.name}.partial')
    with _WRITING:
        _write_by(partial, path, content)


def _write_by(partial: Path, path: Path, content: bytes) -> None:
    try:
        partial.unlink(missing_ok=True)  # or a link there would be followed
        with partial.open('xb') as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # or the name may be on the disk before the content
        partial.replace(path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content in hex."""
    digest = hashlib.sha256()
    with path.open('rb') as file:
        for chunk in iter(lambda: file.read(_CHUNK), b''):
            digest.update(chunk)
    return digest.hexdigest()


class _Short(reprlib.Repr):
    """A repr that fits a message: YAML's aliases make gigabytes of a kilobyte."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 2
        self.maxlist = self.maxtuple = self.maxdict = 12
        self.maxstring = 80

    def repr_int(self, x: int, level: int) -> str:
        """Return some of its digits; Python refuses to print very many."""
        size = f'an integer of {x.bit_length()} bits'
        digits = super().repr_int(x, level) if x.bit_length() < 4096 else ''
        return digits if x.bit_length() <= 64 else f'{digits} ({size})' if digits else size


_SHORT = _Short()


def short(value: object) -> str:
    """Return a repr of whatever came from elsewhere, in a line that fits a message."""
    return plain(_SHORT.repr(value), 2000)


def plain(text: str, longest: int = 200) -> str:
    """Return a text from elsewhere as a line for a terminal: cut, and what steers one escaped."""
    if len(text) > longest:
        text = f'{text[:longest]}...'
    return text if text.isprintable() else ''.join(
        letter if letter.isprintable() else letter.encode('unicode_escape').decode()
        for letter in text)


def is_control(letter: str) -> bool:
    """Return whether a letter is none, but steers a terminal, or is half of one."""
    return unicodedata.category(letter) in ('Cc', 'Cs')


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
