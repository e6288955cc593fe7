# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The hub is asked once, in a thread that nothing waits for. No network."""
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest
from huggingface_hub import constants

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
    monkeypatch.delenv('HF_ENDPOINT', raising=False)
    return tried


def test_where_the_hub_cannot_be_reached_its_cache_alone_is_read(connections):
    assert hub.ask(lambda: constants.HF_HUB_OFFLINE, go_on)
    assert not constants.HF_HUB_OFFLINE
    assert connections == [('huggingface.co', 443)]


def test_what_is_not_in_the_cache_is_refused_with_the_reason_of_the_network(connections):
    def client():
        raise FileNotFoundError('offline mode is enabled')
    with pytest.raises(OSError, match='huggingface.co cannot be reached: Name or service not kn'):
        hub.ask(client, go_on)


def test_a_mirror_is_asked_in_its_place(connections, monkeypatch):
    monkeypatch.setenv('HF_ENDPOINT', 'http://mirror:8080/hf')
    assert hub.unreachable() == 'mirror cannot be reached: Name or service not known'
    assert connections == [('mirror', 8080)]


def test_behind_a_proxy_the_client_itself_finds_out(connections, monkeypatch):
    monkeypatch.setattr(hub, 'getproxies', lambda: {'https': 'http://proxy:3128'})
    assert not hub.unreachable() and not connections


def test_a_client_that_is_told_to_stay_offline_is_not_told_twice(connections, monkeypatch):
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    assert hub.unreachable() == 'HF_HUB_OFFLINE is set' and not connections


def test_where_the_hub_answers_the_client_works_as_ever(connections, monkeypatch):
    monkeypatch.setattr(hub, 'unreachable', lambda: '')
    assert hub.ask(lambda: constants.HF_HUB_OFFLINE, go_on) is False
    with pytest.raises(ValueError, match='of the model'):
        hub.ask(lambda: int('of the model'), go_on)


def test_the_wait_ends_when_the_program_is_told_to_stop(connections, monkeypatch):
    endless = threading.Event()

    def stop():
        raise RuntimeError('stopped')
    with pytest.raises(RuntimeError, match='stopped'):
        hub.ask(endless.wait, stop)
    endless.set()


def test_control_c_ends_a_program_whose_download_hangs():
    program = subprocess.Popen([sys.executable, '-c', """
import threading
from ltp_ros.model import hub
hub.unreachable = lambda: ''
hub.ask(threading.Event().wait, lambda: print('waiting', flush=True))
"""], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    assert program.stdout.readline() == 'waiting\n'
    program.send_signal(signal.SIGINT)
    _, err = program.communicate(timeout=20)
    assert err.endswith('KeyboardInterrupt\n')
