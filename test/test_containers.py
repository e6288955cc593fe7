# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Dockerfiles and compose.yaml, as far as they can be judged where there is no Docker."""
import fnmatch
import importlib.util
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

import pytest
import yaml

from ltp_ros.ros.transport import PROFILES_VARIABLES
from ltp_ros.settings import check

ROOT = Path(__file__).parents[1]
DOCKERFILES = ('docker/Dockerfile', 'docker/Dockerfile.jetson')
TARGETS = [('docker/Dockerfile', target) for target in ('node', 'camera', 'bridge')] + [
    ('docker/Dockerfile.jetson', 'node')]
# Executables of other packages, whose folders docker/entrypoint adds to PATH
OTHERS = {'v4l2_camera_node', 'foxglove_bridge'}
# What reads the variables that no source of this package names
READERS = {'ROS_LOG_DIR': 'rcl', 'HF_HOME': 'huggingface_hub', 'CUDA_CACHE_PATH': 'CUDA',
           'PYTHONUNBUFFERED': 'Python', 'PATH': 'the system',
           'NVIDIA_VISIBLE_DEVICES': 'its runtime', 'NVIDIA_DRIVER_CAPABILITIES': 'its runtime'}
FOLDERS = ('XDG_CACHE_HOME', 'HF_HOME', 'CUDA_CACHE_PATH', 'ROS_LOG_DIR')
PROCESSES = 12  # as compose.yaml says
OVERHEAD, PORTS = 1.047, 2 * 52_400  # of a segment, and a process's ports: of live nodes' files
UNITS = {'k': 2 ** 10, 'm': 2 ** 20, 'g': 2 ** 30}
PROGRAMS = set(re.findall(r'^(ltp_\w+) = "ltp_ros\.', (ROOT / 'pyproject.toml').read_text(
    encoding='utf-8'), re.MULTILINE))

pytestmark = pytest.mark.skipif(not (ROOT / 'compose.yaml').is_file(),
                                reason='the sources have no containers')


def instructions(name):
    """Return the instructions of a Dockerfile, each a word and the rest of its line."""
    text = '\n'.join(line for line in (ROOT / name).read_text(encoding='utf-8').splitlines()
                     if not line.lstrip().startswith('#'))
    lines = re.sub(r'\\\n', ' ', text).splitlines()
    return [tuple(line.split(None, 1)) for line in lines if line.strip()]


def stages(name):
    """Return what each stage of a Dockerfile is made of, that of its base included, by name."""
    found, current = {}, []
    for word, rest in instructions(name):
        if word == 'FROM':
            base, _, stage = rest.partition(' AS ')
            current = list(found.get(base, []))
            found[stage] = current
        current.append((word, rest))
    return found


def last(name, stage, word):
    """Return the rest of the last such instruction of a stage; '' if there is none."""
    return next((rest for each, rest in reversed(stages(name)[stage]) if each == word), '')


def environment(name, stage):
    return dict(pair.split('=', 1) for word, rest in stages(name)[stage] if word == 'ENV'
                for pair in rest.split())


def compose(*others):
    """Return compose.yaml with the defaults of its variables, and other files over it."""
    found = {}
    for name in ('compose.yaml', *others):
        text = re.sub(r'\$\{\w+:-([^}]*)\}', r'\1', (ROOT / name).read_text(encoding='utf-8'))
        for key, value in yaml.safe_load(text).items():
            if key != 'services':
                found.setdefault(key, value)
                continue
            for service, keys in value.items():
                mine = found.setdefault('services', {}).setdefault(service, {})
                for each, given in keys.items():
                    mine[each] = {**mine.get(each, {}), **given} if isinstance(
                        given, dict) else given
    return found


SERVICES = compose()['services'] if (ROOT / 'compose.yaml').is_file() else {}
ROS_SERVICES = [name for name in SERVICES if name != 'memory']


def image_of(service):
    build = service['build']
    return build['dockerfile'], build.get('target', 'node')


def ignored(path):
    """Return whether .dockerignore keeps a file out of the build; its last match counts."""
    left_out = False
    for line in (ROOT / '.dockerignore').read_text(encoding='utf-8').splitlines():
        pattern = line.strip().lstrip('!')
        if not pattern or pattern.startswith('#'):
            continue
        parts = PurePosixPath(path).parts
        if any(fnmatch.fnmatch('/'.join(parts[:depth]), pattern) or (
                pattern.startswith('**/') and fnmatch.fnmatch(parts[depth - 1], pattern[3:]))
               for depth in range(1, len(parts) + 1)):
            left_out = not line.startswith('!')
    return left_out


