# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A node that answers takes int8 as soon as `ltp_export --int8` has found that it holds."""
import dataclasses

import pytest
from diagnostic_msgs.msg import DiagnosticArray

from ltp_ros.backends import kept_choice
from ltp_ros.frames import changeover


def device_values(listener):
    """Return what the newest diagnostics say of the device, by key."""
    for message in reversed(listener.heard['/diagnostics']):
        for status in message.status:
            if status.name.endswith('device'):
                return {value.key: value.value for value in status.values}
    return {}


def test_a_choice_that_is_made_beside_the_node_takes_over_without_losing_an_image(
        listener, start, camera, tmp_path, monkeypatch):
    pytest.importorskip('onnxruntime')
    monkeypatch.setattr(changeover, 'PERIOD_S', 0.2)
    listener.listen('/diagnostics', DiagnosticArray)
    node, publisher = start(backend='auto', precision='auto', cache=str(tmp_path))
    camera(node, publisher)
    choice_file, = tmp_path.glob('*/*/choice_*.json')
    kept = dataclasses.replace(kept_choice.read(choice_file), backend='onnx', precision='int8',
                               check='on 9 pictures all is well')
    kept_choice.write(choice_file, kept)
    while device_values(listener).get('precision') != 'int8':
        counts = camera(node, publisher)  # one image after the other is answered meanwhile
    assert device_values(listener)['answers'] == kept.check
    assert node._server.pipeline.classifier.backend.name == 'onnx'
    counts = camera(node, publisher)
    assert counts.published == counts.received and not any(counts.dropped.values())
    listener.until(lambda: len(listener.classifications) == counts.published)
