# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The node's command line and parameter files, as people write them."""
import pytest
import rclpy
import yaml
from rclpy.parameter import Parameter
from ros_helpers import DEADLINE_S

from ltp_ros.parameter import ConfigError
from ltp_ros.ros.arguments import check_arguments, strangers
from ltp_ros.tools.support.processes import Process

NODE = '/ltp/classifier'


@pytest.fixture
def params_file(tmp_path):
    """Return a function that writes a parameter file."""
    def write(text, encoding='utf-8'):
        path = tmp_path / 'robot.yaml'
        path.write_text(text, encoding=encoding)
        return str(path)
    return write


def check(tmp_path, *args):
    (tmp_path / 'rewritten').mkdir(exist_ok=True)
    return check_arguments(['ltp_classifier', *args], str(tmp_path / 'rewritten'))


def parameters_of(args):
    """Return the parameters that rcl reads off a command line."""
    context = rclpy.Context()
    rclpy.init(args=args, context=context)
    try:
        node = rclpy.create_node('classifier', namespace='ltp', context=context,
                                 automatically_declare_parameters_from_overrides=True)
        return {name: parameter.value for name, parameter in
                node.get_parameters_by_prefix('').items() if isinstance(parameter, Parameter)}
    finally:
        rclpy.shutdown(context=context)


NUMBERS = f'{NODE}:\n  ros__parameters:\n    keep_ratios: [1, 0.7, 0x0]\n    model: "1"\n'


def test_an_integer_among_floats_is_one(listener, tmp_path, params_file):
    path = params_file(NUMBERS)
    found = parameters_of(check(tmp_path, '--ros-args', '--params-file', path))
    assert list(found['keep_ratios']) == [1.0, 0.7, 0.0]
    assert found['model'] == '1'  # what else is in the file stays as it is
    found = parameters_of(check(tmp_path, '--ros-args', '-p', 'keep_ratios:=[1, 0.7]'))
    assert list(found['keep_ratios']) == [1.0, 0.7]


@pytest.mark.parametrize('text, value', [
    ('[1.0, 5e-1]', [1.0, 0.5]), ('[1, 5e-1]', [1.0, 0.5]), ('["1", "2e3"]', ['1', '2e3']),
    ('[1, 2]', [1, 2]), ('3\t# five', 3)])
def test_what_rcl_reads_stays_as_it_is(listener, tmp_path, params_file, text, value):
    path = params_file(f'/**:\n  ros__parameters:\n    x: {text}\n')
    found = parameters_of(check(tmp_path, '--ros-args', '--params-file', path))['x']
    assert (list(found) if isinstance(value, list) else found) == value


def test_a_refusal_of_rcl_s_names_the_file_of_the_user(tmp_path, params_file):
    path = params_file('/**:\n  ros__parameters:\n    a: &x 3\n    b: *x\n')
    with pytest.raises(ConfigError) as refusal:
        check(tmp_path, '--ros-args', '--params-file', path)
    assert path in str(refusal.value) and 'rewritten' not in str(refusal.value)


def test_a_byte_order_mark_in_a_parameter_file_is_read_over(listener, tmp_path, params_file):
    path = params_file('/**:\n  ros__parameters: {top_k: 3}\n', encoding='utf-8-sig')
    assert parameters_of(check(tmp_path, '--ros-args', '--params-file', path))['top_k'] == 3


@pytest.mark.parametrize('text, sentence', [
    ('/**:\n  ros__parameters:\n    model:\n', 'model has no value'),
    ('/**:\n  ros__parameters:\n    image_topics: []\n', 'image_topics has no value'),
    ('/**:\n  ros__parameters:\n    image_topics: [a, 1]\n', 'must be of one type'),
    ('/**:\n\tros__parameters:\n\t\tmodel: demo\n', 'indented with blanks, not tabs'),
    ('/**:\n  ros__parameters:\n', 'expected names and values'),
    ('model: demo\n', 'below it ros__parameters'),
    ('', 'below it ros__parameters'),
    ('/**: {ros__parameters: {model: demo\n', 'is not valid YAML'),
])
def test_what_cannot_be_meant_is_refused_with_the_name(tmp_path, params_file, text, sentence):
    path = params_file(text)
    with pytest.raises(ConfigError) as refusal:
        check(tmp_path, '--ros-args', '--params-file', path)
    assert sentence in str(refusal.value) and 'robot.yaml' in str(refusal.value)


