# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The hub that timm fetches weights from: asked once, and never in the way of a signal."""
import contextlib
import socket
import threading
from typing import Callable, Iterator, List
from urllib.parse import urlsplit
from urllib.request import getproxies

from huggingface_hub import constants, hf_hub_download
from huggingface_hub.utils import EntryNotFoundError, LocalEntryNotFoundError

FILES = ('model.safetensors', 'pytorch_model.bin')  # the first that is there is what timm takes
CONNECT_S = 5.0
POLL_S = 0.1


def fetch(repo: str, progress: Callable[[], None]) -> str:
    """Bring the weights of a repository into the hub's cache; return why not, '' if that was done.

    In a daemon thread, because the client of the hub cannot be interrupted, and the end of the
    program must not wait for it.

    Args:
        repo: 'user/name' or 'user/name@revision'.
        progress: called several times a second meanwhile; it may raise to end the wait.
    """
    reasons: List[str] = []
    thread = threading.Thread(target=lambda: reasons.append(_fetch(repo)), daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(POLL_S)
        progress()
    return reasons[0] if reasons else ''


@contextlib.contextmanager
def cache_alone(wanted: bool) -> Iterator[None]:
    """Let the client of the hub read its cache alone, if `wanted`.

    By itself it tries each file six times where there is no network, a minute in all.
    """
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or wanted
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _fetch(repo: str) -> str:
    reason = unreachable()
    name, _, revision = repo.partition('@')
    for file in () if reason else FILES:
        try:
            hf_hub_download(name, file, revision=revision or None)
            return ''
        except LocalEntryNotFoundError as error:  # as the network failed
            return str(error)
        except EntryNotFoundError:
            continue
        except (OSError, ValueError) as error:
            return str(error)
    return reason


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
