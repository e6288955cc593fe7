# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_evaluate`: what it counts, and what it refuses."""
import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from ltp_ros.datasets import DatasetError, ImageSet
from ltp_ros.preprocessing import Preprocessor
from ltp_ros.tools.evaluate import main, model_classes, spread
from ltp_ros.vit import create_vit, data_config

CLASSES = [0, 1, 2, 3, 4, 5, 6, 0, 1]


@pytest.fixture(scope='module')
def pictures():
    """Return (RGB image, class) pairs; each image is of another size."""
    rng = np.random.default_rng(0)
    return [(cv2.resize(rng.integers(0, 256, (5, 5, 3), np.uint8), (60 + 9 * n, 110 - 8 * n),
                        interpolation=cv2.INTER_CUBIC), label) for n, label in enumerate(CLASSES)]


@pytest.fixture(scope='module')
def model(small_model, tmp_path_factory):
    """Return the path of a checkpoint whose answer depends on the image and the tokens kept."""
    path = tmp_path_factory.mktemp('model') / 'model.safetensors'
    shutil.copy(str(Path(small_model).with_suffix('.json')), str(path.with_suffix('.json')))
    weights = load_file(small_model)
    for name, weight in weights.items():
        if name.startswith('blocks.') and weight.ndim == 2:
            weight *= 30.0  # as initialised, the blocks hardly moves the logits
    save_file(weights, str(path))
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


def test_the_table_goes_to_standard_output(folder, model, tmp_path, capsys):
    evaluate(folder, model, tmp_path)
    assert '0.53' in capsys.readouterr().out


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


def test_classes_of_other_names_are_matched_by_order_where_there_are_as_many():
    found = model_classes(image_set(['n01', 'n02'], [0, 1, 1]), ['ant', 'bee'], 'x')
    assert found.tolist() == [0, 1, 1]


@pytest.mark.parametrize('names', [['ant', 'cow'], ['cow', 'elk'], ['cow', 'elk', 'ant']])
def test_classes_that_the_model_cannot_have_are_refused_by_name(names):
    with pytest.raises(DatasetError, match="none named 'cow'"):
        model_classes(image_set(names, [0]), ['ant', 'bee', 'dog'], 'x')


def test_a_class_index_beyond_the_model_is_refused_with_both_numbers(
        folder, model, tmp_path, capsys):
    (tmp_path / 'labels.csv').write_text('file,class_index\na.png,7\n')
    message = refusal(capsys, tmp_path, '--checkpoint', model)
    assert 'class index 7' in message
    assert '7 classes, 0 to 6' in message


def test_a_folder_without_images_is_refused(model, tmp_path, capsys):
    assert 'has no images' in refusal(capsys, tmp_path, '--checkpoint', model)


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
