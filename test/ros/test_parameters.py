# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The config dataclasses as parameters of a real rclpy node."""
import math

import pytest
import rclpy
from rcl_interfaces.msg import Parameter as ParameterMessage
from rclpy.node import Node
from rclpy.parameter import Parameter, get_parameter_value

from ltp_ros import settings
from ltp_ros.config import Config
from ltp_ros.parameter import ConfigError
from ltp_ros.ros import parameters
from ltp_ros.settings import update, value_of

FIELDS = {field.name: field for _, field in settings.fields()}
LIVE = [name for name, field in FIELDS.items() if field.metadata['live']]
FIXED = [name for name in FIELDS if name not in LIVE]


@pytest.fixture
def start():
    """Return a function that makes a node with `-p name:=value` for each item it is given.

    It gives the node, in the namespace /ltp, and the `Config` that it declared.
    """
    context = rclpy.Context()
    rclpy.init(context=context)
    nodes = []

    def make(*overrides, remap=()):
        arguments = [word for override in overrides for word in ('-p', override)]
        arguments += [word for rule in remap for word in ('-r', rule)]
        nodes.append(Node('classifier', namespace='ltp', context=context,
                          cli_args=['--ros-args', *arguments],
                          automatically_declare_parameters_from_overrides=True))
        return nodes[-1], parameters.declare(nodes[-1])

    yield make
    for node in nodes:
        node.destroy_node()
    rclpy.shutdown(context=context)


def changed(before, configured=True, **values):
    """Do what the node does with `ros2 param set`."""
    return parameters.change(before, [Parameter(name, value=value)
                                      for name, value in values.items()], configured)


def test_every_parameter_is_declared_with_its_default(start):
    node, declared = start()
    assert declared == Config()
    for name in FIELDS:
        value = node.get_parameter(name).value
        default = value_of(Config(), name)
        assert (tuple(value) if isinstance(default, tuple) else value) == default


def test_a_ladder_shows_its_levels_as_the_keep_ratios(start, tmp_path):
    path = tmp_path / 'ladder.yaml'
    path.write_text('levels:\n- {work: 1.0, input_size: 320}\n- {work: 0.3}\n')
    node, config = start(f'ladder:={path}', 'keep_ratio:=0.4')
    assert list(node.get_parameter('keep_ratios').value) == [1.0, 0.3]
    assert node.get_parameter('keep_ratio').value == 0.3
    assert node.get_parameter('min_keep_ratio').value == 0.3
    with pytest.raises(ConfigError, match='ladder is fixed while the node is configured'):
        changed(config, ladder='')
    _, shown = changed(config, configured=False, ladder='')
    assert {'ladder', 'keep_ratios', 'min_keep_ratio'} <= {each.name for each in shown}


def test_what_rclpy_would_accept_and_ignore_is_refused(start):
    with pytest.raises(ConfigError, match='qos_overrides.*image_reliability'):
        start('qos_overrides./image.subscription.reliability:=reliable')


def test_every_parameter_of_a_node_has_the_descriptor_of_its_field(start):
    node, _ = start()
    for name, field in FIELDS.items():
        described = node.describe_parameter(name)
        expected = parameters.descriptor(field)
        assert described.description == expected.description != ''
        assert described.additional_constraints == expected.additional_constraints
        assert described.floating_point_range == expected.floating_point_range
        assert described.integer_range == expected.integer_range


@pytest.mark.parametrize('name', FIELDS)
def test_a_descriptor_tells_meaning_unit_range_and_whether_it_may_change(name):
    field, described = FIELDS[name], parameters.descriptor(FIELDS[name])
    assert described.name == name
    assert described.description.startswith(field.metadata['description'])
    assert ('[' in described.description) == bool(field.metadata['unit'])
    assert str(field.metadata['allowed']) in described.additional_constraints
    assert ('fixed' in described.additional_constraints) == (name in FIXED)
    assert not described.read_only


def test_a_unit_stands_behind_the_meaning():
    assert parameters.descriptor(FIELDS['max_age_ms']).description.endswith(' [ms]')


def test_numbers_with_two_bounds_have_a_range_for_sliders():
    top_k, alpha = (parameters.descriptor(FIELDS[name]) for name in ('top_k', 'alpha'))
    assert (top_k.integer_range[0].from_value, top_k.integer_range[0].to_value) == (1, 100)
    assert (alpha.floating_point_range[0].from_value,
            alpha.floating_point_range[0].to_value) == (0.0, 1.0)


