# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Run the situations of `ltp_benchmark deadline`: the real node, a real camera, DDS between."""
import contextlib
import math
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import cv2
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from ltp_ros.benchmarks.deadline import FrameRow, Phase, Run, policy_name
from ltp_ros.config import snap
from ltp_ros.msg import FrameLatency
from ltp_ros.tools.frame_sources import panned_samples
from ltp_ros.tools.processes import Process, ProcessError

RATE_HZ = 30.0
START_TIMEOUT_S = 300.0   # a slow board loads and warms up a model
ANSWER_TIMEOUT_S = 60.0
# Answers at the beginning of a run that are left out: what the policy before it left in the
# mailbox, and the first two clean windows of the tuner
SETTLE_FRAMES = 50
BUSY = '''import os
parent = os.getppid()
print(flush=True)
while os.getppid() == parent:  # never outlive the benchmark
    for _ in range(1_000_000):
        pass
'''
IN_FLIGHT = 2             # images of one camera that wait or are in work, neither out nor dropped


class BenchmarkError(RuntimeError):
    """A run that is no measurement; the message says why."""


class Session:
    """The node and a camera in processes of their own, which this one steers and listens to.

    A context manager. What the tuner learns in one session cannot leak into the next: the process
    ends. Within a session it must run first: a fixed policy sets `deadline_ms` to 0, where the
    tuner only watches, and a second tuned run would profit from what it saw.

    Args:
        parameters: of the node, by name.
        ladder: every keep ratio of it.
        seconds: that each phase lasts.
        advance: called with seconds of the phases that went by.
    """

    def __init__(self, parameters: Dict[str, str], ladder: Sequence[float], seconds: float,
                 advance: Callable[[float], None]):
        self._arguments = [text for name, value in parameters.items() if value
                           for text in ('-p', f'{name}:={value}')]
        self._ladder = tuple(ladder)
        self._seconds = seconds
        self._advance = advance
        self._heard: List[FrameLatency] = []
        self.counts: List[Dict[str, int]] = []  # of the node's diagnostics, once a second
        self._clients: Dict[str, Any] = {}

    def __enter__(self) -> 'Session':
        with contextlib.ExitStack() as stack:
            self._node = rclpy.create_node('benchmark', namespace='ltp')
            stack.callback(self._node.destroy_node)
            self._executor = SingleThreadedExecutor()
            self._executor.add_node(self._node)
            stack.callback(self._executor.shutdown)
            self._node.create_subscription(FrameLatency, 'latency', self._heard.append, 1000)
            self._node.create_subscription(DiagnosticArray, '/diagnostics', self._count, 10)
            pictures = stack.enter_context(TemporaryDirectory())
            write_pictures(Path(pictures))
            self._processes = [stack.enter_context(process) for process in (
                Process('ltp_ros.node', ['--ros-args', *self._arguments]),
                Process('ltp_ros.tools.image_source', [
                    pictures, '--rate', str(RATE_HZ), '--loop', '--wait']))]
            self._until(lambda: self._heard, START_TIMEOUT_S, 'first answer')
            self._exit = stack.pop_all()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._exit.close()

    def run(self, situation: str, phases: Sequence[Phase], keep_ratio: Optional[float],
            deadline_ms: float) -> Run:
        """Let one policy go through a situation.

        Args:
            situation: its name.
            phases: what happens in it.
            keep_ratio: fixed at this; None lets the tuner move it.
            deadline_ms: the deadline before any phase's factor.

        Raises:
            BenchmarkError: if the node did not do as the policy says, or a phase has no answer.
            ProcessError: if a process ended, or did not answer in time.
        """
        tuned = keep_ratio is None
        self._set('/ltp/classifier', 'deadline_ms', deadline_ms if tuned else 0.0)
        if not tuned:
            self._set('/ltp/classifier', 'keep_ratio', keep_ratio)
        enough = len(self._heard) + SETTLE_FRAMES
        self._until(lambda: len(self._heard) >= enough, ANSWER_TIMEOUT_S, 'answers')
        first, spans = len(self._heard), []
        for phase in phases:
            with self._conditions(phase, deadline_ms if tuned else 0.0):
                spans.append((phase, *self._let_time_pass()))
        end_ns = spans[-1][2]
        self._until(lambda: stamp_ns(self._heard[-1]) >= end_ns, ANSWER_TIMEOUT_S, 'last answer')
        run = Run(situation, keep_ratio, self._rows(self._heard[first:], spans, deadline_ms))
        check_run(run, phases)
        return run

    @contextlib.contextmanager
    def _conditions(self, phase: Phase, deadline_ms: float) -> Iterator[None]:
        changes = [change for change in (
            ('/image_source', 'rate', RATE_HZ, phase.rate_factor),
            ('/ltp/classifier', 'deadline_ms', deadline_ms, phase.deadline_factor))
            if change[2] and change[3] != 1.0]
        for node, name, value, factor in changes:
            self._set(node, name, value * factor)
        with busy_core() if phase.loaded else contextlib.nullcontext():
            yield
        for node, name, value, _ in changes:
            self._set(node, name, value)

    def _rows(self, heard: Sequence[FrameLatency], spans: Sequence[Tuple[Phase, int, int]],
              deadline_ms: float) -> List[FrameRow]:
        """Return the answers to images captured within a phase, under that phase's deadline."""
        run_start_ns = spans[0][1]
        return [FrameRow(phase.name, (stamp_ns(message) - run_start_ns) / 1e9,
                         message.frame_index, snap(message.keep_ratio, self._ladder),
                         message.capture_to_publish_ms, message.inference_ms,
                         message.dropped_since_last, deadline_ms * phase.deadline_factor)
                for phase, start_ns, end_ns in spans
                for message in heard if start_ns <= stamp_ns(message) < end_ns]

    def _let_time_pass(self) -> Tuple[int, int]:
        """Listen for one phase; return its start and end on the clock of the stamps."""
        start_ns, start = time.time_ns(), time.monotonic()
        now = start
        while now < start + self._seconds:
            self._listen(min(0.25, start + self._seconds - now))
            before, now = now, time.monotonic()
            self._advance(now - before)
        return start_ns, time.time_ns()

    def _listen(self, timeout_s: float) -> None:
        self._executor.spin_once(timeout_sec=timeout_s)
        for process in self._processes:
            process.check()

    def _until(self, condition: Callable[[], Any], timeout_s: float, what: str) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                raise ProcessError(f'waited {timeout_s:g} s for the {what} of the node, in vain')
            self._listen(0.1)

    def _set(self, node: str, name: str, value: float) -> None:
        """Do as `ros2 param set` does."""
        if node not in self._clients:
            self._clients[node] = self._node.create_client(SetParameters,
                                                           f'{node}/set_parameters')
        client = self._clients[node]
        self._until(client.service_is_ready, ANSWER_TIMEOUT_S, f'parameters of {node}')
        future = client.call_async(SetParameters.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg()]))
        self._until(future.done, ANSWER_TIMEOUT_S, f'{name} of {node}')
        result = future.result().results[0]
        if not result.successful:
            raise BenchmarkError(f'{node} refused {name} {value}: {result.reason}')

    def _count(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.endswith('ltp/classifier: input'):
                values = {item.key: item.value for item in status.values}
                self.counts.append({
                    'received': int(values['received']), 'published': int(values['published']),
                    'dropped': sum(int(value) for key, value in values.items()
                                   if key.startswith('dropped'))})

    @property
    def conserved(self) -> bool:
        """Whether received = published + dropped, but for those in flight, in every report."""
        return bool(self.counts) and all(
            abs(count['received'] - count['published'] - count['dropped']) <= IN_FLIGHT
            for count in self.counts)


def check_run(run: Run, phases: Sequence[Phase]) -> None:
    """Raise BenchmarkError if a run is no measurement of its policy."""
    where = f'situation {run.situation!r}, policy {policy_name(run.keep_ratio)!r}'
    for phase in phases:
        if not any(frame.phase == phase.name for frame in run.frames):
            raise BenchmarkError(f'{where}: no answer in the phase {phase.name!r}; give more '
                                 '--seconds')
    if any(math.isnan(frame.age_ms) for frame in run.frames):
        raise BenchmarkError(f'{where}: capture_to_publish_ms of an answer is NaN, so nobody can '
                             'say whether it was late; was the clock set?')
    wrong = {frame.keep_ratio for frame in run.frames} - {run.keep_ratio}
    if run.keep_ratio is not None and wrong:
        raise BenchmarkError(f'{where}: the node ran at {sorted(wrong)} as well')


def stamp_ns(message: FrameLatency) -> int:
    """Return when the image was captured."""
    return message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec


def write_pictures(folder: Path) -> None:
    """Write 30 pictures of 640x480 that cost the camera's process the same to read each.

    The panned samples themselves are decoded and resized anew every 30 frames: in that process a
    busy moment each second, on a core that the node needs.
    """
    for index, (_, image) in enumerate(panned_samples(('chelsea',))):
        cv2.imwrite(str(folder / f'{index:02d}.bmp'), image)


@contextlib.contextmanager
def busy_core() -> Iterator[subprocess.Popen]:
    """Let a process that does nothing but compute compete for a core, meanwhile."""
    process = subprocess.Popen([sys.executable, '-S', '-c', BUSY], stdout=subprocess.PIPE)
    try:
        process.stdout.readline()  # it is at it
        yield process
    finally:
        process.kill()
        process.communicate()
