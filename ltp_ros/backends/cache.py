# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Files that are made once and kept, sealed with the hash of their content and with their origin.

A folder's seals lie in its `sealed.json`. A file that does not fit its seal, damaged on the disk
or made by other versions, is made anew: it would answer wrongly without a word. A seal is no
signature: whoever can write to a folder can seal, so that one which others can write to is not
used. Processes that share a folder take turns by a lock on it.
"""
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping

from ltp_ros.backends.protocol import Log
from ltp_ros.files import sha256

SEALS = 'sealed.json'
FOLDERS = 3  # a file lies in one for its method, in one for its model, in the cache
MAX_BYTES = 8 * 2 ** 30  # of all models; nine levels of ViT-S take 0.8 GB


def ensure(path: Path, origin: Mapping[str, str], make: Callable[[Path], None], log: Log) -> None:
    """Have a file that is whole and of this origin: the one that is kept, else made now.

    Args:
        path: the file; its folder is made, for this user alone.
        origin: versions of all that shapes the content.
        make: writes the file, whole or not at all.
        log: called with the reason if a file that is there is not used, and while another
            process makes it.

    Raises:
        OSError: if the folder or the file cannot be made, or others can write there.
    """
    make_private(path.parent)
    check_private(path.parent)
    with _locked(path.parent, log):
        fault = _fault(path, origin)
        if fault:
            if path.exists():
                log(f'{path} {fault}: it is made anew')
            make(path)
            _seal(path, origin)
        with contextlib.suppress(OSError):  # a cache that is only read
            os.utime(str(path.parent))  # last used


def adopt(path: Path, made: Path, origin: Mapping[str, str], log: Log) -> None:
    """Put a file that was made elsewhere in that folder in the place of the one that is kept.

    What takes minutes to make is made so, since nobody else can use the folder within `ensure`.
    """
    check_private(path.parent)
    with _locked(path.parent, log):
        made.replace(path)
        _seal(path, origin)


def check_private(folder: Path) -> None:
    """Raise PermissionError if others can write to a folder of files, or to those around it."""
    for depth, each in enumerate([folder, *folder.parents][:FOLDERS]):
        sharer = who_else_writes(each, sticky_is_enough=depth > 0)
        if sharer:
            raise PermissionError(f'{each} {sharer}, and what lies there may not be what this '
                                  f'user made: sudo chown {os.geteuid()} and chmod go-w that '
                                  'folder, or set cache:=FOLDER')


def who_else_writes(folder: Path, sticky_is_enough: bool = True) -> str:
    """Return who besides this user, and root, may put files into a folder; '' if nobody.

    Args:
        folder: its owner and its mode count.
        sticky_is_enough: whether others may put there what is theirs, as in /tmp: the folders in
            it are then looked at themselves.
    """
    found = folder.stat()
    if found.st_uid not in (0, os.geteuid()):
        return f'belongs to user {found.st_uid}'
    if sticky_is_enough and found.st_mode & stat.S_ISVTX:
        return ''
    if found.st_mode & stat.S_IWOTH:
        return 'can be written to by everybody'
    if found.st_mode & stat.S_IWGRP and found.st_gid != os.getegid():
        return f'can be written to by group {found.st_gid}'
    return ''


def misfits(base: Path, origin: Callable[[bool], Mapping[str, str]]) -> List[str]:
    """Return a sentence on each exported level in a cache that would be made anew.

    Args:
        base: the cache.
        origin: what levels are made of now, for int8 or not.
    """
    return [f'{path} {fault}' for path in sorted(base.glob('*/*/*.onnx'))
            for fault in [_fault(path, origin('_int8' in path.name))] if fault]


def drop_damaged(folder: Path, log: Log) -> None:
    """Remove the files of a folder that do not fit their seal, or have none."""
    with _locked(folder, log):
        seals = _seals(folder)
        for path in _files(folder):
            if seals.get(path.name, {}).get('sha256') != sha256(path):
                log(f'{path} is damaged or was not finished: it is made anew')
                path.unlink()


def seal_all(folder: Path, log: Log) -> None:
    """Seal the files of a folder as they are."""
    with _locked(folder, log):
        _write_seals(folder, {path.name: {'sha256': sha256(path)} for path in _files(folder)})


def hash_of(content: object) -> str:
    """Return a hash of what JSON can hold; the order of an object's names does not count."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_json(path: Path) -> Any:
    """Return what a file holds.

    Raises:
        OSError, ValueError: if it cannot be read, or others may have written it.
    """
    check_private(path.parent)
    return json.loads(path.read_text(encoding='utf-8'))


def write_json(path: Path, content: object) -> None:
    """Write a file, whole or not at all; its folder is made, for this user alone.

    Raises:
        OSError: if it cannot be written, or others can write there.
    """
    make_private(path.parent)
    check_private(path.parent)
    _replace(path, json.dumps(content, indent=1))


def prune(base: Path, in_use: Path, max_bytes: int = MAX_BYTES) -> None:
    """Remove the exported levels of the models used longest ago, while all take more room.

    Args:
        base: the cache, with a folder for each model and in it one for each way to reduce it.
        in_use: a folder that stays.
        max_bytes: for all of them.
    """
    folders = sorted({path.parent for path in base.glob('*/*/*.onnx')},
                     key=lambda folder: folder.stat().st_mtime)
    sizes = {folder: sum(path.stat().st_size for path in folder.rglob('*') if path.is_file())
             for folder in folders}
    for folder in folders:
        if sum(sizes.values()) <= max_bytes:
            return
        if folder != in_use:
            shutil.rmtree(str(folder), ignore_errors=True)
            with contextlib.suppress(OSError):  # another method's levels are there
                folder.parent.rmdir()
            del sizes[folder]


def _fault(path: Path, origin: Mapping[str, str]) -> str:
    """Return why a file cannot be used, as a clause; '' if it can."""
    if not path.is_file():
        return 'is not there'
    seal = _seals(path.parent).get(path.name)
    if seal is None:
        return 'was made by an earlier version, or not finished'
    made_by = seal.get('origin', {})
    for name in {**made_by, **origin}:
        if made_by.get(name) != origin.get(name):
            return f'was made by {name} {made_by.get(name)}, not {origin.get(name)}'
    return '' if seal.get('sha256') == sha256(path) else 'is damaged'


def _seals(folder: Path) -> Dict[str, Dict[str, Any]]:
    try:
        found = json.loads((folder / SEALS).read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return {}  # none, or damaged: then nothing is believed
    seals = found.items() if isinstance(found, dict) else ()
    return {name: seal for name, seal in seals if isinstance(seal, dict)}


def _seal(path: Path, origin: Mapping[str, str]) -> None:
    _write_seals(path.parent, {
        **_seals(path.parent), path.name: {'sha256': sha256(path), 'origin': dict(origin)}})


def _write_seals(folder: Path, seals: Mapping[str, object]) -> None:
    _replace(folder / SEALS, json.dumps(seals, indent=1))


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f'{path.name}.{os.getpid()}')
    try:
        partial.write_text(text, encoding='utf-8')
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir())
            if path.is_file() and not path.name.startswith(SEALS))


def make_private(folder: Path) -> None:
    """Make a folder, and those that it is in, for this user alone."""
    if not folder.is_dir():
        make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


@contextlib.contextmanager
def _locked(folder: Path, log: Log) -> Iterator[None]:
    descriptor = os.open(str(folder), os.O_RDONLY)  # no file to leave behind, or to lack rights to
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log(f'waiting for another process that fills {folder}')
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)  # and with it the lock