def health_check():
    """Return the health check as a module."""
    spec = importlib.util.spec_from_file_location('healthcheck', str(
        ROOT / 'docker' / 'healthcheck.py'))
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def size(text):
    return int(text[:-1]) * UNITS[text[-1].lower()]


@pytest.mark.parametrize('name', DOCKERFILES)
def test_what_is_copied_is_there_and_is_sent_to_the_build(name):
    copied = [source for word, rest in instructions(name) if word == 'COPY'
              and '--from' not in rest for source in rest.split()[:-1]
              if not source.startswith('--')]
    assert len(copied) > 8
    for source in copied:
        assert (ROOT / source).exists() and not ignored(source), source


def test_what_a_build_leaves_among_the_sources_is_not_sent_to_the_next():
    for path in ('ltp_ros/msg/_labels.py', 'ltp_ros/__pycache__/node.pyc', '.git/HEAD', 'test',
                 'ltp_ros/srv/x.so', 'docs/tour.md'):
        assert ignored(path), path
    for path in ('ltp_ros/node.py', 'msg/Labels.msg', 'ltp_ros/model/weights/demo.safetensors',
                 'config/fastdds.xml'):
        assert not ignored(path), path


@pytest.mark.parametrize('name', DOCKERFILES)
def test_bases_have_a_tag_that_names_a_release(name):
    bases = [rest.partition('=')[2] for word, rest in instructions(name)
             if word == 'ARG' and rest.startswith('BASE=')]
    named = [rest.split()[0] for word, rest in instructions(name) if word == 'FROM']
    assert len(bases) == 1 and set(named) <= {'${BASE}', *stages(name)}
    for base in [*bases, compose('docker/compose.jetson.yaml')['services']['camera']['build'][
            'args']['BASE']]:
        tag = base.partition(':')[2]
        assert re.search(r'(jazzy|humble)-.*(noble|jammy|r\d+\.\d+\.\d+)', tag), base


@pytest.mark.parametrize('name, target', TARGETS)
def test_nobody_is_root(name, target):
    assert last(name, target, 'USER') == '${USER_ID}'
    number, = (rest.partition('=')[2] for word, rest in stages(name)[target]
               if word == 'ARG' and rest.startswith('USER_ID='))
    assert int(number) >= 1000
    assert any('useradd --uid "$USER_ID"' in rest for word, rest in stages(name)[target]
               if word == 'RUN')


@pytest.mark.parametrize('name, target', TARGETS)
def test_an_image_starts_a_program_that_takes_its_signals(name, target):
    entry, command = (json.loads(last(name, target, word)) for word in ('ENTRYPOINT', 'CMD'))
    assert entry == ['/usr/local/bin/ltp_entrypoint']  # exec form: no shell in between
    assert command[0] in PROGRAMS | OTHERS


def test_the_entry_point_becomes_its_command(tmp_path):
    process = subprocess.Popen([str(ROOT / 'docker' / 'entrypoint'), 'sleep', '100'],
                               env={'PATH': os.environ['PATH'], 'ROS_DISTRO': 'none'})
    try:
        comm, end = Path('/proc', str(process.pid), 'comm'), time.monotonic() + 60
        while comm.read_text() != 'sleep\n' and time.monotonic() < end:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == -signal.SIGTERM
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize('name', DOCKERFILES)
def test_the_health_check_is_in_the_image_and_ends_before_docker_kills_it(name):
    options, _, command = last(name, 'node', 'HEALTHCHECK').partition('CMD ')
    words = json.loads(command)
    assert words[0] == '/usr/local/bin/ltp_entrypoint'  # Docker starts it without that
    assert any(word == 'COPY' and rest.endswith(words[-1]) and 'docker/healthcheck.py' in rest
               for word, rest in stages(name)['node'])
    assert os.access(str(ROOT / 'docker' / 'healthcheck.py'), os.X_OK)
    script = health_check()
    timeout_s = int(re.search(r'--timeout=(\d+)s', options).group(1))
    assert script.SECONDS + script.GRACE_S < timeout_s  # or it would leave its shared memory


@pytest.mark.parametrize('name', ROS_SERVICES)
def test_a_service_runs_a_program_of_its_image(name):
    dockerfile, target = image_of(SERVICES[name])
    assert (ROOT / dockerfile).is_file() and target in stages(dockerfile)
    command = SERVICES[name]['command'][0]
    allowed = PROGRAMS if target == 'node' else {json.loads(last(dockerfile, target, 'CMD'))[0]}
    assert command in allowed


@pytest.mark.parametrize('name', ROS_SERVICES)
def test_every_variable_is_read_by_somebody(name):
    sources = '\n'.join(path.read_text(encoding='utf-8')
                        for path in (ROOT / 'ltp_ros').rglob('*.py'))
    given = {**environment(*image_of(SERVICES[name])), **SERVICES[name]['environment'],
             **compose('docker/compose.jetson.yaml')['services'][name]['environment']}
    for variable in given:
        assert variable in READERS or re.search(rf"['\"]{variable}['\"]", sources), variable


