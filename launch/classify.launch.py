# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Start the classifier; every parameter of the node is a launch argument of the same name.

ros2 launch ltp_ros classify.launch.py image_topic:=/camera/image_raw keep_ratio:=0.5
"""
from pathlib import Path
from typing import List

import yaml
from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import EnvironmentVariable
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from ltp_ros.config import fields
from ltp_ros.files import expand
from ltp_ros.ros.transport import PROFILES_VARIABLES, profiles_file

SHARE = Path(get_package_share_directory('ltp_ros'))
UNSET = ''  # leaves the node's default in place, which is thus defined only once


def value_of(text: str, default: object) -> object:
    """Return the value of a parameter; what is not YAML is for the node to explain."""
    if isinstance(default, str):
        return ParameterValue(text, value_type=str)  # or launch reads 'off' as a boolean
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def start_node(context: LaunchContext) -> List[Node]:
    """Return the node with the launch arguments that are set."""
    given = {name: value for name, value in context.launch_configurations.items() if value}
    parameters = {field.name: value_of(given[field.name], field.default)
                  for _, field in fields() if field.name in given}
    if 'image_topic' in given:
        parameters['image_topics'] = [given['image_topic']]
    params_files = [expand(given['params_file'])] if 'params_file' in given else []
    if not all(Path(path).is_file() for path in params_files):  # launch would go on without
        raise FileNotFoundError(f'params_file {params_files[0]!r} is not a file; give the path of '
                                'a parameter file, or params_file:= for none')
    return [Node(
        package='ltp_ros', executable='ltp_classifier', name='classifier',
        namespace=context.launch_configurations['namespace'], output='screen', emulate_tty=True,
        parameters=[*params_files, parameters])]


def generate_launch_description() -> LaunchDescription:
    """Return the launch description."""
    old, new = PROFILES_VARIABLES
    profiles = EnvironmentVariable(old, default_value=EnvironmentVariable(
        new, default_value=str(profiles_file(SHARE))))
    return LaunchDescription([
        DeclareLaunchArgument('namespace', default_value='ltp',
                              description='namespace of the node'),
        DeclareLaunchArgument('params_file', default_value=str(SHARE / 'config' / 'classify.yaml'),
                              description='parameter file; the arguments below take precedence'),
        DeclareLaunchArgument('image_topic', default_value=UNSET,
                              description='a single camera topic, short for image_topics'),
        *(DeclareLaunchArgument(field.name, default_value=UNSET,
                                description=field.metadata['description'])
          for _, field in fields()),
        # An image exceeds Fast DDS's default shared memory; the camera process needs this too
        *(SetEnvironmentVariable(name, profiles) for name in PROFILES_VARIABLES),
        OpaqueFunction(function=start_node),
    ])
