# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Files of labels as people have them: names, ids and names, JSON, Python, a byte order mark."""
import json

import pytest

from ltp_ros.model.card import ModelError
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


@pytest.mark.parametrize('form', [
    '{name},{id}', '{name}: {id}', '{name} {id}', '{name}\t{id}', '{name} - {id}',
    '"{name}": {id},', '"{name}",{id}', '{id}. {name}', '{id}) {name}', '({id}) {name}',
    '{id}={name}', '{id}|{name}', '{id}_{name}', '{id} - {name}', '"{id}": "{name}",',
    "'{id}': '{name}',", 'class {id}: {name}', 'Class {id} {name}', '{id}.0,{name}', '- {name}',
    '- {id}: {name}', '{id},"{name}"', '{id}: {name},', '"{name}"', 'n0144076{id},{name}',
    '{id},n0144076{id},{name}', '{id} n0144076{id} {name}'])
def test_ids_quotes_and_list_marks_are_not_a_part_of_the_names(read, form):
    assert read('\n'.join(form.format(id=index, name=name) for index, name in PAIRS)) == NAMES


def test_quotes_that_are_doubled_in_a_csv_are_one(read):
    assert read('0,"a ""b"""\n1,dog') == ['a "b"', 'dog']


@pytest.mark.parametrize('names', [
    ['7up', '8up', '9 lives'], ['1st', '2nd', '3rd'], ['747 jet', 'glider'],
    ['747 jet', '737 jet'], ['1 star', '2 star', '3 star'], ['digit 0', 'digit 1'],
    ['0.5 mm', '1.5 cm'], ['0', '1', '2'],
    ['Paris, 1900', 'London, 1908'], ['F-15', 'A-16'], ['0-1 m', '1-2 m', '2-3 km'],
    ["'twas", '"a" or "b"'], ['class 0', 'class 1'],
    ['5 Euro', '10 Euro', '20 Euro'], ['3 musketeers'], ['747', '737'], ['cat', '2: of a kind'],
    ['airplane', '1 cat', 'dog'], ['0'], ["o'clock", 'a "b"']])
def test_names_that_begin_with_a_number_stay_whole(read, names):
    assert read('\n'.join(names)) == names


@pytest.mark.parametrize('text, words', [
    ('1 001.Albatross\n2 002.Crow', 'must be 0 to 1, but 0 is missing.*go into a JSON list'),
    ('1\tcat\n2\tdog', 'must be 0 to 1, but 0 is missing'),
    ('cat 1\ndog 2', 'must be 0 to 1, but 0 is missing'),
    ('0/cat\n1/dog', "every line has an id, but '0/cat' is not an id and a name; expected one"),
    ('cat/0\ndog/1', "every line has an id, but 'cat/0' is not"),
    ('0,cat\n1,\n2,dog', "every line has an id, but '1,' is not"),
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


@pytest.mark.parametrize('encoding', ['utf-16', 'latin-1'])
def test_a_file_in_another_encoding_is_refused_with_what_to_do(read, encoding):
    with pytest.raises(ModelError, match='labels.txt.*cannot be read: .*; save it as UTF-8'):
        read('Käse\nBrot', encoding)
