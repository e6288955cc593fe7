# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The flags that programs share: what they take, and what they refuse."""
import argparse

import pytest

from ltp_ros.tools import demo
from ltp_ros.tools.support import flags


@pytest.mark.parametrize('parse, text, value', [
    (flags.positive_int, '1', 1), (flags.whole_number, '0', 0), (flags.positive, '1e-9', 1e-9),
    (flags.not_negative, '0', 0.0), (flags.share, '1', 1.0),
    (flags.seed, '4294967295', 2**32 - 1)])
def test_a_number_may_be_the_last_of_its_range(parse, text, value):
    assert parse(text) == value


@pytest.mark.parametrize('parse, text, reason', [
    (flags.positive_int, '0', '0 is not allowed; it must be at least 1'),
    (flags.positive_int, '2.5', "'2.5' is not a whole number; it must be at least 1"),
    (flags.whole_number, '-1', '-1 is not allowed; it must be at least 0'),
    (flags.positive, '0', '0 is not allowed; it must be above 0'),
    (flags.positive, 'inf', 'inf is not allowed; it must be above 0'),
    (flags.not_negative, '-0.1', '-0.1 is not allowed; it must be at least 0'),
    (flags.share, 'nan', 'nan is not allowed; it must be from 0 to 1'),
    (flags.share, 'half', "'half' is not a number; it must be from 0 to 1"),
    (flags.seed, '4294967296', '4294967296 is not allowed; it must be from 0 to 4294967295'),
    (flags.checked('num_threads'), '-1', 'num_threads -1 is not allowed; it must be in [0, '),
    (flags.checked('num_threads'), 'two', "num_threads 'two' is a string; expected an integer"),
    (flags.checked('keep_ratio'), '0', 'keep_ratio 0.0 is not allowed; it must be in (0, 1]'),
    (flags.checked('device'), 'gpu', "device 'gpu' is not allowed; it must be one of 'auto'")])
def test_a_value_that_is_not_allowed_is_refused_with_the_range(parse, text, reason):
    with pytest.raises(argparse.ArgumentTypeError) as error:
        parse(text)
    assert reason in str(error.value)


@pytest.mark.parametrize('program, arguments', [
    (demo, ['--frames', '0']), (demo, ['--rate', '-1']), (demo, ['--keep-ratio', '1.5'])])
def test_a_program_refuses_a_number_out_of_range(program, arguments, capsys):
    with pytest.raises(SystemExit):
        program.build_parser().parse_args(arguments)
    assert 'it must be ' in capsys.readouterr().err


@pytest.mark.parametrize('name', [field.name for _, field in fields()])
def test_the_help_of_a_flag_is_the_description_of_its_parameter_whatever_it_holds(name):
    words = dict(fields_by_name())[name].metadata['description'].split()
    assert set(words) <= set(common_flags([name]).format_help().split())
