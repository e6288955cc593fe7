# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_train`: it learns, and a stopped run goes on exactly."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from torch import nn

import ltp_ros
from ltp_ros.model.preprocessing import Preprocessor
from ltp_ros.model.vit import ModelError, create_vit, data_config, label_names
from ltp_ros.research.training import built_model, state
from ltp_ros.research.training.built_model import image_size
from ltp_ros.research.training.images import TrainingData, normalise
from ltp_ros.research.training.trainer import Settings, Trainer, batch_for
from ltp_ros.tools import train
from ltp_ros.tools.support import progress, stopping

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
    progress = {'settings': vars(Settings(batch=BATCH, epochs=2, lr=3e-3))}
    trainer = make_trainer(tmp_path)
    state.save_state(trainer.state_path, nn.Linear(2, 2), [], progress)
    with pytest.raises(RuntimeError, match='Missing key'):
        trainer.resume()


def test_a_failed_write_leaves_the_last_state_in_place(tmp_path, monkeypatch):
    trainer = make_trainer(tmp_path)
    trainer.save()

    def fail_halfway(tensors, path, metadata):
        with open(path, 'wb') as file:
            file.write(b'half')
        raise OSError('no space left')
    monkeypatch.setattr(state, 'save_file', fail_halfway)
    with pytest.raises(OSError, match='no space left'):
        trainer.save()
    trainer.resume()
    assert trainer.progress['step'] == 0


def test_other_users_may_read_the_weights_as_any_other_file(tmp_path):
    (tmp_path / 'any').touch()
    state.export_model(tmp_path / 'model', nn.Linear(2, 2), {})
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_an_interrupt_saves_the_step_and_says_how_to_go_on(images, tmp_path, monkeypatch, capsys):
    step = Trainer.step

    def interrupted_step(self):
        os.kill(os.getpid(), signal.SIGINT)
        return step(self)
    monkeypatch.setattr(Trainer, 'step', interrupted_step)
    monkeypatch.setattr(stopping, 'GRACE_S', 600.0)  # else a slow step ends pytest itself
    assert train.main(command(images, tmp_path)) == train.INTERRUPTED
    assert 'resume' in capsys.readouterr().err
    assert state.read_progress(tmp_path / 'model.state.safetensors')['step'] == 1


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
    state.export_model(
        tmp_path / 'start', trainer.vit, train.model_card(trainer.built, list('abc'), {}))
    assert train.main(command(images, tmp_path / 'out', '--epochs', '1', '--checkpoint',
                              str(tmp_path / 'start.safetensors'))) == 0
    card = json.loads((tmp_path / 'out' / 'model.json').read_text())
    assert card['num_classes'] == 2
    start = json.loads((tmp_path / 'start.json').read_text())
    assert card['pretrained_cfg'] == start['pretrained_cfg']


def test_missing_images_end_with_a_sentence_and_exit_code_2(tmp_path, capsys):
    assert train.main([str(tmp_path / 'nowhere'), '--output', str(tmp_path)]) == 2
    assert 'nowhere' in capsys.readouterr().err


def test_damaged_images_are_left_out_with_their_labels_and_told(images, tmp_path, capsys):
    (images / 'bright' / '0.png').write_bytes(b'damaged')
    assert train.main(command(images, tmp_path / 'out', '--epochs', '3', '--val', str(images),
                              '--json', str(tmp_path / 'run.json'))) == 0
    told = capsys.readouterr().err
    bad = images / 'bright' / '0.png'
    assert told.count(f'left out: 1 of 24 images cannot be used: {bad}') == 2  # --val too
    run = json.loads((tmp_path / 'run.json').read_text())
    assert run['images'] == 23
    assert run['history'][-1]['val_top1']['1'] >= 90.0  # the labels did not shift


def test_too_many_damaged_images_end_with_a_sentence(images, tmp_path, capsys):
    for number in range(3):
        (images / 'bright' / f'{number}.png').write_bytes(b'damaged')
    assert train.main(command(images, tmp_path / 'out')) == 2
    assert '3 of 24 images cannot be used' in capsys.readouterr().err


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


