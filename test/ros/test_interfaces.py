# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""docs/interfaces.md and the SROS 2 policy against their sources and nodes in this process."""
import argparse
import contextlib
import itertools
from pathlib import Path
from xml.etree import ElementTree

import pytest
import rclpy
from lifecycle_msgs.msg import Transition
from rclpy.action import get_action_server_names_and_types_by_node
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSDurabilityPolicy, QoSReliabilityPolicy
from ros_helpers import ros_arguments

from ltp_ros.client import ClassifierClient
from ltp_ros.node import ClassifierNode
from ltp_ros.ros import messages
from ltp_ros.tools.image_source import ImageSource

interface_table = pytest.importorskip(
    'ltp_ros.tools.interface_table', reason='rosidl_adapter is not installed')

PAGE = Path(__file__).parents[2] / 'docs' / 'interfaces.md'
POLICY = Path(__file__).parents[2] / 'config' / 'sros2' / 'ltp_ros.policy.xml'
TIMEOUT_S = 90.0
# What every node, or every lifecycle node, has
COMMON = ('rcl_interfaces', 'lifecycle_msgs', 'rosgraph_msgs', 'type_description_interfaces')


@pytest.fixture(scope='module', params=['raw', 'compressed'])
def node(request, small_model):
    """Return an active node."""
    context = rclpy.Context()
    rclpy.init(context=context)
    values = {'checkpoint': small_model, 'device': 'cpu', 'backend': 'eager',
              'precision': 'float32', 'keep_ratios': '[1.0]', 'image_transport': request.param}
    node = ClassifierNode(context=context, cli_args=ros_arguments(**values))
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
        done = executor.create_task(node.change_state, transition)
        executor.spin_until_future_complete(done, TIMEOUT_S)
        assert done.result()
    yield node
    node.release()
    node.destroy_node()
    executor.shutdown()
    rclpy.shutdown(context=context)


def type_of(message_type):
    package, _, _ = message_type.__module__.split('.')
    return f'{package}/{message_type.__name__}'


def qos_of(endpoint):
    qos = endpoint.qos_profile
    words = ['best effort' if qos.reliability == QoSReliabilityPolicy.BEST_EFFORT else 'reliable']
    if qos.durability == QoSDurabilityPolicy.TRANSIENT_LOCAL:
        words.append('transient local')
    return ', '.join([*words, f'depth {qos.depth}'])


def found(endpoints):
    """Return (topic, type, QoS) of what is of this package alone."""
    return {(endpoint.topic_name, type_of(endpoint.msg_type), qos_of(endpoint))
            for endpoint in endpoints if not type_of(endpoint.msg_type).startswith(COMMON)}


def listed(node, topics):
    return {(node.resolve_topic_name(topic.name), topic.type, topic.qos) for topic in topics}


def test_the_page_of_the_interfaces_is_made_from_the_sources():
    assert PAGE.read_text(encoding='utf-8') == interface_table.interface_table()


def test_the_node_publishes_what_the_page_lists(node):
    topics = [topic for topic in interface_table.OUTPUTS if topic.name != 'detections' and (
        messages.VisionClassification or not topic.type.startswith('vision_msgs'))]
    assert found(node.publishers) == listed(node, topics)


def test_the_node_subscribes_to_what_the_page_lists(node):
    suffix = {'raw': '', 'compressed': '/compressed'}[node.config.input.image_transport]
    topics = [topic for topic in interface_table.INPUTS if topic.name == f'image{suffix}']
    assert found(node.subscriptions) == listed(node, topics)


def test_the_node_serves_what_the_page_lists(node):
    served = {(node.resolve_service_name(service.srv_name), type_of(service.srv_type))
              for service in node.services
              if not type_of(service.srv_type).startswith(COMMON)}
    assert served == {(node.resolve_service_name(service.name), service.type)
                      for service in interface_table.SERVICES}


def test_the_node_has_the_actions_that_the_page_lists(node):
    servers = dict(get_action_server_names_and_types_by_node(
        node, node.get_name(), node.get_namespace()))
    assert servers == {node.resolve_service_name(action.name): [
        action.type.replace('/', '/action/')] for action in interface_table.ACTIONS}


