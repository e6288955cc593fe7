# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The real node and camera, started by the launch file, watched by launch_testing."""
import sys
import types
import unittest

import pytest
from launch_helpers import CHECKOUT, install

pytest.importorskip('launch_ros', reason='launch_ros comes with ROS; it is not in the wheels')
launch_testing = pytest.importorskip(
    'launch_testing', reason='launch_testing comes with ROS; it is not in the wheels')
PROGRAM = '#!/bin/sh\nexec {python} -m {module} "$@"\n'
ARGUMENTS = {'model': 'demo', 'source': 'samples', 'device': 'cpu', 'backend': 'eager',
             'precision': 'float32', 'log_level': 'warn', 'image_transport': 'compressed',
             'image_topic': '~/picture'}


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install the package from this checkout."""
    install(tmp_path, [PROGRAM.format(python=sys.executable, module=module)
                       for module in ('ltp_ros.node', 'ltp_ros.tools.image_source')])
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path), prepend=':')
    monkeypatch.setenv('PYTHONPATH', str(CHECKOUT), prepend=':')


def test_a_try_without_a_camera_is_answered_and_ends_cleanly(installed, listener):
    from launch import LaunchDescription
    from launch.actions import IncludeLaunchDescription
    from launch.launch_description_sources import AnyLaunchDescriptionSource
    from launch_testing.actions import ReadyToTest
    from launch_testing.loader import LoadTestsFromPythonModule
    from launch_testing.test_runner import LaunchTestRunner

    class Answers(unittest.TestCase):
        def test_the_samples_are_answered(self):
            listener.until(lambda: len(listener.classifications) > 3)
            self.assertIn('cat', {
                label for answer in listener.classifications for label in answer.labels})

    @launch_testing.post_shutdown_test()
    class Afterwards(unittest.TestCase):
        def test_both_ended_as_asked(self, proc_info):
            launch_testing.asserts.assertExitCodes(proc_info)

    test = types.ModuleType('launch_test')
    test.Answers, test.Afterwards = Answers, Afterwards
    test.generate_test_description = lambda: LaunchDescription([
        IncludeLaunchDescription(
            AnyLaunchDescriptionSource(str(CHECKOUT / 'launch' / 'classify.launch.py')),
            launch_arguments=ARGUMENTS.items()),
        ReadyToTest()])
    runner = LaunchTestRunner(LoadTestsFromPythonModule(test, name='launch_test'))
    runner.validate()
    for result in runner.run().values():
        assert result.wasSuccessful(), result.errors + result.failures
