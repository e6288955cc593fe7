# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_adapt`: what it learns, when it ends, and what it writes."""
import copy
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ltp_ros.model.vit import create_vit, data_config
from ltp_ros.research.accuracy.answers import Variant
from ltp_ros.research.datasets import DatasetError
from ltp_ros.research.training.adaptation import Adapter, Recipe, Seer, cosine, cut_mix
from ltp_ros.research.training.distances import ModelOutput, answer, beside, distance
from ltp_ros.research.training.gains import gains
from ltp_ros.tools.adapt import main

LADDER = [Variant('ltp', 1.0, 'srb', 0.5), Variant('ltp', 0.3, 'srb', 0.5)]


@pytest.fixture(scope='module')
def pixels():
    """Return (n, 3, 32, 32) uint8 with something to see."""
    rng = np.random.default_rng(0)
    return torch.from_numpy(np.stack([
        cv2.resize(rng.integers(0, 256, (4, 4, 3), np.uint8), (32, 32)).transpose(2, 0, 1)
        for _ in range(32)]))


def seer(method='none', size=0):
    """Return the model inside the package, which takes images of 32 pixels unless told."""
    model = create_vit('demo', method=method, input_size=size)
    return Seer(model, data_config(model), torch.device('cpu'))


def adapter(pixels, method='ltp', size=0, ratios=(1.0, 0.3), trained='all', fuse=False, **recipe):
    """Return an adapter of the model inside the package."""
    student = seer(method, size)
    if fuse:
        student.vit.patch_drop.add_fuse()
    return Adapter(student, seer(), [Variant(method, ratio) for ratio in ratios], pixels[:24],
                   pixels[24:], Recipe(**{'batch': 8, **recipe}), trained=trained)


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


@pytest.mark.parametrize('method, level', [
    ('ltp', {}), ('mixed', {}), ('mixed', {'ratios': [0.3], 'fuse': True}),
    ('none', {'size': 24, 'ratios': [1.0]}), ('ltp', {'size': 48, 'ratios': [0.49]}),
    ('ltp', {'trained': 'norms', 'lr': 1e-3})])
def test_the_model_comes_nearer_to_the_original(method, level, pixels):
    learner = adapter(pixels, method, **level)
    learner._held = pixels[:24]  # a few noise images say nothing of others
    before = learner.held_distance()
    for step in range(20):
        learner.train_step(step / 20)
    assert learner.held_distance() < 0.95 * before


def test_a_model_whose_tokens_are_merged_can_learn_too(pixels):
    learner = adapter(pixels, 'tome')
    assert all(np.isfinite(learner.train_step(0.5)) for _ in range(3))


def test_the_teacher_and_the_positions_stay_as_they_are(pixels):
    learner = adapter(pixels)
    teacher = copy.deepcopy(learner.teacher.vit.state_dict())
    start = copy.deepcopy(learner.vit.state_dict())
    for _ in range(3):
        learner.train_step(0.5)
    assert all(torch.equal(value, teacher[name])
               for name, value in learner.teacher.vit.state_dict().items())
    moved = {name for name, value in learner.vit.state_dict().items()
             if not torch.equal(value, start[name])}
    assert 'blocks.0.attn.qkv.weight' in moved and 'head.weight' in moved
    assert 'pos_embed' not in moved


def test_norms_and_biases_alone_can_be_trained(pixels):
    learner = adapter(pixels, 'mixed', ratios=[0.3], trained='norms', fuse=True)
    start = copy.deepcopy(learner.vit.state_dict())
    learner.train_step(0.5)
    moved = {name for name, value in learner.vit.state_dict().items()
             if not torch.equal(value, start[name])}
    assert {'norm.weight', 'blocks.0.attn.qkv.bias', 'patch_drop.fuse.weight'} <= moved
    assert moved <= set(learner.learning)
    assert all(start[name].ndim < 2 for name in moved - {'patch_drop.fuse.weight'})


def test_patches_are_compared_where_they_are():
    patches = torch.arange(16.0).view(1, 16, 1)
    model = create_vit('demo', method='mixed', keep_ratio=0.4)
    reducer = model.patch_drop
    reducer.num_patches, reducer.grid_size = 16, (4, 4)
    reducer.last_keep_indices = torch.tensor([[2, 3, 6, 7]])
    reducer.last_merged = torch.tensor([[3, 0]])
    assert beside(patches, (4, 4), reducer, (4, 4)).flatten().tolist() == [
        2, 3, 6, 7, (10 + 11 + 14 + 15) / 4, (0 + 1 + 4 + 5) / 4]


