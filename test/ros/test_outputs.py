# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The topics of the node, where they cannot all be opened."""
import gc
import threading
import weakref
from types import SimpleNamespace

import pytest

from ltp_ros.config import Config
from ltp_ros.ros.managed_node import ManagedNode
from ltp_ros.ros.outputs import Outputs

TOPICS = 'classification', 'latency', 'debug_image', 'labels'
SMALL = {'model_name': 'small', 'model_hash': '', 'grid_size': (4, 4), 'data_config': None}
CLASSIFIER = SimpleNamespace(**SMALL, labels=['cat', 'dog'])
NO_LABELS = SimpleNamespace(**SMALL, labels=None)


def open_outputs(classifier, remap=()):
    """Return the publishers and threads that a failed start leaves behind, and its error."""
    node = ManagedNode('managed', cli_args=[
        '--ros-args', *(word for rule in remap for word in ('-r', rule))])
    try:
        before = set(node.publishers), set(threading.enumerate())
        with pytest.raises((ValueError, TypeError)) as error:
            Outputs(node, classifier, Config())
        return (set(node.publishers) - before[0], set(threading.enumerate()) - before[1],
                str(error.value))
    finally:
        node.destroy_node()


@pytest.mark.parametrize('pair', [*zip(TOPICS, TOPICS[1:])], ids=' and '.join)
def test_outputs_remapped_to_one_name_leave_nothing_behind(listener, pair):
    publishers, threads, error = open_outputs(CLASSIFIER, [f'{topic}:=same' for topic in pair])
    assert not publishers and not threads
    assert error == (f'{pair[0]} and {pair[1]} are both remapped to /same; give each a topic of '
                     'its own')


def test_labels_that_cannot_be_published_leave_nothing_behind(listener):
    publishers, threads, _ = open_outputs(NO_LABELS)
    assert not publishers and not threads


def test_outputs_keep_no_classifier_that_may_be_replaced(listener):
    class Replaced(SimpleNamespace):
        """Which can be referred to weakly."""

    node, classifier = ManagedNode('managed'), Replaced(**vars(CLASSIFIER))
    outputs, kept = Outputs(node, classifier, Config()), weakref.ref(classifier)
    del classifier
    gc.collect()
    assert kept() is None
    outputs.destroy()
    node.destroy_node()


def test_outputs_close_all_that_they_opened(listener):
    node = ManagedNode('managed')
    before = set(node.publishers), set(threading.enumerate())
    outputs = Outputs(node, CLASSIFIER, Config())
    assert len(set(node.publishers) - before[0]) >= len(TOPICS)
    outputs.destroy()
    assert (set(node.publishers), set(threading.enumerate())) == before
    node.destroy_node()
