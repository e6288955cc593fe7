# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The hub that timm fetches weights from: asked once, and never in the way of a signal."""
import contextlib
import os
import socket
import threading
from typing import Callable, Iterator, List, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies

from huggingface_hub import constants

CONNECT_S = 5.0
POLL_S = 0.1
T = TypeVar('T')


def ask(work: Callable[[], T], progress: Callable[[], None]) -> T:
    """Return what `work`, which may fetch files of the hub, returns.

    It runs in a daemon thread, because the client of the hub cannot be interrupted, and the end
    of the program must not wait for it. Where the hub cannot be reached, its cache alone is read:
    the client would try each file six times, a minute in all.

    Args:
        work: done in the other thread.
        progress: called several times a second meanwhile; it may raise to end the wait.

    Raises:
        OSError: if the hub cannot be reached, and its cache is not enough.
    """
    answers: List[T] = []
    errors: List[Exception] = []

    def run() -> None:
        reason = unreachable()
        try:
            with cache_alone() if reason else contextlib.nullcontext():
                answers.append(work())
        except OSError as error:
            errors.append(OSError(reason) if reason else error)
        except Exception as error:  # noqa: BLE001  raised below, in the thread that asked
            errors.append(error)

    thread = threading.Thread(target=run, name='ltp_hub', daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(POLL_S)
        progress()
    if errors:
        raise errors[0]
    return answers[0]


def unreachable() -> str:
    """Return why the hub cannot be reached; '' if it can, or if a proxy has to say."""
    if constants.HF_HUB_OFFLINE:
        return 'HF_HUB_OFFLINE is set'
    if getproxies():
        return ''
    url = urlsplit(os.environ.get('HF_ENDPOINT') or 'https://huggingface.co')
    try:
        socket.create_connection((url.hostname or '', url.port or (
            443 if url.scheme == 'https' else 80)), CONNECT_S).close()
    except OSError as error:
        return f'{url.hostname} cannot be reached: {error}'
    return ''


@contextlib.contextmanager
def cache_alone() -> Iterator[None]:
    """Let the client of the hub read its cache alone."""
    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