@pytest.mark.parametrize('override, name, value', [
    ('alpha:=0.25', 'alpha', 0.25), ('keep_ratio:=1', 'keep_ratio', 1.0),
    ('model:=demo', 'model', 'demo'), ('publish_debug_image:=false', 'publish_debug_image', False),
    ('keep_ratios:=[0.5, 1.0]', 'keep_ratios', (1.0, 0.5)),
    ('keep_ratios:=[1]', 'keep_ratios', (1.0,)),
    ('roi:=[0, 0, 640, 480]', 'roi', (0.0, 0.0, 640.0, 480.0)),
    ('image_topics:=[left, /right/image_raw]', 'image_topics', ('left', '/right/image_raw')),
])
def test_a_value_given_at_the_start_is_in_the_config_and_on_the_node(start, override, name, value):
    node, declared = start(override)
    assert value_of(declared, name) == value
    shown = node.get_parameter(name).value
    assert (tuple(shown) if isinstance(value, tuple) else shown) == value


def test_the_keep_ratio_on_the_node_is_the_one_on_the_ladder(start):
    node, declared = start('keep_ratio:=0.5')
    assert node.get_parameter('keep_ratio').value == declared.classifier.keep_ratio == 0.53


@pytest.mark.parametrize('override, sentence', [
    ('keep_ratoi:=0.5', "there is no parameter 'keep_ratoi'; did you mean keep_ratio?"),
    ('image_topic:=[a]', "there is no parameter 'image_topic'; did you mean image_topics?"),
    ('qqq:=1', "there is no parameter 'qqq'; known are model, "),
    ('classifier.top_k:=1', "there is no parameter 'classifier.top_k'"),
])
def test_a_misspelt_name_stops_the_start_with_the_nearest_one(start, override, sentence):
    with pytest.raises(ConfigError) as refusal:
        start(override)
    assert str(refusal.value).startswith(sentence)


@pytest.mark.parametrize('override, sentence', [
    ('keep_ratio:=2.0', r'keep_ratio 2\.0 is not allowed; it must be in \(0, 1\]'),
    ('keep_ratio:=.nan', r'keep_ratio nan is not allowed; it must be finite and in \(0, 1\]'),
    ('keep_ratio:=fast', r"keep_ratio 'fast' is a string; expected a number in \(0, 1\]"),
    ('top_k:=2.5', r'top_k 2\.5 is a number; expected an integer in \[1, 100\]'),
    ('image_topics:=image', "image_topics 'image' is not a list; expected a list, each"),
    ('keep_ratios:=[0.5, 0.5]', 'keep_ratios .* none of them empty or twice'),
])
def test_a_value_that_is_not_allowed_stops_the_start(start, override, sentence):
    with pytest.raises(ConfigError, match=sentence):
        start(override)


@pytest.mark.parametrize('topics, remap, sentence', [
    ('[image, /ltp/image]', (), "'image' and '/ltp/image' are one topic here, /ltp/image"),
    ('[image, "{ns}/image"]', (), 'are one topic here, /ltp/image'),
    ('[left, right]', ['left:=/camera', 'right:=/camera'], 'one topic here, /camera; name each'),
    ('[left, right]', ['left:=right'], 'one topic here, /ltp/right; name each camera once'),
    ('[image, debug_image]', (), "'debug_image' is this node's own output, /ltp/debug_image"),
    ('[image]', ['image:=debug_image'], "'image' is this node's own output, /ltp/debug_image"),
    ('["/{ns}/a"]', (), "must not contain repeated '/'$"),
    (f'[{"a" * 250}]', (), "'a+ is not allowed: .*length should not exceed"),
])
def test_topics_that_are_none_or_one_on_this_node_stop_the_start(start, topics, remap, sentence):
    with pytest.raises(ConfigError, match=sentence):
        start(f'image_topics:={topics}', remap=remap)


def test_parameters_of_rclpy_itself_are_left_to_it(start):
    node, declared = start('use_sim_time:=true')
    assert declared == Config()
    assert node.get_parameter('use_sim_time').value is True


@pytest.mark.parametrize('name', LIVE)
def test_a_live_parameter_may_be_set_while_configured(name):
    value = value_of(Config(), name)
    value = list(value) if isinstance(value, tuple) else value
    after, stored = changed(Config(), **{name: value})
    assert after == Config()
    assert [(p.name, p.value) for p in stored] == [(name, value)]


