# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The launch file, run by the real launch packages (they come with ROS, not with the wheels).

The programs that it starts are stand-ins here, which only write down how they were started.
"""
import os
from pathlib import Path

import pytest
import yaml
from launch_helpers import CHECKOUT, install

from ltp_ros.ros.transport import PROFILES_VARIABLES
from ltp_ros.settings import fields
from ltp_ros.tools.export import build_parser

pytest.importorskip('launch_ros', reason='launch and launch_ros come with ROS; not in the wheels')
STAND_IN = '''#!/bin/sh
started="$STARTED/$(basename "$0") $$"
env > "$started.env"
printf '%s\\n' "$@" > "$started.new" && mv "$started.new" "$started.txt"
'''
WAITS_FOR_THE_NODE = 'until [ -e "$STARTED"/ltp_classifier*.txt ]; do sleep 0.02; done\n'
ENDLESS = 'exec sleep 600\n'
WAITS_FOR_THE_CAMERA = '''#!/bin/sh
cd "$STARTED"
until [ -e ltp_image_source*.txt ]; do sleep 0.02; done
while kill -0 "$(ls | sed -n 's/ltp_image_source \\([0-9]*\\)[.]txt/\\1/p')"; do sleep 0.02; done
'''


class Started:
    """How a program was started: its own arguments, and what ROS reads from the others."""

    def __init__(self, path):
        self.program = path.name.split()[0]
        words = path.read_text().splitlines()
        self.environment = path.with_suffix('.env').read_text()
        own = words.index('--ros-args') if '--ros-args' in words else len(words)
        self.arguments, ros = words[:own], list(zip(words[own:], words[own + 1:]))
        self.log_level = [value for flag, value in ros if flag == '--log-level']
        self.enclave = [value for flag, value in ros if flag == '--enclave']
        names = dict(value.split(':=') for flag, value in ros if flag == '-r')
        self.name, self.namespace = names.get('__node'), names.get('__ns')
        self.files = [Path(value) for flag, value in ros if flag == '--params-file']
        self.parameters = {}
        for file in self.files:
            for parameters in yaml.full_load(file.read_text()).values():
                self.parameters.update(parameters['ros__parameters'])


@pytest.fixture
def prefix(tmp_path, monkeypatch):
    """Install the package with stand-ins for its programs; return where they write."""
    install(tmp_path, (STAND_IN,) * 3)
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv('ROS_LOG_DIR', str(tmp_path))
    monkeypatch.setenv('STARTED', str(tmp_path))
    for name in PROFILES_VARIABLES:
        monkeypatch.setenv(name, '')  # so that it is put back
        monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def launch(prefix, caplog):
    """Return a function that runs a launch file as `ros2 launch` does, and what it started."""
    from launch import LaunchDescription, LaunchService, logging
    from launch.actions import IncludeLaunchDescription, RegisterEventHandler, Shutdown
    from launch.event_handlers import OnProcessExit
    from launch.launch_description_sources import AnyLaunchDescriptionSource

    logging.reset()  # or it writes to the screen of an earlier test

    def run(file=CHECKOUT / 'launch' / 'classify.launch.py', cameras=0, nodes=0, **arguments):
        """Run until all programs have ended; if numbers are given, until so many have."""
        gone = []

        def on_exit(event, context):
            gone.append(event.process_name.partition('-')[0])
            over = gone.count('ltp_image_source' if cameras else 'ltp_classifier')
            return [Shutdown()] if over == (cameras or nodes) else []

        service = LaunchService(argv=[f'{name}:={value}' for name, value in arguments.items()])
        including = IncludeLaunchDescription(
            AnyLaunchDescriptionSource(str(file)),
            launch_arguments=[(name, str(value)) for name, value in arguments.items()])
        if cameras:
            with open(prefix / 'lib' / 'ltp_ros' / 'ltp_classifier', 'a') as node:
                node.write(ENDLESS)
            with open(prefix / 'lib' / 'ltp_ros' / 'ltp_image_source', 'a') as camera:
                camera.write(WAITS_FOR_THE_NODE)
        if cameras or nodes:
            service.include_launch_description(LaunchDescription([
                RegisterEventHandler(OnProcessExit(on_exit=on_exit))]))
        service.include_launch_description(LaunchDescription([including]))
        run.code = service.run()
        run.told = caplog.text
        return [Started(path) for path in sorted(prefix.glob('*.txt'))]

    return run


def larger(folder, text, name='larger.launch.py'):
    """Write a launch file that includes ours; return its path."""
    (folder / name).write_text(text)
    return folder / name


PYTHON = '''
from launch import LaunchDescription
from launch.actions import *
from launch.launch_description_sources import AnyLaunchDescriptionSource
from launch_ros.actions import *
from launch.substitutions import *

def ours(**arguments):
    return IncludeLaunchDescription(
        AnyLaunchDescriptionSource({folder!r} + '/classify.launch.py'),
        launch_arguments=arguments.items())

def generate_launch_description():
    return LaunchDescription([{actions}])
'''


def python(folder, actions):
    """Write a larger launch file in Python."""
    return larger(folder, PYTHON.format(folder=str(CHECKOUT / 'launch'), actions=actions))


# What is given

def test_only_given_arguments_override_the_node_s_defaults(launch):
    node, = launch()
    assert (node.namespace, node.name, node.log_level) == ('/ltp', 'classifier', [])
    assert node.parameters == {'image_topics': ['image']}  # of config/classify.yaml
    assert launch.code == 0


def test_the_node_and_a_source_have_enclaves_of_their_own(launch):
    programs = launch(cameras=1, source='samples', enclave='/front/classifier')
    assert {program.program: program.enclave for program in programs} == {
        'ltp_classifier': ['/front/classifier'], 'ltp_image_source': ['/front/image_source']}


def test_without_an_enclave_the_node_is_given_none(launch):
    node, = launch()
    assert node.enclave == []


def test_an_empty_params_file_leaves_the_defaults(launch):
    node, = launch(params_file='', top_k='3')
    assert node.parameters == {'top_k': 3}


def test_a_params_file_that_is_not_there_is_refused(launch):
    assert not launch(params_file='/nowhere.yaml')
    assert "'/nowhere.yaml' is not a file" in launch.told and launch.code


def test_a_default_that_is_shown_does_not_override_the_params_file(launch, tmp_path):
    file = tmp_path / 'robot.yaml'
    file.write_text('/**: {ros__parameters: {keep_ratio: 0.53, method: none, top_k: 2}}')
    node, = launch(params_file=file, top_k='3')
    assert node.parameters == {'keep_ratio': 0.53, 'method': 'none', 'top_k': 3}


def test_a_value_that_is_given_overrides_the_params_file_though_it_is_the_default(
        launch, tmp_path):
    file = tmp_path / 'robot.yaml'
    file.write_text('/**: {ros__parameters: {keep_ratio: 0.53}}')
    node, = launch(params_file=file, keep_ratio='0.7')
    assert node.parameters == {'keep_ratio': 0.7}


@pytest.mark.parametrize('text', ['1e5', 'off', '{', '007'])
def test_a_string_stays_what_was_typed(launch, text):
    node, = launch(labels=text)
    assert node.parameters['labels'] == text


def test_what_is_not_yaml_reaches_the_node_which_explains(launch):
    node, = launch(keep_ratios='[1.0, ')
    assert node.parameters['keep_ratios'] == '[1.0, '


def test_arguments_have_the_types_that_yaml_gives_them(launch):
    node, = launch(keep_ratio='0.5', top_k='3', publish_debug_image='false',
                   image_topic='/camera/image_raw', keep_ratios='[1.0, 0.5]')
    assert node.parameters == {
        'keep_ratio': 0.5, 'top_k': 3, 'publish_debug_image': False,
        'image_topics': ('/camera/image_raw',), 'keep_ratios': (1.0, 0.5)}


# What is shown

@pytest.fixture
def shown(prefix):
    """Return the arguments by name, as `--show-args` reads them."""
    from launch.launch_description_sources import AnyLaunchDescriptionSource
    description = AnyLaunchDescriptionSource(str(
        CHECKOUT / 'launch' / 'classify.launch.py')).try_get_launch_description_without_context()
    return {argument.name: argument for argument in description.get_launch_arguments()}


def test_every_parameter_is_a_launch_argument_with_its_own_default(shown):
    for _, field in fields():
        default, = shown[field.name].default_value
        text = default.describe()[1:-1]
        value = text if isinstance(field.default, str) else yaml.safe_load(text)
        assert value == (list(field.default) if isinstance(field.default, tuple)
                         else field.default)
        assert shown[field.name].description.startswith(field.metadata['description'])


def test_choices_and_ranges_are_shown(shown):
    assert set(shown['method'].choices) == {'ltp', 'mixed', 'papr', 'tome', 'none', ''}
    assert 'in (0, 1]' in shown['keep_ratio'].description
    assert shown['device'].choices is None and "'cuda:N'" not in shown['device'].description
    assert '[ms]' in shown['deadline_ms'].description


def test_a_value_that_is_not_among_the_choices_is_refused(launch):
    assert not launch(method='lpt')
    assert '"lpt" is not valid' in launch.told and launch.code


# What is refused

@pytest.mark.parametrize('name, near', [
    ('kep_ratio', 'keep_ratio'), ('keep-ratio', 'keep_ratio'), ('namspace', 'namespace'),
    ('paramsfile', 'params_file'), ('image_topc', 'image_topic'), ('sorce', 'source')])
def test_a_misspelt_argument_is_refused_with_the_nearest_name(launch, name, near):
    assert not launch(**{name: '0.5'})
    assert f'there is no launch argument {name!r}; did you mean {near}?' in launch.told
    assert launch.code


def test_an_argument_that_is_near_to_none_is_refused(launch):
    assert not launch(zzz='1')
    assert "no launch argument 'zzz'; ros2 launch ltp_ros classify.launch.py" in launch.told


@pytest.mark.parametrize('name, value', [
    ('launch-prefix', 'env'), ('sigterm_timeout', '7'), ('emulate_tty', 'false')])
def test_what_launch_itself_reads_is_taken(launch, name, value):
    assert len(launch(**{name: value})) == 1


def test_what_a_larger_file_has_of_its_own_is_not_refused(launch, tmp_path):
    node, = launch(python(tmp_path, "DeclareLaunchArgument('kep_ratio', default_value='1'), "
                          "SetLaunchConfiguration('image_topc', 'x'), ours(keep_ratio='0.5')"),
                   robot_name='r2', sorce='7')
    assert node.parameters['keep_ratio'] == 0.5


@pytest.mark.parametrize('name, text', [
    ('a.launch.py', PYTHON.format(folder=str(CHECKOUT / 'launch'),
                                  actions="ours(kep_ratio='0.5')")),
    ('a.launch.py', PYTHON.format(
        folder=str(CHECKOUT / 'launch'), actions="DeclareLaunchArgument('kep_ratio', "
        "default_value='1'), GroupAction([ours(kep_ratio=LaunchConfiguration('kep_ratio'))])")),
    ('a.launch.xml', '<launch><include file="$(find-pkg-share ltp_ros)/launch/classify.launch.py">'
     '<arg name="kep_ratio" value="0.5"/></include></launch>'),
    ('a.launch.yaml', 'launch: [{include: {file: '
     '"$(find-pkg-share ltp_ros)/launch/classify.launch.py", '
     'arg: [{name: kep_ratio, value: "0.5"}]}}]')])
def test_a_larger_file_that_misspells_an_argument_is_refused(launch, tmp_path, name, text):
    assert not launch(larger(tmp_path, text, name))
    assert 'did you mean keep_ratio?' in launch.told and launch.code


# How it is included

@pytest.mark.parametrize('name, text', [
    ('a.launch.xml', '<launch><group><push_ros_namespace namespace="front"/>'
     '<include file="$(find-pkg-share ltp_ros)/launch/classify.launch.py">'
     '<arg name="keep_ratio" value="0.5"/></include></group></launch>'),
    ('a.launch.yaml', 'launch: [{group: [{push_ros_namespace: {namespace: front}}, {include: '
     '{file: "$(find-pkg-share ltp_ros)/launch/classify.launch.py", '
     'arg: [{name: keep_ratio, value: "0.5"}]}}]}]')])
def test_xml_and_yaml_include_it_in_a_namespace(launch, tmp_path, name, text):
    node, = launch(larger(tmp_path, text, name))
    assert node.namespace == '/front/ltp' and node.parameters['keep_ratio'] == 0.5


def test_two_are_included_with_a_namespace_each(launch, tmp_path):
    nodes = launch(python(
        tmp_path, "ours(namespace='left', top_k='2'), ours(namespace='right', top_k='3')"))
    assert {node.namespace: node.parameters['top_k'] for node in nodes} == {
        '/left': 2, '/right': 3}


def test_the_first_of_two_does_not_override_the_params_file_of_the_second(launch, tmp_path):
    for top_k in (2, 3):
        (tmp_path / f'{top_k}.yaml').write_text(
            f'/**: {{ros__parameters: {{top_k: {top_k}, method: tome}}}}')
    nodes = launch(python(tmp_path, ', '.join(
        f'ours(namespace="n{k}", params_file="{tmp_path}/{k}.yaml")' for k in (2, 3))))
    assert {node.namespace: node.parameters for node in nodes} == {
        f'/n{k}': {'top_k': k, 'method': 'tome'} for k in (2, 3)}


def test_a_namespace_that_is_pushed_may_be_the_only_one(launch, tmp_path):
    node, = launch(python(tmp_path, "GroupAction([PushRosNamespace('front'), "
                          "ours(namespace='')])"))
    assert node.namespace == '/front'


def test_an_argument_that_a_larger_file_passes_on_empty_is_not_given(launch, tmp_path):
    names = ('method', 'respawn', 'source', 'use_sim_time', 'log_level', 'enclave')
    declared = [f"DeclareLaunchArgument('{name}', default_value='')" for name in names]
    node, = launch(python(tmp_path, ', '.join(
        [*declared, f'ours(**{{name: LaunchConfiguration(name) for name in {names}}})'])))
    assert node.parameters == {'image_topics': ['image']}


def test_the_clock_and_the_log_level_of_a_larger_file_are_taken(launch, tmp_path):
    node, = launch(python(tmp_path, 'ours()'), use_sim_time='True', log_level='WARN')
    assert node.parameters['use_sim_time'] is True and node.log_level == ['WARN']


@pytest.mark.parametrize('name', ['respawn', 'use_sim_time'])
def test_a_word_that_is_not_a_truth_value_is_refused(launch, name):
    assert not launch(**{name: 'maybe'})
    assert f"{name} 'maybe' is not allowed; it must be true or false" in launch.told
    assert launch.code


def test_a_node_that_died_is_started_again_if_asked_for(launch):
    assert len(launch(nodes=2, respawn='true')) == 2


# The environment

@pytest.mark.parametrize('given', PROFILES_VARIABLES)
def test_fast_dds_profiles_are_set_for_every_program_unless_the_user_has_chosen(
        launch, monkeypatch, given):
    monkeypatch.setenv(given, '/my/profiles.xml')
    programs = launch(cameras=1, source='samples')
    assert len(programs) == 2
    for program in programs:
        for name in PROFILES_VARIABLES:
            assert f'{name}=/my/profiles.xml' in program.environment


def test_fast_dds_profiles_are_ours_by_default(launch):
    launch()
    found, = {os.environ[name] for name in PROFILES_VARIABLES}
    assert Path(found).is_file()


# A try without a camera

def cameras(started):
    return [program for program in started if program.program == 'ltp_image_source']


def topics(started):
    return {program.arguments[program.arguments.index('--topic') + 1]
            for program in cameras(started)}


def test_there_is_no_camera_unless_asked_for(launch):
    assert not cameras(launch())


def test_the_samples_go_round_for_ever(launch):
    camera, = cameras(launch(cameras=1, source='samples'))
    assert camera.arguments == ['samples', '--wait', '--topic', 'image', '--loop']
    assert camera.namespace == '/ltp'


def test_a_folder_or_a_webcam_is_shown_once(launch):
    camera, = cameras(launch(cameras=1, source='0'))
    assert camera.arguments == ['0', '--wait', '--topic', 'image']


def test_the_camera_publishes_what_the_node_hears(launch, tmp_path):
    file = tmp_path / 'robot.yaml'
    file.write_text('/front/classifier: {ros__parameters: {image_topics: [/a/b, "~/c"], '
                    'image_transport: compressed}}')
    started = launch(cameras=2, source='samples', params_file=file, namespace='front')
    assert topics(started) == {'/a/b', 'classifier/c'}
    assert all('--compressed' in camera.arguments for camera in cameras(started))


def test_arguments_say_what_the_camera_publishes_before_the_params_file(launch, tmp_path):
    file = tmp_path / 'robot.yaml'
    file.write_text('/**: {ros__parameters: {image_topics: [/a/b], image_transport: compressed}}')
    started = launch(cameras=1, source='samples', params_file=file, image_topic='/x',
                     image_transport='raw')
    assert topics(started) == {'/x'}
    assert '--compressed' not in cameras(started)[0].arguments


def test_a_pushed_namespace_counts_for_the_params_file(launch, tmp_path):
    file = tmp_path / 'robot.yaml'
    file.write_text('/front/ltp/classifier: {ros__parameters: {image_topics: [/a/b]}}')
    started = launch(cameras=1, file=python(tmp_path, "GroupAction([PushRosNamespace('front'), "
                            f"ours(source='samples', params_file={str(file)!r})])"))
    assert topics(started) == {'/a/b'}
    assert {program.namespace for program in started} == {'/front/ltp'}


def test_the_camera_has_the_clock_of_the_node(launch):
    started = launch(cameras=1, source='samples', use_sim_time='true')
    assert [program.parameters['use_sim_time'] for program in started] == [True, True]


def calibrators(started):
    return [program for program in started if program.program == 'ltp_export']


def test_nothing_is_calibrated_unless_asked_for(launch):
    assert not calibrators(launch())


def test_the_model_of_the_node_is_calibrated_on_the_pictures_that_are_given(launch, tmp_path):
    with (tmp_path / 'lib' / 'ltp_ros' / 'ltp_classifier').open('a') as node:
        node.write('until [ -e "$STARTED"/ltp_export*.txt ]; do sleep 0.02; done\n')
    file = tmp_path / 'robot.yaml'
    file.write_text('/ltp/classifier: {ros__parameters: {model: deit_tiny_patch16_224, '
                    'num_threads: 1, method: papr, alpha: 0.25}}')
    export, = calibrators(launch(calibration='/my/photos', params_file=file, method='mixed'))
    given = export.arguments
    assert given[:5] == ['--int8', '--once', '--quiet', '--calibration', '/my/photos']
    flags = dict(zip(given[5::2], given[6::2]))
    assert flags['--model'] == 'deit_tiny_patch16_224' and flags['--num-threads'] == '1'
    assert flags['--method'] == 'mixed' and flags['--alpha'] == '0.25'
    assert build_parser().parse_args(given).calibration == '/my/photos'  # it knows them all


@pytest.mark.parametrize('name, value', [
    ('backend', 'onnx'), ('precision', 'float32'), ('device', 'cuda:0')])
def test_a_calibration_that_could_change_nothing_is_refused(launch, name, value):
    assert not launch(calibration='/my/photos', **{name: value})
    assert f"calibration and {name} '{value}' are not allowed together" in launch.told


def test_a_node_that_ends_waits_for_no_calibration(launch, prefix):
    (prefix / 'lib' / 'ltp_ros' / 'ltp_export').write_text(f'#!/bin/sh\n{ENDLESS}')
    launch(calibration='/my/photos')  # returns, since all processes have ended


def test_the_end_of_a_source_is_told(launch):
    launch(cameras=1, source='/my/photos')
    assert "source '/my/photos' has ended: no more images on image" in launch.told
    assert launch.code == 0


def test_a_source_that_fails_is_told_with_its_exit_code(launch, prefix):
    (prefix / 'lib' / 'ltp_ros' / 'ltp_image_source').write_text('#!/bin/sh\nexit 2\n')
    launch(cameras=1, source='/nowhere')
    assert "source '/nowhere' failed with exit code 2" in launch.told


def test_the_camera_ends_with_the_node(launch, prefix):
    (prefix / 'lib' / 'ltp_ros' / 'ltp_image_source').write_text(f'#!/bin/sh\n{ENDLESS}')
    launch(source='samples')  # returns, since all processes have ended


def test_the_node_may_end_after_its_camera(launch, prefix):
    (prefix / 'lib' / 'ltp_ros' / 'ltp_classifier').write_text(WAITS_FOR_THE_CAMERA)
    launch(source='/my/photos')
    assert 'has ended' in launch.told and 'Traceback' not in launch.told and launch.code == 0