@pytest.mark.parametrize('args, sentence', [
    (['model:=demo'], 'ltp_classifier --ros-args -p model:=demo'),
    (['image:=/camera/image_raw'], 'ltp_classifier --ros-args -r image:=/camera/image_raw'),
    (['--ros-args', '-r', 'a:=b', '--', 'x'], "'x' is not understood"),
    (['--ros-args', '-p', 'image_topics:='], 'image_topics has no value'),
    (['--ros-args', '-p', 'image_topics:=[]'], 'image_topics has no value'),
    (['--ros-args', '-p', 'top_k'], 'ltp_classifier --help'),
    (['--ros-args', '--params-file'], 'ltp_classifier --help'),
    (['--ros-args', '--params-file', '/nowhere.yaml'], "'/nowhere.yaml' cannot be read"),
])
def test_a_command_line_that_is_not_one_of_ros_is_refused(tmp_path, args, sentence):
    with pytest.raises(ConfigError) as refusal:
        check(tmp_path, *args)
    assert sentence in str(refusal.value) and '/project/' not in str(refusal.value)


def test_remappings_are_no_business_of_this(tmp_path):
    args = ['--ros-args', '-r', 'image:=/camera', '-r', '__ns:=/front', '--log-level', 'info']
    assert check(tmp_path, *args)[1:] == args


@pytest.mark.parametrize('name', [
    NODE, '/**', '/ltp/*', '/*/classifier', '/**/classifier', 'ltp: {classifier: ', 'other',
    '/classifier', '/ltp/classifier2', '/*'])
def test_a_file_without_parameters_for_the_node_is_told_where_rcl_uses_none(
        listener, params_file, name):
    closing = '}' if '{' in name else ''
    path = params_file((f'{name}' if closing else f'{name}: ')
                       + '{ros__parameters: {top_k: 3}}' + closing + '\n')
    args = ['ltp_classifier', '--ros-args', '--params-file', path]
    used = 'top_k' in parameters_of(args)
    warnings = list(strangers(args, NODE))
    assert len(warnings) == (0 if used else 1)
    if not used:
        assert str(list(yaml.safe_load(open(path)))[0]).strip('/') in warnings[0]


def test_a_file_that_rcl_alone_can_read_is_not_judged(params_file):
    path = params_file('/**:\n  ros__parameters:\n    top_k: 3\t# five\n')
    assert not list(strangers(['ltp_classifier', '--ros-args', '--params-file', path], NODE))


@pytest.mark.parametrize('args, code, words', [
    (['--help'], 0, 'usage: ltp_classifier'), (['model:=demo'], 2, '--ros-args -p model:=demo')])
def test_the_program_helps_or_refuses_before_it_loads_anything(listener, args, code, words):
    with Process('ltp_ros.node', args) as program:
        assert program.wait(DEADLINE_S) == code
        assert words in program.output and 'loading' not in program.output


def test_a_user_without_a_home_folder_is_told_what_to_set(listener):
    with Process('ltp_ros.node', [], HOME='', ROS_HOME='', ROS_LOG_DIR='') as program:
        assert program.wait(DEADLINE_S) == 1
        assert 'set ROS_LOG_DIR' in program.output and 'Traceback' not in program.output


def test_the_program_says_which_node_a_file_is_for(listener, small_model, params_file):
    path = params_file('other_node: {ros__parameters: {top_k: 3}}\n')
    with Process('ltp_ros.node', ['--ros-args', '--params-file', path, '-p',
                                  f'checkpoint:={small_model}']) as program:
        listener.until(lambda: 'for /other_node: none is used' in program.output, program)
