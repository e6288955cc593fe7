# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ClassifierClient`: what a script wants of the node, without a line of rclpy."""
import math
import threading
import time
from collections import deque
from typing import Any, Callable, Deque, Dict, Iterator, Optional, Sequence, Union

import numpy as np
import rclpy
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import GetParameters, SetParametersAtomically
from rclpy.action import ActionClient
from rclpy.client import Client
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from ltp_ros.action import Teach
from ltp_ros.msg import Classification, Labels
from ltp_ros.ros.images import from_pixels
from ltp_ros.srv import Classify, Forget, LoadClasses, SaveClasses

POLL_S = 0.1
ANSWER_S = 10.0   # a node that is there answers at once
AGAIN_S = 2.0     # an answer may be lost while client and server are still finding each other
CLASSIFY_S = 60.0
WAITING = 100     # answers that `answers` keeps for a slow reader

ParameterInput = Union[bool, int, float, str, Sequence[float], Sequence[str]]


class ClassifierError(RuntimeError):
    """The node refused; the message is its own."""


class ClassifierClient:
    """Talk to a running classifier: a context manager with a node and a thread of its own.

        with ClassifierClient() as classifier:
            classifier.wait_until_active()
            classifier.set_parameters(deadline_ms=30.0)
            for answer in classifier.answers():
                print(answer.labels)

    Waits end after `timeout_s` seconds with a TimeoutError that says what was found instead.

    Args:
        node: the full name of the classifier.
        topic: of its answers; None: 'classification' in its namespace, where it is by default.
    """

    def __init__(self, node: str = '/ltp/classifier', topic: Optional[str] = None):
        self._name = node
        namespace = node.rpartition('/')[0]
        self._changed = threading.Condition()
        self._answers: Deque[Classification] = deque(maxlen=WAITING)
        self._num_answers = 0
        self._labels: Optional[Labels] = None
        # Neither in the way of rclpy.init and rclpy.spin of the script, if it calls them
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._node = rclpy.create_node('classifier_client', context=self._context,
                                       start_parameter_services=False)
        self._node.create_subscription(
            Classification, topic or f'{namespace}/classification', self._on_answer, WAITING)
        self._node.create_subscription(
            Labels, f'{namespace}/labels', self._on_labels,
            QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL))
        self._clients: Dict[str, Client] = {
            service: self._node.create_client(kind, f'{node}/{service}') for service, kind in (
                ('get_state', GetState), ('get_parameters', GetParameters),
                ('set_parameters_atomically', SetParametersAtomically), ('classify', Classify),
                ('forget', Forget), ('save_classes', SaveClasses),
                ('load_classes', LoadClasses))}
        self._teach = ActionClient(self._node, Teach, f'{node}/teach')
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, name='classifier_client', daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave ROS."""
        self._context.try_shutdown()
        self._thread.join()
        self._executor.shutdown()
        self._teach.destroy()
        self._node.destroy_node()

    def __enter__(self) -> 'ClassifierClient':
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def newest(self) -> Optional[Classification]:
        """The newest answer; None if there was none yet."""
        with self._changed:
            return self._answers[-1] if self._answers else None

    def answers(self, timeout_s: Optional[float] = None) -> Iterator[Classification]:
        """Yield every answer from now on; a slow reader loses the oldest of a hundred.

        Args:
            timeout_s: the longest wait for the next one; None: for ever.
        """
        with self._changed:
            num_seen = self._num_answers
        while True:
            self._until(lambda seen=num_seen: self._num_answers > seen,  # type: ignore[misc]
                        timeout_s, 'an answer')
            with self._changed:
                num_new = min(self._num_answers - num_seen, len(self._answers))
                new = list(self._answers)[len(self._answers) - num_new:]
                num_seen = self._num_answers
            yield from new

    def next_answer(self, timeout_s: Optional[float] = ANSWER_S) -> Classification:
        """Wait for the next answer."""
        return next(self.answers(timeout_s))

    def labels(self, timeout_s: Optional[float] = ANSWER_S) -> Labels:
        """Return the labels, and the model they are of; wait until it is loaded."""
        self._until(lambda: self._labels is not None, timeout_s, 'the labels')
        assert self._labels is not None  # it was waited for
        return self._labels

    @property
    def state(self) -> str:
        """The lifecycle state, such as 'configuring' or 'active'; '' if no such node answers."""
        if not self._clients['get_state'].service_is_ready():
            return ''
        try:
            return self._call('get_state', GetState.Request(), AGAIN_S).current_state.label
        except TimeoutError:
            return ''

    def wait_until_active(self, timeout_s: Optional[float] = None) -> None:
        """Wait until the node answers images; loading a model may take minutes."""
        self._until(lambda: self.state == 'active', timeout_s, 'the state active')

    def set_parameters(self, **values: ParameterInput) -> None:
        """Set parameters by name, all or none.

        Raises:
            ClassifierError: if the node refuses, in its own words.
        """
        response = self._call('set_parameters_atomically', SetParametersAtomically.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg()
                        for name, value in values.items()]), ANSWER_S)
        if not response.result.successful:
            raise ClassifierError(response.result.reason)

    def get_parameter(self, name: str) -> Any:
        """Return the value of a parameter, such as the `keep_ratio` in use; None if unknown."""
        response = self._call('get_parameters', GetParameters.Request(names=[name]), ANSWER_S)
        return parameter_value_to_python(response.values[0]) if response.values else None

    def classify(self, image: Union[Image, np.ndarray], keep_ratio: float = 0.0,
                 timeout_s: Optional[float] = CLASSIFY_S) -> Classification:
        """Have one image classified, between those of the cameras.

        Args:
            image: a message, or (H, W, 3) uint8 RGB pixels.
            keep_ratio: share of the tokens kept; 0: as many as can be.
            timeout_s: the longest wait.

        Raises:
            ClassifierError: if the node cannot, with its reason.
        """
        if isinstance(image, np.ndarray):
            image = from_pixels(Header(), image)
        return self._asked('classify', Classify.Request(image=image, keep_ratio=keep_ratio),
                           timeout_s).classification

    def teach(self, label: str = '', *, seconds: float = 0.0, frames: int = 0,
              negative: bool = False, camera: str = '',
              progress: Callable[[Any], None] = lambda feedback: None,
              timeout_s: Optional[float] = None) -> Any:
        """Teach a class from the next images of a camera; return the result of the action.

        Args:
            label: of the class; '' with `negative`.
            seconds: how long; 0: until there are `frames`.
            frames: how many images at most; 0: as many as come in `seconds`.
            negative: whether they show none of the classes.
            camera: its topic; '' where there is one.
            progress: called with the feedback after each image, in another thread.
            timeout_s: the longest wait.

        Raises:
            ClassifierError: if the node cannot, with its reason; what was taught before stays.
        """
        self._until(self._teach.server_is_ready, ANSWER_S, 'the action teach')
        goal = self._teach.send_goal_async(
            Teach.Goal(label=label, seconds=seconds, frames=frames, negative=negative,
                       camera=camera), lambda message: progress(message.feedback))
        try:
            self._until(goal.done, ANSWER_S, 'the action teach to be answered')
            result = goal.result().get_result_async()
            self._until(lambda: result.done() or not self._teach.server_is_ready(), timeout_s,
                        'the images to be taught')
        except BaseException:  # nobody waits for it any more
            goal.add_done_callback(lambda _: goal.result().cancel_goal_async())
            raise
        if not result.done():
            raise ClassifierError(f'the node is gone: {self._finding()}')
        found = result.result().result
        if not found.success:
            raise ClassifierError(found.message)
        return found

    def forget(self, label: str, last: bool = False) -> int:
        """Forget a class, or only its last image; return how many images of it are left."""
        return self._asked('forget', Forget.Request(label=label, last=last)).examples

    def save_classes(self, path: str = '') -> str:
        """Have the node keep the taught classes in a file on its machine; return its path."""
        return self._asked('save_classes', SaveClasses.Request(path=path)).path

    def load_classes(self, path: str = '') -> Sequence[str]:
        """Have the node read taught classes from a file on its machine; return their labels."""
        return self._asked('load_classes', LoadClasses.Request(path=path)).labels

    def _asked(self, service: str, request: Any,
               timeout_s: Optional[float] = CLASSIFY_S) -> Any:
        response = self._call(service, request, timeout_s, again_s=math.inf)
        if not response.success:
            raise ClassifierError(response.message)
        return response

    def _call(self, service: str, request: Any, timeout_s: Optional[float],
              again_s: float = AGAIN_S) -> Any:
        client = self._clients[service]
        self._until(client.service_is_ready, timeout_s, f'the service {service}')
        ends = math.inf if timeout_s is None else time.monotonic() + timeout_s
        while True:
            future = client.call_async(request)
            future.add_done_callback(lambda _: self._notify())
            left_s = max(ends - time.monotonic(), 0.0)
            try:
                self._until(future.done, min(left_s, again_s), f'{service} to be answered')
                return future.result()
            except TimeoutError:
                if again_s >= left_s:
                    raise
            finally:
                client.remove_pending_request(future)

    def _until(self, condition: Callable[[], object], timeout_s: Optional[float],
               awaited: str) -> None:
        """Wait; not everything that is waited for notifies, so look now and then."""
        ends = math.inf if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            while not condition():
                if time.monotonic() > ends:
                    raise TimeoutError(f'waited {timeout_s:g} s for {awaited}: {self._finding()}')
                if not self._thread.is_alive():
                    raise ClassifierError('this client is closed')
                self._changed.wait(POLL_S)

    def _finding(self) -> str:
        names = [f'{namespace.rstrip("/")}/{name}'
                 for name, namespace in self._node.get_node_names_and_namespaces()]
        if self._name in names:
            return (f'{self._name} is there; see its log, /diagnostics, or what ltp_doctor says '
                    'of it')
        near = [name for name in names if name.endswith('/classifier')]
        return (f'there is no node {self._name}' + (f', but {", ".join(near)}' if near else '')
                + '; start it, and check ROS_DOMAIN_ID')

    def _on_answer(self, answer: Classification) -> None:
        with self._changed:
            self._answers.append(answer)
            self._num_answers += 1
            self._changed.notify_all()

    def _on_labels(self, labels: Labels) -> None:
        with self._changed:
            self._labels = labels
            self._changed.notify_all()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            pass  # `close`