def test_of_another_grid_the_patches_are_resampled():
    smooth = torch.arange(8.0).view(1, 8, 1, 1).expand(1, 8, 8, 1).reshape(1, 64, 1)
    model = create_vit('demo', method='none', input_size=16)
    model.patch_drop.trace = True
    model.patch_drop(torch.zeros(1, 17, 1))
    found = beside(smooth, (8, 8), model.patch_drop, (4, 4)).view(4, 4)
    torch.testing.assert_close(found[:, 0], found[:, 3])
    torch.testing.assert_close(found[1:3, 0], torch.tensor([2.5, 4.5]))


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
    teacher = create_vit('', small_model, method='none')
    rows = gains(teacher, before, after, LADDER, [(some, some) for some in images.split(3)],
                 labels=torch.tensor([3] * 5))
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


def run(folder, checkpoint, output, *flags):
    """Adapt for four steps; return the card."""
    assert main([str(folder), '--checkpoint', checkpoint, '--device', 'cpu', '--quiet', '--batch',
                 '4', '--steps', '4', '--lr', '0.01', '--output', str(output), *flags]) == 0
    return json.loads(output.with_suffix('.json').read_text())


@pytest.mark.parametrize('train', ['all', 'norms'])
@pytest.mark.parametrize('flags, level', [
    (['--method', 'mixed', '--keep-ratio', '0.4'], ('mixed', 0.4, 64)),
    (['--method', 'none', '--input-size', '48'], ('none', 1.0, 48)),
    (['--method', 'ltp', '--keep-ratio', '0.49', '--input-size', '96'], ('ltp', 0.49, 96))])
def test_a_level_is_a_checkpoint_beside_its_untouched_original(
        flags, level, train, folder, small_model, tmp_path, capsys, monkeypatch):
    adapters = []
    monkeypatch.setattr('ltp_ros.tools.adapt.Adapter',
                        lambda *args: adapters.append(Adapter(*args)) or adapters[0])
    original = Path(small_model).read_bytes()
    card = run(folder, small_model, tmp_path / 'level.safetensors', *flags, '--train', train)
    method, keep_ratio, size = level
    assert (card['method'], card['keep_ratio'], card['input_size']) == level
    assert ('base' in card) == (train == 'norms')
    assert Path(small_model).read_bytes() == original
    assert f'keep_ratio: {keep_ratio:g}, input_size: {size}' in capsys.readouterr().out
    loaded = create_vit('', str(tmp_path / 'level.safetensors'), method=method,
                        keep_ratio=keep_ratio)
    trained = adapters[0].vit.state_dict()
    assert set(loaded.state_dict()) == set(trained)
    assert all(torch.equal(value, trained[name]) for name, value in loaded.state_dict().items())
    assert (method == 'mixed') == any('fuse' in name for name in trained)
    if train == 'norms':
        sizes = [(tmp_path / name).stat().st_size for name in ('level.safetensors', small_model)]
        assert sizes[0] < sizes[1] / 2


def test_it_ends_when_the_minutes_are_over(folder, small_model, tmp_path):
    assert main([str(folder), '--checkpoint', small_model, '--device', 'cpu', '--quiet',
                 '--minutes', '0.001', '--batch', '4', '--output',
                 str(tmp_path / 'out.safetensors'), '--json', str(tmp_path / 'record.json')]) == 0
    assert json.loads((tmp_path / 'record.json').read_text())['steps'] < 20


@pytest.mark.parametrize('flags, named', [
    (['--output', 'model.pth'], 'model.pth'), (['--keep-ratios', '0'], 'keep_ratios'),
    (['--hold-out', '1'], 'hold-out'), (['--method', 'none'], 'nothing to adapt to'),
    (['--method', 'none', '--keep-ratio', '0.5'], 'keep-ratio 0.5'),
    (['--checkpoint', 'nowhere.pth'], 'nowhere.pth'),
    (['--output', 'nowhere/a.safetensors'], 'nowhere'),
    (['--output', 'a.safetensors', '--json', 'a.json'], 'a.json')])
def test_what_is_not_allowed_is_named(flags, named, folder, small_model, capsys):
    assert main([str(folder), '--checkpoint', small_model, '--device', 'cpu', '--quiet',
                 *flags]) == 2
    assert named in capsys.readouterr().err


def test_the_original_is_not_overwritten(folder, small_model, capsys):
    before = Path(small_model).read_bytes()
    assert main([str(folder), '--checkpoint', small_model, '--output', small_model]) == 2
    assert 'is the original' in ' '.join(capsys.readouterr().err.split())
    assert Path(small_model).read_bytes() == before


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
