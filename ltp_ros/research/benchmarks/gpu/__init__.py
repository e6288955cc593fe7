# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark gpu`: every check that needs a GPU, in parts, most valuable first. No ROS."""
from ltp_ros.research.benchmarks.gpu import (
    endurance,
    here,
    host,
    node,
    right,
    strains,
    tests,
    times,
    tuner,
)
from ltp_ros.research.benchmarks.gpu.parts import Part

PARTS = (
    Part('here', 'Hardware and software', 8, here.run),
    Part('right', 'Agreement with the CPU', 55, right.run),
    Part('host', 'No host in the loop', 20, host.run),
    Part('times', 'Times', 60, times.run),
    Part('endurance', 'Ten thousand frames', 20, endurance.run),
    Part('tests', 'The tests that need no ROS', 40, tests.run, needs_gpu=True),
    Part('tuner', 'The tuner on this device', 15, tuner.run, needs_gpu=True),
    Part('node', 'The node over DDS', 8, node.run, needs_gpu=True),
    Part('strains', 'Stress tests', 14, strains.run, needs_gpu=True),
)
