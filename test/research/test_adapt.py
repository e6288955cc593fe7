# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_adapt`: what it learns, when it ends, and what it writes."""
import copy
import json

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ltp_ros.model.preprocessing import Preprocessor
from ltp_ros.model.vit import create_vit, data_config
from ltp_ros.research.accuracy.answers import Variant
from ltp_ros.research.datasets import DatasetError
from ltp_ros.research.training.adaptation import (
    Adapter,
    ModelOutput,
    Recipe,
    answer,
    cosine,
    cut_mix,
    distance,
    gains,
)
from ltp_ros.tools.adapt import main

LADDER = [Variant('ltp', 1.0, 'srb', 0.5), Variant('ltp', 0.3, 'srb', 0.5)]


@pytest.fixture(scope='module')
def pixels():
    """Return (n, 3, 32, 32) uint8 with something to see."""
    rng = np.random.default_rng(0)
    return torch.from_numpy(np.stack([
        cv2.resize(rng.integers(0, 256, (4, 4, 3), np.uint8), (32, 32)).transpose(2, 0, 1)
        for _ in range(32)]))


def adapter(pixels, method='ltp', **recipe):
    """Return an adapter of the model inside the package."""
    model = create_vit('demo', method=method)
    ladder = [Variant(method, each.keep_ratio) for each in LADDER]
    return Adapter(model, ladder, Preprocessor(data_config(model)), pixels[:24], pixels[24:],
                   Recipe(**{'batch': 8, **recipe}))


def test_the_distance_is_nothing_to_itself_and_something_to_others():
    one = ModelOutput(torch.randn(4, 7), torch.randn(4, 5), torch.randn(4, 3, 5))
    assert float(distance(one, one, 1.0)) == pytest.approx(0, abs=1e-6)
    assert float(distance(one._replace(logits=one.logits.flip(0)), one, 1.0)) > 0.1
    assert float(distance(one._replace(features=-one.features), one, 0.5)) == pytest.approx(1.0)


def test_logits_and_features_are_those_of_the_model(small_model):
    model = create_vit('', small_model)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        found = answer(model, images)
        torch.testing.assert_close(found.logits, model(images))
    assert (found.features.shape, found.tokens.shape) == ((2, 48), (2, 17, 48))


@pytest.mark.parametrize('method', ['ltp', 'mixed'])
def test_the_pruned_model_comes_nearer_to_its_unpruned_self(method, pixels):
    learner = adapter(pixels, method)
    before = learner.held_distance()
    for step in range(20):
        learner.train_step(step / 20)
    assert learner.held_distance() < 0.9 * before


def test_a_model_whose_tokens_are_merged_can_learn_too(pixels):
    learner = adapter(pixels, 'tome')
    assert all(np.isfinite(learner.train_step(0.5)) for _ in range(3))


def test_the_teacher_and_the_positions_stay_as_they_are(pixels):
    learner = adapter(pixels)
    teacher = copy.deepcopy(learner.teacher.state_dict())
    start = copy.deepcopy(learner.vit.state_dict())
    for _ in range(3):
        learner.train_step(0.5)
    assert all(torch.equal(value, teacher[name])
               for name, value in learner.teacher.state_dict().items())
    moved = {name for name, value in learner.vit.state_dict().items()
             if not torch.equal(value, start[name])}
    assert 'blocks.0.attn.qkv.weight' in moved and 'head.weight' in moved
    assert 'pos_embed' not in moved


def test_the_same_seed_takes_the_same_steps(pixels):
    first, again = (adapter(pixels, seed=3) for _ in range(2))
    assert [first.train_step(0.5) for _ in range(3)] == [again.train_step(0.5) for _ in range(3)]


