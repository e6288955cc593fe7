# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ClassifierNode`: the wiring between ROS and the pipeline."""
import sys

from ltp_ros import programs

if __name__ == '__main__':  # before what takes seconds to import
    sys.exit(programs.ltp_classifier())

import gc
import os
import signal
import tempfile
import time
import traceback
from concurrent import futures
from typing import Any, Collection, List, Optional, Tuple

# Read once, when torch loads OpenMP. Threads that spin while they wait are a little faster alone,
# but where another program takes a core they wait out its time slices, again and again: the
# tail grows several times over (docs/deployment.md, "Threads").
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
# numpy's threads wait for each other in turns of the scheduler: beside the model's own, a head for
# taught classes took 560 ms instead of 7
os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')

import rclpy
from lifecycle_msgs.msg import Transition
from rclpy.exceptions import NotInitializedException
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn

from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig
from ltp_ros.frames.recovery import ModelLostError
from ltp_ros.frames.startup import prepare
from ltp_ros.frames.status import Status
from ltp_ros.frames.steps import Steps
from ltp_ros.frames.worker import PATIENCE_S, Worker, at_work
from ltp_ros.parameter import ConfigError
from ltp_ros.ros import arguments, bond
from ltp_ros.ros.cameras import Cameras
from ltp_ros.ros.classify_service import ClassifyService
from ltp_ros.ros.configured_node import ConfiguredNode
from ltp_ros.ros.diagnostics import Diagnostics
from ltp_ros.ros.frame_server import FrameServer
from ltp_ros.ros.managed_node import undone
from ltp_ros.ros.node_clock import NodeClock
from ltp_ros.ros.spinning import spin
from ltp_ros.ros.teaching import TeachingServices
from ltp_ros.tuner.levels import LevelCost

LAST_FRAME_S = 1.0  # a process that is told to end is killed by launch after five


class ClassifierNode(ConfiguredNode):
    """Classify the newest image of each camera and publish the answer.

    A managed node: `configure` loads and warms up the model, `activate` begins to answer. The
    executor's thread only receives; a worker thread classifies, so parameters and services are
    answered at once.

    Raises:
        ConfigError: if a parameter given at the start is not allowed.
    """

    _teaching: Optional[TeachingServices] = None  # until it is made, which may fail

    def __init__(self, **kwargs: Any):
        super().__init__('classifier', namespace='ltp', **kwargs)
        self._server: Optional[FrameServer] = None
        self._cameras: Optional[Cameras] = None
        self._worker: Optional[Worker] = None
        self._loading: Optional[futures.Future[Tuple[Classifier, List[LevelCost]]]] = None
        self._bond: Optional[bond.Bond] = None
        self._steps = Steps(self.get_logger().info, time.monotonic_ns)
        with undone(self):
            self._time = NodeClock(self)
            Diagnostics(self, self._time, self._health, lambda: self._idle,
                        lambda: self._steps.stalled)
            ClassifyService(self, lambda: self._server)
            self._teaching = TeachingServices(self, lambda: self._server)
            self._level_changed = self.create_guard_condition(self._show_keep_ratio)
            self._broke_down = self.create_guard_condition(self._give_up)

    def start_loading(self) -> 'futures.Future[Any]':
        """Load the model and warm it up, in the thread that will run it."""
        self._worker, config = Worker(), self.config.classifier
        self._loading = self._worker.submit(lambda: self._load(config))
        return self._loading

    def _load(self, config: ClassifierConfig) -> Tuple[Classifier, List[LevelCost]]:
        # One that is left behind must not end the report of the next
        self._steps = steps = Steps(self.get_logger().info, time.monotonic_ns)
        try:
            return prepare(config, steps, self.get_logger().warning, self.context.ok)
        finally:
            steps.end()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take the model once it is loaded, and open the topics."""
        assert self._loading and self._worker  # `start_loading` comes first
        loading, self._loading = self._loading, None
        try:
            # The guard wakes the executor's thread, in which parameters are written
            classifier, costs = loading.result()
            self.fault = ''
            self._server = FrameServer(self, self._worker, classifier, costs, self._load,
                                       self._level_changed.trigger, self._fail)
        except Exception:
            self._unload()
            raise
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen to the cameras and answer."""
        result = super().on_activate(state)  # the publishers first
        server = self._server
        assert server is not None  # the state was inactive
        server.begin()
        try:
            self._cameras = Cameras(self, self._time, server)
        except Exception:
            self.on_deactivate(state)
            raise
        if not self.config.output.autostart:  # somebody manages this node
            self._bond = bond.form(self)
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening; the model stays loaded, unless it is lost: then `on_error` follows."""
        self._stop_listening()
        if self.fault:
            return TransitionCallbackReturn.ERROR
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release the model and the topics."""
        self._unload()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything."""
        self.release()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start over after a fault in a transition."""
        self._unload()
        return TransitionCallbackReturn.SUCCESS

    def release(self, patience_s: float = PATIENCE_S) -> None:
        """Stop listening, let the worker finish its frame, and forget the model.

        Args:
            patience_s: how long a frame may take; what hangs is left behind.
        """
        self._stop_listening()
        server, self._server = self._server, None
        worker, self._worker = self._worker, None
        if server is not None:
            server.close(patience_s)
        elif worker is not None:
            worker.stop(0.0 if self.loading else patience_s)
        gc.unfreeze()  # undo `prepare`: models and nodes contain cycles

    def destroy_node(self) -> None:
        """Leave ROS."""
        if self._teaching is not None:
            self._teaching.destroy()
        super().destroy_node()

    def _unload(self) -> None:
        self.release()
        gc.collect()

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.teacher.close('the node was deactivated')
        if self._bond is not None:
            self._bond.shutdown()
            self._bond = None
        if self._cameras is not None:
            self._cameras.close()
            self._cameras = None

    @property
    def loading(self) -> bool:
        """Whether the worker is still busy with the model."""
        return self._loading is not None and not self._loading.done()

    @property
    def configured(self) -> bool:
        """Whether the model is loaded, or about to be."""
        return self._server is not None or self.loading

    def config_changed(self, asked: Collection[str]) -> None:
        """Use new parameter values from the next frame on."""
        if self._server is None:
            return
        self._server.configure(self.config)
        if self._cameras is not None:
            self._cameras.update()
        if 'keep_ratio' in asked:
            self._server.pipeline.set_keep_ratio(self.config.classifier.keep_ratio)

    def _health(self) -> List[Status]:
        if self._server is None:
            return []
        return self._server.health(self._idle, self._time.paused)

    @property
    def _idle(self) -> bool:
        return self._cameras is not None and self._cameras.idle

    def _show_keep_ratio(self) -> None:
        if self._server is not None:
            self.show_parameter('keep_ratio', self._server.pipeline.keep_ratio)

    def _fail(self, error: BaseException) -> None:
        if not self.context.ok():
            return  # the signal to stop came in the middle of a publish
        self.fault = str(error) or type(error).__name__
        self.get_logger().fatal(self.fault if isinstance(error, ModelLostError) else ''.join(
            traceback.format_exception(type(error), error, error.__traceback__)))
        if self.config.output.on_failure == 'exit':
            self.failed = True
            self.context.try_shutdown()
        else:
            self._broke_down.trigger()

    async def _give_up(self) -> None:
        # Without its worker the node would look alive and answer nothing
        await self.change_state(Transition.TRANSITION_DEACTIVATE if self.state == 'active'
                                else Transition.TRANSITION_CLEANUP)


