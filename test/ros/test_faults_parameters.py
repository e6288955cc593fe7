# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Parameter files and values that are truncated, binary or hostile are refused by name."""
import pytest

from ltp_ros.config import Config
from ltp_ros.parameter import ConfigError
from ltp_ros.ros.arguments import check_arguments
from ltp_ros.ros.parameters import change

DEEP = 2_000
HOSTILE = {'nested lists': '[' * DEEP, 'nested maps': '{a: ' * DEEP, 'a long number': '9' * 5000}


@pytest.mark.parametrize('content', [
    b'', b'/**: {ros__parameters: {mod', bytes(range(256)), b'\0' * 100,
    *(f'/**: {{ros__parameters: {{keep_ratios: {text}'.encode() for text in HOSTILE.values()),
    b'/**: {ros__parameters: {top_k: ' + b'9' * 5000 + b'}}',
], ids=['empty', 'truncated', 'binary', 'zeros', *HOSTILE, 'a long number, closed'])
def test_a_damaged_parameter_file_is_refused_by_name(tmp_path, content):
    path = tmp_path / 'params.yaml'
    path.write_bytes(content)
    with pytest.raises(ConfigError) as refusal:
        check_arguments(['node', '--ros-args', '--params-file', str(path)], str(tmp_path))
    assert str(path) in str(refusal.value)


def test_a_tag_in_a_parameter_file_executes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / 'params.yaml'
    path.write_text(
        '/**: {ros__parameters: {model: !!python/object/apply:os.mkdir ["executed"]}}')
    check_arguments(['node', '--ros-args', '--params-file', str(path)], str(tmp_path))
    assert not (tmp_path / 'executed').exists()


@pytest.mark.parametrize('value', HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_value_of_a_running_node_is_refused(value):
    from rclpy.parameter import Parameter
    with pytest.raises(ConfigError, match='keep_ratios'):
        change(Config(), [Parameter('keep_ratios', value=value)], configured=False)


@pytest.mark.parametrize('value', ['[' * DEEP, '{a: ' * DEEP], ids=['lists', 'maps'])
def test_a_hostile_value_on_the_command_line_is_no_traceback(tmp_path, value):
    with pytest.raises(ConfigError):
        check_arguments(['node', '--ros-args', '-p', f'keep_ratios:={value}'], str(tmp_path))
