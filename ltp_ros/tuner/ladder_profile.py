# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A profile: how long each level of the ladder takes on one machine, as a YAML file."""
import hashlib
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

import yaml

from ltp_ros.files import read_text, short
from ltp_ros.tuner.levels import LevelCost

ALL_TOKENS = 1.0
HEAD = '# Made by ltp_profile. The node takes it as profile:=FILE and then times nothing itself.\n'


class ProfileError(ValueError):
    """An unusable profile; the message says why."""


@dataclass(frozen=True)
class Setup:
    """What the times of a profile depend on."""

    device: str      # 'cpu' or 'cuda'
    hardware: str    # name of the processor or of the GPU
    power_mode: str  # '' where it cannot be read
    threads: int     # of torch; 0 on a GPU, where they hardly matter
    backend: str
    precision: str
    torch: str       # its version
    model: str
    method: str
    model_hash: str


@dataclass(frozen=True)
class LevelTime:
    """Time of one ladder level from the image in memory to the answer in memory."""

    keep_ratio: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Profile:
    """What one run of `ltp_profile` found."""

    setup: Setup
    levels: Tuple[LevelTime, ...]  # highest keep ratio first

    @property
    def break_even(self) -> Optional[float]:
        """The highest keep ratio that is faster than the unpruned model; None if none is."""
        times = {level.keep_ratio: level.p50_ms for level in self.levels}
        faster = [ratio for ratio, p50_ms in times.items() if p50_ms < times[ALL_TOKENS]]
        return max(faster) if faster else None

    @property
    def costs(self) -> List[LevelCost]:
        """The costs of the levels."""
        return [LevelCost(level.keep_ratio, level.p50_ms, level.p99_ms) for level in self.levels]


def model_hash(parts: Iterable[Tuple[str, bytes]]) -> str:
    """Return the SHA-256 of a model, given the name and the bytes of each of its tensors."""
    digest = hashlib.sha256()
    for name, content in parts:
        digest.update(f'{name} {len(content)} '.encode())
        digest.update(content)
    return digest.hexdigest()


def mismatches(profile: Profile, setup: Setup, keep_ratios: Sequence[float]) -> List[str]:
    """Return the reasons against using a profile here, a clause each; empty if it fits.

    Args:
        profile: as read from a file.
        setup: of this machine and the model in use.
        keep_ratios: the ladder in use.
    """
    made, here = asdict(profile.setup), asdict(setup)
    clauses = [f'{name} was {short(made[name])} and is {here[name]!r}'
               for name in made if made[name] != here[name]]
    missing = sorted(set(keep_ratios) - {level.keep_ratio for level in profile.levels})
    if missing:
        clauses.append(f'keep_ratios {missing} were not timed')
    return clauses


def write(path: Union[str, Path], profile: Profile, about: Mapping[str, object]) -> None:
    """Write a profile, with further facts `about` the run, as YAML."""
    content = {**asdict(profile.setup), 'break_even': profile.break_even,
               'levels': [asdict(level) for level in profile.levels], **about}
    text = HEAD + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    Path(path).write_text(text, encoding='utf-8')


def read(path: Union[str, Path]) -> Profile:
    """Read a profile.

    Raises:
        ProfileError: if the file cannot be read, or is not a profile.
    """
    try:
        content = yaml.safe_load(read_text(path))
    except Exception as error:  # PyYAML has one for each kind of damage
        raise ProfileError(f'profile {str(path)!r} cannot be read: {error}; make one with '
                           'ltp_profile') from error
    try:
        if not isinstance(content, dict):
            raise ProfileError('it is not a mapping')
        setup = Setup(**{field.name: _value(content, field.name, field.type)
                         for field in fields(Setup)})
        return Profile(setup, _levels(_value(content, 'levels', list)))
    except ProfileError as error:
        raise ProfileError(f'{str(path)!r} is not a profile: {error}; make one with '
                           'ltp_profile') from None


def _levels(entries: List[object]) -> Tuple[LevelTime, ...]:
    levels = []
    for entry in entries:
        if not isinstance(entry, dict):
            raise ProfileError(f'{short(entry)} in levels is not a mapping')
        numbers = {name: _value(entry, name, float)
                   for name in ('keep_ratio', 'p50_ms', 'p95_ms', 'p99_ms')}
        for name, number in numbers.items():
            if not 0 < number < math.inf or name == 'keep_ratio' and number > 1:
                raise ProfileError(f'{name} {number} in levels is not allowed')
        levels.append(LevelTime(**numbers))
    ratios = [level.keep_ratio for level in levels]
    if ALL_TOKENS not in ratios or len(set(ratios)) < len(ratios):
        raise ProfileError(f'its levels {ratios} must hold 1.0, and none of them twice')
    return tuple(sorted(levels, key=lambda level: -level.keep_ratio))


def _value(mapping: Mapping[str, object], name: str, expected: Any) -> Any:
    if name not in mapping:
        raise ProfileError(f'it has no {name!r}')
    value = mapping[name]
    if not isinstance(value, (int, float) if expected is float else expected) or (
            isinstance(value, bool)):
        raise ProfileError(f'{name} {short(value)} is a {type(value).__name__}; expected a '
                           f'{expected.__name__}')
    return float(value) if expected is float else value
