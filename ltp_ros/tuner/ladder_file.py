# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A ladder in a file: levels that are whole descriptions, with their costs and their worth.

`ltp_profile IMAGES` writes one; by hand a few lines do.
"""
import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

import yaml

from ltp_ros.config import Sides
from ltp_ros.files import expand, plain, read_text, short
from ltp_ros.tuner.levels import LevelCost

HEAD = '# Made by ltp_profile. The node takes it whole as ladder:=FILE.\n'
DESCRIPTION = ('model', 'checkpoint', 'method', 'input_size', 'patch_size', 'keep_ratio',
               'precision', 'backend', 'zoom')
PATHS = ('checkpoint',)


class LadderError(ValueError):
    """An unusable ladder; the message says why."""


@dataclass(frozen=True)
class Worth:
    """How good the answers of a level were on a scene, in percent of its images."""

    score: float
    low: float   # the ends of its interval
    high: float


@dataclass(frozen=True)
class Level:
    """A whole way to answer; what is left out is as the node's parameters have it."""

    work: float  # (0, 1]: its name as a keep_ratio; of the work of the ladder's dearest level
    model: str = ''
    checkpoint: str = ''
    method: str = ''
    input_size: Sides = (0, 0)
    patch_size: int = 0
    keep_ratio: float = 1.0
    precision: str = ''
    backend: str = ''
    zoom: Optional[bool] = None
    p50_ms: float = math.nan
    p99_ms: float = math.nan
    worth: Optional[Worth] = None

    @property
    def name(self) -> str:
        """The level in a few words: 'ltp 0.49 at 320 px, openvino int8'."""
        height, width = self.input_size
        what = '' if self.keep_ratio == 1.0 else f'{self.method} {self.keep_ratio:g}'.strip()
        size = '' if not height else f'at {height if height == width else f"{width}x{height}"} px'
        patch = f'with patches of {self.patch_size} px' if self.patch_size else ''
        how = ' '.join(filter(None, (self.backend, self.precision)))
        words = ' '.join(filter(None, (self.model, what, size, patch, 'zoomed' * bool(self.zoom))))
        return ', '.join(filter(None, (words, how))) or 'as the parameters have it'


@dataclass(frozen=True)
class Machine:
    """What the times of a ladder depend on besides its levels."""

    device: str      # 'cpu' or 'cuda'
    hardware: str    # name of the processor or of the GPU
    power_mode: str  # '' where it cannot be read
    threads: int     # of the model on the CPU; 0 on a GPU


@dataclass(frozen=True)
class Ladder:
    """Levels, the dearest first."""

    levels: Tuple[Level, ...]
    machine: Optional[Machine] = None  # that the times were measured on
    about: Mapping[str, object] = field(default_factory=dict)

    @property
    def works(self) -> Tuple[float, ...]:
        """The names of the levels, the dearest first: the keep ratios of the tuner."""
        return tuple(level.work for level in self.levels)

    def costs_on(self, machine: Machine) -> List[LevelCost]:
        """Return the costs of the levels on a machine; [] if they are not known."""
        if self.machine != machine or any(math.isnan(level.p50_ms) for level in self.levels):
            return []
        return [LevelCost(level.work, level.p50_ms, level.p99_ms) for level in self.levels]


def write(path: Union[str, Path], ladder: Ladder) -> None:
    """Write a ladder as YAML; OSError if that cannot be done."""
    content: Dict[str, object] = dict(ladder.about)
    if ladder.machine:
        content['machine'] = dataclasses.asdict(ladder.machine)
    content['levels'] = [_entry(level) for level in ladder.levels]
    Path(path).write_text(HEAD + yaml.safe_dump(content, sort_keys=False, allow_unicode=True),
                          encoding='utf-8')


def _entry(level: Level) -> Dict[str, object]:
    entry: Dict[str, object] = {}
    for each in dataclasses.fields(Level):
        value = getattr(level, each.name)
        if each.name == 'input_size':
            value = value[0] if value[0] == value[1] else list(value)
        if value is False or value not in ('', 0, None) and value == value:  # NaN: not known
            entry[each.name] = dataclasses.asdict(value) if isinstance(value, Worth) else value
    return entry


