# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Sheets of pictures, the tables that name them, and the folders they are sorted into."""
from pathlib import Path

import cv2
import numpy as np
import pytest

from ltp_ros.frames.collector import ANSWERS
from ltp_ros.images import decode_rgb
from ltp_ros.teaching.classes import LabelError
from ltp_ros.teaching.examples import NONE
from ltp_ros.tools.support import review
from ltp_ros.tools.support.review import (
    GREY,
    SHEET,
    ReviewError,
    contact_sheet,
    pictures_of,
    read_labels_csv,
    sort_into_folders,
    write_labels_csv,
)
from ltp_ros.tools.teach import main

COLOURS = {'blue': (30, 60, 220), 'green': (20, 200, 40), 'red': (220, 30, 20)}
TEXT = 4 * review.LINE  # pixels below a picture


@pytest.fixture
def folder(tmp_path):
    """Return a folder of a blue, a green and, in a subfolder, a red picture."""
    folder = tmp_path / 'pictures'
    (folder / 'sub').mkdir(parents=True)
    for name, where in (('blue', folder), ('green', folder), ('red', folder / 'sub')):
        save(where / f'{name}.jpg', COLOURS[name])
    return folder


def save(path, colour=(0, 0, 0), shape=(30, 40)):
    cv2.imwrite(str(path), np.full((*shape, 3), colour[::-1], np.uint8))
    return path


def table(folder, content, encoding='utf-8'):
    path = folder.parent / 'labels.csv'
    path.write_bytes(content.encode(encoding))
    return path


def read(folder, content, encoding='utf-8'):
    """Return the labels of a table by the names of the files."""
    return {path.name: label for path, label in
            read_labels_csv(table(folder, content, encoding), folder).items()}