@pytest.mark.parametrize('name', ROS_SERVICES)
def test_what_is_written_has_a_place_where_the_rest_is_read_only(name):
    service = SERVICES[name]
    assert service['read_only'] is True
    places = [entry.split(':')[0] for entry in service['tmpfs']] + [
        volume.split(':')[1] for volume in service.get('volumes', [])
        if not volume.endswith(':ro')]
    given = environment(*image_of(service))
    needed = [given[variable] for variable in FOLDERS] if name == 'node' else [
        given['ROS_LOG_DIR']]
    for folder in [*needed, '/tmp']:
        assert any(PurePosixPath(place) in [PurePosixPath(folder), *PurePosixPath(folder).parents]
                   for place in places), folder
    for volume in service.get('volumes', []):
        source = volume.split(':')[0]
        assert source in compose()['volumes'] or (ROOT / source).is_file()


@pytest.mark.parametrize('name', list(SERVICES))
def test_a_service_has_no_rights_that_it_does_not_need(name):
    service = SERVICES[name]
    assert service['cap_drop'] == ['ALL'] and 'cap_add' not in service
    assert service['security_opt'] == ['no-new-privileges:true']
    assert not {'privileged', 'user', 'pid'} & set(service)


@pytest.mark.parametrize('name', ROS_SERVICES)
def test_images_go_through_one_shared_memory_with_the_profiles_of_this_package(name):
    service = SERVICES[name]
    assert service['network_mode'] == 'host'  # by which Fast DDS knows the same machine
    assert service['ipc'] == 'service:memory'
    dockerfile, target = image_of(service)
    for given in (service['environment'], environment(dockerfile, target)):
        files = {given[variable] for variable in PROFILES_VARIABLES}
        assert files == {'/opt/ltp/share/ltp_ros/config/fastdds.xml'}
    assert any('/opt/ltp' in rest for word, rest in stages(dockerfile)[target]
               if word == 'COPY' and '--from=build' in rest)
    assert (ROOT / 'config' / 'fastdds.xml').is_file()


def test_shared_memory_holds_the_segments_of_all_processes():
    memory = SERVICES['memory']
    assert memory['ipc'] == 'shareable' and memory['network_mode'] == 'none'
    profiles = ElementTree.parse(ROOT / 'config' / 'fastdds.xml')
    segment = int(profiles.findtext('.//{*}segment_size'))
    assert PROCESSES >= 2 * len(ROS_SERVICES)
    assert size(memory['shm_size']) > PROCESSES * (OVERHEAD * segment + PORTS)


def test_the_parameters_of_the_node_are_allowed_and_its_camera_is_that_of_the_services():
    parameters = yaml.safe_load((ROOT / 'docker' / 'robot.yaml').read_text(encoding='utf-8'))
    (node, given), = parameters.items()
    assert node == '/ltp/classifier'
    for name, value in given['ros__parameters'].items():
        check(name, value)
    topic, = given['ros__parameters']['image_topics']
    assert topic == '/camera/image_raw'
    assert '__ns:=/camera' in SERVICES['camera']['command']  # v4l2_camera adds image_raw
    assert topic in SERVICES['samples']['command']
    mounted = [volume.split(':') for volume in SERVICES['node']['volumes']]
    assert ['./docker/robot.yaml', SERVICES['node']['command'][-1], 'ro'] in mounted


def test_the_packages_are_those_of_the_project():
    with (ROOT / 'pyproject.toml').open(encoding='utf-8') as file:
        declared = set(re.findall(r'"([a-z_-]+[<>=][^"]*)"', file.read()))
    for name in ('docker/requirements.txt', 'docker/requirements.jetson.txt'):
        lines = [line for line in (ROOT / name).read_text(encoding='utf-8').splitlines()
                 if line and not line.startswith('#')]
        assert {line for line in lines if not line.startswith('numpy')} <= declared
        assert {'numpy<2', 'numpy==1.23.5'} & set(lines)  # for neighbours built for numpy 1


def test_on_a_jetson_the_same_services_run_in_other_images():
    over = yaml.safe_load((ROOT / 'docker' / 'compose.jetson.yaml').read_text(encoding='utf-8'))
    assert set(over['services']) == set(SERVICES)
    merged = compose('docker/compose.jetson.yaml')['services']
    assert image_of(merged['node'])[0] == 'docker/Dockerfile.jetson'
    assert merged['node']['runtime'] == 'nvidia'
    assert set(PROFILES_VARIABLES) <= set(merged['node']['environment'])
