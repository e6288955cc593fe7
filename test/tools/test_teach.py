# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_teach`: folders of pictures become a file that a classifier answers with."""
import json
import shutil

import cv2
import numpy as np
import pytest

from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig
from ltp_ros.research.accuracy.lesson import same_picture
from ltp_ros.teaching.classes_file import card_of
from ltp_ros.teaching.examples import NONE, whole
from ltp_ros.tools.support import teach_folder
from ltp_ros.tools.teach import main

COLOURS = {'red': (200, 40, 40), 'green': (40, 200, 40), 'blue': (40, 40, 200)}
FLAGS = ['--model', 'demo', '--device', 'cpu', '--backend', 'eager', '--quiet']
LADDER = (1.0, 0.5)


def picture(colour, seed):
    """Return a picture of a colour with stripes of its own, (48, 64, 3) uint8 RGB."""
    noise = np.random.default_rng(seed).integers(-40, 40, (6, 8, 1))
    return np.clip(np.kron(noise, np.ones((8, 8, 1))) + colour, 0, 255).astype(np.uint8)


def save(path, rgb):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), rgb[..., ::-1])


def paint(folder, names=tuple(COLOURS), count=4, first=0):
    """Save pictures of classes; return the folder."""
    for name in names:
        for seed in range(first, first + count):
            save(folder / name / f'{seed}.png', picture(COLOURS[name], seed))
    return folder


@pytest.fixture
def folder(tmp_path):
    return paint(tmp_path / 'pictures')


@pytest.fixture
def output(tmp_path):
    return tmp_path / 'classes.safetensors'


def run(folder, output, *more, ratios=LADDER):
    return main([str(folder), '--output', str(output), '--keep-ratios', *map(str, ratios), *FLAGS,
                 *map(str, more)])


def taught(folder, output, *more):
    """Teach; return the JSON."""
    path = output.with_suffix('.json')
    assert run(folder, output, '--json', path, *more) == 0
    return json.loads(path.read_text())


def refusal(capsys, *argv, **more):
    """Run the program, which must refuse; return the sentence in one line."""
    assert run(*argv, **more) == 2
    return ' '.join(capsys.readouterr().err.split())


def opened(output, ratios=LADDER):
    return Classifier(ClassifierConfig(model='demo', device='cpu', backend='eager',
                                       precision='float32',
                                       keep_ratios=ratios, classes=str(output)))


def test_a_classifier_answers_with_the_classes_of_the_folders_at_every_level(folder, output):
    taught(folder, output)
    classifier = opened(output)
    assert classifier.labels == ['blue', 'green', 'red']
    for name, colour in COLOURS.items():
        for keep_ratio in LADDER:
            answer = classifier.classify(picture(colour, 99), keep_ratio)
            assert answer.labels[0] == name and answer.keep_ratio == keep_ratio


def calm(colour, seed):
    """Return a picture with stripes in the middle alone, (480, 640, 3) uint8 RGB."""
    rgb = np.full((480, 640, 3), 90, np.uint8)
    rgb[200:248, 300:364] = picture(colour, seed)
    return rgb


def test_with_zoom_the_features_are_those_of_the_box(tmp_path, output, capsys):
    for name, colour in COLOURS.items():
        for seed in range(2):
            save(tmp_path / 'pictures' / name / f'{seed}.png', calm(colour, seed))
    assert taught(tmp_path / 'pictures', output, '--zoom')['zoom'] is True
    assert card_of(output)['zoom'] is True
    classifier = opened(output)
    rgb = calm(COLOURS['red'], 0)
    box = classifier.zoom.box(rgb)
    assert box is not None
    for ratio in LADDER:
        row = whole(classifier.classify(rgb, ratio, box=box).features)
        kept = classifier.taught.levels[ratio].classes['red'].kept
        assert same_picture(row, kept) is not None
        assert same_picture(whole(classifier.classify(rgb, ratio).features), kept) is None
    save(tmp_path / 'pictures' / 'red' / 'more.png', calm(COLOURS['red'], 9))
    assert taught(tmp_path / 'pictures', output, '--zoom', '--add')['taught'] == 1
    assert card_of(output)['zoom'] is True and 'taught without' not in capsys.readouterr().err
    save(tmp_path / 'pictures' / 'red' / 'without.png', calm(COLOURS['red'], 10))
    taught(tmp_path / 'pictures', output, '--add')
    assert card_of(output)['zoom'] is None
    assert 'were taught through the zoom, and these pictures are taught without zoom' in ' '.join(
        capsys.readouterr().err.split())


