# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_doctor` beside a real node and real cameras."""
import json
import threading

import pytest
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from ros_helpers import DEADLINE_S, classifier_process, picture
from sensor_msgs.msg import Image

from ltp_ros.tools import doctor
from ltp_ros.tools.checks import installation, leftovers
from ltp_ros.tools.checks.installation import Package
from ltp_ros.tools.checks.leftovers import Leftovers
from ltp_ros.tools.support.processes import Process


@pytest.fixture
def examined(tmp_path, monkeypatch):
    """Return a function that runs the program and returns its exit code and rows."""
    # Imported here already; a child that imports them again takes seconds
    monkeypatch.setattr(installation, 'import_packages', lambda: {
        name: Package() for name in (*installation.NEEDED, 'rclpy', 'ltp_ros.msg')})
    monkeypatch.setattr(installation, 'installed_distributions', dict)
    monkeypatch.setattr(leftovers, 'find', lambda: Leftovers(0, 0))  # of others on this machine

    def run(*argv):
        code = doctor.main([*argv, '--json', str(tmp_path / 'rows.json'), '--output',
                            str(tmp_path / 'seen.png')])
        return code, json.loads((tmp_path / 'rows.json').read_text())['rows']
    return run


def test_a_sound_node_and_camera_get_no_warning(listener, examined, small_model, tmp_path):
    with classifier_process(fresh=True,  # the doctor names its program
                            checkpoint=small_model, keep_ratios='[1.0, 0.5]') as node, \
         Process('ltp_ros.tools.image_source', ['samples', '--loop', '--rate', '10']):
        listener.until(lambda: listener.classifications, node)
        code, rows = examined('--seconds', '3')
    assert code == 0
    assert [row for row in rows if row['level'] in ('WARN', 'ERROR')] == []
    found = {row['check']: row['message'] for row in rows}
    assert found['node /ltp/classifier state'] == 'active'
    assert 'image_source' in found['DDS profile'] and 'ltp_ros.node' in found['DDS profile']
    assert found['camera /ltp/image image'] == '640x480 rgb8'
    assert 'thing' in found['answer with all tokens']
    assert (tmp_path / 'seen.png').is_file()


def test_the_faults_of_a_running_system_are_named(listener, examined, small_model):
    best_effort = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
    camera = listener.node.create_publisher(Image, '/color/image', best_effort)
    stop = threading.Event()

    def publish():
        number = 0
        while not stop.wait(0.5):  # 2 Hz; the stamps are of the year 2023
            number += 1
            message = picture(number)
            message.header.stamp.sec += number // 2
            message.header.stamp.nanosec = number % 2 * 500_000_000
            camera.publish(message)

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        with classifier_process(checkpoint=small_model, keep_ratios='[1.0]',
                                image_reliability='reliable',
                                image_topics='[/color/image, /colour/image]') as node:
            listener.until(lambda: listener.node.count_subscribers('/colour/image'), node)
            code, rows = examined('--seconds', '3', '--no-model')
    finally:
        stop.set()
        thread.join(DEADLINE_S)
    found = {row['check']: row for row in rows if row['level'] in ('WARN', 'ERROR')}
    assert code == 1
    assert 'image_reliability' in found['camera /color/image QoS']['remedy']
    assert '2.0 Hz' in found['camera /color/image rate']['message']
    assert 'clock' in found['camera /color/image stamps']['remedy']
    assert '/color/image' in found['camera /colour/image']['remedy']