def middle(sheet, place, columns=6, tile=160):
    """Return the colour (3,) in the middle of a tile of a sheet, given by its place from 0."""
    row, column = divmod(place, columns)
    return sheet[row * (tile + TEXT) + tile // 2 + 9, column * tile + tile - 12].astype(int)


def test_a_sheet_shows_every_picture_in_its_place_and_colours(folder, tmp_path):
    assert contact_sheet(folder, tmp_path / 'sheet.jpg') == 3
    sheet = decode_rgb(tmp_path / 'sheet.jpg')
    assert sheet.shape == (160 + TEXT, 6 * 160, 3)
    for place, colour in enumerate(COLOURS.values()):
        assert np.abs(middle(sheet, place) - colour).max() < 12
    assert (middle(sheet, 3) > 250).all()


def test_a_sheet_takes_another_number_of_columns_and_another_size(folder, tmp_path):
    contact_sheet(folder, tmp_path / 'sheet.jpg', columns=2, tile=100)
    sheet = decode_rgb(tmp_path / 'sheet.jpg')
    assert sheet.shape == (2 * (100 + TEXT), 200, 3)
    assert np.abs(middle(sheet, 2, 2, 100) - COLOURS['red']).max() < 12


def test_a_picture_that_cannot_be_read_is_a_grey_tile(folder, tmp_path):
    (folder / 'damaged.jpg').write_bytes(b'no picture')
    assert contact_sheet(folder, tmp_path / 'sheet.jpg') == 4
    assert np.abs(middle(decode_rgb(tmp_path / 'sheet.jpg'), 1) - GREY).max() < 12


@pytest.mark.parametrize('shape', [(1, 3000), (3000, 1), (1, 1), (2000, 1500)])
def test_a_picture_of_any_shape_fits_its_tile(shape, folder, tmp_path):
    save(folder / 'odd.png', shape=shape)
    assert contact_sheet(folder, tmp_path / 'sheet.jpg') == 4


def test_more_than_sixty_pictures_take_more_sheets(folder, tmp_path):
    for number in range(120):
        save(folder / f'{number:03d}.png', shape=(4, 4))
    assert contact_sheet(folder, tmp_path / 'sheet.jpg', tile=32) == 123
    assert sorted(path.name for path in tmp_path.glob('*.jpg')) == [
        'sheet-2.jpg', 'sheet-3.jpg', 'sheet.jpg']
    heights = [decode_rgb(tmp_path / f'sheet{page}.jpg').shape[0] for page in ('', '-2', '-3')]
    assert heights == [10 * (32 + TEXT), 10 * (32 + TEXT), 32 + TEXT]


def test_of_no_pictures_there_is_no_sheet(tmp_path):
    assert contact_sheet(tmp_path, tmp_path / SHEET) == 0
    assert list(tmp_path.iterdir()) == []


def written(monkeypatch, folder):
    """Return what is written on the sheet of a folder."""
    texts, put = [], cv2.putText

    def spy(canvas, text, *arguments):
        texts.append(text)
        return put(canvas, text, *arguments)

    monkeypatch.setattr(cv2, 'putText', spy)
    contact_sheet(folder, folder.parent / 'sheet.jpg')
    return texts


def test_below_a_picture_are_its_name_and_the_answer_of_the_last_row(folder, monkeypatch):
    (folder / ANSWERS).write_text(
        'file,stamp,label_1,score_1\nblue.jpg,1,dog,0.1000\nblue.jpg,1,cat,0.9876\n'
        'gone.jpg,1,cat,0.5\nred.jpg,1,größe,0.2500\ngreen.jpg\n', encoding='utf-8')
    assert written(monkeypatch, folder) == [
        '1', 'blue', 'cat 0.98', '2', 'green', '3', 'red', 'gr??e 0.25']


@pytest.mark.parametrize('content', [b'\xff\xfe\0', b'', b'a,b\n1,2\n', b'"' + b'x' * 200_000])
def test_answers_that_cannot_be_read_are_left_out(content, folder, monkeypatch):
    (folder / ANSWERS).write_bytes(content)
    assert written(monkeypatch, folder) == ['1', 'blue', '2', 'green', '3', 'red']


def test_a_long_name_goes_on_in_a_second_line(folder, monkeypatch):
    save(folder / '1700000000.123456789_camera-image_raw.jpg')
    assert written(monkeypatch, folder)[:3] == [
        '1', '1700000000.123456789_c', 'amera-image_raw']


def test_a_sheet_in_the_folder_is_none_of_the_pictures(folder):
    for _ in range(2):
        assert contact_sheet(folder, folder / SHEET) == 3
    assert [path.stem for path in pictures_of(folder)] == ['blue', 'green', 'red']


def test_a_sheet_of_another_name_must_lie_outside_of_the_folder(folder):
    with pytest.raises(ReviewError, match='one of the pictures itself; write it outside'):
        contact_sheet(folder, folder / 'sub' / 'sheet.jpg')
    assert contact_sheet(folder, folder.with_name('pictures2.jpg')) == 3


def test_a_table_names_pictures_by_file_stem_path_or_number(folder):
    expected = {'blue.jpg': 'a', 'green.jpg': 'b', 'red.jpg': 'c'}
    assert read(folder, 'file,label\nblue.jpg,a\ngreen,b\nsub/red.jpg,c\n') == expected
    assert read(folder, f'file,label\n./blue.jpg,a\n{folder}/green.jpg,b\nred,c\n') == expected
    assert read(folder, 'number,label\n3,c\n1,a\n2,b\n') == expected
    assert read(folder, 'number,file,label\n9,blue.jpg,a\n2,,b\n3,red.jpg,c\n') == expected


@pytest.mark.parametrize('content, encoding', [
    ('file,label\r\nblue.jpg,a cup\r\ngreen.jpg,größe\r\n', 'utf-8-sig'),
    ('file;label\r\nblue.jpg;a cup\r\ngreen.jpg;größe\r\n', 'utf-8-sig'),
    ('file\tlabel\nblue.jpg\ta cup\ngreen.jpg\tgröße', 'utf-8'),
    ('"file","label"\n"blue.jpg","a cup"\n"green.jpg","größe"\n', 'utf-8'),
    (' File , LABEL,remark\nblue.jpg, a cup ,x\ngreen.jpg,größe\u00a0\n\n,,\n', 'utf-8'),
    ('file,label\rblue.jpg,a cup\rgreen.jpg,größe\r', 'utf-8')])
def test_a_table_is_read_as_the_programs_of_offices_write_it(content, encoding, folder):
    assert read(folder, content, encoding) == {'blue.jpg': 'a cup', 'green.jpg': 'größe'}


def test_a_name_with_the_letters_of_csv_is_read_in_quotes(folder):
    save(folder / 'a, "b"; c.jpg')
    assert read(folder, 'file,label\n"a, ""b""; c.jpg","x, y"\n') == {'a, "b"; c.jpg': 'x, y'}


@pytest.mark.parametrize('word', ['none', 'None', 'NONE'])
def test_without_a_label_a_picture_is_left_out_and_none_is_none_of_the_classes(word, folder):
    assert read(folder, f'file,label\nblue.jpg,\ngreen.jpg,{word}\nred.jpg\n') == {
        'green.jpg': NONE}


@pytest.mark.parametrize('content', ['', 'file,label\n', 'file,label\nwhatever,\n'])
def test_a_table_without_labels_is_one(content, folder):
    assert read(folder, content) == {}


@pytest.mark.parametrize('content, message', [
    ('file,label\nblue.jpg,a\nother.jpg,a\n', "row 3: 'other.jpg' is not a picture in"),
    ('file,label\n../labels.csv,a\n', "'../labels.csv' lies outside of"),
    ('file,label\n/etc/passwd,a\n', "'/etc/passwd' lies outside of"),
    ('file,label\n../pictures2/blue.jpg,a\n', 'lies outside of'),
    ('file,label\nsub,a\n', "'sub' is not a picture in"),
    ('file,label\nblue.jpg,a\x1b[2J\n', 'control characters would steer a terminal'),
    ('file,label\nblue.jpg,"a\tb"\n', 'control characters would steer a terminal'),
    ('file,label\nblue.jpg,' + 'x' * 201, '201 letters, and 200 are allowed'),
    ('file,label\nblue.jpg,a\nblue,b\n', "row 3: blue.jpg is 'b' here, and 'a' above"),
    ('file,number,label\nblue.jpg,,a\n,1,none\n', "blue.jpg is '' here, and 'a' above"),
    ('number,label\n0,a\n', "'0' is not the number of one of the 3 pictures"),
    ('number,label\n4,a\n', "'4' is not the number"),
    ('number,label\n-1,a\n', "'-1' is not the number"),
    ('number,label\n' + '9' * 5000 + ',a\n', 'is not the number'),
    ('number,label\n,a\n', "'' is not the number"),
    ('name,class\nblue.jpg,a\n', 'columns name, class; expected file or number, and label'),
    ('file\nblue.jpg\n', 'the columns file; expected'),
    ('file,label\nbl\0ue.jpg,a\n', 'labels.csv'),
    ('file,label\nblue.jpg,"' + 'x' * 200_000 + '"\n', 'is not CSV in UTF-8')])
def test_a_table_that_cannot_be_right_is_refused_with_the_row(content, message, folder):
    with pytest.raises(ReviewError, match='.*'.join(map(escaped, message.split('...')))):
        read(folder, content)


def escaped(text):
    return text.replace('[', r'\[').replace('.', r'\.')


def test_the_same_label_twice_is_no_fault(folder):
    assert read(folder, 'file,label\nblue.jpg,a\nblue,a\nblue.jpg,\n') == {'blue.jpg': 'a'}


@pytest.mark.parametrize('encoding', ['utf-16', 'cp1252'])
def test_a_table_in_another_encoding_is_refused(encoding, folder):
    with pytest.raises(ReviewError, match='is not CSV in UTF-8'):
        read(folder, 'file,label\nblue.jpg,größe\n', encoding)


def test_a_name_of_two_pictures_needs_its_path(folder):
    save(folder / 'sub' / 'blue.jpg')
    with pytest.raises(ReviewError, match="'blue' is the name of 2 pictures; give their paths"):
        read(folder, 'file,label\nblue,a\n')
    labels = read_labels_csv(table(folder, 'file,label\nsub/blue.jpg,a\nblue.jpg,b\n'), folder)
    assert labels == {folder / 'sub' / 'blue.jpg': 'a', folder / 'blue.jpg': 'b'}


def test_a_folder_may_be_given_relatively(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    path = table(folder, f'file,label\n{folder}/blue.jpg,a\ngreen.jpg,b\n')
    assert read_labels_csv(path, Path('pictures')) == {
        Path('pictures/blue.jpg'): 'a', Path('pictures/green.jpg'): 'b'}


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob('*') if path.is_file())


def test_pictures_are_moved_into_the_folders_of_their_labels(folder):
    labels = {folder / 'blue.jpg': 'a cup', folder / 'green.jpg': NONE,
              folder / 'sub' / 'red.jpg': 'a cup'}
    assert sort_into_folders(labels, folder) == {'a cup': 2, 'none': 1}
    assert files(folder) == ['a cup/blue.jpg', 'a cup/red.jpg', 'none/green.jpg']


def test_nothing_is_overwritten_and_what_is_in_its_place_stays(folder):
    save(folder / 'sub' / 'blue.jpg', COLOURS['green'])
    labels = {folder / 'blue.jpg': 'sub', folder / 'sub' / 'red.jpg': 'sub'}
    assert sort_into_folders(labels, folder) == {'sub': 2}
    assert files(folder) == ['green.jpg', 'sub/blue-2.jpg', 'sub/blue.jpg', 'sub/red.jpg']
    assert np.abs(decode_rgb(folder / 'sub' / 'blue-2.jpg')[0, 0] - (30.0, 60, 220)).max() < 12


def test_a_second_round_moves_nothing(folder):
    sort_into_folders({folder / 'blue.jpg': 'a', folder / 'green.jpg': NONE}, folder)
    before = files(folder)
    labels = read_labels_csv(table(folder, 'file,label\nblue,a\ngreen,none\n'), folder)
    assert sort_into_folders(labels, folder) == {'a': 1, 'none': 1} and files(folder) == before


@pytest.mark.parametrize('label', [
    '.', '..', '.hidden', 'a/b', '/etc', '../out', '__MACOSX', 'lost+found', 'ü' * 128])
def test_a_label_that_cannot_be_a_folder_moves_nothing(label, folder):
    with pytest.raises(ReviewError, match='cannot be the name of a folder'):
        sort_into_folders({folder / 'green.jpg': 'a', folder / 'blue.jpg': label}, folder)
    assert files(folder) == ['blue.jpg', 'green.jpg', 'sub/red.jpg']


def test_a_label_that_no_class_can_have_moves_nothing(folder):
    with pytest.raises(LabelError, match='control characters'):
        sort_into_folders({folder / 'green.jpg': 'a', folder / 'blue.jpg': 'a\0'}, folder)
    assert not (folder / 'a').exists()


def test_a_label_of_the_folder_in_which_a_node_keeps_what_it_was_taught_moves_nothing(folder):
    with pytest.raises(ReviewError, match="'taught' cannot be a label here"):
        sort_into_folders({folder / 'green.jpg': 'a', folder / 'blue.jpg': 'taught'}, folder)
    assert files(folder) == ['blue.jpg', 'green.jpg', 'sub/red.jpg']


def test_what_a_node_was_taught_is_left_alone(folder):
    (folder / 'taught' / 'mug').mkdir(parents=True)
    save(folder / 'taught' / 'mug' / '1.jpg')
    assert [path.stem for path in pictures_of(folder)] == ['blue', 'green', 'red']
    with pytest.raises(ReviewError, match='is not a picture in'):
        read(folder, 'file,label\ntaught/mug/1.jpg,a\n')


def test_a_table_to_fill_in_numbers_and_names_the_pictures_with_their_answers(folder, tmp_path):
    save(folder / 'a, "b".jpg')
    (folder / ANSWERS).write_text('file,label_1,score_1\nblue.jpg,größe,0.9\n', 'utf-8')
    path = tmp_path / 'table.csv'
    write_labels_csv(path, folder, pictures_of(folder))
    assert path.read_text('utf-8-sig') == (
        'number,file,label,answered\n1,"a, ""b"".jpg",,\n2,blue.jpg,,größe\n3,green.jpg,,\n'
        '4,sub/red.jpg,,\n')
    assert read_labels_csv(path, folder) == {}
    path.write_text(path.read_text('utf-8-sig').replace('blue.jpg,', 'blue.jpg,a'), 'utf-8')
    (folder / '0.jpg').write_bytes(b'')  # came since: the numbers have moved on
    assert read_labels_csv(path, folder) == {folder / 'blue.jpg': 'a'}


def test_a_name_that_is_not_utf_8_is_told_in_place_of_a_table(folder, tmp_path):
    save(folder / 'a.jpg').rename(folder / 'a\udcff.jpg')
    with pytest.raises(ReviewError, match=r'is not UTF-8.*udcff.*rename it'):
        write_labels_csv(tmp_path / 'table.csv', folder, pictures_of(folder))
    assert not (tmp_path / 'table.csv').exists()


def program(capsys, *flags):
    """Run `ltp_teach --review`; return its exit code and what it says, in a line."""
    code = main(['--review', *map(str, flags)])
    told = capsys.readouterr()
    return code, ' '.join((told.out + told.err).split())


def test_the_program_draws_then_sorts_and_says_what_comes_next(folder, tmp_path, capsys):
    code, told = program(capsys, folder)
    table = tmp_path / 'pictures_labels.csv'
    assert code == 0 and f'3 pictures drawn on {tmp_path}/pictures_sheet.jpg.' in told
    assert told.endswith(f'ltp_teach --review {folder} --labels {table}')
    assert decode_rgb(tmp_path / 'pictures_sheet.jpg').shape[1] == 6 * 160
    lines = table.read_text('utf-8-sig').splitlines()
    table.write_text('\n'.join([lines[0], '1,blue.jpg,a cup,', '2,green.jpg,None,', lines[3]]))
    code, told = program(capsys, folder, '--labels', table)
    assert code == 0 and files(folder) == ['a cup/blue.jpg', 'none/green.jpg', 'sub/red.jpg']
    assert told == (f'1 picture in {folder}/a cup 1 picture in {folder}/none 1 picture without a '
                    f'label, left where they were To teach them: ltp_teach {folder} --output FILE')


def test_a_table_that_is_there_is_not_written_over(folder, tmp_path, capsys):
    (tmp_path / 'pictures_labels.csv').write_text('work of hours')
    code, told = program(capsys, folder)
    assert code == 2 and 'is there already, and not written over; fill it in' in told
    assert (tmp_path / 'pictures_labels.csv').read_text() == 'work of hours'
    assert not (tmp_path / 'pictures_sheet.jpg').exists()


@pytest.mark.parametrize('given', ['.', '../pictures/', '../pictures/sub/..'])
def test_what_is_drawn_lies_beside_the_folder_however_it_is_named(given, folder, capsys,
                                                                  monkeypatch):
    monkeypatch.chdir(folder)
    assert program(capsys, given)[0] == 0
    assert (folder.parent / 'pictures_sheet.jpg').exists()
    assert (folder.parent / 'pictures_labels.csv').exists()


def test_more_sheets_are_named(folder, tmp_path, capsys):
    for number in range(60):
        save(folder / f'{number:03d}.png', shape=(4, 4))
    code, told = program(capsys, folder, '--sheet', tmp_path / 'x.jpg')
    assert code == 0 and f'63 pictures drawn on {tmp_path}/x.jpg to x-2.jpg.' in told


def test_what_cannot_be_reviewed_is_refused_and_nothing_is_written(folder, tmp_path, capsys):
    (tmp_path / 'empty' / 'taught').mkdir(parents=True)
    for flags, words in (
            ([tmp_path / 'gone'], 'is not there, or not a folder'),
            ([tmp_path / 'empty'], 'has no pictures but those in taught'),
            ([folder, '--sheet', tmp_path / 'x.png'], 'expected the ending .jpg'),
            ([folder, '--sheet', folder / 'x.jpg'], 'would be one of the pictures itself'),
            ([folder, '--sheet', 'x.jpg', '--labels', 'x.csv'], 'the sheet comes first'),
            ([folder, '--labels', tmp_path / 'x.csv'], 'No such file'),
            ([folder, '--labels', table(folder, 'file,label\nblue,\n')], 'has no label in')):
        code, told = program(capsys, *flags)
        assert code == 2 and words in told, flags
    assert files(folder) == ['blue.jpg', 'green.jpg', 'sub/red.jpg']
    assert sorted(path.name for path in tmp_path.iterdir()) == ['empty', 'labels.csv', 'pictures']


def test_a_table_of_numbers_in_the_folder_would_be_in_the_way_later(folder, capsys):
    (folder / 'labels.csv').write_text('file,label\nblue,a\n')
    code, told = program(capsys, folder, '--labels', folder / 'labels.csv')
    assert code == 2 and 'move it out of the folder first' in told
