# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The node under a lifecycle manager: its own process, real DDS."""
import signal

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from ros_helpers import DEADLINE_S, Door, change, classifier_process, exchange, picture, state


@pytest.fixture
def start(small_model):
    """Return a function that starts the node with parameters of the test's choice."""
    return lambda **parameters: classifier_process(
        checkpoint=small_model, autostart=False, **parameters)


@pytest.fixture
def door(tmp_path):
    return Door(tmp_path / 'labels')


def begin_to_configure(listener, door):
    client = listener.node.create_client(ChangeState, '/ltp/classifier/change_state')
    listener.until(client.service_is_ready)
    future = client.call_async(ChangeState.Request(
        transition=Transition(id=Transition.TRANSITION_CONFIGURE)))
    listener.until(door.has_reader)
    return future


def said(listener, part):
    """Return the newest message of a part of the diagnostics; '' if there is none."""
    return next((status.message for array in reversed(listener.heard['/diagnostics'])
                 for status in array.status if status.name == f'ltp/classifier: {part}'), '')


def test_images_are_answered_only_while_active(listener, start):
    with start() as program:
        assert change(listener, Transition.TRANSITION_CONFIGURE)
        assert not listener.node.count_subscribers('/ltp/image')
        assert change(listener, Transition.TRANSITION_ACTIVATE)
        camera = listener.publisher('/ltp/image', program=program)
        exchange(listener, camera, picture(0), program)
        assert change(listener, Transition.TRANSITION_DEACTIVATE)
        listener.until(lambda: not camera.get_subscription_count(), program)
        assert change(listener, Transition.TRANSITION_CLEANUP)
        assert listener.set_parameter('alpha', 0.25).successful  # fixed only while configured
        assert listener.set_parameter('top_k', 1).successful
        assert change(listener, Transition.TRANSITION_CONFIGURE)
        assert change(listener, Transition.TRANSITION_ACTIVATE)
        listener.until(camera.get_subscription_count, program)
        answer, _ = exchange(listener, camera, picture(1), program)
        assert len(answer.labels) == 1


def test_while_the_model_loads_everything_else_is_answered(listener, start, door):
    listener.listen('/diagnostics', DiagnosticArray)
    with start(labels=str(door.path)) as program:
        listener.until(lambda: said(listener, 'lifecycle') == 'unconfigured', program)
        configured = begin_to_configure(listener, door)
        assert state(listener) == 'configuring'
        listener.until(lambda: said(listener, 'lifecycle') == 'configuring', program)
        assert listener.get_parameter('keep_ratio') == 0.7
        assert listener.set_parameter('top_k', 2).successful
        assert listener.set_parameter('keep_ratio', 1.0).successful
        refused = listener.set_parameter('alpha', 0.25)
        assert not refused.successful and 'fixed while' in refused.reason
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            assert not change(listener, transition)
        assert not configured.done()

        door.open([f'label {n}' for n in range(7)])
        listener.until(configured.done, program)
        assert configured.result().success and state(listener) == 'inactive'
        assert change(listener, Transition.TRANSITION_ACTIVATE)
        camera = listener.publisher('/ltp/image', program=program)
        answer, _ = exchange(listener, camera, picture(0), program)
        assert [label.split()[0] for label in answer.labels] == ['label', 'label']
        assert answer.keep_ratio == 1.0
        listener.until(lambda: said(listener, 'lifecycle') == 'active', program)


@pytest.mark.parametrize('stop', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_node_while_the_model_loads(listener, start, door, stop):
    with start(fresh=True, labels=str(door.path)) as program:
        begin_to_configure(listener, door)
        program.send_signal(stop)
        assert program.wait(DEADLINE_S) == 0
        assert 'Traceback' not in program.output


def test_a_model_that_cannot_be_loaded_is_told_and_may_be_mended(listener, start, tmp_path):
    labels = tmp_path / 'labels.txt'
    labels.write_text('only\ntwo\n')
    with start(labels=str(labels)) as program:
        assert not change(listener, Transition.TRANSITION_CONFIGURE)
        assert state(listener) == 'unconfigured' and 'Traceback' not in program.output
        assert 'labels.txt' in program.output
        assert listener.set_parameter('labels', '').successful
        assert change(listener, Transition.TRANSITION_CONFIGURE)


def test_a_transition_that_is_not_possible_is_refused_and_the_node_lives(listener, start):
    with start() as program:
        for transition in (Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_CLEANUP, 99):
            assert not change(listener, transition)
        assert 'transition 99 is not possible while unconfigured' in program.output
        assert state(listener) == 'unconfigured'


@pytest.mark.parametrize('label', ['activate', 'nonsense'])
def test_a_transition_asked_for_by_its_label_is_refused_alike(listener, start, label):
    with start() as program:
        request = ChangeState.Request(transition=Transition(label=label))
        assert not listener.call(ChangeState, '/ltp/classifier/change_state', request).success
        assert f'transition {label} is not possible while unconfigured' in program.output
        assert state(listener) == 'unconfigured'


def test_without_a_clock_of_the_simulation_it_is_told_that_no_image_comes(listener, start):
    listener.listen('/diagnostics', DiagnosticArray)
    with start(use_sim_time=True) as program:
        assert change(listener, Transition.TRANSITION_CONFIGURE)
        assert change(listener, Transition.TRANSITION_ACTIVATE)
        listener.until(lambda: 'no image for 5 s on /ltp/image' in program.output, program)
        listener.until(lambda: 'no image for' in said(listener, 'input'), program)


def test_cameras_that_cannot_be_told_apart_are_refused_until_they_can(listener, start):
    remap = [f'{side}/compressed:=/camera/compressed' for side in ('left', 'right')]
    with start(image_topics='[left, right]', image_transport='compressed', remap=remap) as program:
        for topics, sentence in ([['a b'], 'topic names such as'],
                                 [['a', '/ltp/a'], 'one topic here']):
            refused = listener.set_parameter('image_topics', topics)
            assert not refused.successful and sentence in refused.reason
        assert change(listener, Transition.TRANSITION_CONFIGURE)
        assert not change(listener, Transition.TRANSITION_ACTIVATE)
        assert state(listener) == 'inactive'
        assert "remapped to ['/camera/compressed', '/camera/compressed']" in program.output
        assert change(listener, Transition.TRANSITION_CLEANUP)
        for name, value in [('image_transport', 'raw'), ('image_topics', ['latency'])]:
            assert listener.set_parameter(name, value).successful
        assert listener.set_parameter('lazy', True).successful  # refused now, not on demand
        assert change(listener, Transition.TRANSITION_CONFIGURE)
        assert not change(listener, Transition.TRANSITION_ACTIVATE)
        assert 'this node publishes on /ltp/latency itself' in program.output
        assert change(listener, Transition.TRANSITION_CLEANUP)
        assert listener.set_parameter('image_topics', ['left']).successful
        assert change(listener, Transition.TRANSITION_CONFIGURE)
        assert change(listener, Transition.TRANSITION_ACTIVATE)


def test_a_bad_topic_at_the_start_ends_the_node_with_a_sentence(start):
    with start(image_topics='["a b"]') as program:
        assert program.wait(DEADLINE_S) == 1
        assert "image_topics 'a b' is not allowed; it must be topic names" in program.output
        assert 'Traceback' not in program.output