def read(path: Union[str, Path]) -> Ladder:
    """Read a ladder; a relative path in it is one beside the file.

    Raises:
        LadderError: if the file cannot be read, or is not a ladder.
    """
    try:
        if not Path(path).is_file():  # a pipe would keep the node waiting
            raise FileNotFoundError('there is no such file')
        content = yaml.safe_load(read_text(path))
    except Exception as error:  # PyYAML has one for each kind of damage
        raise LadderError(f'ladder {short(str(path))} cannot be read: {plain(str(error))}; make '
                          'one with ltp_profile IMAGES') from error
    try:
        if not isinstance(content, dict) or not isinstance(content.get('levels'), list):
            raise LadderError("it has no list 'levels'")
        levels = [_level(entry, Path(path).parent) for entry in content['levels']]
        machine = content.get('machine')
        about = {name: value for name, value in content.items()
                 if name not in ('levels', 'machine')}
        return Ladder(_ordered(levels), _machine(machine) if machine else None, about)
    except LadderError as error:
        raise LadderError(f'{short(str(path))} is not a ladder: {error}; docs/ladder.md has an '
                          'example, and ltp_profile IMAGES makes one') from None


def _ordered(levels: List[Level]) -> Tuple[Level, ...]:
    works = [level.work for level in levels]
    if not works or len(set(works)) < len(works):
        raise LadderError(f'it needs at least one level, and no work twice, not {works}')
    return tuple(sorted(levels, key=lambda level: -level.work))


def _level(entry: object, folder: Path) -> Level:
    if not isinstance(entry, dict):
        raise LadderError(f'{short(entry)} in levels is not a mapping')
    known = [each.name for each in dataclasses.fields(Level)]
    unknown = [name for name in entry if name not in known]
    if unknown:
        raise LadderError(f'a level has no {short(unknown[0])}; it may have {", ".join(known)}')
    if 'work' not in entry:
        raise LadderError(f'{short(entry)} in levels has no work, its share of that of the '
                          'dearest level, by which keep_ratio names it')
    values = {name: _value(name, value) for name, value in entry.items()}
    for name in PATHS:
        if values.get(name) and not _is_word(values[name]):
            values[name] = str(folder.absolute() / expand(values[name]))
    return Level(**values)


def _is_word(checkpoint: str) -> bool:
    return checkpoint == 'demo'  # the packaged weights


def _value(name: str, value: Any) -> Any:
    """Return a value of a level in the type that it has there; LadderError if it is none."""
    if name == 'worth':
        fields = {each.name for each in dataclasses.fields(Worth)}
        if not isinstance(value, dict) or set(value) != fields:
            raise LadderError(f'worth {short(value)} is not allowed; it needs '
                              f'{", ".join(sorted(fields))}')
        return Worth(**{key: _number(key, item, 0.0, 100.0) for key, item in value.items()})
    if name in ('work', 'keep_ratio'):
        return _number(name, value, 0.0, 1.0, above=True)
    if name in ('p50_ms', 'p99_ms'):
        return _number(name, value, 0.0, math.inf, above=True)
    if name == 'input_size':
        sides = value if isinstance(value, list) else [value, value]
        if len(sides) != 2 or not all(type(side) is int and 0 < side <= 4096 for side in sides):
            raise LadderError(f'input_size {short(value)} is not allowed; it must be pixels a '
                              'side, or [height, width]')
        return tuple(sides)
    expected = {'patch_size': int, 'zoom': bool}.get(name, str)
    if type(value) is not expected:
        raise LadderError(f'{name} {short(value)} is a {type(value).__name__}; expected a '
                          f'{expected.__name__}')
    return value


def _number(name: str, value: Any, low: float, high: float, above: bool = False) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (
            low <= value <= high and value < math.inf) or above and value == low:
        raise LadderError(f'{name} {short(value)} is not allowed; it must be a number in '
                          f'{"(" if above else "["}{low:g}, {high:g}]')
    return float(value)


def _machine(value: object) -> Machine:
    fields = {each.name: each.type for each in dataclasses.fields(Machine)}
    if not isinstance(value, dict) or set(value) != set(fields) or not all(
            type(value[name]) is kind for name, kind in fields.items()):
        raise LadderError(f'machine {short(value)} is not allowed; it needs {", ".join(fields)}')
    return Machine(**value)
