# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""docs/interfaces.md against msg/, srv/ and a node in this process."""
from pathlib import Path

import pytest
import rclpy
from lifecycle_msgs.msg import Transition
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSDurabilityPolicy, QoSReliabilityPolicy

from ltp_ros.node import ClassifierNode
from ltp_ros.ros import messages

interface_table = pytest.importorskip(
    'ltp_ros.tools.interface_table', reason='rosidl_adapter is not installed')

PAGE = Path(__file__).parents[2] / 'docs' / 'interfaces.md'
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
    arguments = [word for name, value in values.items() for word in ('-p', f'{name}:={value}')]
    node = ClassifierNode(context=context, cli_args=['--ros-args', *arguments])
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
    topics = [topic for topic in interface_table.OUTPUTS
              if messages.VisionClassification or not topic.type.startswith('vision_msgs')]
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
