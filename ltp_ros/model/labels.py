# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The names of the classes, from whatever form a file of labels has."""
import ast
import json
import re
from typing import Dict, List, Optional, Tuple

from ltp_ros.files import expand, read_text, some_of
from ltp_ros.model.checkpoint import ModelError

FORMS = ('expected one name a line in class order, an id and a name a line, or a JSON list or '
         'object of these')
# '3: cat', '3,cat', '3 cat', and ImageNet's 'n02123045 tabby'
_ID_AND_NAME = re.compile(r'(\d+)(\s*[:,;\t]\s*|\s+)(\S.*)')
_WORDNET_ID = re.compile(r'n\d{8}\s+(\S.*)')


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
        raise ModelError(f'labels {path!r} cannot be read: {error}') from error
    content = _literal(text)
    if isinstance(content, dict):
        return _in_order(_by_id(content, path), path)
    if isinstance(content, (list, tuple)):
        return _names(list(content), path)
    return _from_lines([line.strip() for line in text.splitlines() if line.strip()], path)


def _literal(text: str) -> object:
    """Return a JSON or Python value; None if the text is neither a list nor an object."""
    if not text.lstrip().startswith(('{', '[')):
        return None
    try:
        return json.loads(text)
    except ValueError:
        try:
            return ast.literal_eval(text.strip())
        except (ValueError, SyntaxError):
            return None


def _by_id(content: Dict[object, object], path: str) -> Dict[int, str]:
    pairs = []
    for key, value in content.items():
        index, name = _number(key), value
        if index is None:
            index, name = _number(value), key
        if isinstance(name, (list, tuple)) and name:  # ImageNet's index: [WordNet id, name]
            name = name[-1]
        if index is None or not isinstance(name, str):
            raise ModelError(f'labels {path!r}: {key!r}: {value!r} is not an id and a name; '
                             f'{FORMS}')
        pairs.append((index, name.strip()))
    return _unique(pairs, path)


def _number(value: object) -> Optional[int]:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and value.strip().isdecimal() else None


def _names(content: List[object], path: str) -> List[str]:
    wrong = [entry for entry in content if not isinstance(entry, str)]
    if wrong:
        raise ModelError(f'labels {path!r}: {wrong[0]!r} is not a name; {FORMS}')
    return [str(entry).strip() for entry in content]


def _from_lines(lines: List[str], path: str) -> List[str]:
    if any(line.startswith(('{', '[', '}', ']')) for line in lines):
        raise ModelError(f'labels {path!r} is neither valid JSON nor a list of names; {FORMS}')
    numbered = [_ID_AND_NAME.fullmatch(line) for line in lines]
    pairs = [(int(match[1]), match[3]) for match in numbered if match]
    if lines and len(pairs) == len(lines):
        marked = any(match and match[2].strip() for match in numbered)
        # '5 Euro' may be a whole name, '5: Euro' is not
        if marked or sorted(index for index, _ in pairs) == list(range(len(pairs))):
            return _in_order(_unique(pairs, path), path)
    wordnet = [_WORDNET_ID.fullmatch(line) for line in lines]
    if lines and all(wordnet):
        return [match[1] for match in wordnet if match]
    marked_lines = [match and match[2].strip() for match in numbered]
    if len(lines) / 2 < sum(map(bool, marked_lines)) < len(lines):
        odd = next(line for line, mark in zip(lines, marked_lines) if not mark)
        raise ModelError(f'labels {path!r}: most lines have an id and a name, but {odd!r} has '
                         f'not; {FORMS}')
    return lines


def _unique(pairs: List[Tuple[int, str]], path: str) -> Dict[int, str]:
    found: Dict[int, str] = {}
    for index, name in pairs:
        if index in found:
            raise ModelError(f'labels {path!r}: the id {index} is given to {found[index]!r} and '
                             f'to {name!r}')
        found[index] = name
    return found


def _in_order(found: Dict[int, str], path: str) -> List[str]:
    if sorted(found) != list(range(len(found))):
        missing = [str(index) for index in range(len(found)) if index not in found]
        raise ModelError(f'labels {path!r}: the ids of {len(found)} classes must be 0 to '
                         f'{len(found) - 1}, but {some_of(missing)} is missing')
    return [found[index] for index in range(len(found))]