_TOPICS, _SERVICES = ('feedback', 'status'), ('send_goal', 'cancel_goal', 'get_result')
OF_ACTIONS = {'execute': (('publish', _TOPICS), ('reply', _SERVICES)),
              'call': (('subscribe', _TOPICS), ('request', _SERVICES))}


def allowed(enclave):
    """Return the names of each right that the policy gives to an enclave."""
    found = {'publish': set(), 'subscribe': set(), 'reply': set(), 'request': set()}
    profile, = ElementTree.parse(POLICY).iterfind(f".//enclave[@path='{enclave}']//profile")
    namespace, name = profile.get('ns').rstrip('/'), profile.get('node')
    for rule in profile:
        assert set(rule.attrib.values()) == {'ALLOW'}  # the rest is denied
        names = {item.text.replace('~', f'{namespace}/{name}') if item.text[0] in '/~'
                 else f'{namespace}/{item.text}' for item in rule}
        for right in rule.attrib:
            if right in OF_ACTIONS:  # which are topics and services
                for part, each in itertools.product(OF_ACTIONS[right], names):
                    found[part[0]] |= {f'{each}/_action/{end}' for end in part[1]}
            else:
                found[right] |= names
    return found


def used(node):
    """Return the names of all that a node has in the graph."""
    name = node.get_name(), node.get_namespace()
    return {right: {topic for topic, _ in find(*name)} for right, find in (
        ('publish', node.get_publisher_names_and_types_by_node),
        ('subscribe', node.get_subscriber_names_and_types_by_node),
        ('reply', node.get_service_names_and_types_by_node),
        ('request', node.get_client_names_and_types_by_node))}


# What a node has only where it is asked for, or on some distributions
ON_DEMAND = {
    'publish': {'/ltp/bond', '/ltp/detections', '/ltp/vision_msgs/classification',
                '/ltp/vision_msgs/label_info'},
    'subscribe': {'/clock', '/ltp/bond'}, 'reply': set(), 'request': set()}
SINCE_IRON = '/get_type_description'


def check_rights(enclave, node, other_transport=()):
    rights, names = allowed(enclave), used(node)
    for right, granted in rights.items():
        assert names[right] <= granted
        assert {name for name in granted - names[right] if not name.endswith(SINCE_IRON)} <= (
            ON_DEMAND[right] | {*other_transport}), right


def test_the_policy_of_sros2_gives_the_node_what_it_has_and_nothing_else(node):
    other = {'raw': '/ltp/image/compressed', 'compressed': '/ltp/image'}
    check_rights('/ltp/classifier', node, [other[node.config.input.image_transport]])


@contextlib.contextmanager
def default_context(*names):
    rclpy.init(args=['--ros-args', *names])
    try:
        yield
    finally:
        rclpy.try_shutdown()


@pytest.mark.parametrize('compressed', [False, True])
def test_the_policy_gives_a_camera_of_this_package_what_it_has(compressed):
    with default_context('-r', '__ns:=/ltp'):
        camera = ImageSource(iter([]), argparse.Namespace(
            best_effort=False, compressed=compressed, topic='image', rate=1.0, wait=0))
        check_rights('/ltp/image_source', camera,
                     ['/ltp/image' if compressed else '/ltp/image/compressed'])
        camera.destroy_node()


def test_the_policy_gives_a_client_what_it_has():
    with ClassifierClient() as client:
        check_rights('/ltp/client', client._node)


def test_every_topic_and_service_of_the_page_is_in_the_policy():
    rights = allowed('/ltp/classifier')
    names = {topic.name if topic.name.startswith('/') else f'/ltp/{topic.name}'
             for topic in interface_table.OUTPUTS}
    assert names <= rights['publish']
    assert {f'/ltp/{topic.name}' for topic in interface_table.INPUTS
            if topic.name != 'detections_topic'} <= rights['subscribe']  # the user's to name
