# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The README's recipe for a deadline beside other programs: its commands are accepted."""
import re
import shlex
from pathlib import Path

import yaml

from ltp_ros.config import Config
from ltp_ros.settings import update
from ltp_ros.tools.benchmark import build_parser

README = (Path(__file__).parents[1] / 'README.md').read_text(encoding='utf-8')
SECTION = re.search(r'^## The deadline$(.*?)^## ', README, re.DOTALL | re.MULTILINE)[1]
LAUNCH, CHOOSE = (shlex.split(block.replace('\\\n', ' '))
                  for block in re.findall(r'```bash\n(.*?)```', SECTION, re.DOTALL))


def test_the_node_accepts_the_parameters_of_the_recipe():
    assert LAUNCH[:4] == ['ros2', 'launch', 'ltp_ros', 'classify.launch.py']
    given = dict(argument.split(':=') for argument in LAUNCH[4:])
    assert given.pop('image_topic') == '/camera/image_raw'
    config = update(Config(), {name: yaml.safe_load(text) for name, text in given.items()})
    assert (config.classifier.precision, config.classifier.method, config.classifier.num_threads,
            config.classifier.priority, config.tuner.min_keep_ratio, config.tuner.deadline_ms) == (
        'int8', 'mixed', 1, 49, 0.45, 25.0)


def test_the_program_that_finds_these_settings_accepts_its_flags():
    assert CHOOSE[:2] == ['ltp_benchmark', 'choose']
    args = build_parser('choose').parse_args(CHOOSE[1:])
    assert (args.deadline_ms, args.num_threads, args.priority, args.methods) == (
        25.0, 1, 49, ['ltp', 'mixed'])


def test_the_node_accepts_the_examples_of_what_is_classified():
    table = README.split('\n## What is classified\n')[1].split('\n## ')[0]
    examples = dict(re.findall(r'^\| `(\w+)` \| `(.*?)` \|', table, re.MULTILINE))
    assert set(examples) == {'crop_mode', 'roi', 'zoom', 'max_rate', 'lazy', 'detections_topic'}
    detections = {'detections_topic': examples.pop('detections_topic')}  # not beside roi and zoom
    assert update(Config(), detections).input.detections_topic == '/yolo/detections'
    config = update(Config(), {name: yaml.safe_load(text) for name, text in examples.items()})
    assert config.input.roi == (0.25, 0.0, 0.5, 1.0)