@pytest.mark.parametrize('name, value', [
    ('model', 'demo'), ('alpha', 0.25), ('keep_ratios', [1.0, 0.7]), ('image_topics', ['left']),
    ('autostart', False)])
def test_a_fixed_parameter_is_refused_while_configured_and_taken_otherwise(name, value):
    with pytest.raises(ConfigError, match=f'{name} is fixed while the node is configured'):
        changed(Config(), **{name: value})
    after, _ = changed(Config(), configured=False, **{name: value})
    assert after == update(Config(), {name: value}) != Config()


def test_a_fixed_parameter_may_be_set_to_what_it_is():
    after, _ = changed(Config(), alpha=0.5)
    assert after == Config()


def test_what_is_stored_is_what_is_used():
    after, stored = changed(Config(), keep_ratio=0.5, max_age_ms=20)
    assert {p.name: p.value for p in stored} == {'keep_ratio': 0.53, 'max_age_ms': 20.0}
    assert {p.name: p.type_ for p in stored}['max_age_ms'] == Parameter.Type.DOUBLE
    assert (after.classifier.keep_ratio, after.input.max_age_ms) == (0.53, 20.0)


@pytest.mark.parametrize('name, text, used', [
    ('roi', '[0.25, 0, 0.5, 1]', [0.25, 0.0, 0.5, 1.0]),
    ('roi', '[0, 0, 640, 480]', [0.0, 0.0, 640.0, 480.0]), ('roi', '[]', [0.0, 0.0, 1.0, 1.0]),
    ('keep_ratios', '[1, 0.5]', [1.0, 0.5])])
def test_a_list_is_taken_as_ros2_param_set_sends_it(name, text, used):
    parameter = Parameter.from_parameter_msg(
        ParameterMessage(name=name, value=get_parameter_value(text)))
    _, stored = parameters.change(Config(), [parameter], configured=False)
    assert {p.name: p.value for p in stored}[name] == used


@pytest.mark.parametrize('text', ['wide', '[0.5, 0', '{a: 1}', "[0.5, 'a', 1, 1]"])
def test_text_that_is_not_a_list_of_numbers_is_refused_as_it_came(text):
    with pytest.raises(ConfigError, match=r'^roi .* expected a (list|number)'):
        changed(Config(), roi=text)


@pytest.mark.parametrize('asked, used', [
    ([0, 0, 640, 480], [0.0, 0.0, 640.0, 480.0]), ([0.1, 0.3, 0.2, 0.2], [0.1, 0.3, 0.2, 0.2]),
    ([], [0.0, 0.0, 1.0, 1.0])])
def test_a_region_of_interest_is_stored_in_the_order_of_its_numbers(asked, used):
    _, (stored,) = changed(Config(), roi=asked)
    assert (stored.value, stored.type_) == (used, Parameter.Type.DOUBLE_ARRAY)


def test_a_keep_ratio_that_moved_with_the_ladder_is_stored_too():
    _, stored = changed(Config(), configured=False, keep_ratios=[1.0, 0.5])
    values = {p.name: p.value for p in stored}
    assert values == {'keep_ratios': [1.0, 0.5], 'keep_ratio': 0.5}


@pytest.mark.parametrize('name, value', [
    ('keep_ratio', 1.5), ('keep_ratio', math.nan), ('keep_ratio', 'fast'), ('top_k', 0),
    ('device', 'tpu'), ('nonsense', 1)])
def test_a_value_that_is_not_allowed_is_refused_by_name(name, value):
    with pytest.raises(ConfigError, match=name):
        changed(Config(), configured=False, **{name: value})


def test_a_refusal_of_one_value_refuses_them_all():
    with pytest.raises(ConfigError, match='alpha is fixed'):
        changed(Config(), top_k=1, alpha=0.25)


def test_a_parameter_of_rclpy_passes_through_a_change():
    after, stored = changed(Config(), use_sim_time=True)
    assert after == Config()
    assert [(p.name, p.value) for p in stored] == [('use_sim_time', True)]


def test_rclpy_itself_lets_an_integer_through_for_a_double(start):
    node, _ = start()
    assert node.set_parameters([Parameter('keep_ratio', value=1)])[0].successful


def test_an_integer_for_a_double_is_stored_as_a_double(start):
    node, declared = start()
    _, stored = parameters.change(declared, [Parameter('keep_ratio', value=1)], configured=True)
    assert node.set_parameters_atomically(stored).successful
    assert node.get_parameter('keep_ratio').type_ == Parameter.Type.DOUBLE