def test_a_file_says_that_it_was_taught_without_zoom(folder, output):
    assert taught(folder, output)['zoom'] is False and card_of(output)['zoom'] is False


def test_what_is_taught_are_the_features_of_a_classifier(folder, output):
    taught(folder, output)
    classifier = opened(output)
    features = classifier.features(picture(COLOURS['red'], 2))
    classifier.taught.remove('red', features)
    assert classifier.taught.counts == {'blue': 4, 'green': 4, 'red': 3}


def test_rows_say_how_well_each_class_is_recognised_at_each_level(folder, output, capsys):
    result = taught(folder, output)
    heads = opened(output).taught.heads
    assert [row['label'] for row in result['rows']] == ['blue', 'green', 'red']
    for row in result['rows']:
        assert row['pictures'] == row['judged'] == 4
        assert row['accuracy'] == {
            f'{ratio:g}': pytest.approx(100 * head.own_accuracy(row['label'])[0])
            for ratio, head in heads.items()}
        assert row['confused_with'] == heads[1.0].own_accuracy(row['label'])[1]
    assert (result['program'], result['taught'], result['none']) == ('ltp_teach', 12, 0)
    out = capsys.readouterr().out
    assert all(word in out for word in ('keep 1', 'keep 0.5', 'red', f'classes:={output}'))


def test_a_picture_in_the_wrong_folder_is_named(folder, output, capsys):
    save(folder / 'red' / 'astray.png', picture(COLOURS['blue'], 50))
    row = taught(folder, output)['rows'][2]
    assert row['confused_with'] == 'blue'
    assert row['taken_for'] == {'blue': pytest.approx(20.0)}
    assert row['in_the_way'] == {'blue': ['red/astray.png']}
    assert ('red is taken for blue in 20 % of its pictures; look at red/astray.png'
            in capsys.readouterr().out)


def test_a_picture_that_stood_in_the_way_before_is_named_again(folder, output):
    save(folder / 'red' / 'astray.png', picture(COLOURS['blue'], 50))
    before = taught(folder, output)['rows']
    assert taught(folder, output, '--add')['rows'] == before


def test_at_most_three_pictures_are_named_and_a_rare_mistake_is_not(folder, output):
    for seed in range(50, 54):
        save(folder / 'red' / f'{seed}.png', picture(COLOURS['blue'], seed))
    paint(folder, ['green', 'blue'], 16, first=100)
    save(folder / 'green' / 'rare.png', picture(COLOURS['blue'], 60))
    rows = {row['label']: row for row in taught(folder, output)['rows']}
    assert len(rows['red']['in_the_way']['blue']) <= 3
    assert rows['green']['in_the_way'] == {}


@pytest.mark.parametrize('name', ['none', 'None', 'NONE'])
def test_the_pictures_of_none_are_of_no_class(name, folder, output):
    for seed in range(3):
        save(folder / name / f'{seed}.png', picture((128, 128, 128), seed))
    assert taught(folder, output)['none'] == 3
    classes = opened(output).taught
    assert classes.labels == ['blue', 'green', 'red'] and classes.counts[NONE] == 3


def test_a_file_that_is_there_is_not_replaced(folder, output, capsys):
    output.write_bytes(b'of another program')
    assert 'is there already; give --add' in refusal(capsys, folder, output)
    assert output.read_bytes() == b'of another program'


def test_a_class_is_added_to_a_file_as_if_it_had_been_there(folder, output, tmp_path):
    taught(folder, output)
    whole = output.read_bytes()
    output.unlink()
    taught(paint(tmp_path / 'first', ['red', 'blue']), output)
    taught(paint(tmp_path / 'second', ['green']), output, '--add')
    assert output.read_bytes() == whole


def test_pictures_that_were_taught_before_are_not_taught_twice(folder, output, capsys):
    taught(folder, output)
    before = output.read_bytes()
    result = taught(folder, output, '--add')
    assert (result['taught'], result['repeated']) == (0, 12)
    assert 'not taught again: 12 pictures' in capsys.readouterr().err
    assert output.read_bytes() == before


def test_a_copy_of_a_picture_is_no_further_example(folder, output):
    shutil.copy(str(folder / 'red' / '1.png'), str(folder / 'red' / 'copy.png'))
    result = taught(folder, output)
    assert (result['taught'], result['repeated']) == (12, 1)


