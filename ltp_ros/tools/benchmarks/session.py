# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Run the real node and a camera as processes, set their parameters and collect the answers."""
import argparse
import contextlib
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import (
    Callable,
    Dict,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Sequence,
    Tuple,
    TypeVar,
    Union,
)

import cv2
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.srv import SetParameters
from rclpy.client import Client
from rclpy.exceptions import NotInitializedException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.task import Future
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ltp_ros.config import Value
from ltp_ros.machine import resident_mib
from ltp_ros.model.card import model_name
from ltp_ros.msg import Classification, FrameLatency
from ltp_ros.research.benchmarks import BenchmarkError
from ltp_ros.research.benchmarks.soak import IN_FLIGHT
from ltp_ros.tools.support.device import select_device
from ltp_ros.tools.support.flags import CLASSIFIER_FLAGS, absolute_paths
from ltp_ros.tools.support.frame_sources import NamedImage, panned_samples
from ltp_ros.tools.support.output_files import check_writable, write_json
from ltp_ros.tools.support.processes import (
    Process,
    ProcessError,
    isolate,
    parameter_arguments,
)
from ltp_ros.tools.support.provenance import provenance

CLASSIFIER, CAMERA = '/ltp/classifier', '/image_source'
RATE_HZ = 30.0
START_TIMEOUT_S = 300.0   # a slow board takes minutes to load and warm up a model
ANSWER_TIMEOUT_S = 60.0
Row = TypeVar('Row')      # of a table and a JSON file
Own = TypeVar('Own', bound='Session')


@contextlib.contextmanager
def ros() -> Iterator[None]:
    """Run rclpy, confined to this machine; a signal to stop raises KeyboardInterrupt."""
    isolate()
    rclpy.init()
    try:
        yield
    except (ExternalShutdownException, NotInitializedException, RuntimeError) as error:
        if rclpy.ok():
            raise
        raise KeyboardInterrupt from error  # the signal came in the middle of something
    finally:
        rclpy.try_shutdown()


class Report(NamedTuple):
    """One of the node's diagnostic statuses."""

    level: int
    values: Dict[str, str]


class Session:
    """The node and a 640x480 camera at 30 Hz; a context manager that ends both.

    Args:
        parameters: node parameters by name; '' leaves a parameter at its default.
        advance: called with the seconds that pass in `let_time_pass`.
    """

    program = 'ltp_ros.node'
    rate_hz = RATE_HZ

    def __init__(self, parameters: Mapping[str, object], advance: Callable[[float], None]):
        self._arguments = parameter_arguments(parameters)
        self._advance = advance
        self._clients: Dict[str, Client] = {}
        self._processes: List[Process] = []
        self.heard: List[FrameLatency] = []
        self.reports: List[Dict[str, Report]] = []  # one per second, statuses by name

    def __enter__(self: Own) -> Own:
        with contextlib.ExitStack() as stack:
            self._node = rclpy.create_node('benchmark', namespace='ltp')
            stack.callback(self._node.destroy_node)
            self._executor = SingleThreadedExecutor()
            self._executor.add_node(self._node)
            stack.callback(self._executor.shutdown)
            self._node.create_subscription(FrameLatency, 'latency', self._on_latency, 1000)
            self._node.create_subscription(
                DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
            self._images = stack.enter_context(TemporaryDirectory())
            write_images(Path(self._images))
            stack.callback(self._end_processes)
            self.classifier = self._start(self.program, self._arguments)
            self.start_source()
            self.until(lambda: self.heard, START_TIMEOUT_S, 'the first answer')
            self._exit = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._exit.close()

    def start_source(self) -> None:
        """Have images come."""
        self.camera = self.start_camera()

    def start_camera(self, *more: str) -> Process:
        """Start a camera, with more arguments if given."""
        return self._start('ltp_ros.tools.image_source', [
            self._images, '--rate', str(self.rate_hz), '--loop', '--wait', *more])

    def end(self, process: Process) -> None:
        """End a process that was started here."""
        self._processes.remove(process)
        with process:
            pass

    def set(self, node: str, name: str, value: Value) -> None:
        """Set a parameter like `ros2 param set`; raise BenchmarkError if the node rejects it."""
        response = self.call(SetParameters, f'{node}/set_parameters', SetParameters.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg()]))
        result = response.result().results[0]
        if not result.successful:
            raise BenchmarkError(f'{node} rejected {name} {value}: {result.reason}')

    def call(self, kind: type, name: str, request: object) -> Future:
        """Call a service of this type and return the future of its response, which is there."""
        if name not in self._clients:
            self._clients[name] = self._node.create_client(kind, name)
        client = self._clients[name]
        self.until(client.service_is_ready, ANSWER_TIMEOUT_S, f'the service {name}')
        future = client.call_async(request)
        self.until(future.done, ANSWER_TIMEOUT_S, f'{name} to be answered')
        return future

    def wait_for_answers(self, count: int) -> None:
        """Spin until `count` more answers have arrived."""
        enough = len(self.heard) + count
        self.until(lambda: len(self.heard) >= enough, ANSWER_TIMEOUT_S, 'answers')

    def let_time_pass(self, seconds: float) -> Tuple[int, int]:
        """Spin for `seconds`; return start and end [ns] on the clock of the stamps."""
        start_ns, start = time.time_ns(), time.monotonic()
        now = start
        while now < start + seconds:
            self._spin(min(0.25, start + seconds - now))
            before, now = now, time.monotonic()
            self._advance(now - before)
        return start_ns, time.time_ns()

    def until(self, condition: Callable[[], object], timeout_s: float, awaited: str) -> None:
        """Spin until the condition holds; raise ProcessError on a timeout."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                raise ProcessError(f'timed out after {timeout_s:g} s waiting for {awaited}')
            self._spin(0.1)

    def wait_for_answer_after(self, time_ns: int) -> None:
        """Spin until an image captured at or after this time is answered."""
        self.until(lambda: stamp_ns(self.heard[-1]) >= time_ns, ANSWER_TIMEOUT_S,
                   'the last answer')

    @property
    def running(self) -> Dict[str, str]:
        """The `backend` and `precision` that the node has chosen."""
        self.until(lambda: self.reports, ANSWER_TIMEOUT_S, 'diagnostics')
        values = self.reports[-1]['device'].values
        return {name: values[name] for name in ('backend', 'precision')}

    @property
    def memory_mib(self) -> float:
        """Current resident memory of the node."""
        return resident_mib(self.classifier.pid)

    @property
    def conserved(self) -> bool:
        """Whether received = published + dropped in every report, except for images in flight."""
        inputs = [report['input'].values for report in self.reports]
        return bool(inputs) and all(
            abs(int(values['received']) - int(values['published']) - dropped(values)) <= IN_FLIGHT
            for values in inputs)

    def _spin(self, timeout_s: float) -> None:
        self._executor.spin_once(timeout_sec=timeout_s)
        for process in self._processes:
            process.check()

    def _start(self, module: str, arguments: Sequence[str]) -> Process:
        self._processes.append(Process(module, arguments))
        return self._processes[-1]

    def _end_processes(self) -> None:
        for process in reversed(list(self._processes)):
            self.end(process)

    def _on_latency(self, message: FrameLatency) -> None:
        self.heard.append(message)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        report = report_of(message)
        if 'input' in report:  # the node is active
            self.reports.append(report)


def report_of(message: DiagnosticArray) -> Dict[str, Report]:
    """Return the node's statuses by the part of it that each is about."""
    return {status.name.split(': ', 1)[1]: Report(
        int.from_bytes(status.level, 'little'), {item.key: item.value for item in status.values})
        for status in message.status if f'{CLASSIFIER[1:]}: ' in status.name}


