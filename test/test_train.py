# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_train`: its parts, that it learns, and that a stopped run goes on exactly."""
import json
import math
import os
import random
import signal

import cv2
import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn

from ltp_ros.preprocessing import DataConfig, Preprocessor
from ltp_ros.tools import train, training_state
from ltp_ros.tools.training_data import (
    augment,
    channel_statistics,
    epoch_order,
    hold_out,
    normalise,
)
from ltp_ros.tools.training_loop import Settings, Trainer, TrainingData
from ltp_ros.tools.training_model import TrainingPruner, draw_pruning, pruned_accuracy
from ltp_ros.tools.training_optim import Muon, one_cycle, orthogonalise, split_parameters
from ltp_ros.vit import ModelError, attach_pruner, create_vit, data_config, label_names

BATCH = 8
QUIET = Console(quiet=True)


@pytest.fixture(autouse=True)
def one_thread():
    """Train with one thread: batches this small gain nothing from two, and lose on a busy CPU."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def images(tmp_path):
    """Return a folder of two classes that differ in brightness, twelve images each."""
    rng = np.random.default_rng(0)
    for name, brightness in (('bright', 190), ('dark', 60)):
        (tmp_path / 'images' / name).mkdir(parents=True)
        for index in range(12):
            picture = brightness + rng.integers(-40, 40, (32, 32, 3))
            path = tmp_path / 'images' / name / f'{index}.png'
            path.write_bytes(cv2.imencode('.png', picture.astype(np.uint8))[1].tobytes())
    return tmp_path / 'images'


def make_trainer(folder, minutes=0.0, **settings):
    """Return a trainer on 24 random images: three steps an epoch, two epochs."""
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (24, 3, 32, 32), dtype=torch.uint8, generator=generator)
    labels = torch.arange(24) % 3
    data = TrainingData(pixels, labels, pixels[:0], labels[:0], ['a', 'b', 'c'])
    settings = Settings(**{'batch': BATCH, 'epochs': 2, 'lr': 3e-3, **settings})
    return Trainer(settings, data, folder / 'model', 'cpu', 'float32', minutes)


def command(images, folder, *more):
    return [str(images), '--output', str(folder), '--batch', str(BATCH), '--device', 'cpu',
            '--precision', 'float32', '--hold-out', '0', '--quiet', *more]


def test_a_run_stopped_and_resumed_ends_with_the_very_same_weights(tmp_path):
    whole = make_trainer(tmp_path / 'whole')
    for _ in range(5):
        whole.step()
    (tmp_path / 'parts').mkdir()
    first = make_trainer(tmp_path / 'parts')
    for _ in range(2):
        first.step()
    first.save()
    second = make_trainer(tmp_path / 'parts')
    second.resume()
    for _ in range(3):
        second.step()
    assert second.progress['loss_sum'] == whole.progress['loss_sum']
    for name, value in whole.vit.state_dict().items():
        assert torch.equal(second.vit.state_dict()[name], value), name


def test_a_state_of_other_settings_is_refused_by_name(tmp_path):
    make_trainer(tmp_path).save()
    with pytest.raises(ModelError, match='was made with lr=0.003, not 0.005'):
        make_trainer(tmp_path, lr=5e-3).resume()


def test_a_state_of_other_weights_is_refused(tmp_path):
    state = {'settings': vars(Settings(batch=BATCH, epochs=2, lr=3e-3))}
    trainer = make_trainer(tmp_path)
    training_state.save_state(trainer.state_path, nn.Linear(2, 2), [], state)
    with pytest.raises(RuntimeError, match='Missing key'):
        trainer.resume()


def test_a_failed_write_leaves_the_last_state_in_place(tmp_path, monkeypatch):
    trainer = make_trainer(tmp_path)
    trainer.save()

    def fail_halfway(tensors, path, metadata):
        with open(path, 'wb') as file:
            file.write(b'half')
        raise OSError('no space left')
    monkeypatch.setattr(training_state, 'save_file', fail_halfway)
    with pytest.raises(OSError, match='no space left'):
        trainer.save()
    trainer.resume()
    assert trainer.progress['step'] == 0


def test_an_interrupt_saves_the_step_and_says_how_to_go_on(images, tmp_path, monkeypatch, capsys):
    step = Trainer.step

    def interrupted_step(self):
        os.kill(os.getpid(), signal.SIGINT)
        return step(self)
    monkeypatch.setattr(Trainer, 'step', interrupted_step)
    assert train.main(command(images, tmp_path)) == train.INTERRUPTED
    assert 'resume' in capsys.readouterr().err
    state = training_state.read_progress(tmp_path / 'model.state.safetensors')
    assert state['step'] == 1


def test_it_learns_and_its_files_make_a_classifier(images, tmp_path):
    out = tmp_path / 'out'
    assert train.main(command(images, out, '--epochs', '4', '--val', str(images),
                              '--json', str(tmp_path / 'run.json'))) == 0
    card = json.loads((out / 'model.json').read_text())
    assert set(card) == {'architecture', 'model_args', 'num_classes', 'label_names',
                         'pretrained_cfg', 'training'}
    assert card['training'] == json.loads((tmp_path / 'run.json').read_text())
    assert str(tmp_path) not in json.dumps(card)
    log = [json.loads(line) for line in (out / 'model.log.jsonl').read_text().splitlines()]
    assert log == card['training']['history']
    assert log[-1]['val_top1']['0.53'] >= 90.0

    checkpoint = str(out / 'model.safetensors')
    vit = create_vit('ignored, the card says', checkpoint)
    assert label_names(vit, checkpoint) == ['bright', 'dark']
    config = data_config(vit)
    assert list(config.mean) == card['pretrained_cfg']['mean']
    bright = normalise(torch.full((1, 3, 32, 32), 190, dtype=torch.uint8), Preprocessor(config))
    assert vit(bright).argmax().item() == 0


def test_a_checkpoint_of_other_classes_gets_a_new_head(images, tmp_path):
    make_trainer(tmp_path).save()
    trainer = make_trainer(tmp_path)
    training_state.export_model(
        tmp_path / 'start', trainer.vit, train.model_card(trainer.built, 'abc', {}))
    assert train.main(command(images, tmp_path / 'out', '--epochs', '1', '--checkpoint',
                              str(tmp_path / 'start.safetensors'))) == 0
    card = json.loads((tmp_path / 'out' / 'model.json').read_text())
    assert card['num_classes'] == 2
    start = json.loads((tmp_path / 'start.json').read_text())
    assert card['pretrained_cfg'] == start['pretrained_cfg']


def test_missing_images_end_with_a_sentence_and_exit_code_2(tmp_path, capsys):
    assert train.main([str(tmp_path / 'nowhere'), '--output', str(tmp_path)]) == 2
    assert 'nowhere' in capsys.readouterr().err


def test_the_clock_ends_a_run_before_its_epochs_are_done(tmp_path):
    trainer = make_trainer(tmp_path, minutes=1.0)
    trainer.progress['seconds'] = 59.999999
    assert train.run(trainer, QUIET, [], quiet=True)
    assert trainer.progress['step'] == 1


def test_a_pause_of_the_whole_program_counts_as_one_long_step(tmp_path, monkeypatch):
    trainer = make_trainer(tmp_path, epochs=1)
    times = iter(10_000.0 * count for count in range(100))
    monkeypatch.setattr(train.time, 'monotonic', lambda: next(times))
    train.run(trainer, QUIET, [], quiet=True)
    assert trainer.progress['seconds'] <= 3 * train.LONGEST_STEP_S


def small_vit():
    vit = create_vit('vit_demo', pretrained=False, num_classes=3)
    with torch.no_grad():
        vit.pos_embed.copy_(torch.randn_like(vit.pos_embed))
    return vit


@pytest.mark.parametrize('keep_ratio', [1.0, 0.53, 0.1])
def test_scored_dropping_keeps_what_inference_keeps(keep_ratio):
    vit, images = small_vit(), torch.randn(2, 3, 32, 32)
    attach_pruner(vit, keep_ratio=keep_ratio)
    expected = vit(images)
    pruner = vit.patch_drop = TrainingPruner(vit)
    pruner.keep_ratio, pruner.by_score = keep_ratio, True
    torch.testing.assert_close(vit(images), expected)


def test_dropping_by_chance_keeps_the_class_token_and_k_of_the_patches():
    pruner = TrainingPruner(small_vit())
    pruner.keep_ratio = 0.25
    tokens = torch.arange(65.0).view(1, 65, 1).expand(2, 65, 192)
    kept = pruner(tokens)[:, :, 0]
    assert kept.shape == (2, 1 + 16)
    assert kept[:, 0].tolist() == [0.0, 0.0]
    assert (kept[:, 1:].diff(dim=1) > 0).all()
    assert kept[0].tolist() != kept[1].tolist()


def test_dropping_adds_nothing_to_the_state_dict():
    vit = small_vit()
    names = set(vit.state_dict())
    vit.patch_drop = TrainingPruner(vit)
    assert set(vit.state_dict()) == names


def test_drawn_keep_ratios_cover_their_range_and_are_sometimes_one():
    rng = random.Random(0)
    drawn = [draw_pruning(rng, 0.25, share_full=0.2) for _ in range(2000)]
    ratios = [ratio for ratio, _ in drawn]
    assert min(ratios) >= 0.25
    assert 0.15 < sum(ratio == 1.0 for ratio in ratios) / 2000 < 0.25
    assert 0.4 < sum(by_score for _, by_score in drawn) / 2000 < 0.6


def test_measuring_accuracy_leaves_the_model_as_it_was():
    vit = small_vit().train()
    slot = vit.patch_drop = TrainingPruner(vit)
    before = {name: value.clone() for name, value in vit.state_dict().items()}
    plain = Preprocessor(DataConfig((32, 32), (0.5,) * 3, (0.25,) * 3))
    pixels = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8)
    pruned_accuracy(vit, pixels, torch.zeros(6, dtype=torch.long), plain, (1.0, 0.5))
    assert vit.training
    assert vit.patch_drop is slot
    assert all(torch.equal(value, before[name]) for name, value in vit.state_dict().items())


def test_accuracy_counts_the_right_answers():
    vit = small_vit()
    plain = Preprocessor(DataConfig((32, 32), (0.5,) * 3, (0.25,) * 3))
    pixels = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8)
    labels = vit(normalise(pixels, plain)).argmax(dim=1)
    labels[0] = (labels[0] + 1) % 3
    measured = pruned_accuracy(vit, pixels, labels, plain, (1.0,))
    assert measured == {'1': pytest.approx(100 * 5 / 6, abs=0.001)}


def test_augmented_images_are_mirrored_windows_of_the_padded_image():
    image = torch.randn(1, 3, 6, 6)
    padded = nn.functional.pad(image, (1, 1, 1, 1), 'reflect')
    windows = [padded[..., y:y + 6, x:x + 6] for y in range(3) for x in range(3)]
    windows += [window.flip(3) for window in windows]
    seen = set()
    for output in augment(image.expand(200, 3, 6, 6), pad=1):
        matches = [n for n, window in enumerate(windows) if torch.equal(window[0], output)]
        assert matches
        seen.add(matches[0])
    assert seen == set(range(18))


def test_held_out_images_are_not_trained_on():
    train_indices, held = hold_out(50, 0.1, seed=3)
    assert len(held) == 5
    assert sorted(train_indices.tolist() + held.tolist()) == list(range(50))


def test_an_epoch_sees_every_image_in_an_order_of_its_own():
    first, second = epoch_order(40, 0, seed=0), epoch_order(40, 1, seed=0)
    assert sorted(first.tolist()) == list(range(40))
    assert first.tolist() != second.tolist()
    assert first.tolist() == epoch_order(40, 0, seed=0).tolist()


def test_channel_statistics_are_those_of_numpy():
    pixels = torch.randint(0, 256, (5, 3, 7, 9), dtype=torch.uint8)
    scaled = pixels.numpy() / 255.0
    mean, std = channel_statistics(pixels)
    np.testing.assert_allclose(mean, scaled.mean(axis=(0, 2, 3)), atol=1e-4)
    np.testing.assert_allclose(std, scaled.std(axis=(0, 2, 3)), atol=1e-4)


@pytest.mark.parametrize('shape', [(32, 32), (48, 16), (16, 90)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape):
    values = torch.linalg.svdvals(orthogonalise(torch.randn(shape), steps=6))
    assert values.min() > 0.4
    assert values.max() < 1.4


def test_a_muon_step_is_as_long_as_an_adam_step_of_the_same_rate():
    filters = nn.Parameter(torch.zeros(64, 32, 3, 3))
    filters.grad = torch.randn_like(filters)
    Muon([filters], lr=0.1).step()
    root_mean_square = filters.detach().square().mean().sqrt().item()
    assert math.isclose(root_mean_square, 0.1 * 0.2, rel_tol=0.25)


def test_every_trainable_parameter_has_one_optimiser():
    vit = small_vit()
    vit.patch_embed.whiten.weight.requires_grad_(False)
    matrices, rest = split_parameters(vit)
    assert not set(matrices) & set(rest)
    trainable = {name for name, param in vit.named_parameters() if param.requires_grad}
    assert set(matrices) | set(rest) == trainable
    assert {'pos_embed', 'cls_token', 'head.weight'} <= set(rest)
    assert 'blocks.0.attn.qkv.weight' in matrices


def test_the_learning_rate_rises_once_and_falls_to_nothing():
    rates = [one_cycle(share / 100) for share in range(101)]
    peak = rates.index(max(rates))
    assert rates[:peak + 1] == sorted(rates[:peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert max(rates) == pytest.approx(1.0)
    assert rates[-1] == 0.0