# Runs ltp_train with one of its functions hanging from a call on, as torch may in one of its own
HANGING = '''
import itertools, sys, time, torch
from ltp_ros.research.training import trainer
from ltp_ros.tools import train
torch.set_num_threads(1)
place, name = {place}, {name!r}
whole, calls = getattr(place, name), itertools.count(1)

def hang(*args, **kwargs):
    if next(calls) < {from_call}:
        return whole(*args, **kwargs)
    print('hangs', flush=True)
    time.sleep(600)

setattr(place, name, hang)
sys.exit(train.main(sys.argv[1:]))
'''


def stop_where_it_hangs(arguments, number, **where):
    """Run the program until it hangs there, and send it the signal; return how it ends."""
    with subprocess.Popen([sys.executable, '-c', HANGING.format(**where), *arguments], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          cwd=Path(ltp_ros.__file__).parents[1]) as program:
        assert program.stdout.readline() == 'hangs\n', program.stderr.read()
        program.send_signal(number)
        try:
            told = program.communicate(timeout=30)[1]
        finally:
            program.kill()
    return program.returncode, told


def test_a_program_that_hangs_is_given_less_than_a_second():
    assert stopping.GRACE_S < 1.0  # the tests below take longer on a machine that others use


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_images_or_weights_are_read_ends_it_at_once(number, images, tmp_path):
    code, told = stop_where_it_hangs(
        command(images, tmp_path), number, place='train', name='load_data', from_call=1)
    assert code == train.INTERRUPTED
    assert told == 'stopped before the first step; to begin, run the same command again\n'


@pytest.mark.parametrize('number, steps, where', [
    (signal.SIGTERM, 1, {'place': 'torch.Tensor', 'name': 'backward', 'from_call': 2}),
    (signal.SIGINT, 3, {'place': 'trainer', 'name': 'pruned_accuracy', 'from_call': 1}),
    (signal.SIGTERM, 6, {'place': 'train', 'name': 'export_model', 'from_call': 1})])
def test_a_signal_in_a_call_that_takes_long_ends_it_at_once_and_loses_no_step(
        number, steps, where, images, tmp_path):
    arguments = command(images, tmp_path / 'parts', '--epochs', '2', '--val', str(images))
    code, told = stop_where_it_hangs(arguments, number, **where)
    assert code == train.INTERRUPTED
    assert told.endswith('stopped; to continue, run the same command with --resume\n')
    assert state.read_progress(tmp_path / 'parts/model.state.safetensors')['step'] == steps

    assert train.main([*arguments, '--resume']) == 0
    assert train.main(command(images, tmp_path / 'whole', '--epochs', '2', '--val',
                              str(images))) == 0
    parts, whole = (load_file(str(tmp_path / name / 'model.safetensors'))
                    for name in ('parts', 'whole'))
    assert all(torch.equal(value, whole[name]) for name, value in parts.items())
    logs = [[{**json.loads(line), 'seconds': 0} for line in
             (tmp_path / name / 'model.log.jsonl').read_text().splitlines()]
            for name in ('parts', 'whole')]
    assert logs[0] == logs[1]


def test_a_run_that_is_not_there_cannot_be_continued(images, tmp_path, capsys):
    assert train.main(command(images, tmp_path, '--resume')) == 2
    assert 'there is no run to continue' in capsys.readouterr().err


def test_without_a_terminal_it_tells_step_loss_and_minutes_in_lines(tmp_path, monkeypatch):
    for name in ('FIRST_LINE_S', 'LINE_EVERY_S'):
        monkeypatch.setattr(progress, name, 0.01)
    with (tmp_path / 'log').open('w') as log:
        train.run(make_trainer(tmp_path, epochs=8), Console(file=log), [])
    lines = (tmp_path / 'log').read_text().splitlines()
    steps = [line for line in lines if re.fullmatch(
        r'step \d+ of 24, loss \d\.\d{3}: \d+ %, \d\.\d minutes left', line)]
    assert len(steps) > 5, lines


def test_a_quiet_run_tells_nothing_but_its_epochs(tmp_path, monkeypatch):
    for name in ('FIRST_LINE_S', 'LINE_EVERY_S'):
        monkeypatch.setattr(progress, name, 0.02)
    with (tmp_path / 'log').open('w') as log:
        train.run(make_trainer(tmp_path), Console(file=log), [], quiet=True)
    assert [json.loads(line)['epoch'] for line in
            (tmp_path / 'log').read_text().splitlines()] == [1.0, 2.0]


