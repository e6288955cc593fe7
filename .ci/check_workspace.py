# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Usage: check_workspace.py INSTALL PYPROJECT. Check a sourced workspace with ltp_ros in it.

Its messages come from there, `ros2 run` would find every program, share/ has what launch files
need, and the node starts as a process of its own and answers over DDS.
"""
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

os.environ['ROS_DOMAIN_ID'] = str(1 + os.getpid() % 100)        # not to meet other nodes

import rclpy  # noqa: E402
from ament_index_python import get_package_prefix, get_package_share_path  # noqa: E402
from lifecycle_msgs.srv import GetState  # noqa: E402
from rclpy.serialization import deserialize_message, serialize_message  # noqa: E402

from ltp_ros import action, msg  # noqa: E402

TIMEOUT_S = 60.0
ATTEMPTS = 4


def node_state():
    """Ask the node, which runs in another process, for its lifecycle state; None: no answer."""
    rclpy.init()
    observer = rclpy.create_node('check_workspace')
    try:
        client = observer.create_client(GetState, '/ltp/classifier/get_state')
        if not client.wait_for_service(TIMEOUT_S):
            return None
        for _ in range(ATTEMPTS):  # DDS loses the answer if the node has not met the client yet
            answer = client.call_async(GetState.Request())
            rclpy.spin_until_future_complete(observer, answer, timeout_sec=TIMEOUT_S / ATTEMPTS)
            if answer.result():
                return answer.result().current_state.label
        return None
    finally:
        observer.destroy_node()
        rclpy.shutdown()


def stop(node):
    """Interrupt the node, a second time if it goes on; return its exit code."""
    for _ in range(2):
        node.send_signal(signal.SIGINT)
        try:
            return node.wait(timeout=TIMEOUT_S / 2)
        except subprocess.TimeoutExpired:
            print(f'the node goes on {TIMEOUT_S / 2:g} s after SIGINT')
    node.send_signal(signal.SIGABRT)  # prints where its threads are
    return node.wait(timeout=TIMEOUT_S)


def main():
    """Run the checks; an AssertionError says which did not hold."""
    install, pyproject = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).read_text()
    assert install in Path(msg.__file__).resolve().parents, f'{msg.__file__} is not in {install}'
    message = msg.Classification(labels=['tabby'], class_ids=[281], scores=[0.5])
    assert deserialize_message(serialize_message(message), msg.Classification) == message
    goal = action.Teach.Goal(label='mug', frames=20)
    assert deserialize_message(serialize_message(goal), action.Teach.Goal) == goal

    share = get_package_share_path('ltp_ros')
    for name in ('package.xml', 'config/fastdds.xml', 'launch/classify.launch.py'):
        assert (share / name).is_file(), f'{share / name} is missing'

    declared = set(re.findall(r'^(ltp_\w+) = "ltp_ros\.', pyproject, re.MULTILINE))
    programs = Path(get_package_prefix('ltp_ros'), 'lib', 'ltp_ros')
    found = {path.name for path in programs.iterdir() if os.access(path, os.X_OK)}
    assert found == declared != set(), f'{programs} has {found}, pyproject.toml {declared}'

    node = subprocess.Popen([str(programs / 'ltp_classifier'), '--ros-args', '-p',
                             'autostart:=false'], env={**os.environ, 'PYTHONFAULTHANDLER': '1'})
    try:
        state = node_state()
    finally:
        code = stop(node)
    assert state == 'unconfigured', f'the node answers {state!r} instead of unconfigured'
    assert code == 0, f'the node ended with exit code {code}'
    print(f'{install}: messages, {len(found)} programs and the node work')


if __name__ == '__main__':
    main()
