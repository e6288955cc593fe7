# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Each transition, done, failed and broken, in a node that loads nothing."""
import contextlib
from concurrent.futures import Future

import pytest
import rclpy
from lifecycle_msgs.msg import State, Transition
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn

from ltp_ros.ros.managed_node import ManagedNode
from ltp_ros.ros.spinning import spin

TIMEOUT_S = 30.0
CONFIGURE, ACTIVATE = Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE
DEACTIVATE, CLEANUP = Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP
WAY_TO = {'unconfigured': (), 'inactive': (CONFIGURE,), 'active': (CONFIGURE, ACTIVATE)}
SHUTDOWN = {'unconfigured': Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
            'inactive': Transition.TRANSITION_INACTIVE_SHUTDOWN,
            'active': Transition.TRANSITION_ACTIVE_SHUTDOWN}
# Where a transition begins, what runs, where it ends when what was given cannot be used
FAILING = [('unconfigured', CONFIGURE, 'on_configure', 'unconfigured'),
           ('inactive', ACTIVATE, 'on_activate', 'inactive'),
           ('active', DEACTIVATE, 'on_deactivate', 'active'),
           ('inactive', CLEANUP, 'on_cleanup', 'inactive'),
           *((before, number, 'on_shutdown', 'finalized') for before, number in SHUTDOWN.items())]


class Managed(ManagedNode):
    """Raises `faults[name]` in the part that is called so, and notes the parts that ran."""

    def __init__(self, **kwargs):
        self.faults, self.ran = {}, []
        super().__init__('managed', **kwargs)

    def run(self, part):
        self.ran.append(part)
        if part in self.faults:
            raise self.faults[part]

    def start_loading(self):
        loaded = Future()
        loaded.set_result(None)
        return loaded

    def on_configure(self, state):
        self.run('on_configure')
        return super().on_configure(state)

    def on_activate(self, state):
        self.run('on_activate')
        return super().on_activate(state)

    def on_deactivate(self, state):
        self.run('on_deactivate')
        return super().on_deactivate(state)

    def on_cleanup(self, state):
        self.run('on_cleanup')
        return super().on_cleanup(state)

    def on_shutdown(self, state):
        self.run('on_shutdown')
        return super().on_shutdown(state)

    def on_error(self, state):
        self.run('on_error')
        return TransitionCallbackReturn.SUCCESS


@pytest.fixture(scope='module')
def context():
    context = rclpy.Context()
    rclpy.init(context=context)
    yield context
    rclpy.shutdown(context=context)


@pytest.fixture
def change(context):
    """Return a function that sends a node through transitions; it returns the last answer."""
    executor = SingleThreadedExecutor(context=context)

    def change(node, *transitions):
        executor.add_node(node)
        for transition in transitions:
            answer = executor.create_task(node.change_state, transition)
            executor.spin_until_future_complete(answer, TIMEOUT_S)
        return answer.result()

    yield change
    executor.shutdown()


@pytest.fixture
def node(context):
    node = Managed(context=context)
    yield node
    node.destroy_node()


@pytest.mark.parametrize('before', SHUTDOWN)
def test_a_node_is_shut_down_from_every_state_and_stays_so(node, change, before):
    assert change(node, *WAY_TO[before], SHUTDOWN[before])
    assert node.state == 'finalized'
    for transition in range(10):
        assert not change(node, transition) and node.state == 'finalized'


@pytest.mark.parametrize('before', WAY_TO)
def test_what_is_not_possible_in_a_state_is_refused_and_changes_nothing(node, change, before):
    assert all(change(node, transition) for transition in WAY_TO[before])
    possible = {'unconfigured': {CONFIGURE}, 'inactive': {ACTIVATE, CLEANUP},
                'active': {DEACTIVATE}}[before] | {SHUTDOWN[before]}
    ran = list(node.ran)
    for transition in {*range(10), 99} - possible:
        assert not change(node, transition) and node.state == before
    assert node.ran == ran


@pytest.mark.parametrize('before, transition, part, after', FAILING)
def test_what_cannot_be_used_fails_the_transition_and_may_be_mended(
        node, change, before, transition, part, after):
    assert all(change(node, number) for number in WAY_TO[before])
    node.faults[part] = ValueError('that cannot be used')
    assert not change(node, transition) and node.state == after
    assert 'on_error' not in node.ran
    node.faults.clear()
    assert change(node, transition) == (after != 'finalized')


@pytest.mark.parametrize('before, transition, part, _', FAILING)
def test_a_fault_of_the_program_goes_by_on_error_and_the_node_may_start_over(
        node, change, before, transition, part, _):
    assert all(change(node, number) for number in WAY_TO[before])
    node.faults[part] = KeyError('a fault of the program')
    assert not change(node, transition) and node.state == 'unconfigured'
    assert node.ran[-1] == 'on_error'
    node.faults.clear()
    assert change(node, CONFIGURE, ACTIVATE) and node.state == 'active'


class EventsLost:
    """A state machine whose events cannot be published: rcl changes the state, then complains."""

    def __init__(self, machine):
        self._machine = machine

    def __getattr__(self, name):
        attribute = getattr(self._machine, name)
        if not name.startswith('trigger_'):
            return attribute

        def trigger(*args):
            attribute(*args)
            raise RuntimeError('Could not publish transition: cannot publish data')

        return trigger


def test_an_event_that_cannot_be_published_stops_no_transition(node, change):
    node._state_machine = EventsLost(node._state_machine)
    assert change(node, CONFIGURE) and change(node, ACTIVATE) and node.state == 'active'
    assert not change(node, CONFIGURE) and node.state == 'active'
    node.faults['on_deactivate'] = KeyError('a fault of the program')
    assert not change(node, DEACTIVATE) and node.state == 'unconfigured'


def test_a_fault_in_on_error_too_is_the_end(node, change):
    node.faults.update(on_configure=KeyError('one'), on_error=KeyError('another'))
    assert not change(node, CONFIGURE) and node.state == 'finalized'


@pytest.mark.parametrize('part', ['on_configure', 'on_activate'])
def test_a_signal_in_the_middle_of_a_transition_is_no_failure(part, capfd):
    class Interrupted(Managed):
        def run(self, name):
            super().run(name)
            if name == part:
                self.context.try_shutdown()  # as rclpy's handler of signals
                self.create_publisher(State, 'state', 1)

    context = rclpy.Context()
    rclpy.init(context=context)
    node = Interrupted(context=context)
    node.start()
    with contextlib.suppress(ExternalShutdownException, RuntimeError):  # as in `main`
        spin(node)
    assert node.ran[-1] == part and not node.failed
    node.destroy_node()
    assert 'ERROR' not in capfd.readouterr().err


def test_a_destroyed_node_leaves_no_service_behind_though_somebody_still_holds_it(listener):
    context = rclpy.Context()
    rclpy.init(context=context)
    held = Managed(context=context)
    name = '/managed/change_state'

    def services():
        return {service for service, _ in listener.node.get_service_names_and_types()}

    listener.until(lambda: name in services())
    held.destroy_node()
    rclpy.shutdown(context=context)
    listener.until(lambda: name not in services())
    assert held.faults == {}
