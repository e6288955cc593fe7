# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A random walk through the lifecycle, with two cameras and a subscriber to every topic.

LTP_TEST_CYCLES=200 walks longer; --log-cli-level=INFO tells memory, threads and descriptors.
"""
import json
import logging
import os
import random
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from ros_helpers import Door, classifier_process, picture, state
from sensor_msgs.msg import Image

from ltp_ros.ros import messages

try:
    from rclpy.event_handler import PublisherEventCallbacks
except ImportError:  # its place on Humble
    from rclpy.qos_event import PublisherEventCallbacks

CYCLES = int(os.environ.get('LTP_TEST_CYCLES', '8'))
SETTLED = 5  # cycles after which nothing may grow any more
CAMERAS = ('/ltp/left', '/ltp/right')
RATE_HZ = 60.0
CLASSES = 7
MODEL_MB = 29  # of the weights below
# State -> transition that may be asked for -> state that follows
LEGAL = {
    'unconfigured': {Transition.TRANSITION_CONFIGURE: 'inactive'},
    'inactive': {Transition.TRANSITION_ACTIVATE: 'active',
                 Transition.TRANSITION_CLEANUP: 'unconfigured'},
    'active': {Transition.TRANSITION_DEACTIVATE: 'inactive'},
}
SHUTDOWN = {'unconfigured': Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
            'inactive': Transition.TRANSITION_INACTIVE_SHUTDOWN,
            'active': Transition.TRANSITION_ACTIVE_SHUTDOWN}
LABELS = {'create': Transition.TRANSITION_CREATE, 'configure': Transition.TRANSITION_CONFIGURE,
          'cleanup': Transition.TRANSITION_CLEANUP, 'activate': Transition.TRANSITION_ACTIVATE,
          'deactivate': Transition.TRANSITION_DEACTIVATE, 'nonsense': 99}


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """Save a model that is large enough for one that stays behind to be seen; return its path."""
    import timm
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp('model')
    args = {'img_size': 64, 'embed_dim': 768, 'depth': 1, 'num_heads': 3}
    torch.manual_seed(0)
    model = timm.create_model('vit_tiny_patch16_224', num_classes=CLASSES, **args)
    weights = model.state_dict()
    assert abs(sum(w.nbytes for w in weights.values()) / 1e6 - MODEL_MB) < 4
    save_file(weights, folder / 'model.safetensors')
    (folder / 'model.json').write_text(json.dumps({
        'architecture': 'vit_tiny_patch16_224', 'model_args': args,
        'label_names': [f'thing {n}' for n in range(CLASSES)],
        'pretrained_cfg': {'crop_pct': 1.0}}))
    return str(folder / 'model.safetensors')


class Walker:
    """Asks for transitions at random, and knows what has to come of them."""

    def __init__(self, listener, program, tmp_path):
        self.listener, self.program, self.tmp_path = listener, program, tmp_path
        self.random = random.Random(0)
        self.state = 'unconfigured'
        self.cycles = 0
        self._client = listener.node.create_client(ChangeState, '/ltp/classifier/change_state')
        listener.until(self._client.service_is_ready, program)
        self._bad_labels = tmp_path / 'bad.txt'
        self._bad_labels.write_text('only\ntwo\n')
        self._doors = 0
        self._images = [picture(index) for index in range(4)]
        self._cameras = [listener.node.create_publisher(Image, topic, 10) for topic in CAMERAS]
        # One that does not match, so that each subscription has an event to take besides images
        listener.node.create_publisher(
            Image, CAMERAS[0], QoSProfile(
                depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT),
            event_callbacks=PublisherEventCallbacks(use_default_callbacks=False))
        self.with_images = True
        listener.node.create_timer(1.0 / RATE_HZ, self._publish)

    def _publish(self):
        if self.with_images:
            for camera in self._cameras:
                camera.publish(self._images[0])
            self._images.append(self._images.pop(0))

    def ask(self, transition, label=''):
        return self._client.call_async(ChangeState.Request(
            transition=Transition(id=transition, label=label)))

    def burst(self):
        """Ask for several transitions at once; each is judged by what the one before has left."""
        asked = []
        for _ in range(self.random.randint(1, 6)):
            # Legal ones half of the time, or the walk stays where it is
            legal = list(LEGAL[self.state])
            label, transition = self.random.choice(list(LABELS.items()))
            if self.random.random() < 0.5:
                transition = self.random.choice(legal)
                label = next(name for name, number in LABELS.items() if number == transition)
            if transition == LABELS['configure'] and self.state == 'unconfigured':
                break  # `configure` is for that
            answer = self.ask(transition, label) if self.random.random() < 0.5 else (
                self.ask(transition))
            asked.append((label, self.state, transition in LEGAL[self.state], answer))
            before, self.state = self.state, LEGAL[self.state].get(transition, self.state)
            self.cycles += (before, self.state) == ('inactive', 'unconfigured')
        asked += [(f'shutdown of a node that is {other}', self.state, False,
                   self.ask(transition)) for other, transition in SHUTDOWN.items()
                  if other != self.state]
        self.listener.until(lambda: all(answer.done() for *_, answer in asked), self.program)
        for label, before, allowed, answer in asked:
            assert answer.result().success == allowed, (
                f'{label} while {before}: {self.program.output[-2000:]}')
        self.check_state(self.state)

    def configure(self):
        """Load the model, well or badly; at times with requests while it is at work."""
        works, interrupted = self.random.random() < 0.7, self.random.random() < 0.5
        names = [f'thing {n}' for n in range(CLASSES if works else 2)]
        labels, door = '' if works else str(self._bad_labels), None
        if interrupted:
            self._doors += 1
            door = Door(self.tmp_path / f'door{self._doors}')
            labels = str(door.path)
        assert self.listener.set_parameter('labels', labels).successful
        answer = self.ask(Transition.TRANSITION_CONFIGURE)
        if door is not None:
            self.listener.until(door.has_reader, self.program)
            others = [self.ask(number, '' if number < 99 else 'nonsense')
                      for number in self.random.sample([*LABELS.values(), *SHUTDOWN.values()], 4)]
            self.listener.until(lambda: all(other.done() for other in others), self.program)
            assert not any(other.result().success for other in others)
            self.check_state('configuring')
            door.open(names)
        self.listener.until(answer.done, self.program)
        assert answer.result().success == works
        self.state = 'inactive' if works else 'unconfigured'
        self.check_state(self.state)

    def check_state(self, expected):
        assert state(self.listener) == expected

    def wait_for_answers(self):
        """Hear of both cameras, for as long as it takes; images of before may still come in."""
        self.listener.classifications.clear()
        self.listener.until(lambda: {answer.image_topic for answer
                                     in self.listener.classifications} == set(CAMERAS),
                            self.program)

    def go_on(self):
        if self.state == 'unconfigured':
            self.with_images = self.random.random() < 0.7
            self.configure()
            return
        self.burst()
        if self.state == 'active' and self.with_images and self.random.random() < 0.5:
            self.wait_for_answers()

    def usage(self):
        """Return memory [MB], threads, and descriptors of the node."""
        process = Path('/proc', str(self.program.pid))
        words = dict(line.split(':') for line in (process / 'status').read_text().splitlines())
        return (int(words['VmRSS'].split()[0]) / 1e3, int(words['Threads']),
                len(list((process / 'fd').iterdir())))


@pytest.fixture
def walker(listener, checkpoint, tmp_path, monkeypatch):
    # What is freed goes back to the system at once, so that the memory in use is to be seen
    monkeypatch.setenv('MALLOC_MMAP_THRESHOLD_', '65536')
    listener.listen('/diagnostics', DiagnosticArray)
    listener.listen('/ltp/debug_image', Image)
    if messages.VisionClassification is not None:
        listener.listen('/ltp/vision_msgs/classification', messages.VisionClassification)
    with classifier_process(
            fresh=True, checkpoint=checkpoint, autostart=False,
            image_topics=f'[{", ".join(CAMERAS)}]', image_reliability='reliable',
            keep_ratios='[1.0]', debug_image_rate=60.0) as program:
        yield Walker(listener, program, tmp_path)


def test_a_random_walk_through_the_lifecycle_leaves_the_node_as_it_was(walker):
    listener, program = walker.listener, walker.program
    used = []
    while walker.cycles < CYCLES:
        walker.go_on()
        if walker.state == 'unconfigured' and walker.cycles > len(used):
            used.append(walker.usage())
            if len(used) in (1, SETTLED) or len(used) % 20 == 0:
                logging.info('cycle %d: %.1f MB, %d threads, %d descriptors', len(used), *used[-1])
    memory, threads, descriptors = zip(*used[SETTLED - 1:])
    assert memory[-1] - memory[0] < MODEL_MB  # none stayed behind
    assert max(threads) == threads[0]
    assert max(descriptors) == descriptors[0]

    assert listener.set_parameter('labels', '').successful
    for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
        answer = walker.ask(transition)
        listener.until(answer.done, program)
        assert answer.result().success
    walker.with_images = True
    walker.wait_for_answers()
    answer = walker.ask(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    listener.until(answer.done, program)
    assert answer.result().success
    walker.check_state('finalized')
    assert program.exit_code is None and 'Traceback' not in program.output
