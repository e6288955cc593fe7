# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""How a parameter is declared as a dataclass field, and how a value for one is judged."""
import dataclasses
import math
import re
from dataclasses import dataclass
from typing import Any, Callable, Optional, Tuple, TypeVar, Union

from ltp_ros.files import expand, short

T = TypeVar('T')


class ConfigError(ValueError):
    """An invalid value; the message names it and the allowed range."""


@dataclass(frozen=True)
class Allowed:
    """What a parameter's values may be; numbers include the bounds unless told otherwise."""

    minimum: Optional[float] = None
    maximum: Optional[float] = None
    above_minimum: bool = False
    choices: Tuple[str, ...] = ()
    pattern: str = ''  # of strings, beside the choices if there are any: a regular expression
    example: str = ''  # how the pattern is told to people

    def __contains__(self, value: Union[float, str]) -> bool:
        if self.choices or self.pattern:
            return value in self.choices or bool(
                self.pattern and re.fullmatch(self.pattern, str(value)))
        if isinstance(value, str):
            return True
        if not finite(value):
            return False
        if self.minimum is not None and (value < self.minimum or
                                         self.above_minimum and value == self.minimum):
            return False
        return self.maximum is None or value <= self.maximum

    def __str__(self) -> str:
        if self.choices:
            return 'one of ' + ', '.join([*map(repr, self.choices), *filter(None, [self.example])])
        if self.pattern:
            return self.example
        if self.minimum is None and self.maximum is None:
            return ''
        if self.maximum is None:
            return f'{">" if self.above_minimum else ">="} {self.minimum:g}'
        return f'in {"(" if self.above_minimum else "["}{self.minimum:g}, {self.maximum:g}]'


def finite(number: float) -> bool:
    """Return whether a number is finite as a float; an integer may be beyond any."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def parameter(default: T, description: str, *, live: bool = False, unit: str = '',
              path: bool = False, minimum: Optional[float] = None,
              maximum: Optional[float] = None, above_minimum: bool = False,
              choices: Tuple[str, ...] = (), pattern: str = '', example: str = '',
              items: Tuple[str, ...] = (),
              fault: Callable[[T], str] = lambda value: '') -> T:
    """Declare a parameter as a dataclass field.

    `live`: it may change while the node is configured; `path`: it names a file or a folder;
    `items`: what the items of a list are, one each, where their places have a meaning; `fault`:
    returns the reason why a value is not allowed, or ''. The rest are the fields of `Allowed`.
    """
    return dataclasses.field(default=default, metadata={
        'description': description, 'live': live, 'unit': unit, 'path': path,
        'items': items, 'fault': fault,
        'allowed': Allowed(minimum, maximum, above_minimum, choices, pattern, example)})


_TYPE_WORDS = {bool: 'a boolean', int: 'an integer', float: 'a number', str: 'a string'}


def checked(field: dataclasses.Field, value: Any) -> Any:
    """Return `value` in the type of a field that `parameter` declared.

    An integer for a float becomes one, ~ in a path is expanded. A list whose places have a meaning
    is the default if empty; the numbers of another are sorted.

    Raises:
        ConfigError: if the value's type or range is not allowed.
    """
    name = field.name
    field_type: Any = field.type
    item_type = getattr(field_type, '__args__', (field_type,))[0]
    if item_type is field_type:
        result = _checked_item(name, value, item_type, field.metadata['allowed'])
        return expand(result) if field.metadata['path'] else result
    if isinstance(value, str) or not hasattr(value, '__iter__'):
        raise ConfigError(f'{name} {short(value)} is not a list; expected a list, each item '
                          f'{_TYPE_WORDS[item_type]}')
    items = tuple(_checked_item(name, item, item_type, field.metadata['allowed'])
                  for item in value)
    if field.metadata['items']:
        return _checked_places(field, items) if items else field.default
    if not items or len(set(items)) < len(items) or '' in items:
        raise ConfigError(f'{name} {short(list(value))} is not allowed; it needs at least one '
                          'value, none of them empty or twice')
    return tuple(sorted(items, reverse=True)) if item_type is float else items


def _checked_places(field: dataclasses.Field, items: Tuple[Any, ...]) -> Tuple[Any, ...]:
    places = field.metadata['items']
    if len(items) != len(places):
        raise ConfigError(f'{field.name} {short(list(items))} is not allowed; it needs '
                          f'{len(places)} items: {", ".join(places)}')
    fault = field.metadata['fault'](items)
    if fault:
        raise ConfigError(f'{field.name} {list(items)} is not allowed; {fault}')
    return items


def _checked_item(name: str, value: Any, expected: type, allowed: Allowed) -> Any:
    accepted: Any = (int, float) if expected is float else expected
    if not isinstance(value, accepted) or (isinstance(value, bool) and expected is not bool):
        came = _TYPE_WORDS.get(type(value), f'a {type(value).__name__}')
        raise ConfigError(f'{name} {short(value)} is {came}; expected {_TYPE_WORDS[expected]} '
                          f'{allowed}'.rstrip())
    if value not in allowed:
        endless = expected is not str and not finite(value)
        expectation = ' and '.join(filter(None, ['finite' if endless else '', str(allowed)]))
        raise ConfigError(f'{name} {short(value)} is not allowed; it must be {expectation}')
    return expected(value)