def test_classes_are_forgotten_before_pictures_are_added(folder, output, tmp_path):
    taught(folder, output)
    taught(paint(tmp_path / 'more', ['red'], 2, first=30), output, '--add', '--forget', 'red',
           'green')
    assert opened(output).taught.counts == {'blue': 4, 'red': 2}


def test_what_cannot_be_forgotten_is_named_and_the_file_stays(folder, output, capsys):
    taught(folder, output)
    before = output.read_bytes()
    assert "no class 'mauve'" in refusal(capsys, folder, output, '--add', '--forget', 'mauve')
    assert output.read_bytes() == before


def test_forgetting_needs_a_file_to_go_on_with(folder, output, capsys):
    assert '--forget goes with --add' in refusal(capsys, folder, output, '--forget', 'red')


def test_nothing_is_added_to_a_file_that_is_not_there(folder, output, capsys):
    assert 'leave --add out' in refusal(capsys, folder, output, '--add')


def test_levels_of_a_file_are_not_lost(folder, output, capsys):
    taught(folder, output)
    before = output.read_bytes()
    message = refusal(capsys, folder, output, '--add', ratios=(1.0,))
    assert 'keep ratios 1 0.5' in message and 'would be lost' in message
    assert output.read_bytes() == before


def test_levels_that_a_file_does_not_have_cannot_be_added(folder, output, capsys):
    taught(folder, output)
    assert 'not at [0.25]' in refusal(capsys, folder, output, '--add', ratios=(1.0, 0.5, 0.25))


def test_a_file_of_another_model_is_refused(folder, output, small_model, capsys):
    taught(folder, output)
    assert 'another model' in refusal(capsys, folder, output, '--add', '--model', '',
                                      '--checkpoint', small_model)


@pytest.mark.parametrize('moment', ['features', 'writing'])
def test_control_c_leaves_the_file_as_it_was(moment, folder, output, tmp_path, monkeypatch):
    taught(folder, output)
    before = output.read_bytes()

    def interrupt(*args):
        raise KeyboardInterrupt
    if moment == 'features':
        monkeypatch.setattr(Classifier, 'features', interrupt)
    else:
        monkeypatch.setattr('ltp_ros.files.os.fsync', interrupt)
    assert run(paint(tmp_path / 'more', ['red'], 2, first=30), output, '--add') == 130
    assert output.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {
        'pictures', 'more', output.name, output.with_suffix('.json').name}


def test_a_damaged_picture_is_left_out_and_told(folder, output, capsys):
    paint(folder, first=20)
    (folder / 'red' / '1.png').write_bytes(b'no picture')
    assert taught(folder, output)['taught'] == 23
    assert 'left out: 1 of 24 images' in capsys.readouterr().err


def test_too_many_damaged_pictures_are_refused_and_nothing_is_written(folder, output, capsys):
    for number in range(3):
        (folder / 'red' / f'{number}.png').write_bytes(b'no picture')
    assert 'At most 10 % may be left out' in refusal(capsys, folder, output)
    assert not output.exists()


def test_an_empty_folder_is_told_and_is_no_class(folder, output, capsys):
    (folder / 'mauve').mkdir()
    taught(folder, output)
    assert 'without images, so not taught: mauve' in capsys.readouterr().err
    assert 'mauve' not in opened(output).labels


def test_pictures_beside_the_folders_are_told(folder, output, capsys):
    save(folder / 'stray.png', picture(COLOURS['red'], 7))
    assert taught(folder, output)['taught'] == 12
    assert 'beside the class folders' in capsys.readouterr().err


def test_pictures_of_an_ending_that_is_not_read_are_told(folder, output, capsys):
    (folder / 'red' / 'phone.heic').write_bytes(b'')
    taught(folder, output)
    assert '1 .heic, which are not read' in capsys.readouterr().err


def test_a_class_of_one_picture_is_taught_and_told(folder, output, capsys):
    save(folder / 'mauve' / '0.png', picture((180, 90, 200), 0))
    row = next(row for row in taught(folder, output)['rows'] if row['label'] == 'mauve')
    assert row['accuracy'] == {'1': None, '0.5': None} and row['in_the_way'] == {}
    told = capsys.readouterr()
    assert 'taught with one picture' in told.err and 'mauve' in told.err
    assert 'n/a' in told.out
    assert opened(output).classify(picture((180, 90, 200), 0)).labels[0] == 'mauve'


