# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A node from its start to its end: what it writes, asks and starts, by Python's audit events."""
import json
import os
import signal
import stat
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from ros_helpers import exchange, picture, ros_arguments

import ltp_ros
from ltp_ros.tools.support.processes import Process

FILES = ('open', 'os.remove', 'os.rename', 'os.mkdir', 'os.rmdir')
# The exporter of torch and ONNX Runtime look for libraries; a Jetson has a power mode
HELPERS = {'/sbin/ldconfig', 'nvpmodel'}


def is_in(path, *folders):
    return any(f'{os.path.abspath(path)}/'.startswith(f'{folder}/') for folder in folders)


def test_a_node_writes_its_cache_and_asks_for_nothing_else(tmp_path, small_model, listener):
    cache, scratch, home, logs = (tmp_path / name for name in ('cache', 'tmp', 'home', 'log'))
    for folder in (scratch, home):
        folder.mkdir()
    arguments = ros_arguments(checkpoint=small_model, device='cpu', backend='onnx',
                              precision='float32', keep_ratios='[1.0]', cache=cache)
    environment = {'HOME': str(home), 'TMPDIR': str(scratch), 'ROS_LOG_DIR': str(logs),
                   'XDG_CACHE_HOME': '', 'TORCHINDUCTOR_CACHE_DIR': str(scratch / 'torchinductor'),
                   'PYTHONDONTWRITEBYTECODE': '1', 'OMP_NUM_THREADS': '1',
                   'PYTHONFAULTHANDLER': '1',  # its end was a segmentation fault once
                   'PYTHONPATH': os.pathsep.join([str(Path(__file__).parent),
                                                  os.environ.get('PYTHONPATH', '')])}
    with Process('audited_node', [str(tmp_path / 'events'), *arguments], **environment) as program:
        camera = listener.publisher('/ltp/image', program=program)
        exchange(listener, camera, picture(1), program)
        hostile = picture(2)
        hostile.encoding = hostile.header.frame_id = '\x1b[2J\n[FATAL] fake'
        camera.publish(hostile)
        listener.until(lambda: 'dropped an image' in program.output, program)
        refused = listener.set_parameter('roi', '[2001-13-01]')  # a day that there is none
        assert not refused.successful and 'roi' in refused.reason
        exchange(listener, camera, picture(3), program)
        program.send_signal(signal.SIGINT)
        assert program.wait(20) == 0, program.output
        assert '\x1b' not in program.output and '\n[FATAL]' not in program.output
    heard = defaultdict(list)
    for line in (tmp_path / 'events').read_text().splitlines():
        event, *args = json.loads(line)
        heard[event].append(args)
    written = [path for event in FILES for path, *_ in heard[event] if path != '/dev/null']
    assert [path for path in written if is_in(path, cache)]
    assert [path for path in written if not is_in(path, cache, scratch)] == []
    assert {program for program, *_ in heard['subprocess.Popen']} <= HELPERS
    assert set(heard) <= {*FILES, 'subprocess.Popen'}  # no socket, no unpickling, no other rights
    # And what C++ did
    assert list(home.rglob('*')) == []
    assert [path.name for path in scratch.iterdir() if path.name != 'torchinductor'] == []
    assert {stat.S_IMODE(path.stat().st_mode) for path in [cache, *cache.rglob('*')]
            if path.is_dir()} == {0o700}


@pytest.mark.parametrize('wish, told', [(None, '1'), ('0', '0')])
def test_onnx_runtime_tells_nobody_unless_the_user_lets_it(wish, told):
    environment = {name: value for name, value in os.environ.items()
                   if name != 'ORT_DISABLE_TELEMETRY'}
    result = subprocess.run(
        [sys.executable, '-c', 'import os, ltp_ros; print(os.environ["ORT_DISABLE_TELEMETRY"])'],
        stdout=subprocess.PIPE, text=True, timeout=60, cwd=Path(ltp_ros.__file__).parents[1],
        env={**environment, **({'ORT_DISABLE_TELEMETRY': wish} if wish else {})})
    assert result.stdout == f'{told}\n'


def test_a_node_that_cannot_have_the_security_it_is_asked_for_ends_with_a_sentence(
        tmp_path, listener):
    (tmp_path / 'enclaves' / 'ltp' / 'classifier').mkdir(parents=True)  # without keys
    with Process('ltp_ros.node', ['--ros-args', '--enclave', '/ltp/classifier'],
                 ROS_SECURITY_KEYSTORE=str(tmp_path), ROS_SECURITY_ENABLE='true',
                 ROS_SECURITY_STRATEGY='Enforce') as program:
        assert program.wait(120) == 1
        assert 'ltp_classifier: ROS cannot ' in program.output
        assert 'Traceback' not in program.output


OFFLINE = '''
import sys

def refuse(event, args):
    if event.startswith(('socket.connect', 'socket.getaddrinfo', 'socket.gethostby')):
        print('asked for the network:', event, args)

sys.addaudithook(refuse)
from ltp_ros.model.card import ModelError
from ltp_ros.model.vit import create_vit
for arguments in ({}, {'method': 'papr'}, {'model': 'hf_hub:user/name'},
                  {'model': 'vit_huge_patch14_gap_224.in22k_ijepa', 'any_head': True}):
    try:
        create_vit(**{'model': 'vit_tiny_patch16_224', 'depth': 1, **arguments})
    except ModelError as error:
        print(error)
'''


def test_one_variable_keeps_every_program_from_the_network(tmp_path):
    result = subprocess.run(
        [sys.executable, '-c', OFFLINE], stdout=subprocess.PIPE, text=True, timeout=300,
        cwd=Path(ltp_ros.__file__).parents[1],
        env={**os.environ, 'HF_HUB_OFFLINE': '1', 'HF_HOME': str(tmp_path)})
    told = result.stdout.splitlines()
    assert [line for line in told if 'network' in line] == []
    assert sum('could not be downloaded (HF_HUB_OFFLINE is set)' in line for line in told) == 3
    assert sum('are not on the hub, but at https://' in line for line in told) == 1
