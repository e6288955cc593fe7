# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Files of labels as people have them: names, ids and names, JSON, Python, a byte order mark."""
import json

import pytest

from ltp_ros.model.checkpoint import ModelError
from ltp_ros.model.labels import read_labels

NAMES = ['airplane', 'automobile', 'bird of prey', 'cat, tabby']
PAIRS = list(enumerate(NAMES))


@pytest.fixture
def read(tmp_path):
    """Return a function that reads labels from a text."""
    def read_text(text, encoding='utf-8'):
        path = tmp_path / 'labels.txt'
        path.write_text(text, encoding=encoding)
        return read_labels(str(path))
    return read_text


@pytest.mark.parametrize('text', [
    '\n'.join(NAMES), '\n'.join(NAMES) + '\n\n', '\r\n'.join(NAMES), '  ' + '  \n  '.join(NAMES),
    *('\n'.join(f'{index}{mark}{name}' for index, name in PAIRS)
      for mark in (':', ': ', ',', ', ', '\t', ' ', ' : ', ';')),
    '\n'.join(f'{index}: {name}' for index, name in reversed(PAIRS)),
    '\n'.join(f'{index:04d} {name}' for index, name in PAIRS),
    json.dumps(NAMES), json.dumps(dict(PAIRS)), json.dumps({name: i for i, name in PAIRS}),
    json.dumps({str(i): [f'n0000{i}', name] for i, name in PAIRS}),
    json.dumps(dict(reversed(PAIRS)), indent=2), repr(dict(PAIRS)), repr(NAMES),
    repr({name: i for i, name in PAIRS}).replace(", '", ",\n '"),
    '\n'.join(f'n0212304{index} {name}' for index, name in PAIRS)])
def test_every_usual_form_gives_the_names_in_the_order_of_their_ids(read, text):
    assert read(text) == NAMES


def test_a_byte_order_mark_is_not_a_part_of_the_first_name(read):
    assert read('airplane\ncat\n', 'utf-8-sig') == ['airplane', 'cat']
    assert read(json.dumps(NAMES), 'utf-8-sig') == NAMES


@pytest.mark.parametrize('names', [
    ['5 Euro', '10 Euro', '20 Euro'], ['3 musketeers'], ['747', '737'], ['cat', '2: of a kind'],
    ['airplane', '1 cat', 'dog'], ['0'], ["o'clock", 'a "b"']])
def test_names_that_begin_with_a_number_stay_whole(read, names):
    assert read('\n'.join(names)) == names


@pytest.mark.parametrize('text, words', [
    ('1: cat\n2: dog', 'the ids of 2 classes must be 0 to 1, but 0 is missing'),
    ('0: cat\n2: dog', 'but 1 is missing'),
    ('0,cat\n0,dog', "the id 0 is given to 'cat' and to 'dog'"),
    ('0: cat\n1: dog\nfrog', "most lines have an id and a name, but 'frog' has not"),
    ('{"0": "cat", "1": 7}', "'1': 7 is not an id and a name"),
    ('["cat", 7]', '7 is not a name'),
    ("{0: 'cat',\n 1: 'dog'", 'neither valid JSON nor a list of names'),
    ('{"cat": 1, "dog": 2}', 'must be 0 to 1')])
def test_what_cannot_be_told_apart_is_refused_with_the_forms_that_can(read, text, words):
    with pytest.raises(ModelError, match=words):
        read(text)


def test_a_file_that_is_not_there_or_is_no_text_is_named(tmp_path):
    with pytest.raises(ModelError, match='nowhere.txt.*cannot be read'):
        read_labels(str(tmp_path / 'nowhere.txt'))
    (tmp_path / 'picture.jpg').write_bytes(b'\xff\xd8\xff\xe0')
    with pytest.raises(ModelError, match='picture.jpg.*cannot be read'):
        read_labels(str(tmp_path / 'picture.jpg'))
