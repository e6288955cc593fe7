# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The names of the classes, from whatever form a file of labels has."""
import ast
import csv
import json
import re
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ltp_ros.files import expand, read_text, short, some_of
from ltp_ros.model.card import ModelError

FORMS = ("expected one name a line in class order, an id and a name a line ('0: cat'), a name "
         "and an id a line ('cat,0'), or a JSON list or object of these. The ids begin at 0; "
         'names that contain numbers of their own go into a JSON list')
_MARKS = (':', ',', ';', '\t')  # after these a number is an id; '5 Euro' may be a whole name
_ID = r'(?:(?:class|label|id)\b)?[\s#("\']*(?P<id>\d+)(?:\.0+)?["\']?'
# '3: cat', '3,cat', '3 cat', '3. cat', '3) cat', '3 - cat', '3=cat', '"3": "cat"', 'class 3: cat'
_ID_FIRST = re.compile(_ID + r'(?P<mark>\s*[:,;|=\t]\s*|[.)_-]+(?!\d)\s*|\s+-\s+|\s+)'
                       r'(?P<name>\S.*)', re.IGNORECASE)
_BEGINS_WITH_ID = re.compile(_ID + r'(?![^\W_]|[.-]\d).+', re.IGNORECASE)
_ID_LAST = re.compile(r'(?P<name>\S.*?)(?P<mark>\s*[:,;|=\t]\s*|\s+-\s+|\s+)(?P<id>\d+)(?:\.0+)?')
_ENDS_WITH_ID = re.compile(r'.*[^\w.-](?P<id>\d+)')
_WORDNET_ID = re.compile(r'n\d{8}[\s,:;]+(\S.*)')  # ImageNet's 'n02123045 tabby'


def read_labels(path: str) -> List[str]:
    """Return the names of the classes, in the order of their ids.

    Args:
        path: a text with a name, or an id and a name, a line; a JSON list; a JSON object or
            Python dict from id to name or from name to id.

    Raises:
        ModelError: if the file cannot be read, or its ids are not 0 to n - 1, each once.
    """
    try:
        text = read_text(expand(path))
    except (OSError, UnicodeDecodeError) as error:
        advice = '; save it as UTF-8' if isinstance(error, UnicodeDecodeError) else ''
        raise ModelError(f'labels {path!r} cannot be read: {error}{advice}') from error
    source, content = f'labels {path!r}', _literal(text)
    if content is not None:
        return names_in(content, source)
    return _from_lines([line.strip() for line in text.splitlines() if line.strip()], source)


def names_in(content: object, source: str) -> List[str]:
    """Return the names in a list, or an object from id to name or from name to id.

    Args:
        content: as JSON gives it.
        source: where it is from, for the messages.

    Raises:
        ModelError: if it is something else, or its ids are not 0 to n - 1, each once.
    """
    if isinstance(content, dict):
        return _in_order(_by_id(content, source), source)
    if isinstance(content, (list, tuple)):
        return _names(list(content), source)
    raise ModelError(f'{source}: {short(content)} is not a list of names; expected a JSON list, '
                     'or an object from id to name')


def numbered_names(num_classes: int) -> List[str]:
    """Return the names of classes of which none is known."""
    return [f'class {index}' for index in range(num_classes)]


def names_shared(names: Sequence[str]) -> Dict[str, List[int]]:
    """Return the names that more than one class has, with the ids of these classes."""
    ids: Dict[str, List[int]] = {}
    for index, name in enumerate(names):
        ids.setdefault(name, []).append(index)
    return {name: found for name, found in ids.items() if len(found) > 1}


def names_of_timm(config: Mapping[str, Any], num_classes: int) -> List[str]:
    """Return the names in timm's configuration of a model, or ImageNet's; [] if it has none."""
    if config.get('label_names'):  # a model of the hub, or of a folder in its format
        names = names_in(config['label_names'], "label_names in timm's configuration")
        if len(names) == num_classes:  # else the head is another
            described = config.get('label_descriptions')
            return [str(described.get(name, name)) for name in names] if isinstance(
                described, dict) else names
    from timm.data import ImageNetInfo, infer_imagenet_subset  # noqa: PLC0415  with torch
    subset = infer_imagenet_subset({'num_classes': num_classes})
    return ImageNetInfo(subset).label_descriptions() if subset else []


def _literal(text: str) -> object:
    """Return a JSON or Python value; None if the text is neither a list nor an object."""
    if not text.lstrip().startswith(('{', '[')):
        return None
    try:
        return json.loads(text)
    except RecursionError:  # nested a thousand deep; Python's own parser may not survive that
        return None
    except ValueError:
        try:
            return ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            return None