def main(args: Optional[List[str]] = None) -> int:
    """Run the node until it is asked to stop; return the exit code.

    Args:
        args: the command line, the program first; None: that of this process.
    """
    args = sys.argv if args is None else args
    if {'-h', '--help'} & set(args):
        arguments.HELP.print_help()
        return 0
    try:
        with programs.postponed(signal.SIGTERM), tempfile.TemporaryDirectory(
                prefix='ltp_') as folder:
            rclpy.init(args=arguments.check_arguments(args, folder))
    except ConfigError as error:
        arguments.HELP.error(str(error))
    except RuntimeError as error:  # rcl's, as where there is no folder for its log
        arguments.HELP.exit(1, f'ltp_classifier: ROS cannot start: {error}. Where this user has '
                               'no home folder, set ROS_LOG_DIR\n')
    node = None
    try:
        node = ClassifierNode()
        for warning in arguments.strangers(args, node.get_fully_qualified_name()):
            node.get_logger().warning(warning)
        if node.config.output.autostart:
            node.start()
        spin(node)
    except ConfigError as error:
        rclpy.logging.get_logger('ltp.classifier').fatal(str(error))
        return 1
    except (KeyboardInterrupt, ExternalShutdownException):
        pass  # asked to stop
    except (RuntimeError, NotInitializedException) as error:
        if rclpy.ok():  # else the signal to stop came in the middle of a publish or a wait
            if node is not None:
                raise
            # rcl's, as where SROS 2 is wanted of a middleware without it
            reason = ' '.join(str(error).partition(', at ')[0].split())
            arguments.HELP.exit(1, f'ltp_classifier: ROS cannot make this node: {reason}\n')
    finally:
        if node is not None:
            node.release(LAST_FRAME_S)
            node.destroy_node()
        rclpy.try_shutdown()
    code = 1 if node is not None and node.failed else 0
    if at_work():  # a download, a compiler, a driver that hangs: none can be interrupted
        sys.stdout.flush()
        os._exit(code)
    return code
