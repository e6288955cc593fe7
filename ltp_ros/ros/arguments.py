# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The node's command line, and the parameter files it names, made fit for `rclpy.init`.

What rcl's parser does not take (a 1 among floats) is rewritten; what cannot be meant (a file that
is not there, a parameter without a value) is refused with the name of the parameter.
"""
import argparse
import re
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

import yaml
from rclpy.utilities import remove_ros_args

from ltp_ros.files import expand, read_text, short
from ltp_ros.parameter import ConfigError
from ltp_ros.settings import fields

HELP = argparse.ArgumentParser(
    'ltp_classifier', formatter_class=argparse.RawDescriptionHelpFormatter,
    usage='%(prog)s [--ros-args [-p PARAMETER:=VALUE] [--params-file FILE] [-r OLD:=NEW] ...]',
    description='Classify camera images before a deadline. The node is called /ltp/classifier.',
    epilog="""\
  ltp_classifier --ros-args -p model:=demo -p 'image_topics:=[/camera/image_raw]'
  ltp_classifier --ros-args --params-file robot.yaml -r __ns:=/front -p deadline_ms:=30.0

docs/parameters.md lists the parameters; `ros2 param describe` explains one.""")
INTEGER, FLOAT = 'tag:yaml.org,2002:int', 'tag:yaml.org,2002:float'

# Besides what is no YAML: a number of thousands of digits, brackets nested a thousand deep
UNREADABLE = (yaml.YAMLError, ValueError)


class _Loader(yaml.SafeLoader):
    """YAML as rcl reads it."""

    def compose_node(self, parent: Optional[yaml.Node], index: object) -> Optional[yaml.Node]:
        """Compose what comes next, unless it stands for something before it."""
        if self.check_event(yaml.AliasEvent):  # rcl refuses it later
            raise yaml.YAMLError(f'*{self.peek_event().anchor} is an alias, which ROS does not '
                                 'take; write the value out')
        node: Optional[yaml.Node] = super().compose_node(parent, index)
        return node


class _Dumper(yaml.SafeDumper):
    """YAML as rcl reads it."""


for _class in (_Loader, _Dumper):  # 5e-1 is a number to rcl
    _class.add_implicit_resolver(
        FLOAT, re.compile(r'[-+]?[0-9]+[eE][-+]?[0-9]+$'), list('-+0123456789'))


def check_arguments(args: Sequence[str], folder: str) -> List[str]:
    """Return the command line with parameter files and values that rcl can parse.

    Args:
        args: as in `sys.argv`, the program first.
        folder: where parameter files that have to be rewritten are put.

    Raises:
        ConfigError: if it has something besides ROS arguments, or a parameter file or a value
            cannot be used.
    """
    others = list(_others(args[1:]))
    if others:
        given = others[0] if ':=' in others[0] else 'model:=demo'
        flag = '-p' if given.partition(':=')[0] in {field.name for _, field in fields()} else '-r'
        raise ConfigError(f'{others[0]!r} is not understood; parameters follow --ros-args -p, '
                          f'remappings -r: ltp_classifier --ros-args {flag} {given}')
    checked = list(args)
    for index, flag in enumerate(args[:-1]):
        value = args[index + 1]
        if flag == '--params-file':
            checked[index + 1] = _usable_file(value, Path(folder, f'{index}.yaml'))
        elif flag in ('-p', '--param') and ':=' in value:
            checked[index + 1] = _usable_value(value)
    try:
        remove_ros_args(checked)
    except RuntimeError as error:  # rcl's, which says where in its own sources
        reason = re.sub(r',? at \S+:\d+', '', str(error)).strip()
        for path, rewritten in zip(args, checked):
            reason = reason.replace(rewritten, path)
        raise ConfigError(f'ROS arguments that are not understood: {reason}. '
                          'ltp_classifier --help shows the form') from error
    return checked


def strangers(args: Sequence[str], node_name: str) -> Iterator[str]:
    """Yield a warning for each parameter file that has nothing for a node.

    Args:
        args: that `check_arguments` has accepted.
        node_name: fully qualified.
    """
    for flag, path in zip(args, args[1:]):
        if flag != '--params-file':
            continue
        try:
            names = [name for name, _ in _nodes(_parsed(read_text(expand(path)))[1])]
        except UNREADABLE:
            continue  # rcl alone can read it
        if not any(_matches(name, node_name) for name in names):
            yield (f'{path} has no parameters for {node_name}, but for {", ".join(names)}: none '
                   f'is used. Write {node_name} there, or /** for any node')


def parameters_for(path: str, node_name: str) -> Dict[str, object]:
    """Return what a parameter file has for a node; of two values, the later in the file.

    Args:
        path: of the file.
        node_name: fully qualified.

    Raises:
        ConfigError: if the file cannot be read.
    """
    found: Dict[str, object] = {}
    for name, parameters in _nodes(_read(path)[1]):
        if _matches(name, node_name) and isinstance(parameters, dict):
            found.update(parameters)
    return found


def _others(args: Sequence[str]) -> Iterator[str]:
    """Yield what is no ROS argument; rcl would take some of it as a remapping."""
    ours = False
    for arg in args:
        if arg in ('--ros-args', '--'):
            ours = arg == '--ros-args'
        elif not ours:
            yield arg


def _parsed(text: str) -> Tuple[yaml.Node, object]:
    """Return a document as the nodes that were written, and as what they mean."""
    try:
        loader = _Loader(text)
        tree = loader.get_single_node()
        return tree, None if tree is None else loader.construct_document(tree)
    except yaml.YAMLError:
        raise
    except Exception as error:  # there is one for each kind of damage
        raise ValueError(str(error)) from error


def _read(path: str) -> Tuple[yaml.Node, object]:
    """Return a parameter file as `_parsed` does; raise ConfigError if it cannot be read."""
    try:
        return _parsed(read_text(expand(path)))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f'params file {path!r} cannot be read: {error}') from error
    except UNREADABLE as error:
        tabs = '; YAML is indented with blanks, not tabs' if "'\\t'" in str(error) else ''
        raise ConfigError(f'params file {path!r} is not valid YAML: {error}{tabs}') from error


def _usable_file(path: str, rewritten: Path) -> str:
    """Return the path of a parameter file that rcl can parse."""
    try:
        tree, content = _read(path)
    except ConfigError as error:
        if isinstance(error.__cause__, yaml.YAMLError) and _is_taken(path):
            return path  # rcl is less strict about tabs between words
        raise
    nodes = list(_nodes(content))
    if not nodes:
        raise ConfigError(f'params file {path!r} has no parameters; expected a node name, below '
                          'it ros__parameters, and below that the parameters')
    for _, parameters in nodes:
        _check(parameters, f'params file {path!r}: ')
    rewritten.write_text(_serialized(tree), encoding='utf-8')
    return str(rewritten)


def _is_taken(path: str) -> bool:
    try:
        remove_ros_args(['', '--ros-args', '--params-file', path])
    except RuntimeError:
        return False
    return True


def _usable_value(argument: str) -> str:
    name, _, text = argument.partition(':=')
    try:
        tree, value = _parsed(text)
    except UNREADABLE:
        return argument  # rcl says what it cannot parse
    _check({name: value}, '')
    return f'{name}:={_serialized(tree).strip()}' if isinstance(value, list) else argument


def _nodes(content: object, prefix: str = '') -> Iterator[Tuple[str, object]]:
    """Yield each node name of a parameter file, with '/' in front, and its parameters."""
    for key, value in content.items() if isinstance(content, dict) else ():
        if key == 'ros__parameters':
            yield prefix, value
        else:
            yield from _nodes(value, f'{prefix}/{str(key).strip("/")}')


def _check(parameters: object, where: str, prefix: str = '') -> None:
    if not isinstance(parameters, dict):
        raise ConfigError(f'{where}ros__parameters is {short(parameters)}; expected names and '
                          'values')
    for name, value in parameters.items():
        if isinstance(value, dict):
            _check(value, where, f'{prefix}{name}.')
        elif value is None or value == []:
            raise ConfigError(f'{where}{prefix}{name} has no value; give it one, or leave it out '
                              'for the default')
        elif isinstance(value, list) and len({_kind(item) for item in value}) > 1:
            raise ConfigError(f'{where}{prefix}{name} {short(value)} is not allowed; the items of '
                              'a list must be of one type')


def _kind(item: object) -> type:
    return float if type(item) is int else type(item)


def _serialized(tree: yaml.Node) -> str:
    """Return YAML in which a list of numbers is of one type, and all else is as it was written."""
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, yaml.MappingNode):
            todo += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            if {item.tag for item in node.value} == {INTEGER, FLOAT}:
                for item in node.value:
                    item.value = repr(float(_Loader(item.value).get_single_data()))
                    item.tag = FLOAT
    return yaml.serialize(tree, Dumper=_Dumper, width=float('inf'))


def _matches(pattern: str, node_name: str) -> bool:
    """Return whether parameters under a name in a file are for a node; as rcl does."""
    tokens = {'/**': r'(/\w+)*', '/*': r'/\w+'}
    expression = re.sub(r'/\*{1,2}', lambda found: tokens[found[0]], pattern)
    return re.fullmatch(expression, node_name) is not None
