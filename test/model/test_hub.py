# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The hub is asked once, in a thread that nothing waits for. No network."""
import signal
import socket
import subprocess
import sys
import threading

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import EntryNotFoundError, LocalEntryNotFoundError

from ltp_ros.model import hub


def go_on():
    """Do not end the wait."""


@pytest.fixture
def connections(monkeypatch):
    """Return what was connected to; every connection fails."""
    tried = []

    def refuse(address, timeout):
        tried.append(address)
        raise OSError('Name or service not known')
    monkeypatch.setattr(socket, 'create_connection', refuse)
    monkeypatch.setattr(hub, 'getproxies', dict)
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', False)
    monkeypatch.setattr(constants, 'ENDPOINT', 'https://hub.example')
    return tried


def test_a_hub_that_cannot_be_reached_is_not_asked_for_files(connections, monkeypatch):
    def only_look(*args, local_files_only, **kwargs):
        assert local_files_only
        raise LocalEntryNotFoundError('it is not in the cache')
    monkeypatch.setattr(hub, 'hf_hub_download', only_look)
    assert hub.fetch('timm/x', go_on) == (
        'hub.example cannot be reached: Name or service not known')
    assert connections == [('hub.example', 443)]


def test_the_client_reads_its_cache_alone_for_as_long_as_it_is_told(connections):
    with hub.cache_alone(True):
        assert constants.HF_HUB_OFFLINE
    assert not constants.HF_HUB_OFFLINE
    with hub.cache_alone(False):
        assert not constants.HF_HUB_OFFLINE


def test_a_mirror_is_asked_in_its_place(connections, monkeypatch):
    monkeypatch.setattr(constants, 'ENDPOINT', 'http://mirror:8080/hf')  # HF_ENDPOINT
    assert hub.unreachable() == 'mirror cannot be reached: Name or service not known'
    assert connections == [('mirror', 8080)]


def test_behind_a_proxy_the_client_itself_finds_out(connections, monkeypatch):
    monkeypatch.setattr(hub, 'getproxies', lambda: {'https': 'http://proxy:3128'})
    assert not hub.unreachable() and not connections


def test_a_client_that_is_told_to_stay_offline_is_not_told_twice(connections, monkeypatch):
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    assert hub.unreachable() == 'HF_HUB_OFFLINE is set' and not connections


@pytest.fixture
def download(monkeypatch):
    """Return a function by which files are downloaded from now on, from a hub that is there."""
    monkeypatch.setattr(hub, 'unreachable', lambda: '')
    return lambda function: monkeypatch.setattr(hub, 'hf_hub_download', function)


def test_the_first_file_that_the_repository_has_is_fetched(download):
    asked = []

    def has_the_second(repo, file, revision, local_files_only, tqdm_class=None):
        asked.append((repo, file, revision))
        if len(asked) == 1:
            raise EntryNotFoundError('no such file')
        return __file__
    download(has_the_second)
    assert hub.fetch('user/name@v2', go_on) == ''
    assert asked == [('user/name', 'model.safetensors', 'v2'),
                     ('user/name', 'pytorch_model.bin', 'v2')]


def test_a_download_that_fails_is_not_tried_for_the_next_file(download):
    def fail(*args, **kwargs):
        asked.append(args)
        raise LocalEntryNotFoundError('the connection was lost')
    asked = []
    download(fail)
    assert hub.fetch('user/name', go_on) == 'the connection was lost'
    assert len(asked) == 1


def test_the_wait_ends_when_the_program_is_told_to_stop(download):
    endless = threading.Event()

    def stop():
        raise RuntimeError('stopped')
    download(lambda *args, **kwargs: endless.wait() and __file__)
    with pytest.raises(RuntimeError, match='stopped'):
        hub.fetch('user/name', stop)
    endless.set()


def test_control_c_ends_a_program_whose_download_hangs():
    program = subprocess.Popen([sys.executable, '-c', """
import signal, threading
from ltp_ros.model import hub
# A shell without job control lets its background processes ignore the signal
signal.signal(signal.SIGINT, signal.default_int_handler)
hub.unreachable = threading.Event().wait
hub.fetch('user/name', lambda: print('waiting', flush=True))
"""], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert program.stdout.readline() == 'waiting\n'
    program.send_signal(signal.SIGINT)
    _, err = program.communicate(timeout=20)
    assert err.endswith('KeyboardInterrupt\n')