def test_the_best_weights_of_all_checks_are_kept(pixels, monkeypatch):
    learner = adapter(pixels, patience=2)
    measured = iter([0.5 * learner.best, learner.best, learner.best])
    monkeypatch.setattr(learner, 'held_distance', lambda: next(measured))
    learner.train_step(0.5)
    assert learner.check()
    best = copy.deepcopy(learner.vit.state_dict())
    learner.train_step(0.5)
    assert learner.check()
    assert not learner.check()  # twice without a gain
    learner.finish()
    assert all(torch.equal(value, best[name])
               for name, value in learner.vit.state_dict().items())


def test_gains_are_counted_level_by_level_against_the_model_as_it_was(small_model):
    before = create_vit('', small_model)
    after = copy.deepcopy(before)
    with torch.no_grad():
        after.head.bias[3] += 100.0  # always class 3
    images = torch.randn(5, 3, 64, 64)
    with torch.no_grad():
        best = before(images).argmax(dim=1)
    rows = gains(before, after, LADDER, [images[:3], images[3:]], labels=torch.tensor([3] * 5))
    assert [row['keep_ratio'] for row in rows] == [1.0, 0.3]
    assert rows[0]['agreement_before'] == 100.0
    assert rows[0]['agreement_after'] == pytest.approx(100 * float((best == 3).float().mean()))
    assert rows[0]['top1_after'] == rows[1]['top1_after'] == 100.0
    assert rows[0]['top1_gain'] == 100.0 - rows[0]['top1_before']


def test_every_other_image_gets_a_square_of_its_neighbour():
    images = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 20, 10)
    for _ in range(20):
        mixed = cut_mix(images)
        assert torch.equal(mixed[1::2], images[1::2])
        pasted = mixed[::2] != images[::2]
        assert torch.equal(mixed[::2][pasted], images.roll(1, 0)[::2][pasted])
        assert torch.equal(pasted, pasted[:1, :1].expand_as(pasted))
        rows, columns = pasted[0, 0].any(dim=1).sum(), pasted[0, 0].any(dim=0).sum()
        assert int(pasted[0, 0].sum()) == rows * columns


def test_the_learning_rate_rises_and_falls_to_nothing():
    rates = [cosine(share, 0.1) for share in np.linspace(0, 1, 101)]
    assert rates[10] == max(rates) == 1.0
    assert rates[:11] == sorted(rates[:11]) and rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.0, abs=1e-9)


@pytest.fixture
def folder(pixels, tmp_path):
    path = tmp_path / 'images'
    path.mkdir()
    for number, image in enumerate(pixels):
        cv2.imwrite(str(path / f'{number:02d}.png'), image.permute(1, 2, 0).numpy()[..., ::-1])
    return path


def test_it_writes_a_checkpoint_that_the_classifier_loads(folder, small_model, tmp_path, capsys):
    (folder / 'labels.csv').write_text(
        'file,class_index\n' + ''.join(f'{number:02d}.png,{number % 7}\n' for number in range(9)))
    output = tmp_path / 'out.safetensors'
    assert main([str(folder), '--checkpoint', small_model, '--device', 'cpu', '--quiet',
                 '--steps', '4', '--batch', '4', '--output', str(output), '--val', str(folder),
                 '--keep-ratios', '0.5', '--json', str(tmp_path / 'record.json')]) == 0
    assert f'checkpoint:={output}' in capsys.readouterr().out.replace('\n', '')
    result = json.loads((tmp_path / 'record.json').read_text())
    assert result['steps'] == 4
    assert [row['keep_ratio'] for row in result['rows']] == [1.0, 0.5]
    assert result['rows'][1]['n'] == 9 and 'top1_after' in result['rows'][1]
    adapted, original = create_vit('', str(output)), create_vit('', small_model)
    assert data_config(adapted) == data_config(original)
    assert json.loads(output.with_suffix('.json').read_text())['label_names'][2] == 'thing 2'
    assert set(load_file(str(output))) == set(load_file(small_model))


