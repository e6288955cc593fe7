# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""ROS parameters derived from the config dataclasses: declare, describe, validate."""
import contextlib
import dataclasses
from typing import Dict, List, Tuple

import yaml
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from ltp_ros.config import Config, InputConfig, Value
from ltp_ros.parameter import ConfigError
from ltp_ros.ros.detections import check_installed
from ltp_ros.settings import fields, update, value_of

# Declared by rclpy itself, or read by it for every node.
_NOT_OURS = ('use_sim_time', 'start_type_description_service')
_NAMES = [field.name for _, field in fields()]
_NUMBERS = {field.name for _, field in fields() if field.type == Tuple[float, ...]}
LONGEST = 1000  # letters of a list of numbers
_LIVE = {field.name for _, field in fields() if field.metadata['live']}


def declare(node: Node) -> Config:
    """Declare every parameter of `Config` on a node and return the values it starts with.

    The node must have been created with `automatically_declare_parameters_from_overrides`:
    rclpy keeps values for undeclared names to itself, and a misspelt name in a YAML file would
    be ignored.

    Raises:
        ConfigError: if a value given at the start is not allowed or has an unknown name.
    """
    given: Dict[str, object] = {}
    for name in node.get_parameters_by_prefix(''):
        if name.startswith(_NOT_OURS):
            continue
        if name.startswith('qos_overrides.'):
            raise ConfigError(f'{name} is not supported, since the depth and the durability of a '
                              'camera subscription are fixed; set image_reliability instead')
        given[name] = node.get_parameter(name).value
        node.undeclare_parameter(name)
    config = update(Config(), given)
    check_input(node, config.input)
    for _, field in fields():
        node.declare_parameter(field.name, _to_ros(value_of(config, field.name)),
                               descriptor(field), ignore_override=True)
    return config


def check_input(node: Node, config: InputConfig) -> None:
    """Judge camera topics by the names that they have on this node.

    Raises:
        ConfigError: if one is no topic in this namespace, or what this node draws, or two are
            one topic; or if the messages of a detector are wanted, and not installed.
    """
    check_installed(config.detections_topic)
    cameras: Dict[str, str] = {}
    for topic in config.image_topics:
        try:
            name = node.resolve_topic_name(topic)
        except RuntimeError as error:  # rcl's, which says where in its own sources
            reason = str(error).partition(', at ')[0]
            raise ConfigError(f'image_topics {topic!r:.40} is not allowed: {reason}') from error
        if name == node.resolve_topic_name('debug_image'):
            raise ConfigError(f"image_topics {topic!r} is this node's own output, {name}; name a "
                              'camera')
        if name in cameras:
            raise ConfigError(f'image_topics {cameras[name]!r} and {topic!r} are one topic here, '
                              f'{name}; name each camera once')
        cameras[name] = topic


def descriptor(field: dataclasses.Field) -> ParameterDescriptor:
    """Return the descriptor of a parameter: its meaning, its unit, and its range for sliders."""
    allowed, unit = field.metadata['allowed'], field.metadata['unit']
    constraints = '' if field.metadata['live'] else 'fixed while the node is configured'
    result = ParameterDescriptor(
        name=field.name, description=field.metadata['description'] + (unit and f' [{unit}]'),
        additional_constraints='; '.join(filter(None, [str(allowed), constraints])),
        dynamic_typing=True)  # so that the integer 1 can stand for 1.0; `update` checks the type
    if None not in (allowed.minimum, allowed.maximum):
        if field.type is int:
            result.integer_range = [IntegerRange(
                from_value=int(allowed.minimum), to_value=int(allowed.maximum), step=1)]
        elif field.type is float:
            result.floating_point_range = [FloatingPointRange(
                from_value=allowed.minimum, to_value=allowed.maximum)]
    return result


def change(config: Config, parameters: List[Parameter],
           configured: bool) -> Tuple[Config, List[Parameter]]:
    """Apply new values to `config`.

    Args:
        config: the values in use.
        parameters: as asked for; those of rclpy itself pass through.
        configured: whether the model is loaded, so that only live parameters may change.

    Returns:
        The changed config, and the parameters with the values that are now in use.

    Raises:
        ConfigError: if a value is not allowed, or may not change now.
    """
    ours = {p.name: _from_ros(p) for p in parameters if not p.name.startswith(_NOT_OURS)}
    changed = update(config, ours)
    for name in ours:
        if configured and name not in _LIVE and value_of(changed, name) != value_of(config, name):
            raise ConfigError(f'{name} is fixed while the node is configured; restart the node '
                              'with it, or set it after a lifecycle cleanup')
    # keep_ratio may have moved with the ladder, without being asked for
    moved = [n for n in _NAMES if n in ours or value_of(changed, n) != value_of(config, n)]
    return changed, [p for p in parameters if p.name not in ours] + [
        Parameter(name, value=_to_ros(value_of(changed, name))) for name in moved]


def _from_ros(parameter: Parameter) -> object:
    value = parameter.value
    # As `ros2 param set` sends [0.5, 1]; whoever sends more wants the parser to be busy
    if parameter.name in _NUMBERS and isinstance(value, str) and len(value) <= LONGEST:
        with contextlib.suppress(Exception):  # PyYAML has one for each kind of damage
            items = yaml.safe_load(value)
            return items if isinstance(items, list) else value
    return value


def _to_ros(value: Value) -> object:
    return list(value) if isinstance(value, tuple) else value
