# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What `ltp_benchmark soak` does to the node: loads that last, and events that come again."""
import contextlib
import random
import signal
import time
from typing import Callable, ContextManager, Dict, Iterator, Mapping, Sequence, Tuple

from lifecycle_msgs.msg import Transition
from sensor_msgs.msg import Image

from ltp_ros.config import Value
from ltp_ros.research.benchmarks import BenchmarkError
from ltp_ros.research.benchmarks.soak import NOTHING, STEADY
from ltp_ros.tools.benchmarks.session import CAMERA, CLASSIFIER
from ltp_ros.tools.benchmarks.soak_session import SoakSession
from ltp_ros.tools.support.processes import Process

LEVELS = (1.0, 0.7, 0.45)
# Live parameters: the value of the steady stages, and others. Not `roi`: of the whole image alone
# the right answers are known. keep_ratio comes last, since a deadline moves it.
LIVE: Mapping[str, Tuple[Value, ...]] = {
    'deadline_ms': (0.0, 20.0, 100.0), 'deadline_from': ('capture', 'receive'),
    'max_rate': (0.0, 5.0), 'max_age_ms': (0.0, 30.0), 'top_k': (5, 1), 'lazy': (False, True),
    'publish_debug_image': (True, False), 'debug_image_rate': (5.0, 60.0),
    'keep_ratio': (LEVELS[1], *LEVELS)}
REFUSED: Mapping[str, Value] = {'keep_ratio': 2.0, 'top_k': 0, 'deadline_from': 'yesterday'}
CHANGE_EVERY_S = 0.3
CAMERA_STOPS_S, NODE_STOPS_S = 3.0, 1.5
PAUSE_S = 1.0


class Faults:
    """Loads and events by name, for `plan`.

    Args:
        session: running.
        odd: images of other sizes and encodings.
        damaged: images that are none.
        seed: of the order of the parameters.
    """

    def __init__(self, session: SoakSession, odd: Sequence[Image], damaged: Sequence[Image],
                 seed: int):
        self._session, self._random = session, random.Random(seed)
        self.loads: Dict[str, Callable[[], ContextManager[None]]] = {
            STEADY: contextlib.nullcontext, 'ten times the rate': self._ten_times,
            'two cameras': session.second_camera,
            'changing sizes and encodings': lambda: session.publishing(odd),
            'damaged images': lambda: session.publishing(damaged)}
        self.events: Dict[str, Callable[[float], None]] = {
            'parameters': self._change_parameters, 'camera restarts': self._restart_camera,
            'deactivate, activate': self._deactivate,
            'camera stops': lambda seconds: self._stop(session.camera, CAMERA_STOPS_S, seconds),
            'node stops': lambda seconds: self._stop(session.classifier, NODE_STOPS_S, seconds),
            'model fails': self._fail}

    def go_through(self, load: str, event: str, seconds: float) -> None:
        """Let an event come again and again under a load: once at least, so it may take longer."""
        if event == NOTHING:
            self._session.let_time_pass(seconds)
            return
        with self.loads[load]():
            self.events[event](seconds)

    @contextlib.contextmanager
    def _ten_times(self) -> Iterator[None]:
        self._session.set(CAMERA, 'rate', 10 * self._session.rate_hz)
        yield
        self._session.set(CAMERA, 'rate', self._session.rate_hz)

    def _change_parameters(self, seconds: float) -> None:
        session, choose = self._session, self._random.choice
        with session.debug_image():
            for _ in rounds(seconds):
                name = choose(list(LIVE))
                session.set(CLASSIFIER, name, choose(LIVE[name]))
                self._be_refused(choose(list(REFUSED)))
                session.let_time_pass(CHANGE_EVERY_S)
        for name, values in LIVE.items():
            session.set(CLASSIFIER, name, values[0])

    def _be_refused(self, name: str) -> None:
        try:
            self._session.set(CLASSIFIER, name, REFUSED[name])
        except BenchmarkError:
            return
        raise BenchmarkError(f'{CLASSIFIER} took {name} {REFUSED[name]}')

    def _restart_camera(self, seconds: float) -> None:
        session = self._session
        for _ in rounds(seconds):
            session.end(session.camera)
            session.let_time_pass(PAUSE_S)
            session.camera = session.start_camera()
            session.wait_until_answered()

    def _deactivate(self, seconds: float) -> None:
        for _ in rounds(seconds):
            self._session.change_state(Transition.TRANSITION_DEACTIVATE)
            self._session.let_time_pass(PAUSE_S)
            self._session.change_state(Transition.TRANSITION_ACTIVATE)
            self._session.wait_until_answered()

    def _stop(self, process: Process, stopped_s: float, seconds: float) -> None:
        for _ in rounds(seconds):
            process.send_signal(signal.SIGSTOP)
            try:
                self._session.let_time_pass(stopped_s)
            finally:
                process.send_signal(signal.SIGCONT)  # or it could not be ended
            self._session.wait_until_answered()

    def _fail(self, seconds: float) -> None:
        session = self._session
        for _ in rounds(seconds):
            session.fail_the_model()


def rounds(seconds: float) -> Iterator[None]:
    """Yield until this time has passed, and once at least."""
    ends_s = time.monotonic() + seconds
    yield
    while time.monotonic() < ends_s:
        yield
