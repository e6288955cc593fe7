# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The hub that timm fetches weights from: asked once, and never in the way of a signal."""
import contextlib
import functools
import inspect
import socket
import threading
import time
from concurrent import futures
from pathlib import Path
from typing import Callable, ContextManager, List, Optional, Sequence, Type
from urllib.parse import urlsplit
from urllib.request import getproxies

from huggingface_hub import constants, hf_hub_download
from huggingface_hub.utils import EntryNotFoundError, LocalEntryNotFoundError
from tqdm import tqdm

from ltp_ros.files import sha256
from ltp_ros.model.card import ModelError
from ltp_ros.model.held import Held

Log = Callable[[str], None]
# The first of these that is there is what timm takes
WEIGHTS = ('model.safetensors', 'pytorch_model.bin')
CONFIG = ('config.json',)
CONNECT_S = 5.0
POLL_S = 0.1
SHA256_DIGITS = 64
TELL_EVERY_S = 3.0
MB = 1e6
# Older clients show a bar of their own, and only on a terminal
_TAKES_A_BAR = 'tqdm_class' in inspect.signature(hf_hub_download).parameters


class _Bar(tqdm):
    """A bar for a terminal or a file: there a line is too much ten times a second."""

    def __init__(self, *args: object, **kwargs: object):
        super().__init__(*args, **{'mininterval': TELL_EVERY_S, **kwargs})


class Download:
    """How far a download is, as the hub's client tells its bars."""

    def __init__(self) -> None:
        bars: List[tqdm] = []

        class Counter(tqdm):
            """A bar that is not drawn; with Xet there is one of the file, and one of packets."""

            def __init__(self, *args: object, **kwargs: object):
                super().__init__(*args, **{**kwargs, 'disable': True})
                bars.append(self)

            def update(self, n: float = 1) -> None:
                self.n += n

        self.bar: Type[tqdm] = Counter
        self._bars = bars

    def __str__(self) -> str:
        if not self._bars:
            return ''
        done, total = max(bar.n for bar in self._bars), self._bars[0].total
        if not total:
            return f'{done / MB:.0f} MB'
        return f'{min(done, total) / MB:.0f} of {total / MB:.0f} MB'


def fetch(repo: str, progress: Callable[[], None], log: Optional[Log] = None,
          files: Sequence[str] = WEIGHTS) -> str:
    """Bring a file of a repository into the hub's cache; return why not, '' if it is there.

    In a daemon thread, because the client of the hub cannot be interrupted, and the end of the
    program must not wait for it.

    Args:
        repo: 'user/name' or 'user/name@revision'.
        progress: called several times a second meanwhile; it may raise to end the wait.
        log: called with how far a download is; None: a bar is shown instead.
        files: names, of which the first that is there is fetched.

    Raises:
        ModelError: if the file is damaged, and cannot be had in any better state.
    """
    outcome: futures.Future[str] = futures.Future()
    download = Download()

    def work() -> None:
        try:
            outcome.set_result(_fetch(repo, files, download.bar if log else _Bar, log))
        except ModelError as error:
            outcome.set_exception(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    tell_s = time.monotonic()
    while thread.is_alive():
        thread.join(POLL_S)
        progress()
        so_far = str(download)
        if log and so_far and time.monotonic() >= tell_s:
            log(f'downloading {repo}: {so_far}')
            tell_s = time.monotonic() + TELL_EVERY_S
    return outcome.result() if outcome.done() else ''


def cache_alone(wanted: bool) -> ContextManager[None]:
    """Let the client of the hub read its cache alone, if `wanted`.

    By itself it tries each file six times where there is no network, a minute in all.
    """
    return _OFFLINE if wanted else contextlib.nullcontext()


_OFFLINE = Held(lambda: constants.HF_HUB_OFFLINE,
                lambda offline: setattr(constants, 'HF_HUB_OFFLINE', offline), True)


def _fetch(repo: str, files: Sequence[str], bar: Type[tqdm], log: Optional[Log]) -> str:
    reason = unreachable()
    name, _, revision = repo.partition('@')
    download = functools.partial(hf_hub_download, name, revision=revision or None,
                                 local_files_only=bool(reason))
    if _TAKES_A_BAR:
        download = functools.partial(download, tqdm_class=bar)
    for file in files:
        try:
            path = Path(download(file))
            whole = _is_whole(path)
            if not whole and not reason:
                if log:
                    log(f'{path} is damaged: it is downloaded anew')
                path = Path(download(file, force_download=True))
                whole = _is_whole(path)
        except LocalEntryNotFoundError as error:
            if reason:
                continue
            return str(error)  # as the network failed
        except EntryNotFoundError:
            continue
        except Exception as error:  # noqa: BLE001  the client's, by version and kind of fault
            return str(error) or type(error).__name__
        if not whole:
            raise ModelError(f'{path} is damaged: its SHA-256 is not that which the hub gave'
                             f'{f" ({reason})" if reason else ""}; delete it, and it is '
                             'downloaded anew')
        return reason
    return reason


def _is_whole(path: Path) -> bool:
    """Return whether a file in the hub's cache has the content that the hub promised.

    Large files lie there under the SHA-256 that the hub gave; its client compares only sizes.
    """
    promised = path.resolve().name
    return len(promised) != SHA256_DIGITS or promised == sha256(path)


def unreachable() -> str:
    """Return why the hub cannot be reached; '' if it can, or if a proxy has to say."""
    if constants.HF_HUB_OFFLINE:
        return 'HF_HUB_OFFLINE is set'
    if getproxies():
        return ''
    url = urlsplit(constants.ENDPOINT)
    try:
        socket.create_connection((url.hostname or '', url.port or (
            443 if url.scheme == 'https' else 80)), CONNECT_S).close()
    except OSError as error:
        return f'{url.hostname} cannot be reached: {error}'
    return ''
