# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A node in the test's own process, so that a test can break what is below it."""
import threading

import pytest
from ros_helpers import picture


@pytest.fixture
def start(listener, small_model):
    """Return a function that starts the node in a thread: it, and a publisher of its images."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor

    from ltp_ros.node import ClassifierNode

    running = []

    def make(**parameters):
        chosen = {'checkpoint': small_model, 'device': 'cpu', 'backend': 'eager',
                  'precision': 'float32', 'keep_ratios': [1.0, 0.5], 'keep_ratio': 1.0,
                  **parameters}
        node = ClassifierNode(parameter_overrides=[
            rclpy.Parameter(name, value=value) for name, value in chosen.items()])
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        node.start()
        thread = threading.Thread(target=spin, args=(executor,), daemon=True)
        thread.start()
        running.append((node, executor, thread))
        listener.until(lambda: node.state == 'active')
        return node, listener.publisher('/ltp/image')

    yield make
    for node, executor, thread in running:
        executor.shutdown()
        thread.join()
        node.release()
        node.destroy_node()


def spin(executor):
    from rclpy.executors import ExternalShutdownException
    try:
        executor.spin()
    except ExternalShutdownException:
        pass  # the node's own doing, where it is to exit


@pytest.fixture
def camera(listener):
    """Return a function that publishes an image and waits until the node has dealt with it."""
    count = iter(range(10 ** 6))

    def send(node, publisher, image=None):
        done = node._server.pipeline.mailbox.counts
        before = done()
        publisher.publish(picture(next(count)) if image is None else image)
        listener.until(lambda: done().received > before.received and (
            done().published + sum(done().dropped.values()) == done().received))
        return done()

    return send