def _by_id(content: Dict[object, object], source: str) -> Dict[int, str]:
    pairs = []
    for key, value in content.items():
        index, name = _number(key), value
        if index is None:
            index, name = _number(value), key
        if isinstance(name, (list, tuple)) and name:  # ImageNet's index: [WordNet id, name]
            name = name[-1]
        if index is None or not isinstance(name, str):
            raise ModelError(f'{source}: {short(key)}: {short(value)} is not an id and a name; '
                             f'{FORMS}')
        pairs.append((index, name.strip()))
    return _unique(pairs, source)


def _number(value: object) -> Optional[int]:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and value.strip().isdecimal() else None


def _names(content: List[object], source: str) -> List[str]:
    wrong = [entry for entry in content if not isinstance(entry, str)]
    if wrong:
        raise ModelError(f'{source}: {short(wrong[0])} is not a name; {FORMS}')
    return [str(entry).strip() for entry in content]


def _from_lines(lines: List[str], source: str) -> List[str]:
    if any(line.startswith(('{', '[', '}', ']')) for line in lines):
        raise ModelError(f'{source} is neither valid JSON nor a list of names; {FORMS}')
    if all(line.startswith('- ') for line in lines):
        lines = [line[2:].strip() for line in lines]
    if all(line.endswith(',') for line in lines[:-1]):
        lines = [line.rstrip(', ') for line in lines]
    names = _without_ids(lines, source)
    wordnet = [_WORDNET_ID.fullmatch(name) for name in names]
    if all(wordnet):
        names = [match[1] for match in wordnet if match]
    return [_unquoted(name) for name in names]


def _without_ids(lines: List[str], source: str) -> List[str]:
    """Return the names in lines of ids and names; the lines themselves if they are names."""
    marked = [bool(match and match['mark'].strip(' ') in _MARKS)
              for match in map(_ID_FIRST.fullmatch, lines)]
    for form, has_id in ((_ID_FIRST, _BEGINS_WITH_ID), (_ID_LAST, _ENDS_WITH_ID)):
        pairs = [(int(match['id']), match['name'])
                 for match in map(form.fullmatch, lines) if match]
        complete = bool(lines) and len(pairs) == len(lines)
        if complete and form is _ID_FIRST and any(marked):
            return _in_order(_unique(pairs, source), source)
        ids = [int(match['id']) for match in map(has_id.fullmatch, lines) if match]
        if len(ids) < len(lines) or not _consecutive(ids):
            continue
        if not complete:
            odd = next(line for line in lines if not form.fullmatch(line))
            raise ModelError(f'{source}: every line has an id, but {short(odd)} is not an id '
                             f'and a name; {FORMS}')
        if len(ids) == 1 or len({name for _, name in pairs}) > 1:  # else '1 star', '2 star'
            return _in_order(_unique(pairs, source), source)
    if len(lines) / 2 < sum(marked) < len(lines):
        odd = next(line for line, mark in zip(lines, marked) if not mark)
        raise ModelError(f'{source}: most lines have an id and a name, but {short(odd)} has '
                         f'not; {FORMS}')
    return lines


def _consecutive(ids: List[int]) -> bool:
    """Return whether numbers follow each other, in any order; one alone is an id if it is 0."""
    return ids == [0] or len(ids) > 1 and sorted(ids) == list(
        range(min(ids), min(ids) + len(ids)))


def _unquoted(name: str) -> str:
    if not name.startswith(('"', "'")):
        return name
    try:
        fields = next(csv.reader([name], quotechar=name[0], strict=True))
    except csv.Error:  # "'twas"
        return name
    return fields[0].strip() if len(fields) == 1 else name


def _unique(pairs: List[Tuple[int, str]], source: str) -> Dict[int, str]:
    found: Dict[int, str] = {}
    for index, name in pairs:
        if index in found:
            raise ModelError(f'{source}: the id {index} is given to {short(found[index])} and '
                             f'to {short(name)}')
        found[index] = name
    return found


def _in_order(found: Dict[int, str], source: str) -> List[str]:
    if sorted(found) != list(range(len(found))):
        missing = [str(index) for index in range(len(found)) if index not in found]
        raise ModelError(f'{source}: the ids of {len(found)} classes must be 0 to '
                         f'{len(found) - 1}, but {some_of(missing)} is missing; {FORMS}')
    return [found[index] for index in range(len(found))]
