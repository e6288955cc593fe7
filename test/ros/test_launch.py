# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The launch file, read by the real launch packages (they come with ROS, not with the wheels)."""
import os
from pathlib import Path

import pytest

from ltp_ros.config import fields
from ltp_ros.ros.transport import PROFILES_VARIABLES

pytest.importorskip('launch_ros', reason='launch and launch_ros come with ROS; not in the wheels')
LAUNCH_FILE = Path(__file__).parents[2] / 'launch' / 'classify.launch.py'


@pytest.fixture
def launched(monkeypatch):
    """Return a function: launch arguments -> the parameters that the node would start with."""
    from ament_index_python.packages import get_package_share_directory
    from launch import LaunchContext
    from launch.actions import DeclareLaunchArgument
    from launch.launch_description_sources import PythonLaunchDescriptionSource
    from launch_ros.actions import Node
    try:
        get_package_share_directory('ltp_ros')
    except (LookupError, OSError) as error:
        pytest.skip(f'ltp_ros is not in the ament index: {error}')
    started = []
    monkeypatch.setattr(Node, '__init__', lambda self, **kwargs: started.append(kwargs))

    def run(**arguments):
        context = LaunchContext()
        context.launch_configurations.update(arguments)
        description = PythonLaunchDescriptionSource(str(LAUNCH_FILE)).get_launch_description(
            context)
        for entity in description.entities:
            entity.execute(context)
            if isinstance(entity, DeclareLaunchArgument):
                run.declared.append(entity.name)
        return started[-1]

    run.declared = []
    return run


def test_every_parameter_is_a_launch_argument(launched):
    launched()
    assert {field.name for _, field in fields()} <= set(launched.declared)


def test_only_given_arguments_override_the_node_s_defaults(launched):
    node = launched()
    assert node['parameters'][1] == {}
    assert (node['namespace'], node['name']) == ('ltp', 'classifier')


def test_an_empty_params_file_leaves_the_defaults(launched):
    node = launched(params_file='', top_k='3')
    assert node['parameters'] == [{'top_k': 3}]


def test_a_params_file_that_is_not_there_is_refused(launched):
    with pytest.raises(FileNotFoundError, match="'/nowhere.yaml' is not a file"):
        launched(params_file='/nowhere.yaml')


@pytest.mark.parametrize('given', PROFILES_VARIABLES)
def test_fast_dds_profiles_are_set_for_every_distribution_unless_the_user_has_chosen(
        launched, monkeypatch, given):
    for name in PROFILES_VARIABLES:
        monkeypatch.setenv(name, '')  # so that it is put back
        monkeypatch.delenv(name)
    monkeypatch.setenv(given, '/my/profiles.xml')
    launched()
    assert {os.environ[name] for name in PROFILES_VARIABLES} == {'/my/profiles.xml'}
    for name in PROFILES_VARIABLES:
        monkeypatch.delenv(name)
    launched()
    assert len({os.environ[name] for name in PROFILES_VARIABLES}) == 1
    assert Path(os.environ[given]).is_file()


@pytest.mark.parametrize('text', ['1e5', 'off', '{', '007'])
def test_a_string_stays_what_was_typed(launched, text):
    from launch import LaunchContext
    node = launched(labels=text)
    assert node['parameters'][1]['labels'].evaluate(LaunchContext()) == text


def test_what_is_not_yaml_reaches_the_node_which_explains(launched):
    assert launched(keep_ratios='[1.0, ')['parameters'][1] == {'keep_ratios': '[1.0, '}


def test_arguments_have_the_types_that_yaml_gives_them(launched):
    node = launched(keep_ratio='0.5', top_k='3', publish_debug_image='false',
                    image_topic='/camera/image_raw', keep_ratios='[1.0, 0.5]')
    assert node['parameters'][1] == {
        'keep_ratio': 0.5, 'top_k': 3, 'publish_debug_image': False,
        'image_topics': ['/camera/image_raw'], 'keep_ratios': [1.0, 0.5]}
