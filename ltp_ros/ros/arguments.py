# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The node's command line, and the parameter files it names, made fit for `rclpy.init`.

What rcl's own parser does not take (a 1 among floats) is rewritten; what cannot be meant (a file
that is not there, a parameter without a value) is refused with the name of the parameter.
"""
import re
import tempfile
from typing import Dict, Iterator, List, Sequence, Tuple

import yaml
from rclpy.utilities import remove_ros_args

from ltp_ros.config import ConfigError
from ltp_ros.files import expand, read_text

USAGE = """\
usage: ltp_classifier [--ros-args [-p PARAMETER:=VALUE] [--params-file FILE] [-r OLD:=NEW] ...]

Classify camera images, with the latency adapted to a deadline. The node is /ltp/classifier.

  ltp_classifier --ros-args -p model:=demo -p 'image_topics:=[/camera/image_raw]'
  ltp_classifier --ros-args --params-file robot.yaml -r __ns:=/front -p deadline_ms:=30.0

docs/parameters.md lists the parameters; `ros2 param describe` explains one."""

Parameters = Dict[str, object]


def check_arguments(args: Sequence[str]) -> List[str]:
    """Return the command line with parameter files and values that rcl can parse.

    Args:
        args: as in `sys.argv`, the program first.

    Raises:
        ConfigError: if it has something besides ROS arguments, or a parameter file or a value
            cannot be used.
    """
    others = [arg for arg in remove_ros_args(list(args))[1:] if arg != '--ros-args']
    if others:
        name, assigned, _ = others[0].partition(':=')
        example = others[0] if assigned else 'model:=demo'
        raise ConfigError(f'{others[0]!r} is not understood; parameters follow --ros-args -p: '
                          f'ltp_classifier --ros-args -p {example}')
    checked = list(args)
    for index, flag in enumerate(args[:-1]):
        if flag == '--params-file':
            checked[index + 1] = _usable_file(args[index + 1])
        elif flag in ('-p', '--param'):
            checked[index + 1] = _usable_value(args[index + 1])
    return checked


def params_files(args: Sequence[str]) -> List[str]:
    """Return the parameter files that a command line names."""
    return [args[index + 1] for index, flag in enumerate(args[:-1]) if flag == '--params-file']


def warn_of_strangers(path: str, node_name: str) -> str:
    """Return a warning if a parameter file has nothing for a node; '' if it has.

    Args:
        path: of a file that `check_arguments` accepted.
        node_name: fully qualified.
    """
    names = [name for name, _ in _nodes(yaml.safe_load(read_text(expand(path))))]
    if any(_matches(name, node_name) for name in names):
        return ''
    return (f'{path} has no parameters for {node_name}, but for {", ".join(names) or "no node"}: '
            f'none is used. Name the node {node_name}, or /** for any')


def _usable_file(path: str) -> str:
    """Return the path of a parameter file that rcl can parse, the given one if it can be."""
    try:
        content = yaml.safe_load(read_text(expand(path)))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f'params file {path!r} cannot be read: {error}') from error
    except yaml.YAMLError as error:
        tabs = '; YAML is indented with blanks, not tabs' if "'\\t'" in str(error) else ''
        raise ConfigError(f'params file {path!r} is not valid YAML: {error}{tabs}') from error
    nodes = list(_nodes(content))
    if not nodes:
        raise ConfigError(f'params file {path!r} has no parameters; expected a node name, below '
                          'it ros__parameters, and below that the parameters')
    changed = [_make_usable(parameters, path) for _, parameters in nodes]
    if not any(changed) and expand(path) == path:
        return path
    with tempfile.NamedTemporaryFile('w', suffix='.yaml', encoding='utf-8', delete=False) as file:
        yaml.safe_dump(content, file)
    return file.name


def _nodes(content: object, prefix: str = '') -> Iterator[Tuple[str, Parameters]]:
    """Yield each node name of a parameter file, with '/' in front, and its parameters."""
    for key, value in content.items() if isinstance(content, dict) else ():
        if key == 'ros__parameters':
            yield prefix, value if isinstance(value, dict) else {}
        else:
            yield from _nodes(value, f'{prefix}/{str(key).strip("/")}')


def _make_usable(parameters: Parameters, path: str, prefix: str = '') -> bool:
    """Change values to what rcl takes; return whether any was changed."""
    changed = False
    for name, value in parameters.items():
        if isinstance(value, dict):
            changed |= _make_usable(value, path, f'{prefix}{name}.')
        else:
            parameters[name] = _usable(f'{prefix}{name}', value, f'params file {path!r}: ')
            changed |= parameters[name] is not value
    return changed


def _usable(name: str, value: object, where: str = '') -> object:
    if value is None or value == []:
        raise ConfigError(f'{where}{name} has no value; give one, or leave {name} out for its '
                          'default')
    if isinstance(value, list) and {type(item) for item in value} == {int, float}:
        return [float(item) for item in value]
    return value


def _usable_value(argument: str) -> str:
    name, assigned, text = argument.partition(':=')
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return argument  # rcl says what it cannot parse
    usable = _usable(name, value) if assigned else value
    return argument if usable is value else f'{name}:={usable}'


def _matches(pattern: str, node_name: str) -> bool:
    """Return whether parameters of a name in a file are for a node; as rclcpp and rclpy do."""
    tokens = {'/**': r'(/\w+)*', '/*': r'/\w+'}
    expression = re.sub(r'/\*{1,2}', lambda found: tokens[found[0]], pattern)
    return re.fullmatch(expression, node_name) is not None
