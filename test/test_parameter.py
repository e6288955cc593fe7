# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""How a parameter is declared, told and judged, on parameters of the tests' own."""
import dataclasses
from typing import Tuple

import pytest

from ltp_ros.parameter import Allowed, ConfigError, checked, parameter


def field(type_, *declaration, **more):
    """Return the one field of a dataclass that is declared like this."""
    made = dataclasses.make_dataclass('Group', [('p', type_, parameter(*declaration, **more))])
    return dataclasses.fields(made)[0]


def refusal(declared, value):
    with pytest.raises(ConfigError) as error:
        checked(declared, value)
    return str(error.value)


def test_a_plain_parameter_is_fixed_and_has_neither_unit_nor_limits():
    plain = field(float, 0.5, 'half')
    assert plain.default == 0.5
    fault = plain.metadata['fault']
    assert plain.metadata == {
        'description': 'half', 'live': False, 'unit': '', 'path': False, 'items': (),
        'fault': fault, 'allowed': Allowed()}
    assert fault(0.5) == ''
    assert str(Allowed()) == '' and checked(plain, -1e300) == -1e300


def test_what_is_declared_is_what_is_told():
    declared = field(str, 'a', 'a letter', live=True, unit='m', path=True, choices=('a', 'b'),
                     pattern='c+', example='cc').metadata
    assert (declared['description'], declared['live'], declared['unit'], declared['path']) == (
        'a letter', True, 'm', True)
    assert declared['allowed'] == Allowed(choices=('a', 'b'), pattern='c+', example='cc')


@pytest.mark.parametrize('allowed, sentence', [
    ({'minimum': 0.0}, '>= 0'), ({'minimum': 0.0, 'above_minimum': True}, '> 0'),
    ({'minimum': 1, 'maximum': 2}, 'in [1, 2]'),
    ({'minimum': 0.0, 'maximum': 0.5, 'above_minimum': True}, 'in (0, 0.5]'),
    ({'choices': ('a', 'b')}, "one of 'a', 'b'"), ({'pattern': 'c+', 'example': 'cs'}, 'cs'),
    ({'choices': ('a',), 'pattern': 'c+', 'example': 'cs'}, "one of 'a', cs")])
def test_limits_are_told_as_people_write_them(allowed, sentence):
    assert str(field(float, 1.0, 'x', **allowed).metadata['allowed']) == sentence


@pytest.mark.parametrize('limits, inside, outside', [
    ({'minimum': 1.0}, [1.0, 1e300], [0.999]),
    ({'minimum': 1.0, 'above_minimum': True}, [1.001], [1.0, 0.0]),
    ({'minimum': 1.0, 'maximum': 2.0}, [1.0, 2.0], [2.001, 0.0]),
    ({'minimum': 0.0}, [0.0], [10 ** 400, float('nan'), float('inf')])])
def test_a_number_is_judged_by_its_limits(limits, inside, outside):
    declared = field(float, 1.0, 'x', **limits)
    assert [checked(declared, value) for value in inside] == inside
    for value in outside:
        assert refusal(declared, value).startswith(f'p {str(value)[:10]}')


def test_a_string_that_is_neither_a_choice_nor_of_the_pattern_is_refused():
    declared = field(str, 'a', 'x', choices=('a',), pattern='c+', example='cs')
    assert [checked(declared, text) for text in ('a', 'c', 'ccc')] == ['a', 'c', 'ccc']
    for text in ('', 'b', 'xc', 'cx'):
        assert refusal(declared, text) == f"p {text!r} is not allowed; it must be one of 'a', cs"


def test_a_free_string_may_be_empty():
    assert checked(field(str, 'a', 'x'), '') == ''


@pytest.mark.parametrize('type_, value, sentence', [
    (int, 1.5, 'p 1.5 is a number; expected an integer'),
    (int, True, 'p True is a boolean; expected an integer'),
    (float, 'a', "p 'a' is a string; expected a number"),
    (str, 1, 'p 1 is an integer; expected a string'),
    (float, [0.5], 'p [0.5] is a list; expected a number'),
    (bool, None, 'p None is a NoneType; expected a boolean'),
    (Tuple[float, ...], 0.5, 'p 0.5 is not a list; expected a list, each item a number'),
    (Tuple[str, ...], 'ab', "p 'ab' is not a list; expected a list, each item a string"),
    (Tuple[str, ...], [1], 'p 1 is an integer; expected a string')])
def test_another_type_is_refused_in_words(type_, value, sentence):
    assert refusal(field(type_, None, 'x'), value) == sentence


def test_a_long_value_is_cut_short_in_a_refusal():
    declared = field(str, 'a', 'x', choices=('a',))
    assert refusal(declared, 'b' * 100) == (
        f"p '{'b' * 37}...{'b' * 38}' is not allowed; it must be one of 'a'")


def test_only_a_path_has_its_home_folder_written_out(monkeypatch):
    monkeypatch.setenv('HOME', '/home/someone')
    assert checked(field(str, '', 'x', path=True), '~/a') == '/home/someone/a'
    assert checked(field(str, '', 'x'), '~/a') == '~/a'


@pytest.mark.parametrize('type_, value, sentence', [
    (Tuple[float, ...], [], 'p [] is not allowed; it needs at least one value, none of them '
     'empty or twice'),
    (Tuple[str, ...], ['a', ''], "p ['a', ''] is not allowed; it needs at least one value, none "
     'of them empty or twice'),
    (Tuple[str, ...], ('a', 'a'), "p ['a', 'a'] is not allowed; it needs at least one value, "
     'none of them empty or twice')])
def test_a_list_needs_values_that_differ(type_, value, sentence):
    assert refusal(field(type_, None, 'x'), value) == sentence


def test_numbers_are_sorted_and_names_keep_their_order():
    assert checked(field(Tuple[float, ...], (), 'x'), [1, 3, 2.5]) == (3.0, 2.5, 1.0)
    assert checked(field(Tuple[str, ...], (), 'x'), ['c', 'a', 'b']) == ('c', 'a', 'b')


PLACES = field(Tuple[float, ...], (0.0, 9.0), 'x', items=('low', 'high'),
               fault=lambda numbers: '' if numbers[0] < numbers[1] else 'low must be below high')


def test_a_list_with_places_keeps_them_and_is_its_default_where_empty():
    assert checked(PLACES, [1, 2]) == (1.0, 2.0)
    assert checked(PLACES, []) == (0.0, 9.0)


@pytest.mark.parametrize('value, sentence', [
    ([1], 'p [1.0] is not allowed; it needs 2 items: low, high'),
    ([1, 2, 3], 'p [1.0, 2.0, 3.0] is not allowed; it needs 2 items: low, high'),
    ([2, 2], 'p [2.0, 2.0] is not allowed; low must be below high')])
def test_a_list_with_places_is_refused_with_its_fault(value, sentence):
    assert refusal(PLACES, value) == sentence
