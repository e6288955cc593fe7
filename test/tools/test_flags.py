# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The flags that programs share: what they take, and what they refuse."""
import argparse

import pytest

from ltp_ros.config import Config
from ltp_ros.settings import fields, value_of
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


@pytest.mark.parametrize('field', [
    field for group, field in fields() if group == 'classifier'], ids=lambda field: field.name)
def test_the_help_of_a_flag_is_the_description_of_its_parameter_whatever_it_holds(field):
    told = flags.common_flags([field.name]).format_help().split()
    assert set(field.metadata['description'].split()) <= set(told)


@pytest.fixture
def namesakes(tmp_path, monkeypatch):
    """Work in a folder that has a file of the name of every default and choice."""
    monkeypatch.chdir(tmp_path)
    for _, field in fields():
        for word in (*field.metadata['allowed'].choices, value_of(Config(), field.name)):
            if isinstance(word, str) and word:
                (tmp_path / word).touch()
    (tmp_path / 'demo').touch()
    return tmp_path


@pytest.mark.parametrize('command', ['deadline', 'overload', 'node'])
def test_a_value_that_is_also_the_name_of_a_file_is_no_path(command, namesakes):
    pytest.importorskip('rclpy')
    from ltp_ros.tools.benchmark import build_parser
    from ltp_ros.tools.benchmarks.session import model_parameters
    assert (namesakes / 'ltp').exists()
    parameters = model_parameters(build_parser(command).parse_args([command]))
    assert parameters['method'] == 'ltp'
    assert not [value for value in parameters.values() if str(namesakes) in str(value)]


def test_paths_alone_are_made_absolute_and_need_not_exist(namesakes):
    given = {'model': 'demo', 'checkpoint': 'x.pth', 'labels': 'ltp', 'method': 'ltp', 'cache': ''}
    assert flags.absolute_paths(given) == {
        **given, 'checkpoint': f'{namesakes}/x.pth', 'labels': f'{namesakes}/ltp'}


def test_the_packaged_checkpoint_is_no_path_and_a_model_in_a_folder_is_one(namesakes):
    assert flags.absolute_paths({'model': 'local-dir:x', 'checkpoint': 'demo'}) == {
        'model': f'local-dir:{namesakes}/x', 'checkpoint': 'demo'}
