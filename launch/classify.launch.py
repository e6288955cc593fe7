# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Start the classifier; every parameter of the node is a launch argument of the same name.

ros2 launch ltp_ros classify.launch.py image_topic:=/camera/image_raw keep_ratio:=0.5
"""
import difflib
import inspect
import json
from pathlib import Path, PurePosixPath
from typing import Dict, List, Optional

import yaml
from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
    SetEnvironmentVariable,
)
from launch.events import matches_action
from launch.events.process import ProcessExited, ShutdownProcess
from launch.substitutions import EnvironmentVariable, TextSubstitution
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import ExecutableInPackage
from launch_ros.utilities import make_namespace_absolute, prefix_namespace

from ltp_ros.config import ClassifierConfig, InputConfig
from ltp_ros.files import expand
from ltp_ros.parameter import ConfigError
from ltp_ros.ros.arguments import parameters_for
from ltp_ros.ros.transport import PROFILES_VARIABLES, profiles_file
from ltp_ros.settings import check, fields

SHARE = Path(get_package_share_directory('ltp_ros'))
UNSET = ''  # leaves the node's default in place, which is thus defined only once
NODE_NAME = 'classifier'
NAMESPACE = 'ltp'
SOURCE_NAME = 'image_source'
NO_SOURCE, SAMPLES = 'none', 'samples'
RESPAWN_DELAY_S = 2.0
# Parameters of the node that `ltp_export` takes too
OF_EXPORT = ('model', 'checkpoint', 'input_size', 'method', 'score', 'alpha', 'papr_checkpoint',
             'num_threads', 'crop_mode', 'cache')
TRUTH = {'true': True, '1': True, 'false': False, '0': False}
# Launch itself reads these, for every process that it starts
OF_LAUNCH = {'launch-prefix', 'launch-prefix-filter', 'emulate_tty', 'sigterm_timeout',
             'sigkill_timeout'}


class NodeDefault(TextSubstitution):
    """A default that --show-args shows but nothing passes on: it must not override params_file."""

    def perform(self, context: LaunchContext) -> str:
        """Return UNSET."""
        return UNSET


def arguments() -> List[DeclareLaunchArgument]:
    """Return what this file can be given."""
    found = [DeclareLaunchArgument(name, default_value=default, description=description)
             for name, default, description in (
        ('namespace', NAMESPACE, 'namespace of the node'),
        ('params_file', str(SHARE / 'config' / 'classify.yaml'),
         'parameter file; the arguments below take precedence'),
        ('image_topic', UNSET, 'a single camera topic, short for image_topics'),
        ('source', NO_SOURCE, 'images for a try without a camera, published on the topics of the '
         'node: an image, a folder of images, a video, a stream, the number of a webcam, or '
         f'{SAMPLES}, a pan over the images in this package'),
        ('calibration', UNSET, 'a folder of pictures as the camera takes them. Beside the node, '
         'at the lowest priority, `ltp_export --int8 --once` then makes the model in 8 bits and '
         'checks its answers on them; the node changes over if they hold and it is faster. Takes '
         'minutes and up to 4 GB of memory, the first time'),
        ('use_sim_time', NodeDefault(text='false'), 'take the time from /clock'),
        ('log_level', NodeDefault(text='info'), 'debug, info, warn, error or fatal'),
        ('enclave', UNSET, 'enclave of the node under SROS 2, such as /ltp/classifier; that of a '
         f'source is its neighbour {SOURCE_NAME} (docs/security.md)'),
        ('respawn', 'false', f'start the node again {RESPAWN_DELAY_S:g} s after it died'))]
    for _, field in fields():
        allowed, unit = field.metadata['allowed'], field.metadata['unit']
        choices = [] if allowed.pattern else [*allowed.choices]
        description = field.metadata['description'] + (unit and f' [{unit}]')
        if str(allowed) and not choices:
            description += f'; {allowed}'
        default = field.default if isinstance(field.default, str) else json.dumps(field.default)
        found.append(DeclareLaunchArgument(
            field.name, default_value=NodeDefault(text=default), description=description,
            choices=[*choices, UNSET] if choices else None))
    return found


def including_action() -> Optional[IncludeLaunchDescription]:
    """Return the action that includes this file: that of `ros2 launch`, or of a larger file.

    Launch sets what it gives among the configurations of the larger file, and tells the included
    one neither which they are nor who includes it. The action is found in the calls that led here.
    """
    frame = inspect.currentframe()
    while frame is not None:
        action = frame.f_locals.get('self')
        if isinstance(action, IncludeLaunchDescription):
            path = Path(action.launch_description_source.location)
            return action if path.is_file() and path.samefile(__file__) else None
        frame = frame.f_back
    return None


def refuse_unknown(context: LaunchContext, action: Optional[IncludeLaunchDescription],
                   known: List[str]) -> None:
    """Raise ConfigError if the action gives an argument that is not among those known."""
    for words, _ in action.launch_arguments if action else ():
        name = perform_substitutions(context, normalize_to_list_of_substitutions(words))
        if name not in OF_LAUNCH.union(known):
            near = difflib.get_close_matches(name, known, n=1)
            raise ConfigError(
                f'there is no launch argument {name!r}; '
                f'{f"did you mean {near[0]}? " if near else ""}'
                f'ros2 launch ltp_ros {Path(__file__).name} --show-args lists all of them')


def is_true(given: Dict[str, str], name: str) -> bool:
    """Return the truth value of an argument, false by default; ConfigError at other words."""
    text = given.get(name, 'false')
    if text.lower() not in TRUTH:
        raise ConfigError(f'{name} {text!r} is not allowed; it must be true or false')
    return TRUTH[text.lower()]


def in_enclave(path: str) -> List[str]:
    """Return the ROS arguments for an enclave of SROS 2; none for ''."""
    return ['--enclave', path] if path else []


def value_of(text: str, default: object) -> object:
    """Return the value of a parameter; what is not YAML is for the node to explain."""
    if isinstance(default, str):
        return ParameterValue(text, value_type=str)  # or launch reads 'off' as a boolean
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def start(context: LaunchContext) -> List[ExecuteProcess]:
    """Return the node with the arguments that are given, and what is to run beside it."""
    given = {name: value for name, value in context.launch_configurations.items() if value}
    parameters = {field.name: value_of(given[field.name], field.default)
                  for _, field in fields() if field.name in given}
    if 'image_topic' in given:
        parameters['image_topics'] = [given['image_topic']]
    params_files = [expand(given['params_file'])] if 'params_file' in given else []
    if not all(Path(path).is_file() for path in params_files):  # launch would go on without
        raise FileNotFoundError(f'params_file {params_files[0]!r} is not a file; give the path of '
                                'a parameter file, or params_file:= for none')
    pushed = given.get('ros_namespace', '')  # by PushRosNamespace
    namespace = given.get('namespace', '' if pushed else NAMESPACE)
    clock = {'use_sim_time': is_true(given, 'use_sim_time')} if 'use_sim_time' in given else {}

    enclave = given.get('enclave', '')
    source, pictures = given.get('source', NO_SOURCE), given.get('calibration', '')
    used: Dict[str, object] = {**vars(InputConfig()), **vars(ClassifierConfig())}
    if source != NO_SOURCE or pictures:
        full_name = f'{make_namespace_absolute(prefix_namespace(pushed, namespace))}/{NODE_NAME}'
        for path in params_files:
            used = {**used, **parameters_for(path, full_name)}
        used = {**used, **parameters}
    said = {**used, **given}  # a text that was given, as it was given
    beside: List[ExecuteProcess] = []
    if pictures:
        for name, allowed in (('backend', ('auto',)), ('precision', ('auto',)),
                              ('device', ('auto', 'cpu'))):
            if said[name] not in allowed:
                raise ConfigError(
                    f'calibration and {name} {said[name]!r} are not allowed together; int8 is '
                    f'checked for a node with {name}:={" or ".join(allowed)}')
        beside.append(calibrator(pictures, {name: said[name] for name in OF_EXPORT}))
    if source != NO_SOURCE:
        transport = check('image_transport', said['image_transport'])
        beside += [camera(source, topic, transport, namespace, clock,
                          in_enclave(enclave and str(PurePosixPath(enclave).with_name(
                              SOURCE_NAME))))
                   for topic in check('image_topics', used['image_topics'])]
    respawn = is_true(given, 'respawn')
    node = Node(
        package='ltp_ros', executable='ltp_classifier', name=NODE_NAME, namespace=namespace,
        output='screen', emulate_tty=True, parameters=[*params_files, {**parameters, **clock}],
        ros_arguments=[*(['--log-level', given['log_level']] if 'log_level' in given else []),
                       *in_enclave(enclave)],
        respawn=respawn, respawn_delay=RESPAWN_DELAY_S,
        # Or the launch would go on with a camera, or a calibration, that is for nobody
        on_exit=None if respawn or not beside else [
            EmitEvent(event=ShutdownProcess(process_matcher=matches_action(process)))
            for process in beside])
    return [node, *beside]


def calibrator(folder: str, parameters: Dict[str, object]) -> ExecuteProcess:
    """Return the process that makes and checks the model of these parameters in 8 bits."""
    flags = [word for name, value in parameters.items()
             for word in (f'--{name.replace("_", "-")}', str(value))]
    return ExecuteProcess(
        name='ltp_export', output='screen', cmd=[
            'nice', '-n', '19', ExecutableInPackage('ltp_export', 'ltp_ros'), '--int8', '--once',
            '--quiet', '--calibration', expand(folder), *flags])


def camera(source: str, topic: str, transport: str, namespace: str,
           clock: Dict[str, bool], ros_arguments: List[str]) -> Node:
    """Return the process that publishes a source once the node listens, and tells of its end."""
    def tell(event: ProcessExited, context: LaunchContext) -> Optional[LogInfo]:
        how = f'failed with exit code {event.returncode}' if event.returncode else 'has ended'
        return None if context.is_shutdown else LogInfo(
            msg=f'source {source!r} {how}: no more images on {topic}')

    # A private name is the node's
    return Node(
        package='ltp_ros', executable='ltp_image_source', namespace=namespace, output='screen',
        emulate_tty=True, parameters=[clock] if clock else [], on_exit=tell,
        ros_arguments=ros_arguments,
        arguments=[source, '--wait', '--topic', topic.replace('~', NODE_NAME, 1),
                   *(['--compressed'] if transport == 'compressed' else []),
                   *(['--loop'] if source == SAMPLES else [])])


def generate_launch_description() -> LaunchDescription:
    """Return the launch description."""
    action, known = including_action(), arguments()
    old, new = PROFILES_VARIABLES
    profiles = EnvironmentVariable(old, default_value=EnvironmentVariable(
        new, default_value=str(profiles_file(SHARE))))
    return LaunchDescription([
        OpaqueFunction(function=refuse_unknown, args=[
            action, [argument.name for argument in known]]),
        *known,
        # An image exceeds Fast DDS's default shared memory; the camera process needs this too
        *(SetEnvironmentVariable(name, profiles) for name in PROFILES_VARIABLES),
        OpaqueFunction(function=start),
    ])
