# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Every form in which labelled images may lie on disk."""
import cv2
import numpy as np
import pytest

from ltp_ros.images import ImageFileError, decode_rgb
from ltp_ros.research.datasets import DatasetError, open_image_set, open_images

RED = (255, 0, 0)


def write_image(path, rgb=RED, size=8):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.full((size, size, 3), rgb[::-1], np.uint8)
    encoded = cv2.imencode(path.suffix, picture)[1]
    path.write_bytes(encoded.tobytes())
    return np.asarray(encoded).reshape(-1)


def write_npz(path, **changes):
    jpeg = [write_image(path.with_name(f'{index}.jpg')) for index in range(3)]
    arrays = {'jpeg': np.concatenate(jpeg),
              'offsets': np.cumsum([0] + [len(one) for one in jpeg]),
              'labels': np.array([1, 0, 1], np.uint8), 'class_names': np.array(['cat', 'dog'])}
    np.savez(str(path), **{**arrays, **changes})
    return jpeg


def test_class_folders_count_in_alphabetical_order(tmp_path):
    for name in ('dog/b.png', 'cat/a.jpg', 'dog/deeper/c.JPEG', 'dog/notes.txt', '.hidden/d.jpg'):
        path = tmp_path / name
        if path.suffix == '.txt':
            path.write_text('no image')
        else:
            write_image(path)
    found = open_image_set(tmp_path)
    assert found.class_names == ['cat', 'dog']
    assert [path.name for path in found.images] == ['a.jpg', 'b.png', 'c.JPEG']
    assert found.labels.tolist() == [0, 1, 1]


def test_csv_names_files_and_classes(tmp_path):
    (tmp_path / 'labels.csv').write_text('file,class_index,author\nx.png,388,someone\ny.png,2,\n')
    found = open_image_set(tmp_path)
    assert [path.name for path in found.images] == ['x.png', 'y.png']
    assert found.labels.tolist() == [388, 2]
    assert found.class_names == []


@pytest.mark.parametrize('table', [
    '\ufefffile,class_index\nx.png,388\ny.png,2\n',
    'file;class_index\r\nx.png;388\r\ny.png;2\r\n',
    'file\tclass_index\nx.png\t388\ny.png\t2\n',
    'file, class_index\nx.png, 388\n\ny.png , 2 \n',
    '"file","class_index"\n"x.png","388"\n"y.png","2"\n',
    '\ufeff"file";"class_index"\nx.png;388\ny.png;2'],
    ids=['a byte order mark', 'semicolons', 'tabs', 'blanks', 'quotes', 'all of it'])
def test_a_csv_may_be_as_a_spreadsheet_or_an_editor_writes_it(table, tmp_path):
    (tmp_path / 'labels.csv').write_bytes(table.encode())
    found = open_image_set(tmp_path)
    assert [path.name for path in found.images] == ['x.png', 'y.png']
    assert found.labels.tolist() == [388, 2]


def test_a_csv_made_on_windows_names_files_in_folders(tmp_path):
    (tmp_path / 'labels.csv').write_text('file,class_index\ncat\\a.png,0\n')
    assert open_image_set(tmp_path).images == [tmp_path / 'cat' / 'a.png']


@pytest.mark.parametrize('encoding', ['utf-16', 'latin-1'])
def test_a_csv_in_another_encoding_is_refused_with_the_one_to_take(encoding, tmp_path):
    (tmp_path / 'labels.csv').write_bytes('file,class_index\nü.png,3\n'.encode(encoding))
    with pytest.raises(DatasetError, match='labels.csv.*save it as UTF-8'):
        open_image_set(tmp_path)


@pytest.mark.parametrize('left', ['__MACOSX', '.ipynb_checkpoints', '@eaDir', '$RECYCLE.BIN'])
def test_a_folder_that_a_system_left_is_no_class(left, tmp_path):
    for name in ('cat/a.jpg', 'dog/b.jpg', f'{left}/cat/a.jpg', 'cat/._a.jpg'):
        write_image(tmp_path / name)
    found = open_image_set(tmp_path)
    assert found.class_names == ['cat', 'dog']
    assert len(found) == 2


@pytest.mark.parametrize('folders, nearest', [
    (['train/cat', 'train/dog', 'val/cat', 'val/dog'], 'train'),
    (['Train/cat', 'Test/cat'], 'Test'), (['train/cat', 'train/dog'], 'train'),
    (['photos/cat', 'photos/dog'], 'photos'), (['data/train/cat', 'data/train/dog'], 'data/train'),
    (['train/cat/day', 'train/cat', 'val/cat'], 'train')])