def test_it_ends_when_the_minutes_are_over(folder, small_model, tmp_path):
    assert main([str(folder), '--checkpoint', small_model, '--device', 'cpu', '--quiet',
                 '--minutes', '0.001', '--batch', '4', '--output',
                 str(tmp_path / 'out.safetensors'), '--json', str(tmp_path / 'record.json')]) == 0
    assert json.loads((tmp_path / 'record.json').read_text())['steps'] < 20


@pytest.mark.parametrize('flags, named', [
    (['--output', 'model.pth'], 'model.pth'), (['--keep-ratios', '0'], 'keep_ratios'),
    (['--hold-out', '1'], 'hold-out'), (['--checkpoint', 'nowhere.pth'], 'nowhere.pth'),
    (['--output', 'nowhere/a.safetensors'], 'nowhere'),
    (['--output', 'a.safetensors', '--json', 'a.json'], 'a.json')])
def test_what_is_not_allowed_is_named(flags, named, folder, small_model, capsys):
    assert main([str(folder), '--checkpoint', small_model, '--device', 'cpu', '--quiet',
                 *flags]) == 2
    assert named in capsys.readouterr().err


def test_too_few_images_are_refused_with_their_number(folder, small_model, capsys):
    assert main([str(folder), '--checkpoint', small_model, '--device', 'cpu', '--quiet',
                 '--limit', '5']) == 2
    assert '5 images' in capsys.readouterr().err


def test_damaged_images_are_left_out_and_told(folder, small_model, tmp_path, capsys):
    (folder / '00.png').write_bytes(b'damaged')
    saved = cv2.imencode('.png', np.zeros((1, 60_000, 3), np.uint8))[1].tobytes()
    (folder / '01.png').write_bytes(saved)  # too elongated for the model
    (folder / 'labels.csv').write_text('file,class_index\n' + ''.join(
        f'{number:02d}.png,{number % 7}\n' for number in range(1, 12)))
    assert main([str(folder), '--checkpoint', small_model, '--device', 'cpu', '--quiet',
                 '--steps', '2', '--batch', '4', '--output', str(tmp_path / 'out.safetensors'),
                 '--val', str(folder), '--json', str(tmp_path / 'record.json')]) == 0
    told = ' '.join(capsys.readouterr().err.split())
    total = len(list(folder.glob('*.png')))
    assert f'2 of {total} images cannot be used: {folder / "00.png"}, {folder / "01.png"}' in told
    assert f'1 of 11 images cannot be used: {folder / "01.png"}' in told and 'elongated' in told
    result = json.loads((tmp_path / 'record.json').read_text())
    assert result['rows'][0]['n'] == 10


def test_topics_of_a_recording_are_passed_on(small_model, monkeypatch, capsys):
    def rgb_images(source, limit, note, fits, topics):
        raise DatasetError(f'{source}: {topics}')
    monkeypatch.setattr('ltp_ros.tools.adapt.rgb_images', rgb_images)
    assert main(['bag', '--topics', '/a', '/b', '--checkpoint', small_model, '--device', 'cpu',
                 '--quiet', '--output', 'out.safetensors']) == 2
    assert "bag: ['/a', '/b']" in capsys.readouterr().err


def test_a_validation_set_of_no_use_is_refused_before_the_training(
        folder, small_model, tmp_path, monkeypatch, capsys):
    (tmp_path / 'val' / 'thing 1').mkdir(parents=True)
    (tmp_path / 'val' / 'thing 1' / 'bad.jpg').write_bytes(b'damaged')
    monkeypatch.setattr('ltp_ros.research.training.adaptation.Adapter.train_step',
                        lambda *_: pytest.fail('trained'))
    assert main([str(folder), '--checkpoint', small_model, '--device', 'cpu', '--quiet',
                 '--val', str(tmp_path / 'val'), '--output', str(tmp_path / 'out.safetensors')]
                ) == 2
    assert 'bad.jpg' in capsys.readouterr().err
