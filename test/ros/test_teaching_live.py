# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`~/teach` and the services beside it, on a node that answers meanwhile."""
import math

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from lifecycle_msgs.msg import Transition
from rclpy.action import ActionClient
from ros_helpers import SEC, change
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header

from ltp_ros.action import Teach
from ltp_ros.msg import Labels
from ltp_ros.ros.images import from_pixels
from ltp_ros.srv import Forget, LoadClasses, SaveClasses, TeachLast

NODE = '/ltp/classifier'
BOUND = 0.999999  # which views are taught depends on time, so that one may be new to the rest


def view(kind, number):
    """Return an image of a kind of thing: stripes, a disc or noise, each a little different."""
    generator = np.random.default_rng([number, *kind.encode()])
    rows, columns = np.mgrid[:48, :64]
    if kind == 'stripes':
        grey = 255 * ((columns + generator.integers(4)) // 8 % 2)
    elif kind == 'disc':
        grey = 255 * ((rows - 24) ** 2 + (columns - 28 - generator.integers(8)) ** 2 < 200)
    else:
        grey = generator.integers(0, 256, (48, 64))
    rgb = np.repeat(grey[..., None], 3, axis=2) + generator.integers(0, 8, (48, 64, 3))
    header = Header(frame_id=kind)
    header.stamp.sec, header.stamp.nanosec = SEC, number
    return from_pixels(header, rgb.clip(0, 255).astype(np.uint8))


class Pupil:
    """A node, and a camera that shows it things."""

    def __init__(self, listener, node, publisher):
        self.listener, self.node = listener, node
        self._publisher, self._number = publisher, 0
        self.feedback = []
        self._client = ActionClient(listener.node, Teach, f'{NODE}/teach')
        listener.until(self._client.server_is_ready)

    def see(self, kind):
        """Show an image; return its answer."""
        before, self._number = len(self.listener.classifications), self._number + 1
        self._publisher.publish(view(kind, self._number))
        self.listener.until(lambda: len(self.listener.classifications) > before)
        return self.listener.classifications[-1]

    def send(self, **goal):
        """Send a goal; return its handle."""
        future = self._client.send_goal_async(
            Teach.Goal(**goal), lambda message: self.feedback.append(message.feedback))
        self.listener.until(future.done)
        return future.result()

    def teach(self, kind, count=5, **goal):
        """Teach a class from the images of a kind; return the result."""
        handle = self.send(**{'label': kind, 'frames': count, **goal})
        result = handle.get_result_async()
        while not result.done():
            self.see(kind)
        return result.result().result

    def call(self, kind, name, **request):
        return self.listener.call(kind, f'{NODE}/{name}', kind.Request(**request))


@pytest.fixture
def pupil(listener, start):
    pupils = []

    def make(**parameters):
        # By default one in twenty of its own pictures is unknown
        pupils.append(Pupil(listener, *start(**{
            'model': 'demo', 'checkpoint': '', 'unknown_threshold': BOUND, **parameters})))
        return pupils[-1]

    yield make
    for each in pupils:
        each._client.destroy()


def test_a_class_is_taught_answered_and_forgotten_again(pupil):
    node = pupil()
    node.listener.listen('/ltp/labels', Labels)
    before = node.see('disc')
    assert before.known and math.isnan(before.unknown)
    for kind in ('disc', 'stripes'):
        result = node.teach(kind)
        assert result.success and result.frames == result.examples == 5, result.message
    assert result.accuracy > 0.5
    assert [message.examples for message in node.feedback][-1] == 5
    for kind in ('disc', 'stripes'):
        answer = node.see(kind)
        assert answer.labels[0] == kind and answer.known and 0 <= answer.unknown <= BOUND
        assert sum(answer.scores) == pytest.approx(1.0)
    strange = node.see('noise')
    assert not strange.known and strange.unknown > BOUND and strange.labels  # the nearest
    for kind in ('disc', 'stripes'):
        forgotten = node.call(Forget, 'forget', label=kind)
        assert forgotten.success and forgotten.examples == 0
    node._number = 0
    after = node.see('disc')  # the same image as the first
    after.header = before.header
    assert after.labels == before.labels and after.scores == before.scores
    assert after.class_ids == before.class_ids and after.known and math.isnan(after.unknown)


def test_pictures_of_none_of_the_classes_make_their_like_unknown(pupil):
    node = pupil()
    node.teach('disc', 8)
    result = node.teach('noise', 8, label='', negative=True)
    assert result.success and result.examples == 8
    assert not node.see('noise').known and node.see('disc').known
    assert node.call(Forget, 'forget', label='').success


def test_one_picture_is_taught_by_a_button_and_taken_back(pupil):
    node = pupil()
    for number, kind in enumerate(('disc', 'stripes')):
        stamp = node.see(kind).header.stamp
        node.see('noise')
        assert node.call(TeachLast, 'teach_last', label=kind, stamp=stamp).examples == 1
        assert node.see(kind).labels[0] == kind, number
    newest = node.call(TeachLast, 'teach_last', label='disc')  # that of stripes
    assert newest.success and newest.examples == 2
    assert node.call(Forget, 'forget', label='disc', last=True).examples == 1
    again = node.call(Forget, 'forget', label='disc', last=True)
    assert not again.success and 'not known' in again.message


def test_classes_are_kept_in_a_file_and_taken_at_the_start(pupil, tmp_path):
    node, path = pupil(), str(tmp_path / 'things.safetensors')
    refused = node.call(SaveClasses, 'save_classes', path=path)
    assert not refused.success and 'nothing to save' in refused.message
    for kind in ('disc', 'stripes'):
        node.teach(kind)
    assert node.call(SaveClasses, 'save_classes', path=path).path == path
    node.call(Forget, 'forget', label='disc')
    loaded = node.call(LoadClasses, 'load_classes', path=path)
    assert loaded.success and loaded.labels == ['disc', 'stripes']
    assert node.see('disc').labels[0] == 'disc'
    assert node.node._server.pipeline.classifier.taught.counts == {'disc': 5, 'stripes': 5}
    where = node.call(SaveClasses, 'save_classes')
    assert not where.success and 'classes:=FILE' in where.message
    missing = node.call(LoadClasses, 'load_classes', path=str(tmp_path / 'none'))
    assert not missing.success and 'not there' in missing.message
    unwritable = node.call(SaveClasses, 'save_classes', path=str(tmp_path / 'no' / 'folder'))
    assert not unwritable.success and unwritable.message


def test_a_node_starts_with_the_classes_of_a_file_and_its_own_behind_them(pupil, tmp_path):
    first, path = pupil(), str(tmp_path / 'things.safetensors')
    own = first.see('noise')
    for kind in ('disc', 'stripes'):
        first.teach(kind)
    first.call(SaveClasses, 'save_classes', path=path)
    assert first.listener.set_parameter('unknown_threshold', 1.0).successful
    assert first.see('noise').known
    change(first.listener, Transition.TRANSITION_DEACTIVATE)
    change(first.listener, Transition.TRANSITION_CLEANUP)
    for name, value in (('classes', path), ('keep_model_classes', True)):
        assert first.listener.set_parameter(name, value).successful
    assert first.listener.set_parameter('unknown_threshold', BOUND).successful
    change(first.listener, Transition.TRANSITION_CONFIGURE)
    change(first.listener, Transition.TRANSITION_ACTIVATE)
    answer = first.see('disc')
    assert answer.labels[0] == 'disc' and answer.class_ids[0] >= max(own.class_ids) + 1
    answer = first.see('noise')
    assert answer.known and answer.unknown > BOUND
    assert not {'disc', 'stripes'} & set(answer.labels)


def test_a_goal_that_is_cancelled_keeps_what_was_taught(pupil):
    node = pupil()
    handle = node.send(label='disc', frames=1000)
    while not node.feedback or node.feedback[-1].examples < 2:
        node.see('disc')
    cancelling, result = handle.cancel_goal_async(), handle.get_result_async()
    node.listener.until(lambda: cancelling.done() and result.done())
    assert result.result().status == GoalStatus.STATUS_CANCELED
    assert node.see('disc').labels == ['disc']


def test_only_the_region_is_taught(pupil):
    node = pupil()
    region = RegionOfInterest(x_offset=16, y_offset=8, width=32, height=32)
    assert node.teach('disc', region=region).success
    outside = RegionOfInterest(x_offset=40, width=32, height=32)
    result = node.teach('disc', region=outside)
    assert not result.success and '64x48' in result.message


@pytest.mark.parametrize('goal, reason', [
    ({'label': ''}, 'label is empty'), ({'label': 'a', 'negative': True}, 'has no label'),
    ({'label': 'a\n'}, 'begins or ends'), ({'label': 'a', 'camera': 'left'}, 'not one of'),
    ({'label': 'a', 'frames': 0}, 'above 0'),
    ({'label': 'a', 'seconds': float('inf')}, 'not allowed'),
    ({'label': 'a', 'frames': 0, 'seconds': float('nan')}, 'above 0'),
    ({'label': 'a', 'frames': 0, 'seconds': -1.0}, 'above 0'),
])
def test_a_goal_that_cannot_be_is_refused_with_the_reason(pupil, goal, reason):
    node = pupil()
    handle = node.send(**{'frames': 3, **goal})
    result = handle.get_result_async()
    node.listener.until(result.done)
    assert not result.result().result.success and reason in result.result().result.message


def test_without_an_image_a_goal_ends_in_time_and_says_so(pupil):
    node = pupil()
    result = node.send(label='disc', seconds=0.2).get_result_async()
    node.listener.until(result.done)
    assert not result.result().result.success
    assert 'no image was answered' in result.result().result.message


def test_what_waits_is_told_when_the_model_is_released(pupil):
    node = pupil()
    result = node.send(label='disc', frames=9).get_result_async()
    change(node.listener, Transition.TRANSITION_DEACTIVATE)
    change(node.listener, Transition.TRANSITION_CLEANUP)
    node.listener.until(result.done)
    assert 'deactivated' in result.result().result.message
    refused = node.call(Forget, 'forget', label='disc')
    assert not refused.success and 'no model is loaded' in refused.message
    handle = node.send(label='disc', frames=9)
    result = handle.get_result_async()
    node.listener.until(result.done)
    assert 'no model is loaded' in result.result().result.message


def test_what_was_never_taught_cannot_be_forgotten(pupil):
    answer = pupil().call(Forget, 'forget', label='cup')
    assert not answer.success and "no class 'cup'" in answer.message


def test_pictures_worth_teaching_and_those_taught_are_kept_in_a_folder(pupil, tmp_path):
    node = pupil(collect_dir=str(tmp_path / 'pictures'), collect_when='changed')
    for kind in ('disc', 'stripes'):
        node.teach(kind, 2)
    taught = tmp_path / 'pictures' / 'taught'
    node.listener.until(lambda: {path.name: len(list(path.glob('*.jpg'))) for path in
                                 taught.glob('*')} == {'disc': 2, 'stripes': 2})
    answers = tmp_path / 'pictures' / 'answers.csv'
    while not (answers.exists() and 'disc' in answers.read_text()):
        node.see('stripes')
        node.see('disc')
    assert list((tmp_path / 'pictures').glob('*.jpg'))
