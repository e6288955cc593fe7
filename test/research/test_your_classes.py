# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""docs/your_classes.md: its commands lead from folders of photos to a classifier."""
import json
import re
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest

from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig
from ltp_ros.model.vit import create_vit
from ltp_ros.research.training import built_model
from ltp_ros.research.training.trainer import batch_for
from ltp_ros.tools import evaluate, train

PAGE = Path(__file__).parents[2] / 'docs' / 'your_classes.md'


def command(program):
    """Return the words of the command on the page, without the program."""
    line, = re.findall(f'^{program} .*', PAGE.read_text(encoding='utf-8'), re.MULTILINE)
    return shlex.split(line)[1:]


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Lay folders out as the page says, with pictures of one colour a class."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for part, count in (('train', 12), ('test', 4)):
        for index, name in enumerate(('cardboard', 'glass', 'metal')):
            (tmp_path / 'photos' / part / name).mkdir(parents=True)
            for number in range(count):
                picture = rng.integers(0, 120, (40, 40, 3), np.uint8)
                picture[..., index] += 120
                cv2.imwrite(f'photos/{part}/{name}/{number:03d}.jpg', picture)


def test_the_commands_of_the_page_lead_to_a_classifier(photos, monkeypatch):
    def without_a_network(model, checkpoint='', *, pretrained=True, **more):
        return create_vit(model, checkpoint, pretrained=False, **more)
    monkeypatch.setattr(built_model, 'create_vit', without_a_network)
    small = ['--model', 'vit_demo', '--epochs', '4', '--lr', '3e-3', '--batch', '8']
    assert train.main([*command('ltp_train'), *small, '--device', 'cpu', '--quiet']) == 0
    assert evaluate.main([*command('ltp_evaluate'), '--device', 'cpu', '--quiet',
                          '--json', 'accuracy.json']) == 0
    assert json.loads(Path('accuracy.json').read_text())['rows'][0]['n'] == 12

    launched = dict(word.split(':=') for word in command('ros2 launch') if ':=' in word)
    checkpoint = launched['checkpoint'].replace('$PWD', str(Path.cwd()))
    classifier = Classifier(ClassifierConfig(checkpoint=checkpoint, device='cpu',
                                             backend='eager', precision='float32'))
    blue = cv2.imread('photos/test/cardboard/000.jpg')[..., ::-1].copy()
    assert classifier.classify(blue).labels[0] == 'cardboard'


def test_the_page_and_the_help_say_how_the_batch_follows_from_the_images(capsys):
    rule = {int(batch): int(least.replace(',', '')) for batch, least in re.findall(
        r'(\d+) from ([\d,]+)', PAGE.read_text(encoding='utf-8'))}
    assert len(rule) == 5
    for batch, least in rule.items():
        assert (batch_for(least), batch_for(least - 1)) == (batch, batch // 2)
    with pytest.raises(SystemExit):
        train.main(['--help'])
    told = ' '.join(capsys.readouterr().out.split())
    assert '256 from 20,000 on, 128 from 5,000, 64 from 1,250, 32 from 312' in told


def test_the_page_is_linked_from_the_readme_and_from_the_demo_model():
    for page, link in (('README.md', 'docs/your_classes.md'),
                       ('docs/demo_model.md', 'your_classes.md')):
        text = (PAGE.parents[1] / page).read_text(encoding='utf-8')
        assert f']({link})' in text and 'ltp_train my_images' not in text
