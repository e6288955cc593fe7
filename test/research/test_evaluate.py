# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_evaluate`: what it counts, and what it refuses."""
import csv
import io
import json
import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
import timm
import torch
from rich.console import Console
from safetensors.torch import save_file

from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig
from ltp_ros.images import spread
from ltp_ros.model.preprocessing import Preprocessor
from ltp_ros.model.vit import create_vit, data_config
from ltp_ros.research.accuracy.batches import model_classes
from ltp_ros.research.datasets import DatasetError, ImageSet
from ltp_ros.tools.evaluate import main
from ltp_ros.tools.reports.evaluation import make_table
from ltp_ros.tools.support import evaluation as program

CLASSES = [0, 1, 2, 3, 4, 5, 6, 0, 1]


@pytest.fixture(scope='module')
def pictures():
    """Return (RGB image, class) pairs; each image is of another size."""
    rng = np.random.default_rng(0)
    return [(cv2.resize(rng.integers(0, 256, (5, 5, 3), np.uint8), (60 + 9 * n, 110 - 8 * n),
                        interpolation=cv2.INTER_CUBIC), label) for n, label in enumerate(CLASSES)]


@pytest.fixture(scope='module')
def conv_net(tmp_path_factory):
    """Return a checkpoint of the ConvNet of PaPr, with random weights."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('conv_net') / 'mobileone_s0.safetensors'
    save_file(timm.create_model('mobileone_s0').state_dict(), str(path))
    return str(path)


def png(rgb):
    return cv2.imencode('.png', rgb[..., ::-1])[1].reshape(-1)


@pytest.fixture(scope='module')
def folder(pictures, tmp_path_factory):
    """Return a folder of images with labels.csv."""
    folder = tmp_path_factory.mktemp('csv')
    with (folder / 'labels.csv').open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['file', 'class_index'])
        for number, (rgb, label) in enumerate(pictures):
            (folder / f'{number}.png').write_bytes(png(rgb).tobytes())
            writer.writerow([f'{number}.png', label])
    return folder


def evaluate(images, model, tmp_path, *more):
    """Run the program on the CPU; return its JSON."""
    path = tmp_path / 'result.json'
    assert main([str(images), '--checkpoint', model, '--device', 'cpu', '--quiet',
                 '--keep-ratios', '0.53', '0.25', '--json', str(path), *more]) == 0
    return json.loads(path.read_text())


def refusal(capsys, *argv):
    """Run the program, which must refuse; return the sentence."""
    assert main([*map(str, argv), '--device', 'cpu', '--quiet']) == 2
    return capsys.readouterr().err


def test_rows_are_what_a_loop_over_single_images_counts(
        pictures, folder, model, tmp_path):
    result = evaluate(folder, model, tmp_path)
    vit = create_vit('', model)
    preprocessor = Preprocessor(data_config(vit))
    right, chosen = {}, {}
    for keep_ratio in (1.0, 0.53, 0.25):
        vit.patch_drop.keep_ratio = keep_ratio
        with torch.no_grad():
            logits = [vit(preprocessor(torch.from_numpy(rgb)))[0] for rgb, _ in pictures]
        chosen[keep_ratio] = [int(one.argmax()) for one in logits]
        right[keep_ratio] = [(int(one.argmax()) == label, label in one.topk(5).indices)
                             for one, (_, label) in zip(logits, pictures)]
    assert chosen[0.25] != chosen[1.0]
    assert [row['keep_ratio'] for row in result['rows']] == [1.0, 0.53, 0.25]
    for row in result['rows']:
        keep_ratio = row['keep_ratio']
        top1, top5 = np.mean(right[keep_ratio], axis=0) * 100
        same = np.mean(np.equal(chosen[keep_ratio], chosen[1.0])) * 100
        assert row['n'] == len(pictures)
        assert (row['top1'], row['top5'], row['agreement']) == pytest.approx((top1, top5, same))
        assert row['tokens_kept'] == round(keep_ratio * result['tokens_total'])


@pytest.mark.parametrize('batch', ['1', '4'])
def test_the_result_does_not_depend_on_the_batch_size(batch, folder, model, tmp_path):
    assert (evaluate(folder, model, tmp_path, '--batch', batch)['rows']
            == evaluate(folder, model, tmp_path)['rows'])


def test_class_folders_and_npz_and_csv_count_the_same(pictures, folder, model, tmp_path):
    encoded = [png(rgb) for rgb, _ in pictures]
    names = [f'thing {index}' for index in range(7)]
    for number, (image, label) in enumerate(zip(encoded, CLASSES)):
        path = tmp_path / 'folders' / names[label] / f'{number}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image.tobytes())
    np.savez(str(tmp_path / 'set.npz'), jpeg=np.concatenate(encoded), labels=CLASSES,
             offsets=np.cumsum([0] + [len(image) for image in encoded]), class_names=names)
    of_csv = evaluate(folder, model, tmp_path)['rows']
    assert evaluate(tmp_path / 'folders', model, tmp_path)['rows'] == of_csv
    assert evaluate(tmp_path / 'set.npz', model, tmp_path)['rows'] == of_csv


def test_the_head_says_what_was_measured_and_on_what(folder, model, tmp_path):
    result = evaluate(folder, model, tmp_path, '--limit', '4')
    assert result['n'] == 4
    assert result['images'] == str(folder)
    assert result['checkpoint'] == model
    assert result['model'] == 'vit_tiny_patch16_224'
    assert (result['device'], result['precision']) == ('cpu', 'float32')
    assert result['torch'] == torch.__version__


def test_every_method_and_score_has_its_rows(folder, model, conv_net, tmp_path):
    rows = evaluate(folder, model, tmp_path, '--methods', 'all', '--scores', 'srb', 'random',
                    '--alpha', '0.3', '0.5', '--papr-checkpoint', conv_net)['rows']
    kinds = [(row['method'], row['score'], row['alpha']) for row in rows
             if row['keep_ratio'] != 0.25]
    assert kinds == [('none', None, None), ('ltp', 'srb', 0.3), ('ltp', 'srb', 0.5),
                     ('ltp', 'random', None), ('mixed', None, None), ('papr', None, None),
                     ('tome', None, None)]
    by_kind = dict(zip(kinds, rows[0::2]))
    assert by_kind['mixed', None, None]['agreement_gain'] is not None
    assert by_kind['ltp', 'srb', 0.3]['agreement_gain'] is None
    gmacs = [row['gmacs'] for row in rows if row['method'] == 'ltp' and row['score'] == 'random']
    assert rows[0]['gmacs'] > gmacs[0] > gmacs[1]


def test_without_labels_any_images_serve_and_the_agreement_is_the_same(
        pictures, folder, model, tmp_path):
    labelled = evaluate(folder, model, tmp_path)['rows']
    for number, (rgb, _) in enumerate(pictures):
        path = tmp_path / 'some' / str(number % 2) / f'{number}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(rgb).tobytes())
    rows = evaluate(tmp_path / 'some', model, tmp_path, '--no-labels')['rows']
    assert [row['agreement'] for row in rows] == [row['agreement'] for row in labelled]
    assert all(row['top1'] is None and row['diff'] is None for row in rows)


def test_a_stopped_run_goes_on_and_ends_as_if_it_had_not(
        folder, model, tmp_path, monkeypatch, capsys):
    whole = evaluate(folder, model, tmp_path, '--batch', '2', '--scores', 'random')
    answer_all = program.answer_all

    def stop_after_two(models, batches, *args, **more):
        answer_all(models, (batch for batch, _ in zip(batches, range(2))), *args, **more)
        raise KeyboardInterrupt
    flags = ['--batch', '2', '--scores', 'random', '--state', str(tmp_path / 'state.npz')]
    monkeypatch.setattr(program, 'answer_all', stop_after_two)
    assert main([str(folder), '--checkpoint', model, '--device', 'cpu', '--quiet',
                 '--keep-ratios', '0.53', '0.25', *flags]) == 130
    assert 'to resume' in capsys.readouterr().err
    seen = []

    def count(models, batches, *args, **more):
        answer_all(models, (seen.append(len(batch)) or batch for batch in batches), *args, **more)
    monkeypatch.setattr(program, 'answer_all', count)
    assert evaluate(folder, model, tmp_path, *flags)['rows'] == whole['rows']
    assert sum(seen) == len(CLASSES) - 4


def test_a_state_of_another_run_is_refused(folder, model, tmp_path, capsys):
    evaluate(folder, model, tmp_path, '--state', str(tmp_path / 'state.npz'))
    message = refusal(capsys, folder, '--checkpoint', model, '--limit', '3', '--state',
                      tmp_path / 'state.npz', '--keep-ratios', '0.53', '0.25')
    assert 'n=9, not 3' in message


def test_processes_that_decode_change_nothing(folder, model, tmp_path):
    assert (evaluate(folder, model, tmp_path, '--workers', '2')['rows']
            == evaluate(folder, model, tmp_path)['rows'])


BAD = (3, 11)


@pytest.fixture(scope='module')
def damaged(pictures, tmp_path_factory):
    """Return two folders: 20 images of which two are damaged, and the other 18 alone."""
    folders = [tmp_path_factory.mktemp(name) for name in ('damaged', 'good')]
    lines = [['file,class_index'], ['file,class_index']]
    for number in range(20):
        rgb, label = pictures[number % len(pictures)]
        file = png(rgb).tobytes()
        for folder, table in list(zip(folders, lines))[:1 if number in BAD else 2]:
            (folder / f'{number:02d}.png').write_bytes(file[:90] if number in BAD else file)
            table.append(f'{number:02d}.png,{label}')
    for folder, table in zip(folders, lines):
        (folder / 'labels.csv').write_text('\n'.join(table))
    return folders


@pytest.mark.parametrize('flags', [[], ['--workers', '2'], ['--batch', '1'], ['--no-labels']])
def test_damaged_pictures_are_out_of_every_row_and_told_at_the_end(
        flags, damaged, model, tmp_path, capsys):
    result = evaluate(damaged[0], model, tmp_path, *flags)
    told = capsys.readouterr().err
    assert f'left out: 2 of 20 images cannot be used: {damaged[0] / "03.png"}, ' in told
    assert '11.png' in told and 'cannot be read as an image: the PNG of 90 bytes' in told
    assert (result['n'], result['unread']) == (18, 2)
    assert result['rows'] == evaluate(damaged[1], model, tmp_path, *flags)['rows']


def test_int8_leaves_damaged_pictures_out_as_well(damaged, model, tmp_path):
    pytest.importorskip('onnxruntime')
    flags = ['--precision', 'int8', '--backend', 'onnx']
    assert (evaluate(damaged[0], model, tmp_path, *flags)['rows']
            == evaluate(damaged[1], model, tmp_path, *flags)['rows'])


@pytest.mark.parametrize('stopped_after', [1, 2, 3])
def test_a_stopped_run_leaves_out_what_it_would_have(
        stopped_after, damaged, model, tmp_path, monkeypatch, capsys):
    answer_all = program.answer_all

    def stop(models, batches, *args, **more):
        answer_all(models, (batch for _, batch in zip(range(stopped_after), batches)), *args,
                   **more)
        raise KeyboardInterrupt
    flags = ['--batch', '4', '--state', str(tmp_path / 'state.npz')]
    with monkeypatch.context() as patch:
        patch.setattr(program, 'answer_all', stop)
        assert main([str(damaged[0]), '--checkpoint', model, '--device', 'cpu', '--quiet',
                     '--keep-ratios', '0.53', '0.25', *flags]) == 130
    capsys.readouterr()
    result = evaluate(damaged[0], model, tmp_path, *flags)
    assert '2 of 20 images' in capsys.readouterr().err
    assert result['rows'] == evaluate(damaged[1], model, tmp_path)['rows']


def test_maps_are_drawn_of_what_can_be_read(damaged, model, tmp_path):
    pytest.importorskip('matplotlib')
    evaluate(damaged[0], model, tmp_path, '--maps', str(tmp_path / 'maps'), '--limit', '7')
    drawn = {int(path.stem) for path in (tmp_path / 'maps').glob('0*.png')}
    assert drawn == {0, 1, 2, 3, 5, 6}  # of 0, 2, 5, 8, 11, 14 and 17


def test_too_many_damaged_pictures_are_refused_with_the_first_ones(
        damaged, model, tmp_path, capsys):
    shutil.copytree(str(damaged[0]), str(tmp_path / 'more'))
    (tmp_path / 'more' / '00.png').write_bytes(b'')
    message = refusal(capsys, tmp_path / 'more', '--checkpoint', model, '--batch', '4')
    assert '3 of 20 images cannot be used' in message
    assert '00.png' in message and 'At most 10 % may be left out' in message


def test_what_a_system_leaves_in_a_folder_is_neither_class_nor_picture(
        pictures, model, tmp_path):
    for number, (rgb, label) in enumerate(pictures):
        for name in (f'thing {label}/{number}.png', f'thing {label}/._{number}.png',
                     f'__MACOSX/thing {label}/._{number}.png'):
            path = tmp_path / 'images' / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b'a resource fork' if '._' in name else png(rgb).tobytes())
    result = evaluate(tmp_path / 'images', model, tmp_path)
    assert (result['n'], result['unread']) == (len(CLASSES), 0)


def test_int8_counts_what_the_node_would_answer(pictures, folder, model, tmp_path):
    pytest.importorskip('onnxruntime')
    rows = evaluate(folder, model, tmp_path, '--precision', 'int8', '--backend', 'onnx')['rows']
    classifier = Classifier(ClassifierConfig(
        checkpoint=model, device='cpu', backend='onnx', precision='int8', cache=str(tmp_path),
        keep_ratios=(1.0, 0.53, 0.25), keep_ratio=1.0, top_k=1, score_threshold=0.0))
    chosen = {ratio: [classifier.classify(rgb, ratio).class_ids[0] for rgb, _ in pictures]
              for ratio in classifier.config.levels}
    assert chosen[0.25] != chosen[1.0]
    for row in rows:
        answers = chosen[row['keep_ratio']]
        assert row['top1'] == pytest.approx(100 * np.mean(np.equal(answers, CLASSES)))
        assert row['agreement'] == pytest.approx(100 * np.mean(np.equal(answers, chosen[1.0])))


@pytest.mark.parametrize('backend, precision, words', [
    ('onnx', 'bfloat16', 'use float32'), ('graph', 'float32', 'backend graph cannot be timed')])
def test_what_cannot_be_timed_is_refused_by_name(backend, precision, words, folder, model, capsys):
    pytest.importorskip('onnxruntime')
    assert words in refusal(capsys, folder, '--checkpoint', model, '--device', 'cpu', '--backend',
                            backend, '--precision', precision, '--rounds', '1', '--quiet')


def test_int8_without_the_backend_that_has_it_is_refused_with_a_way_out(folder, model, capsys):
    assert '--backend onnx' in refusal(capsys, folder, '--checkpoint', model, '--device', 'cpu',
                                       '--precision', 'int8')


def test_times_are_taken_where_asked_for(folder, model, tmp_path):
    assert evaluate(folder, model, tmp_path)['rows'][0]['p50_ms'] is None
    timed = evaluate(folder, model, tmp_path, '--rounds', '2')
    assert all(row['p50_ms'] > 0 for row in timed['rows'])
    assert (timed['backend'], timed['rounds']) == ('eager', 2)


@pytest.mark.parametrize('more', [[], ['--alpha', '0.2', '0.8', '--scores', 'all'],
                                  ['--rounds', '2', '--no-labels']])
def test_a_plot_has_a_panel_for_all_that_was_measured(more, folder, model, tmp_path):
    pytest.importorskip('matplotlib')
    evaluate(folder, model, tmp_path, '--plot', str(tmp_path / 'plot.png'), *more)
    assert cv2.imread(str(tmp_path / 'plot.png')).std() > 0


def test_maps_show_each_image_and_the_positions(folder, model, tmp_path):
    pytest.importorskip('matplotlib')
    evaluate(folder, model, tmp_path, '--maps', str(tmp_path / 'maps'), '--limit', '2',
             '--methods', 'ltp', 'mixed')
    names = sorted(path.name for path in (tmp_path / 'maps').iterdir())
    assert names == ['00000.png', '00001.png', 'positions.png']
    wide, high = cv2.imread(str(tmp_path / 'maps' / '00000.png')).shape[1::-1]
    assert wide / high == pytest.approx(6 * 4 / 4.5, rel=0.01)


def test_the_table_goes_to_standard_output(folder, model, tmp_path, capsys):
    evaluate(folder, model, tmp_path)
    assert '0.53' in capsys.readouterr().out


def test_the_table_fits_a_terminal(folder, model, tmp_path):
    result = evaluate(folder, model, tmp_path, '--scores', 'srb', 'redundancy', '--methods',
                      'ltp', 'mixed', '--rounds', '1')
    output = io.StringIO()
    Console(width=80, file=output).print(make_table(result, result['rows']))
    rows = [line for line in output.getvalue().splitlines() if 'ltp ' in line and '0.53' in line]
    assert len(rows) == 2 and '(' in rows[1] and '…' not in output.getvalue()


def test_large_numbers_fit_a_terminal_too():
    row = {'method': 'ltp', 'score': 'redundancy', 'alpha': None, 'keep_ratio': 0.53,
           'tokens_kept': 588, 'gmacs': 123.45, 'p50_ms': 1234.5, 'top1': 100.0, 'diff': -100.0,
           'top5': 100.0, 'agreement': 100.0, 'agreement_gain': -77.7,
           'agreement_gain_low': -88.8, 'agreement_gain_high': -66.6, 'zoom': False,
           'zoom_gain': -55.5, 'zoom_gain_low': -44.4, 'zoom_gain_high': -33.3}
    output = io.StringIO()
    Console(width=80, file=output).print(make_table(
        {'model': 'm', 'n': 1, 'precision': 'float32', 'composite': '', 'zoom_side': 0.5},
        [row, {**row, 'zoom': True}]))
    assert '…' not in output.getvalue()
    assert all(number in output.getvalue() for number in (
        '1234.5', '-77.7', '-88.8', '-66.6', '-55.5', '-44.4', '-33.3'))


def test_a_limit_takes_images_evenly_spread_over_the_set():
    assert spread(10, 5).tolist() == [0, 2, 4, 6, 8]
    assert spread(7, 3).tolist() == [0, 2, 4]
    assert spread(3, 10).tolist() == spread(3, None).tolist() == [0, 1, 2]


def test_a_limited_run_counts_what_those_images_alone_would(pictures, folder, model, tmp_path):
    lines = (folder / 'labels.csv').read_text().splitlines()
    for number in (0, 3, 6):
        shutil.copy(str(folder / f'{number}.png'), str(tmp_path))
    (tmp_path / 'labels.csv').write_text('\n'.join([lines[0], lines[1], lines[4], lines[7]]))
    alone = evaluate(tmp_path, model, tmp_path, '--keep-ratios', '0.9', '0.35', '0.25')
    assert alone['rows'] == evaluate(folder, model, tmp_path, '--keep-ratios', '0.9', '0.35',
                                     '0.25', '--limit', '3')['rows']


def image_set(class_names, labels):
    return ImageSet([None] * len(labels), np.array(labels), class_names)


def test_classes_are_matched_by_name_where_the_model_knows_the_names():
    found = model_classes(image_set(['dog', 'ant'], [0, 1, 1]), ['ant', 'bee', 'dog'], 'x')
    assert found.tolist() == [2, 0, 0]


NAMES = ['ant', 'crane', 'dog', 'crane', 'emu', 'crane']  # a bird, a machine, ...


@pytest.mark.parametrize('own', [['crane'], ['ant', 'crane'], ['crane', 'zebra']])
def test_a_name_of_two_classes_is_refused_with_their_ids_and_the_way_out(own):
    with pytest.raises(DatasetError, match="class 'crane', and the model has several of this name"
                                           r': 1, 3, 5; .* labels\.csv .* class_index'):
        model_classes(image_set(own, [0]), NAMES, 'x')


def test_names_that_are_not_asked_for_may_be_of_two_classes():
    assert model_classes(image_set(['emu', 'dog'], [0, 1]), NAMES, 'x').tolist() == [4, 2]
    assert model_classes(image_set([], [3, 5]), NAMES, 'x').tolist() == [3, 5]


def test_names_in_the_order_of_the_model_are_its_classes_even_if_two_are_equal():
    assert model_classes(image_set(NAMES, [1, 3, 5]), NAMES, 'x').tolist() == [1, 3, 5]


def test_classes_of_other_names_are_matched_by_order_where_there_are_as_many():
    found = model_classes(image_set(['n01', 'n02'], [0, 1, 1]), ['ant', 'bee'], 'x')
    assert found.tolist() == [0, 1, 1]


@pytest.mark.parametrize('names', [['ant', 'cow'], ['cow', 'elk'], ['cow', 'elk', 'ant']])
def test_classes_that_the_model_cannot_have_are_refused_by_name(names):
    with pytest.raises(DatasetError, match="none named 'cow'"):
        model_classes(image_set(names, [0]), ['ant', 'bee', 'dog'], 'x')


def test_a_folder_named_as_two_classes_of_imagenet_ends_with_a_sentence(
        pictures, model, tmp_path, capsys):
    (tmp_path / 'labels.txt').write_text('ant\ncrane\ndog\ncrane\nemu\nfly\ngnu\n')
    (tmp_path / 'images' / 'crane').mkdir(parents=True)
    (tmp_path / 'images' / 'crane' / 'a.png').write_bytes(png(pictures[0][0]).tobytes())
    message = refusal(capsys, tmp_path / 'images', '--checkpoint', model, '--labels',
                      tmp_path / 'labels.txt')
    assert 'several of this name: 1, 3;' in message


def test_a_class_index_beyond_the_model_is_refused_with_both_numbers(
        folder, model, tmp_path, capsys):
    (tmp_path / 'labels.csv').write_text('file,class_index\na.png,7\n')
    message = refusal(capsys, tmp_path, '--checkpoint', model)
    assert 'class index 7' in message
    assert '7 classes, 0 to 6' in message


def test_a_folder_without_images_is_refused(model, tmp_path, capsys):
    assert 'has no images' in refusal(capsys, tmp_path, '--checkpoint', model)


def test_two_processes_of_torchrun_count_and_leave_out_as_one_does(damaged, model, tmp_path):
    path = tmp_path / 'two.json'
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node',
               '2', '-m', 'ltp_ros.tools.evaluate', str(damaged[0]), '--checkpoint', model,
               '--device', 'cpu', '--quiet', '--json', str(path), '--keep-ratios', '0.53', '0.25']
    done = subprocess.run(command, check=True, timeout=300, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True,
                          env={**os.environ, 'OMP_NUM_THREADS': '1',
                               'PYTHONPATH': os.pathsep.join(filter(None, sys.path))})
    assert done.stderr.count('left out: 2 of 20 images') == 1
    assert json.loads(path.read_text())['rows'] == evaluate(damaged[1], model, tmp_path)['rows']


@pytest.mark.parametrize('content', [b'no image', b'', None], ids=['text', 'empty', 'absent'])
def test_a_file_that_is_no_image_is_refused_by_name(content, model, tmp_path, capsys):
    (tmp_path / 'labels.csv').write_text('file,class_index\nbad.png,0\n')
    if content is not None:
        (tmp_path / 'bad.png').write_bytes(content)
    assert 'bad.png' in refusal(capsys, tmp_path, '--checkpoint', model)


def test_an_image_too_elongated_for_the_model_is_refused_by_name(model, tmp_path, capsys):
    (tmp_path / 'labels.csv').write_text('file,class_index\nline.png,0\n')
    (tmp_path / 'line.png').write_bytes(png(np.zeros((1, 60_000, 3), np.uint8)).tobytes())
    message = refusal(capsys, tmp_path, '--checkpoint', model)
    assert 'line.png' in message
    assert 'elongated' in message


@pytest.mark.parametrize('flag, value', [('--keep-ratios', '1.5'), ('--keep-ratios', 'nan'),
                                         ('--alpha', '2'), ('--labels', 'nowhere.txt'),
                                         ('--checkpoint', 'nowhere.pth'),
                                         ('--json', 'nowhere/result.json')])
def test_a_value_that_is_not_allowed_is_named(flag, value, folder, model, capsys):
    assert value in refusal(capsys, folder, '--checkpoint', model, flag, value)


@pytest.mark.parametrize('flag', ['--batch', '--limit'])
def test_no_images_at_a_time_are_refused(flag, folder, capsys):
    with pytest.raises(SystemExit):
        main([str(folder), flag, '0'])
    assert 'at least 1' in capsys.readouterr().err
