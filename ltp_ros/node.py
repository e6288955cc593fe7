# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ClassifierNode`: the wiring between ROS and the pipeline."""
import gc
import os
import sys
import traceback
from typing import Any, Collection, List, Optional

# Read once, when torch loads OpenMP. Threads that spin while they wait are a little faster alone,
# but where another program takes a core they wait out its time slices, again and again: the
# tail grows several times over (docs/tuner.md, "Threads").
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn

from ltp_ros.config import ConfigError
from ltp_ros.ros.configured_node import ConfiguredNode
from ltp_ros.ros.frame_server import FrameServer
from ltp_ros.ros.subscriptions import CameraSubscription


class ClassifierNode(ConfiguredNode):
    """Classify the newest image of each camera and publish the answer.

    A managed node: `configure` loads and warms up the model, `activate` begins to answer. The
    executor's thread only receives; a worker thread classifies, so parameters and services are
    answered at once.

    Raises:
        ConfigError: if a parameter given at the start is not allowed.
    """

    def __init__(self, **kwargs: Any):
        super().__init__('classifier', namespace='ltp', **kwargs)
        self._server: Optional[FrameServer] = None
        self._cameras: List[CameraSubscription] = []
        self._level_changed = self.create_guard_condition(self._show_keep_ratio)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model and warm it up."""
        try:
            # The guard wakes the executor's thread, in which parameters are written
            self._server = FrameServer(self, self._level_changed.trigger, self._fail)
        except (ValueError, TypeError, RuntimeError) as error:  # whatever timm or torch refuse
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen to the cameras and answer."""
        result = super().on_activate(state)  # the publishers first
        if self._server is not None:
            mailbox = self._server.pipeline.mailbox
            self._cameras = [CameraSubscription(self, topic, self.config.input, mailbox.put)
                             for topic in self.config.input.image_topics]
            for camera in self._cameras:
                mailbox.expect(camera.topic)
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening; the model stays loaded."""
        self._close_cameras()
        if self._server is not None:
            self._server.pipeline.mailbox.discard()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release the model and the topics."""
        self.release()
        gc.unfreeze()  # undo `prepare`; the model may contain cycles
        gc.collect()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything."""
        self.release()
        return super().on_shutdown(state)

    def release(self) -> None:
        """Stop listening, let the worker finish its frame, and forget the model."""
        self._close_cameras()
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def _close_cameras(self) -> None:
        for camera in self._cameras:
            camera.destroy()
        self._cameras = []

    @property
    def configured(self) -> bool:
        """Whether the model is loaded."""
        return self._server is not None

    def config_changed(self, asked: Collection[str]) -> None:
        """Use new parameter values from the next frame on."""
        if self._server is None:
            return
        self._server.configure(self.config)
        if 'keep_ratio' in asked:
            self._server.pipeline.set_keep_ratio(self.config.classifier.keep_ratio)

    def _show_keep_ratio(self) -> None:
        if self._server is not None:
            self.show_parameter('keep_ratio', self._server.pipeline.keep_ratio)

    def _fail(self, error: BaseException) -> None:
        # Without its worker the process would look alive and answer nothing
        if not self.context.ok():
            return  # the signal to stop came in the middle of a publish
        self.failed = True
        self.get_logger().fatal(''.join(traceback.format_exception(
            type(error), error, error.__traceback__)))
        self.context.try_shutdown()


def main(args: Optional[List[str]] = None) -> int:
    """Run the node until it is asked to stop; return the exit code."""
    rclpy.init(args=args)
    node = None
    try:
        node = ClassifierNode()
        if node.get_parameter('autostart').value:
            node.start()
        rclpy.spin(node)
    except ConfigError as error:
        rclpy.logging.get_logger('ltp.classifier').fatal(str(error))
        return 1
    except (KeyboardInterrupt, ExternalShutdownException):
        pass  # asked to stop
    except RuntimeError:
        if rclpy.ok():  # else the signal to stop came in the middle of a publish or a wait
            raise
    finally:
        if node is not None:
            node.release()
            node.destroy_node()
        rclpy.try_shutdown()
    return 1 if node is not None and node.failed else 0


if __name__ == '__main__':
    sys.exit(main())