def test_class_folders_deeper_down_are_refused_with_the_folder_to_pass(
        folders, nearest, tmp_path):
    for folder in folders:
        write_image(tmp_path / folder / 'a.jpg')
    with pytest.raises(DatasetError, match=f"deeper down; pass .* such as '{tmp_path / nearest}'"):
        open_image_set(tmp_path)


@pytest.mark.parametrize('folders', [
    ['cat/monday', 'dog/monday'], ['cat'], ['train', 'bus'], ['train', 'test'], ['cat/day']])
def test_classes_may_have_subfolders_and_any_names(folders, tmp_path):
    for folder in folders:
        write_image(tmp_path / folder / 'a.jpg')
    assert len(open_image_set(tmp_path)) == len(folders)


def test_images_without_labels_are_refused_with_who_takes_them(tmp_path):
    write_image(tmp_path / 'a.jpg')
    for path in (tmp_path, tmp_path / 'a.jpg'):
        with pytest.raises(DatasetError, match='without labels, which only ltp_evaluate --no-lab'):
            open_image_set(path)


def test_a_single_image_is_a_set_of_images(tmp_path):
    write_image(tmp_path / 'a.JPG')
    assert open_images(tmp_path / 'a.JPG') == [tmp_path / 'a.JPG']


def test_npz_cuts_the_bytes_at_its_offsets(tmp_path):
    jpeg = write_npz(tmp_path / 'set.npz')
    found = open_image_set(tmp_path / 'set.npz')
    assert [image.tolist() for image in found.images] == [one.tolist() for one in jpeg]
    assert found.labels.tolist() == [1, 0, 1]
    assert found.class_names == ['cat', 'dog']


def test_pixels_come_as_rgb_from_a_path_and_from_bytes(tmp_path):
    encoded = write_image(tmp_path / 'red.png')
    for image in (tmp_path / 'red.png', encoded):
        rgb = decode_rgb(image)
        assert rgb.shape == (8, 8, 3)
        assert rgb.dtype == np.uint8
        assert rgb[0, 0].tolist() == list(RED)


@pytest.mark.parametrize('content', [b'', b'not an image'])
def test_a_file_that_is_no_image_is_named(tmp_path, content):
    (tmp_path / 'broken.jpg').write_bytes(content)
    with pytest.raises(ImageFileError, match='broken.jpg cannot be read'):
        decode_rgb(tmp_path / 'broken.jpg')


@pytest.mark.parametrize('opened', [open_image_set, open_images])
def test_a_folder_of_pictures_that_are_not_read_is_refused_with_their_endings(opened, tmp_path):
    for name in ('cat/a.HEIC', 'cat/b.heic', 'dog/c.avif'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(DatasetError, match='has no images but 1 .avif, 2 .heic, which are not re'):
        opened(tmp_path)


def test_a_class_of_pictures_that_are_not_read_is_refused(tmp_path):
    write_image(tmp_path / 'cat' / 'a.jpg')
    (tmp_path / 'dog').mkdir()
    assert open_image_set(tmp_path).class_names == ['cat', 'dog']
    (tmp_path / 'dog' / 'b.gif').touch()
    with pytest.raises(DatasetError, match="class .*/dog' has no images but 1 .gif, .*convert"):
        open_image_set(tmp_path)


def test_a_missing_path_is_refused_with_what_is_expected(tmp_path):
    with pytest.raises(DatasetError, match='nowhere.*expected a folder of class folders'):
        open_image_set(tmp_path / 'nowhere')


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / 'cat').mkdir()
    with pytest.raises(DatasetError, match='has no images'):
        open_image_set(tmp_path)


@pytest.mark.parametrize('changes, message', [
    ({'labels': np.array([0, 1, 2])}, 'class index 2; expected 0 to 1'),
    ({'labels': np.array([0, 1])}, '2 labels and 4 offsets'),
    ({'class_names': np.array([None], object)}, 'cannot be used'),  # would need pickle
])
def test_an_npz_that_does_not_fit_together_is_refused(tmp_path, changes, message):
    write_npz(tmp_path / 'set.npz', **changes)
    with pytest.raises(DatasetError, match=message):
        open_image_set(tmp_path / 'set.npz')


@pytest.mark.parametrize('content', [b'', b'PK', b'no npz'])
def test_a_file_that_is_no_npz_is_refused_by_name(content, tmp_path):
    (tmp_path / 'set.npz').write_bytes(content)
    with pytest.raises(DatasetError, match=r'set\.npz. cannot be used'):
        open_image_set(tmp_path / 'set.npz')


@pytest.mark.parametrize('row', ['x.png,cat', 'x.png,-1', 'x.png'])
def test_a_csv_row_without_a_class_is_refused(tmp_path, row):
    (tmp_path / 'labels.csv').write_text(f'file,class_index\n{row}\n')
    with pytest.raises(DatasetError, match='labels.csv'):
        open_image_set(tmp_path)
