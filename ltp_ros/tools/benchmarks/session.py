# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The real node and a camera as processes, for benchmarks: started, steered and listened to."""
import argparse
import contextlib
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Tuple

import cv2
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.srv import SetParameters
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.parameter import Parameter
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ltp_ros.classifier import resolve_device
from ltp_ros.model.vit import model_name
from ltp_ros.msg import FrameLatency
from ltp_ros.research.benchmarks import BenchmarkError
from ltp_ros.research.benchmarks.runners import resident_mib
from ltp_ros.tools.support.flags import CLASSIFIER_FLAGS, absolute_paths
from ltp_ros.tools.support.frame_sources import panned_samples
from ltp_ros.tools.support.output_files import check_writable, write_json
from ltp_ros.tools.support.processes import Process, ProcessError, isolate
from ltp_ros.tools.support.provenance import provenance

CLASSIFIER, CAMERA = '/ltp/classifier', '/image_source'
RATE_HZ = 30.0
START_TIMEOUT_S = 300.0   # a slow board loads and warms up a model
ANSWER_TIMEOUT_S = 60.0
IN_FLIGHT = 2             # images of one camera that wait or are in work, neither out nor dropped


@contextlib.contextmanager
def ros() -> Iterator[None]:
    """Run rclpy, kept on this machine, meanwhile; a signal to stop is a KeyboardInterrupt."""
    isolate()
    rclpy.init()
    try:
        yield
    except ExternalShutdownException as error:
        raise KeyboardInterrupt from error
    finally:
        rclpy.try_shutdown()


class Report(NamedTuple):
    """One of the node's diagnostic statuses."""

    level: int
    values: Dict[str, str]


