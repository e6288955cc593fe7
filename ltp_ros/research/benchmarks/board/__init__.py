# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark board`: what a board can do, and LTP-ViT's Figs. 6 and 7 on it. No ROS."""
from ltp_ros.research.benchmarks.board import ladder, paper
from ltp_ros.research.benchmarks.gpu import here, node
from ltp_ros.research.benchmarks.gpu.parts import Part

PARTS = (
    Part('here', 'Hardware and software', 8, here.run),
    Part('ladder', "From the camera's bytes to the classes, level by level", 120, ladder.run),
    Part('paper', 'Figs. 6 and 7 of LTP-ViT', 100, paper.run),
    Part('node', 'The node over DDS', 30, node.run),
)