def dropped(values: Mapping[str, str]) -> int:
    """Return the number of images dropped for any reason, given the values of 'input'."""
    return sum(int(value) for key, value in values.items() if key.startswith('dropped'))


def stamp_ns(message: Union[Classification, FrameLatency]) -> int:
    """Return the capture time of the image."""
    return message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec


def pictures() -> Iterator[NamedImage]:
    """Yield the images of the camera, and the names by which its messages tell them apart."""
    return ((f'{index:02d}', rgb) for index, (_, rgb) in enumerate(panned_samples(('chelsea',))))


def write_images(folder: Path) -> None:
    """Write 30 images of 640x480 that all take the camera process equally long to read.

    Panning the samples directly would decode and resize one every 30 frames: a burst of work each
    second, on a core that the node needs.
    """
    for name, rgb in pictures():
        cv2.imwrite(str(folder / f'{name}.bmp'), rgb[..., ::-1])


def measure_and_report(
        args: argparse.Namespace, bar: Progress,
        measure: Callable[[argparse.Namespace, Progress], Tuple[Mapping[str, object], List[Row]]],
        make_table: Callable[[Mapping[str, object], Sequence[Row]], Table]) -> None:
    """Run a benchmark of the node, print its table and write the file of --json.

    Args:
        args: the parsed command line.
        bar: shows the progress.
        measure: runs the benchmark and returns the head and the rows of the JSON file.
        make_table: makes a table of them.
    """
    check_writable(args.json)
    with ros():
        head, rows = measure(args, bar)
    bar.stop()
    Console().print(make_table(head, rows))
    write_json(args.json, {**head, 'rows': rows})


def head_of(args: argparse.Namespace, command: str) -> Dict[str, object]:
    """Return the head of the JSON file of a benchmark that runs a session.

    Raises:
        ltp_ros.classifier.ClassifierError: if the device is not available.
        ltp_ros.model.card.ModelError: if the model card cannot be read.
    """
    device = select_device(args.device)
    return {
        'program': f'ltp_benchmark {command}', **provenance(device.type),
        'model': model_name(args.model, args.checkpoint), 'checkpoint': args.checkpoint,
        'cores': os.cpu_count(), 'load_at_start': os.getloadavg(),
        'started': time.strftime('%Y-%m-%dT%H:%M:%S%z'), 'rate_hz': RATE_HZ}


def model_parameters(args: argparse.Namespace) -> Dict[str, object]:
    """Return the node parameters from the command line, with paths made absolute."""
    return absolute_paths({name: getattr(args, name) for name in CLASSIFIER_FLAGS})