def test_one_class_alone_can_be_taught(output, tmp_path):
    row, = taught(paint(tmp_path / 'one', ['red']), output)['rows']
    assert row['accuracy'] == {'1': 100.0, '0.5': 100.0} and row['confused_with'] == ''


@pytest.mark.parametrize('make, words', [
    (lambda folder: None, 'does not exist'),
    (lambda folder: folder.mkdir(), 'has no images'),
    (lambda folder: save(folder / 'a.png', picture((9, 9, 9), 0)), 'without labels'),
    (lambda folder: save(folder / 'none' / 'a.png', picture((9, 9, 9), 0)),
     'pictures of none of the classes alone'),
    (lambda folder: save(folder / 'red ' / 'a.png', picture((9, 9, 9), 0)),
     'cannot be the name of a class'),
    (lambda folder: (save(folder / 'a.png', picture((9, 9, 9), 0)), (
        folder / 'labels.csv').write_text('file,class_index\na.png,0\n')), 'taught by name')],
    ids=['absent', 'empty', 'no folders', 'none alone', 'a bad name', 'labels.csv'])
def test_pictures_that_make_no_classes_are_refused(make, words, tmp_path, output, capsys):
    make(tmp_path / 'odd')
    assert words in refusal(capsys, tmp_path / 'odd', output)
    assert not output.exists()


def test_a_place_that_cannot_be_written_is_refused_before_the_model_is_loaded(
        folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(teach_folder, 'Classifier', lambda config: pytest.fail('loaded'))
    assert 'cannot be written' in refusal(capsys, folder, tmp_path / 'nowhere' / 'x')


def test_names_that_look_like_markup_are_shown_as_they_are(folder, output, capsys):
    (folder / 'red').rename(folder / '[red]')
    taught(folder, output)
    assert '[red]' in capsys.readouterr().out


def test_pictures_that_a_node_was_taught_are_of_the_classes_they_lie_in(folder, output):
    for name in ('red', 'none'):
        save(folder / 'taught' / name / '0.png', picture((128, 128, 128), 0))
    assert taught(folder, output)['none'] == 1
    assert opened(output).taught.counts == {'blue': 4, 'green': 4, NONE: 1, 'red': 5}


def test_a_class_may_be_called_as_the_folder_of_a_node(output, tmp_path):
    paint(tmp_path / 'two', ['red'])
    (tmp_path / 'two' / 'red').rename(tmp_path / 'two' / 'taught')
    row, = taught(tmp_path / 'two', output)['rows']
    assert row['label'] == 'taught'


@pytest.mark.parametrize('flags, words', [
    ([], 'nothing to teach from is given; expected a FOLDER, --live or --review'),
    (['pictures'], 'expected --output FILE'),
    (['pictures', '--live', 'mug'], 'FOLDER and --live do not go together'),
    (['--review', 'pictures', '--live'], '--live and --review do not go together'),
    (['--live', 'mug', '--output', 'x'], '--output goes with FOLDER, not with --live'),
    (['--live', 'mug', '--labels', 'x.csv'], '--labels goes with FOLDER or --review, not with'),
    (['--live', 'mug', '--model', 'demo'], '--model goes with FOLDER, not with --live'),
    (['--review', 'x', '--keep-ratios', '1'], '--keep-ratios goes with FOLDER, not with'),
    (['--review', 'x', '--forget', 'mug'], '--forget goes with FOLDER or --live, not with'),
    (['pictures', '--output', 'x', '--seconds', '3'], '--seconds goes with --live, not with'),
    (['pictures', '--output', 'x', '--sheet', 'x'], '--sheet goes with --review, not with')])
def test_flags_that_do_not_go_together_are_refused(flags, words, capsys):
    assert main(flags) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize('flags', [
    ['--live', 'a', '--seconds', '3', '--frames', '3'], ['--live', 'a', '--seconds', '0'],
    ['--live', 'a', '--seconds', 'nan'], ['--live', 'a', '--frames', '4294967296']])
def test_numbers_that_no_lesson_can_have_are_refused(flags):
    with pytest.raises(SystemExit, match='2'):
        main(flags)


def test_the_help_shows_the_three_ways(capsys):
    with pytest.raises(SystemExit, match='0'):
        main(['--help'])
    told = capsys.readouterr().out
    for way in ('FOLDER --output FILE [--add]', '--live LABEL [--seconds', '--review DIR [--lab'):
        assert f'\n  ltp_teach {way}' in told
    assert 'default: None' not in told and 'default: False' not in told
