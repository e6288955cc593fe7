# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A managed node that answers while it is being configured, and says why it cannot be."""
import contextlib
import traceback
from concurrent import futures
from typing import Any, Iterator, List, Tuple

from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import NameValidationException
from rclpy.lifecycle import LifecycleNodeMixin, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.task import Future

STEADY = Clock(clock_type=ClockType.STEADY_TIME)  # goes on where simulated time stands
# Of real time: the system's clock may be set back, and a simulated one stands still
THROTTLE = {'throttle_duration_sec': 5.0, 'throttle_time_source_type': STEADY}


@contextlib.contextmanager
def undone(node: Node) -> Iterator[None]:
    """Destroy a node whose `__init__` fails in this block.

    The error holds it, often until the process has ended; and its segment of shared memory, which
    nobody removes then.
    """
    try:
        yield
    except BaseException:
        node.destroy_node()
        raise


class ManagedNode(LifecycleNodeMixin, Node):
    """A lifecycle node whose `configure` may take long: its first part runs in another thread.

    In rclpy's own, nothing else is answered until a transition ends, an exception in it is lost,
    and one that is not possible now ends the process.
    """

    def __init__(self, name: str, **kwargs: Any):
        Node.__init__(self, name, **kwargs)
        # A transition that waits must keep no other callback waiting
        LifecycleNodeMixin.__init__(self, callback_group=ReentrantCallbackGroup())
        # rclpy awaits a coroutine, though its types do not say so
        self._service_change_state.callback = self._answer_change_state  # type: ignore[assignment]
        self.failed = False
        self.fault = ''  # why the node lost what it had, until it is configured again
        self._changing = False
        self._awaited: List[Tuple[futures.Future[Any], Future]] = []
        self._wake = self.create_guard_condition(self._resume)

    def start_loading(self) -> 'futures.Future[Any]':
        """Begin what takes long in the state 'configuring'; `on_configure` follows its end."""
        raise NotImplementedError

    @property
    def state(self) -> str:
        """The label of the lifecycle state, such as 'configuring' or 'active'."""
        return self._state_machine.current_state[1]

    def destroy_node(self) -> None:
        """Leave ROS, with the services of the lifecycle, which rclpy itself leaves behind."""
        super().destroy_node()
        # They hold the participant, and a node is a cycle that may never be collected
        self._state_machine.destroy_when_not_in_use()

    async def change_state(self, transition: int) -> bool:
        """Go through a transition of lifecycle_msgs/Transition; return whether it succeeded."""
        before = LifecycleState(*self._state_machine.current_state)
        if self._changing or not self._enter(transition):
            self._refuse(transition)
            return False
        self._changing = True
        try:
            result = await self._pass(before)
            self._leave(result)
            if result == TransitionCallbackReturn.ERROR:
                self._leave(await self._pass(before))  # on_error
            return result == TransitionCallbackReturn.SUCCESS
        finally:
            self._changing = False

    async def end_of(self, work: 'futures.Future[Any]') -> None:
        """Wait in a callback for the end of work in another thread, and no other callback."""
        # Set by a guard condition, in the executor's thread: a future alone does not wake it
        end = Future(executor=self.executor)
        self._awaited.append((work, end))
        work.add_done_callback(lambda _: self._call_executor())
        await end

    def start(self) -> None:
        """Configure and activate, once the executor spins; on failure end the process."""
        async def start_once() -> None:
            self.destroy_timer(timer)
            ready = (await self.change_state(Transition.TRANSITION_CONFIGURE)
                     and await self.change_state(Transition.TRANSITION_ACTIVATE))
            self.failed = not ready and self.context.ok()  # else a signal came in the middle
            if self.failed:
                self.context.try_shutdown()

        timer = self.create_timer(0.0, start_once, callback_group=ReentrantCallbackGroup(),
                                  clock=STEADY)

    def _refuse(self, transition: object) -> None:
        self.get_logger().error(f'transition {transition} is not possible while {self.state}')

    def _enter(self, transition: int) -> bool:
        before = self._state_machine.current_state
        try:
            self._state_machine.trigger_transition_by_id(transition, True)
        except RuntimeError:  # rcl's; also where the state has changed and its event got lost
            return self._state_machine.current_state != before
        return True

    def _leave(self, result: TransitionCallbackReturn) -> None:
        before = self._state_machine.current_state
        try:
            self._state_machine.trigger_transition_by_label(result.to_label(), True)
        except RuntimeError:
            if self._state_machine.current_state == before:
                raise

    async def _pass(self, before: LifecycleState) -> TransitionCallbackReturn:
        """Do what the state is for."""
        state = self._state_machine.current_state[0]
        try:
            if state == State.TRANSITION_STATE_CONFIGURING:
                await self.end_of(self.start_loading())
            return self._callbacks[state](before)
        except (ValueError, TypeError, RuntimeError, OSError, NameValidationException) as error:
            if self.context.ok():  # else it ends; nothing was wrong with what was given
                self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        except Exception:  # noqa: BLE001  whatever it is, rclpy would lose it
            self.get_logger().error(traceback.format_exc())
            return TransitionCallbackReturn.ERROR

    def _call_executor(self) -> None:
        try:
            self._wake.trigger()
        except RuntimeError:
            pass  # the node is gone, and nothing waits

    def _resume(self) -> None:
        for work, end in [pair for pair in self._awaited if pair[0].done()]:
            self._awaited.remove((work, end))
            end.set_result(None)

    async def _answer_change_state(self, request: ChangeState.Request,
                                   response: ChangeState.Response) -> ChangeState.Response:
        transition = request.transition.id
        if request.transition.label:
            try:
                transition = self._state_machine.get_transition_by_label(request.transition.label)
            except RuntimeError:
                self._refuse(request.transition.label)
                return response  # whose success is False
        response.success = await self.change_state(transition)
        return response
