# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A driver that hangs in an image: told, replaced or left by the process, and never believed."""
import signal
import subprocess
import sys
import threading

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from ros_helpers import DEADLINE_S, exchange, picture, ros_arguments, statuses
from sensor_msgs.msg import Image

from ltp_ros import node
from ltp_ros.backends.eager import EagerBackend
from ltp_ros.backends.onnx import OnnxBackend
from ltp_ros.frames import steps, watchdog
from ltp_ros.frames.startup import prepare
from ltp_ros.ros import frame_server
from ltp_ros.srv import Classify

END_S = 20.0  # on a machine that is busy with other things
HANGS = '''
import sys, time
from ltp_ros import programs
from ltp_ros.frames.pipeline import Pipeline

def hang(self, frame):
    print('hangs', flush=True)
    time.sleep(600)

Pipeline._process = hang
sys.exit(programs.ltp_classifier())
'''


@pytest.fixture
def driver(monkeypatch):
    """Return what makes the model hang on demand; the watchdog is impatient, onnx not there."""
    monkeypatch.setattr(watchdog, 'STUCK_AFTER_S', 0.5)
    monkeypatch.setattr(frame_server, 'PERIOD_S', 0.05)

    def unavailable(*arguments):
        raise ImportError('no onnxruntime')

    monkeypatch.setattr(OnnxBackend, '__init__', unavailable)
    driver = Driver(monkeypatch)
    yield driver
    driver.go_on.set()


class Driver:
    """Hangs in the next run of the model, in the thread that it notes, until `go_on`."""

    def __init__(self, monkeypatch):
        self.hangs, self.thread, self.go_on = False, None, threading.Event()
        run = EagerBackend.__call__

        def call(backend, *image):
            if self.hangs:
                self.hangs, self.thread = False, threading.current_thread()
                self.go_on.wait()
            return run(backend, *image)

        monkeypatch.setattr(EagerBackend, '__call__', call)

    def come_back(self):
        self.go_on.set()
        self.thread.join(DEADLINE_S)
        assert not self.thread.is_alive()


def test_a_worker_that_hangs_is_told_and_replaced_and_its_late_answer_never_published(
        listener, start, camera, driver, capfd):
    listener.listen('/diagnostics', DiagnosticArray)
    here, publisher = start()
    driver.hangs = True
    camera(here, publisher)  # frame 0
    listener.until(lambda: 'after failures (the worker has been in one image for' in (
        statuses(listener).get('device', (0, ''))[1]))
    exchange(listener, publisher, picture(1), None)
    driver.come_back()
    exchange(listener, publisher, picture(2), None)
    assert [answer.header.frame_id for answer in listener.classifications] == [
        'frame 1', 'frame 2']
    counts = here._server.pipeline.mailbox.counts()
    assert (counts.received, counts.published, counts.dropped['failed']) == (3, 2, 1)
    assert '/ltp/image: dropped an image (failed): the worker has been in one image for' in (
        capfd.readouterr().err)
    assert here.state == 'active' and not here.fault


def test_a_request_that_hangs_is_answered_and_the_camera_served(listener, start, driver):
    _, publisher = start()
    driver.hangs = True
    answer = listener.call(Classify, '/ltp/classifier/classify', Classify.Request(
        image=picture(0)))
    assert not answer.success and 'is stuck' in answer.message
    exchange(listener, publisher, picture(1), None)


def test_a_node_whose_worker_hangs_can_be_shut_down_and_answers_nothing_more(
        listener, start, driver, monkeypatch):
    monkeypatch.setattr(watchdog, 'STUCK_AFTER_S', 3600.0)
    here, publisher = start()
    driver.hangs = True
    publisher.publish(picture(0))
    listener.until(lambda: driver.thread)
    mailbox = here._server.pipeline.mailbox
    here.release(patience_s=0.0)
    driver.come_back()
    assert mailbox.counts().dropped['inactive'] == 1 and not listener.classifications


def test_a_model_that_hangs_while_it_is_loaded_is_told(
        listener, small_model, monkeypatch, capfd):
    monkeypatch.setattr(steps, 'STALLED_AFTER_S', 0.5)
    go_on = threading.Event()
    monkeypatch.setattr(node, 'prepare', lambda config, log, *arguments: (
        log('loading a model'), go_on.wait(DEADLINE_S), prepare(config, log, *arguments))[-1])
    listener.listen('/diagnostics', DiagnosticArray)
    loading = node.ClassifierNode(parameter_overrides=[
        rclpy.Parameter('checkpoint', value=small_model)])
    executor = SingleThreadedExecutor()
    executor.add_node(loading)
    loading.start()
    try:
        while not statuses(listener).get('lifecycle', (0, ''))[0]:
            executor.spin_once()
            rclpy.spin_once(listener.node, timeout_sec=0.0)
        level, message = statuses(listener)['lifecycle']
        assert level == 1 and message.startswith('configuring: no progress for')
        assert 'after "loading a model"' in message and message[13:30] in capfd.readouterr().err
    finally:
        go_on.set()
        loading.release()
        loading.destroy_node()
        executor.shutdown()


def test_by_policy_the_process_ends_with_the_reason(listener, start, driver, capfd):
    here, publisher = start(on_failure='exit')
    driver.hangs = True
    publisher.publish(picture(0))
    with pytest.raises(RuntimeError):  # the context is gone
        listener.until(lambda: False)
    assert here.failed and not rclpy.ok()
    assert 'the worker has been in one image for' in capfd.readouterr().err


def test_a_signal_ends_the_process_though_its_worker_hangs(listener, small_model, tmp_path):
    output = tmp_path / 'output'
    publisher = listener.node.create_publisher(Image, '/ltp/image', 10)
    with output.open('w') as file:
        program = subprocess.Popen([sys.executable, '-c', HANGS, *ros_arguments(
            checkpoint=small_model, device='cpu', backend='eager', keep_ratios='[1.0]')],
            stdout=file, stderr=subprocess.STDOUT)
    try:
        listener.until(lambda: publisher.publish(picture(0)) or 'hangs' in output.read_text())
        program.send_signal(signal.SIGTERM)
        assert program.wait(END_S) == 0
    finally:
        program.kill()
        program.wait()
    assert 'Traceback' not in output.read_text()