@pytest.mark.parametrize('num_images, batch', [
    (3, 8), (77, 8), (78, 16), (311, 16), (312, 32), (450, 32), (1249, 32), (1250, 64),
    (4999, 64), (5000, 128), (19_999, 128), (20_000, 256), (1_000_000, 256)])
def test_the_batch_grows_with_the_number_of_images(num_images, batch):
    assert batch_for(num_images) == batch


def test_a_batch_of_its_own_choice_is_recorded(images, tmp_path):
    assert train.main(command(images, tmp_path, '--epochs', '1', '--batch', '0')) == 0
    card = json.loads((tmp_path / 'model.json').read_text())
    assert card['training']['settings']['batch'] == 8
    assert card['training']['steps'] == 3


@pytest.mark.parametrize('checkpoint, model, size', [
    ('demo', 'vit_demo', 32), ('small', 'vit_demo', 64), ('', 'vit_demo', 32),
    ('', 'vit_tiny_patch16_224', 224)])
def test_images_have_the_size_of_the_checkpoint_or_else_of_the_model(
        checkpoint, model, size, small_model):
    assert image_size(model, small_model if checkpoint == 'small' else checkpoint) == size


@pytest.mark.parametrize('flag', ['--input-size', '--img-size'])
def test_the_size_of_the_images_may_be_chosen(flag, images, tmp_path):
    assert train.main(command(images, tmp_path, '--epochs', '1', flag, '16')) == 0
    assert data_config(create_vit('', str(tmp_path / 'model.safetensors'))).input_size == (16, 16)


@pytest.mark.parametrize('classes', [0, 1])
def test_a_backbone_or_a_model_with_one_output_gets_a_head_for_the_classes(
        classes, images, tmp_path):
    bare = create_vit('vit_demo', pretrained=False, num_classes=classes, any_head=True)
    state.export_model(tmp_path / 'bare', bare, {'architecture': 'vit_demo'})
    assert train.main(command(images, tmp_path, '--epochs', '1', '--checkpoint',
                              str(tmp_path / 'bare.safetensors'))) == 0
    assert create_vit('', str(tmp_path / 'model.safetensors')).num_classes == 2


def test_a_run_may_begin_with_the_demo_named_as_a_model(images, tmp_path):
    assert train.main(command(images, tmp_path, '--epochs', '1', '--model', 'demo')) == 0
    assert create_vit('', str(tmp_path / 'model.safetensors')).num_classes == 2


def test_a_run_may_begin_with_the_weights_of_timm(images, tmp_path, monkeypatch):
    def create(model, checkpoint='', *, pretrained=True, **more):
        asked.append(pretrained)
        return create_vit(model, checkpoint, **more, pretrained=False, num_classes=7)
    asked = []
    monkeypatch.setattr(built_model, 'create_vit', create)
    assert train.main(command(images, tmp_path, '--epochs', '1', '--pretrained')) == 0
    assert asked == [False, True]  # once to know the size, once to train
    assert json.loads((tmp_path / 'model.json').read_text())['num_classes'] == 2


def test_a_single_class_is_refused(images, tmp_path, capsys):
    shutil.rmtree(images / 'dark')
    assert train.main(command(images, tmp_path)) == 2
    assert "has one class, 'bright', so there is nothing to tell apart" in capsys.readouterr().err


@pytest.mark.parametrize('flag, value', [
    ('--epochs', '0'), ('--batch', '-1'), ('--lr', '0'), ('--minutes', '-1'),
    ('--hold-out', '1.1'), ('--label-smoothing', '2'), ('--weight-decay', '-1'),
    ('--min-keep-ratio', '0'), ('--save-steps', '-1'), ('--input-size', '-32'), ('--seed', '-1')])
def test_a_number_out_of_range_is_refused_before_anything_is_read(flag, value, capsys):
    with pytest.raises(SystemExit):
        train.main(['nowhere', flag, value])
    assert 'it must be ' in capsys.readouterr().err