class Session:
    """The node and a camera of 640x480 at 30 Hz; a context manager that ends both.

    Args:
        parameters: of the node, by name; those that are '' are left at their default.
        advance: called with seconds that went by in `let_time_pass`.
    """

    def __init__(self, parameters: Mapping[str, Any], advance: Callable[[float], None]):
        self._arguments = [text for name, value in parameters.items() if value != ''
                           for text in ('-p', f'{name}:={value}')]
        self._advance = advance
        self._clients: Dict[str, Any] = {}
        self.heard: List[FrameLatency] = []
        self.reports: List[Dict[str, Report]] = []  # once a second, by the part of the node

    def __enter__(self) -> 'Session':
        with contextlib.ExitStack() as stack:
            self._node = rclpy.create_node('benchmark', namespace='ltp')
            stack.callback(self._node.destroy_node)
            self._executor = SingleThreadedExecutor()
            self._executor.add_node(self._node)
            stack.callback(self._executor.shutdown)
            self._node.create_subscription(FrameLatency, 'latency', self.heard.append, 1000)
            self._node.create_subscription(DiagnosticArray, '/diagnostics', self._note, 10)
            pictures = stack.enter_context(TemporaryDirectory())
            write_pictures(Path(pictures))
            self.classifier, self._camera = (stack.enter_context(process) for process in (
                Process('ltp_ros.node', ['--ros-args', *self._arguments]),
                Process('ltp_ros.tools.image_source', [
                    pictures, '--rate', str(RATE_HZ), '--loop', '--wait'])))
            self.until(lambda: self.heard, START_TIMEOUT_S, 'first answer')
            self._exit = stack.pop_all()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._exit.close()

    def set(self, node: str, name: str, value: float) -> None:
        """Do as `ros2 param set` does; BenchmarkError if the node refuses."""
        if node not in self._clients:
            self._clients[node] = self._node.create_client(SetParameters,
                                                           f'{node}/set_parameters')
        client = self._clients[node]
        self.until(client.service_is_ready, ANSWER_TIMEOUT_S, f'parameters of {node}')
        future = client.call_async(SetParameters.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg()]))
        self.until(future.done, ANSWER_TIMEOUT_S, f'{name} of {node}')
        result = future.result().results[0]
        if not result.successful:
            raise BenchmarkError(f'{node} refused {name} {value}: {result.reason}')

    def wait_for_answers(self, count: int) -> None:
        """Listen until so many more answers came."""
        enough = len(self.heard) + count
        self.until(lambda: len(self.heard) >= enough, ANSWER_TIMEOUT_S, 'answers')

    def let_time_pass(self, seconds: float) -> Tuple[int, int]:
        """Listen for so long; return start and end on the clock of the stamps."""
        start_ns, start = time.time_ns(), time.monotonic()
        now = start
        while now < start + seconds:
            self._listen(min(0.25, start + seconds - now))
            before, now = now, time.monotonic()
            self._advance(now - before)
        return start_ns, time.time_ns()

    def until(self, condition: Callable[[], Any], timeout_s: float, what: str) -> None:
        """Listen until the condition holds; ProcessError if it does not in time."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                raise ProcessError(f'waited {timeout_s:g} s for the {what} of the node, in vain')
            self._listen(0.1)

    def wait_for_answer_after(self, time_ns: int) -> None:
        """Listen until an image captured at or after this time is answered."""
        self.until(lambda: stamp_ns(self.heard[-1]) >= time_ns, ANSWER_TIMEOUT_S, 'last answer')

    @property
    def running(self) -> Dict[str, str]:
        """How the node runs its model: `backend` and `precision`, as it chose them."""
        self.until(lambda: self.reports, ANSWER_TIMEOUT_S, 'diagnostics')
        values = self.reports[-1]['device'].values
        return {name: values[name] for name in ('backend', 'precision')}

    @property
    def memory_mib(self) -> float:
        """Resident memory of the node now."""
        return resident_mib(self.classifier.pid)

    @property
    def conserved(self) -> bool:
        """Whether received = published + dropped, but for those in flight, in every report."""
        inputs = [report['input'].values for report in self.reports]
        return bool(inputs) and all(
            abs(int(values['received']) - int(values['published']) - dropped(values)) <= IN_FLIGHT
            for values in inputs)

    def _listen(self, timeout_s: float) -> None:
        self._executor.spin_once(timeout_sec=timeout_s)
        for process in (self.classifier, self._camera):
            process.check()

    def _note(self, message: DiagnosticArray) -> None:
        report = {status.name.split(': ', 1)[1]: Report(
            int.from_bytes(status.level, 'little'), {item.key: item.value
                                                     for item in status.values})
            for status in message.status if f'{CLASSIFIER[1:]}: ' in status.name}
        if report:
            self.reports.append(report)


def dropped(values: Mapping[str, str]) -> int:
    """Return how many images were dropped, for any reason, from the values of 'input'."""
    return sum(int(value) for key, value in values.items() if key.startswith('dropped'))


def stamp_ns(message: FrameLatency) -> int:
    """Return when the image was captured."""
    return message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec


def write_pictures(folder: Path) -> None:
    """Write 30 pictures of 640x480 that cost the camera's process the same to read each.

    The panned samples themselves are decoded and resized anew every 30 frames: in that process a
    busy moment each second, on a core that the node needs.
    """
    for index, (_, rgb) in enumerate(panned_samples(('chelsea',))):
        cv2.imwrite(str(folder / f'{index:02d}.bmp'), rgb[..., ::-1])


def measure_and_tell(args: argparse.Namespace, bar: Progress,
                     measure: Callable[[argparse.Namespace, Progress], Dict[str, Any]],
                     make_table: Callable[[Dict[str, Any]], Table]) -> None:
    """Run a benchmark of the node; print its table, and write the JSON that --json names."""
    check_writable(args.json)
    with ros():
        result = measure(args, bar)
    bar.stop()
    Console().print(make_table(result))
    write_json(args.json, result)


def head_of(args: argparse.Namespace, command: str) -> Dict[str, Any]:
    """Return the head of the JSON file of a benchmark that runs a session.

    Raises:
        ltp_ros.classifier.ClassifierError: if the device is not there.
        ltp_ros.model.vit.ModelError: if the model card cannot be read.
    """
    device = resolve_device(args.device)
    return {
        'program': f'ltp_benchmark {command}', **provenance(device.type),
        'model': model_name(args.model, args.checkpoint), 'checkpoint': args.checkpoint,
        'cores': os.cpu_count(), 'load_at_start': os.getloadavg(),
        'started': time.strftime('%Y-%m-%dT%H:%M:%S%z'), 'rate_hz': RATE_HZ}


def model_parameters(args: argparse.Namespace) -> Dict[str, Any]:
    """Return the parameters of the node that the command line names; paths made absolute."""
    return absolute_paths({name: getattr(args, name) for name in CLASSIFIER_FLAGS})
