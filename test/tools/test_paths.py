# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Paths on the command lines: ~ is the home folder in every program, also after an `=`."""
import importlib
import os

import pytest

from ltp_ros.tools.benchmark import COMMANDS
from ltp_ros.tools.benchmark import build_parser as benchmark_parser

PROGRAMS = ('adapt', 'evaluate', 'export', 'profile', 'replay', 'train', 'image_source', 'demo')
NEED_ROS = {'image_source', 'demo'}
PATHS = {'images', 'source', 'output', 'json', 'plot', 'maps', 'state', 'val', 'checkpoint',
         'labels', 'cache', 'papr_checkpoint', 'photos', 'bags'}
PLACEHOLDERS = {'FILE', 'FOLDER', 'IMAGES'}


def flags_of(program):
    """Return the arguments of a program, or of a command of `ltp_benchmark`."""
    if program in NEED_ROS:
        pytest.importorskip('rclpy')
    if program not in COMMANDS:
        return importlib.import_module(f'ltp_ros.tools.{program}').build_parser()._actions
    commands, = (action for action in benchmark_parser(program)._actions if action.choices)
    return commands.choices[program]._actions


@pytest.mark.parametrize('program', (*PROGRAMS, *COMMANDS))
def test_every_path_may_begin_with_the_home_folder(program, monkeypatch):
    monkeypatch.setenv('HOME', '/home/someone')
    paths = [flag for flag in flags_of(program)
             if flag.dest in PATHS or flag.metavar in PLACEHOLDERS]
    assert paths
    assert {flag.dest: flag.type('~/x') if flag.type else None for flag in paths} == {
        flag.dest: os.path.join('/home/someone', 'x') for flag in paths}
