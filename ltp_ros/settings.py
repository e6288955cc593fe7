# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters by name: their fields, and values that are checked and fit together."""
import dataclasses
import difflib
from typing import Any, Dict, Iterator, Mapping, Optional, Tuple

from ltp_ros.config import ClassifierConfig, Config, TunerConfig, Value, snap
from ltp_ros.files import short
from ltp_ros.parameter import ConfigError, checked
from ltp_ros.tuner import ladder_file
from ltp_ros.tuner.ladder_file import Ladder


def fields() -> Iterator[Tuple[str, dataclasses.Field]]:
    """Yield (group, field) of every parameter."""
    defaults = Config()
    for group in dataclasses.fields(Config):
        for field in dataclasses.fields(getattr(defaults, group.name)):
            yield group.name, field


_FIELDS = {field.name: (group, field) for group, field in fields()}


def check(name: str, value: Any) -> Any:
    """Return `value` as parameter `name` has it; see `ltp_ros.parameter.checked`.

    Raises:
        ConfigError: if there is no such parameter, or the value's type or range is not allowed.
    """
    if name not in _FIELDS:
        near = difflib.get_close_matches(name[:80], _FIELDS, n=1)
        hint = f'did you mean {near[0]}?' if near else f'known are {", ".join(_FIELDS)}'
        raise ConfigError(f'there is no parameter {short(name)}; {hint}')
    return checked(_FIELDS[name][1], value)


def update(config: Config, changes: Mapping[str, object]) -> Config:
    """Return `config` with parameters changed by name: checked, then keep_ratio snapped.

    Raises:
        ConfigError: as `check`, or if no level of the ladder lies within the tuner's bounds, or a
            ladder cannot be read.
    """
    grouped: Dict[str, Dict[str, Value]] = {}
    values_of = _with_levels({name: check(name, value) for name, value in changes.items()})
    for name, value in values_of.items():
        grouped.setdefault(_FIELDS[name][0], {})[name] = value
    for group, values in grouped.items():
        config = dataclasses.replace(
            config, **{group: dataclasses.replace(getattr(config, group), **values)})
    low, high = config.tuner.min_keep_ratio, config.tuner.max_keep_ratio
    levels = config.classifier.levels
    if not any(low <= level <= high for level in levels):
        raise ConfigError(f'min_keep_ratio {low:g} and max_keep_ratio {high:g} are not allowed '
                          f'together; a level of keep_ratios {list(levels)} must lie between')
    _check_detections(config)
    level = snap(config.classifier.keep_ratio, levels)
    return dataclasses.replace(
        config, classifier=dataclasses.replace(config.classifier, keep_ratio=level))


def _check_detections(config: Config) -> None:
    """Raise ConfigError if boxes are to be answered, and something else as well."""
    if not config.input.detections_topic:
        return
    default = Config()
    for name in ('zoom', 'zoom_boxes', 'roi', 'collect_when'):
        if value_of(config, name) != value_of(default, name):
            raise ConfigError(f'{name} {value_of(config, name)} and detections_topic '
                              f'{short(config.input.detections_topic)} are not allowed together: '
                              'the boxes of the detector are answered, and nothing else')
    if len(config.input.image_topics) > 1:
        raise ConfigError(f'image_topics {list(config.input.image_topics)} and detections_topic '
                          f'{short(config.input.detections_topic)} are not allowed together: the '
                          'boxes belong to one camera; start a node for each')


def _with_levels(changes: Dict[str, Value]) -> Dict[str, Value]:
    """Return changes with what follows from another ladder: its levels, all of them in bounds."""
    if 'ladder' not in changes:
        return changes
    path, default = str(changes['ladder']), ClassifierConfig.keep_ratios
    if not path:
        return {'keep_ratios': default, 'min_keep_ratio': TunerConfig.min_keep_ratio, **changes}
    levels = _levels_of(read_ladder(path), path, changes.get('keep_ratios', default))
    if changes.get('profile'):
        raise ConfigError(f'profile {short(changes["profile"])} and ladder {short(path)} are not '
                          'allowed together; a ladder has times of its own')
    return {'min_keep_ratio': min(levels), **changes, 'keep_ratios': levels}


def with_ladder(config: ClassifierConfig) -> Tuple[ClassifierConfig, Optional[Ladder]]:
    """Return a config with the levels of its ladder as its keep ratios, and the ladder, if any.

    Raises:
        ConfigError: if the ladder cannot be read, or has other levels than the config.
    """
    if not config.ladder:
        return config, None
    ladder = read_ladder(config.ladder)
    levels = _levels_of(ladder, config.ladder, config.keep_ratios)
    return dataclasses.replace(config, keep_ratios=levels), ladder


def _levels_of(ladder: Ladder, path: str, keep_ratios: Any) -> Tuple[float, ...]:
    if keep_ratios not in (ladder.works, ClassifierConfig.keep_ratios):
        raise ConfigError(f'keep_ratios {short(list(keep_ratios))} and ladder {short(path)} are '
                          'not allowed together; the levels are those of the file, '
                          f'{short(list(ladder.works))}; if it was changed, set ladder again')
    return ladder.works


def read_ladder(path: str) -> Ladder:
    """Return a ladder from a file, with every value of a level allowed for its parameter.

    Raises:
        ConfigError: if it cannot be read, or a value is not allowed.
    """
    try:
        ladder = ladder_file.read(path)
    except ladder_file.LadderError as error:
        raise ConfigError(str(error)) from error
    for level in ladder.levels:
        for name in ('method', 'precision', 'backend'):
            if getattr(level, name):
                try:
                    check(name, getattr(level, name))
                except ConfigError as error:
                    raise ConfigError(f'ladder {short(path)}: {error}') from error
    return ladder


def value_of(config: Config, name: str) -> Value:
    """Return the value of parameter `name` in `config`."""
    return getattr(getattr(config, _FIELDS[name][0]), name)
