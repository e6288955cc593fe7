# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures worth teaching: which are kept, under which names, within which bounds."""
import csv
import errno
import math
import os
import threading
import time

import cv2
import numpy as np
import pytest

from ltp_ros.config import TunerConfig
from ltp_ros.frames import background, collector
from ltp_ros.frames.collector import (
    ANSWERS,
    COLUMNS,
    WHEN,
    Collector,
    free_path,
    is_wanted,
    keep_taught,
)
from ltp_ros.frames.latency import StageTimer
from ltp_ros.frames.mailbox import Frame
from ltp_ros.frames.processed import ProcessedFrame
from ltp_ros.images import decode_rgb
from ltp_ros.prediction import Prediction
from ltp_ros.region import Region

TIMEOUT_S = 30.0
SECOND_NS = 10 ** 9
STAMP_NS = 1_700_000_000_123_456_789
NAME = '1700000000.123456789_camera-image_raw.jpg'


def prediction(label='cat', score=0.9, known=True, unknown=math.nan, more=()):
    labels, scores = zip((label, score), *more) if label else ((), ())
    return Prediction(tuple(range(len(labels))), labels, scores, 1.0, 4, 4, np.arange(4),
                      unknown, known)


def processed(answer, receive_ns=0, topic='/camera/image_raw', rgb=None, region=None):
    rgb = np.full((24, 32, 3), 128, np.uint8) if rgb is None else rgb
    return ProcessedFrame(Frame(topic, None, receive_ns, 0.0), rgb,
                          region or Region(0, 0, *rgb.shape[:2]), answer,
                          StageTimer(lambda: 0, 0), TunerConfig())


STRANGE = prediction(known=False)


class Bench:
    """A collector in a folder, what it has said, and frames that come a second apart."""

    def __init__(self, folder, max_files=100, max_bytes=10 ** 7):
        self.folder, self.said, self.number = folder, [], 0
        self.collector = Collector(folder, max_files, max_bytes, self.said.append)

    def offer(self, answer=STRANGE, when='unknown', stamp_ns=None, **frame):
        """Offer a frame and wait until nothing is in hand."""
        self.number += 1
        self.collector.offer(processed(answer, self.number * SECOND_NS, **frame), when,
                             self.number * SECOND_NS if stamp_ns is None else stamp_ns)
        self.wait()

    def wait(self):
        assert self.collector._in_hand.acquire(timeout=TIMEOUT_S)
        self.collector._in_hand.release()

    def wait_until_said(self, count=1):
        until = time.monotonic() + TIMEOUT_S  # it is said after the picture was let go
        while len(self.said) < count and time.monotonic() < until:
            time.sleep(0.001)
        assert len(self.said) == count

    @property
    def pictures(self):
        return sorted(path.name for path in self.folder.glob('*.jpg'))

    @property
    def rows(self):
        with (self.folder / ANSWERS).open(newline='', encoding='utf-8') as file:
            return list(csv.DictReader(file))


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path / 'new' / 'pictures')
    yield bench
    bench.collector.close()


def stamps(*seconds):
    return [f'{second}.000000000_camera-image_raw.jpg' for second in seconds]


@pytest.mark.parametrize('answer, wanted', [
    (prediction(), ()), (prediction(score=0.49), ('unsure',)), (prediction(score=0.5), ()),
    (prediction(label=None), ('unsure', 'changed')), (prediction(unknown=0.81), ('unsure',)),
    (prediction(unknown=0.8), ()), (STRANGE, ('unsure', 'unknown')),
    (prediction('dog'), ('changed',))])
def test_a_picture_is_wanted_by_its_answer(answer, wanted):
    assert tuple(when for when in WHEN if is_wanted(when, answer, 'cat')) == wanted


def test_the_first_answer_of_a_topic_is_no_change():
    assert not is_wanted('changed', prediction(), None)


def test_a_label_after_none_above_the_threshold_is_a_change():
    assert is_wanted('changed', prediction(), '')


def test_the_region_that_was_classified_is_kept_in_its_colours(bench):
    rgb = np.zeros((48, 64, 3), np.uint8)
    rgb[8:24, 16:48] = 200, 100, 50
    bench.offer(rgb=rgb, region=Region(8, 16, 16, 32), stamp_ns=STAMP_NS)
    assert bench.pictures == [NAME]
    kept = cv2.imread(str(bench.folder / NAME))[..., ::-1]
    assert kept.shape == (16, 32, 3)
    assert np.abs(kept.astype(int) - (200, 100, 50)).max() <= 3


def test_an_image_whose_channels_are_a_reversed_view_is_kept_too(bench):
    bgr = np.full((24, 32, 3), (50, 100, 200), np.uint8)
    bench.offer(rgb=bgr[..., ::-1], stamp_ns=STAMP_NS)
    assert np.abs(cv2.imread(str(bench.folder / NAME)) - (50.0, 100, 200)).max() <= 3


def test_its_row_says_what_it_was_taken_for(bench):
    more = (('dog', 0.2), ('größe, "x"', 0.1), ('left out', 0.05))
    bench.offer(prediction('a\nb', 0.3, unknown=0.9, more=more), 'unsure', STAMP_NS)
    assert bench.rows == [{
        'file': NAME, 'stamp': '1700000000.123456789', 'topic': '/camera/image_raw',
        'why': 'unsure', 'known': 'true', 'unknown': '0.9000', 'label_1': 'a\\nb',
        'score_1': '0.3000', 'label_2': 'dog', 'score_2': '0.2000', 'label_3': 'größe, "x"',
        'score_3': '0.1000'}]


def test_what_an_answer_lacks_is_empty_in_its_row(bench):
    bench.offer(prediction(label=None, known=False))
    assert (bench.folder / ANSWERS).read_text().splitlines() == [
        ','.join(COLUMNS),
        '1.000000000_camera-image_raw.jpg,1.000000000,/camera/image_raw,unknown,false,']


def test_nothing_is_made_before_the_first_picture_and_then_it_is_for_this_user(bench):
    bench.offer(prediction())
    bench.offer(when='never')
    assert not bench.folder.parent.exists()
    bench.offer()
    assert bench.folder.stat().st_mode & 0o777 == 0o700


def test_of_a_topic_one_picture_a_second_is_kept(bench):
    for receive_ms, topic in ((1000, '/a'), (1999, '/a'), (1999, '/b'), (2000, '/a')):
        bench.collector.offer(processed(STRANGE, receive_ms * 10 ** 6, topic), 'unsure',
                              receive_ms * 10 ** 6)
        bench.wait()
    assert bench.pictures == ['1.000000000_a.jpg', '1.999000000_b.jpg', '2.000000000_a.jpg']
    assert bench.collector.passed_over == 0


def test_every_change_of_a_label_is_kept_each_topic_by_its_own(bench):
    for stamp, (topic, label) in enumerate(
            (('/a', 'cat'), ('/b', 'dog'), ('/a', 'cat'), ('/a', 'dog'), ('/b', 'dog'),
             ('/a', 'cat'))):
        bench.collector.offer(processed(prediction(label), 0, topic), 'changed',
                              stamp * SECOND_NS)
        bench.wait()
    assert bench.pictures == ['3.000000000_a.jpg', '5.000000000_a.jpg']


def test_a_change_is_of_the_answer_before_even_if_that_was_not_to_be_kept(bench):
    bench.offer(prediction('cat'), 'never')
    bench.offer(prediction('dog'), 'changed')
    assert bench.pictures == stamps(2)


def test_what_comes_while_one_is_being_written_is_passed_over_and_the_worker_goes_on(
        bench, monkeypatch):
    begun, go_on, write = threading.Event(), threading.Event(), collector.write_whole

    def slow(path, content):
        begun.set()
        assert go_on.wait(TIMEOUT_S)
        write(path, content)

    monkeypatch.setattr(collector, 'write_whole', slow)
    bench.collector.offer(processed(STRANGE, 0), 'unknown', 0)
    assert begun.wait(TIMEOUT_S)
    for second in (1, 2):
        bench.collector.offer(processed(STRANGE, second * SECOND_NS), 'unknown', 0)
    assert bench.collector.passed_over == 2
    go_on.set()
    bench.wait()
    bench.number = 2
    bench.offer()  # a second after one that was passed over, which takes no turn
    assert bench.pictures == stamps(0, 3) and bench.collector.kept == 2


@pytest.mark.parametrize('topic, name', [
    ('/../../etc/passwd', '..-..-etc-passwd'), ('/a b\0\n;$(x)', 'a_b_____x_'), ('', ''),
    ('/größe', 'gr__e'), ('/' + 'x' * 400, 'x' * 150), ('a\\b:c', 'a_b_c'), ('/٣', '_'),
    ('///', ''), ('~/\udcff', '~-\udcff'.translate({0x7e: '_', 0xdcff: '_'}))])
def test_a_topic_of_any_letters_makes_the_name_of_a_file_in_the_folder(topic, name, bench):
    bench.offer(topic=topic)
    assert bench.said == [] and bench.pictures == [f'1.000000000_{name}.jpg']
    assert sorted(os.listdir(bench.folder)) == sorted([bench.pictures[0], ANSWERS])
    assert [row['file'] for row in bench.rows] == bench.pictures


def test_a_name_that_is_taken_gets_a_number(bench):
    for topic in ('/a b', '/a_b', '/a;b'):
        bench.offer(topic=topic, stamp_ns=-5)
    assert bench.pictures == [f'0.000000000_a_b{end}.jpg' for end in ('-2', '-3', '')]
    assert [row['topic'] for row in bench.rows] == ['/a b', '/a_b', '/a;b']


def test_a_link_to_nowhere_takes_its_name_too(tmp_path):
    (tmp_path / 'a.jpg').symlink_to(tmp_path / 'nowhere')
    assert free_path(tmp_path / 'a.jpg') == tmp_path / 'a-2.jpg'


def test_nothing_is_written_through_a_link_that_somebody_has_put_there(tmp_path):
    (tmp_path / 'theirs').write_text('theirs')
    (tmp_path / f'.{NAME}.partial').symlink_to(tmp_path / 'theirs')
    bench = Bench(tmp_path)
    bench.offer(stamp_ns=STAMP_NS)
    bench.collector.close()
    assert bench.pictures == [NAME] and (tmp_path / 'theirs').read_text() == 'theirs'


def test_when_there_are_max_files_the_oldest_goes(tmp_path):
    bench = Bench(tmp_path, max_files=3)
    for _ in range(5):
        bench.offer()
    bench.collector.close()
    assert bench.pictures == stamps(3, 4, 5)


def test_when_they_take_max_bytes_as_many_of_the_oldest_go_as_take_the_room(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    size = len(cv2.imencode('.jpg', noise, [cv2.IMWRITE_JPEG_QUALITY, 95])[1])
    bench = Bench(tmp_path, max_bytes=round(size * 1.5))
    for _ in range(4):
        bench.offer()
    bench.offer(rgb=noise[..., ::-1])
    assert stamps(5)[0] in bench.pictures
    assert sum(path.stat().st_size for path in tmp_path.glob('*.jpg')) <= size * 1.5
    bench.offer(rgb=noise[..., ::-1])
    bench.collector.close()
    assert bench.pictures == stamps(6)


def test_a_picture_that_alone_is_too_large_removes_no_other(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    bench = Bench(tmp_path, max_bytes=2000)
    bench.offer()
    bench.offer(rgb=noise)
    bench.wait_until_said()
    bench.collector.close()
    assert bench.pictures == stamps(1) and 'all may take 2000' in bench.said[0]


def test_files_of_others_neither_count_nor_go(tmp_path):
    theirs = ['a.jpg', '2024_holiday.jpg', '1.5_x.jpg', '1.000000000_x.png', '.hidden.jpg',
              '1.000000000.jpg', '٣.000000000_x.jpg']
    for name in theirs:
        (tmp_path / name).write_bytes(b'x' * 100_000)
    (tmp_path / '0.000000001_folder.jpg').mkdir()
    (tmp_path / '0.000000002_link.jpg').symlink_to('a.jpg')
    bench = Bench(tmp_path, max_files=1, max_bytes=50_000)
    bench.offer()
    bench.offer()
    bench.collector.close()
    assert set(os.listdir(tmp_path)) == {
        *theirs, '0.000000001_folder.jpg', '0.000000002_link.jpg', *stamps(2), ANSWERS}


def test_pictures_of_an_earlier_run_count_and_the_oldest_of_them_goes_first(tmp_path):
    first = Bench(tmp_path)
    for _ in range(3):
        first.offer()
    first.collector.close()
    for age, name in enumerate(stamps(2, 3, 1)):  # as where a clock was set back
        os.utime(tmp_path / name, ns=(0, (age + 1) * SECOND_NS))
    (tmp_path / '.7.000000000_x.jpg.partial').write_bytes(b'of a crash')
    os.utime(tmp_path / '.7.000000000_x.jpg.partial', ns=(0, 0))
    second = Bench(tmp_path, max_files=3)
    second.number = 3
    second.offer()
    second.collector.close()
    assert second.pictures == sorted(stamps(1, 3, 4))
    assert not list(tmp_path.glob('.*'))


def test_the_room_of_pictures_that_were_taken_away_is_used_again(tmp_path):
    bench = Bench(tmp_path, max_files=3)
    for _ in range(3):
        bench.offer()
    for name in stamps(2, 3):
        (tmp_path / name).unlink()
    os.utime(tmp_path, ns=(0, 0))  # whatever the resolution of its clock
    bench.offer()
    bench.collector.close()
    assert bench.pictures == stamps(1, 4)


def test_a_folder_that_was_removed_is_made_again(bench):
    bench.offer()
    for path in bench.folder.iterdir():
        path.unlink()
    bench.folder.rmdir()
    bench.offer()
    assert bench.pictures == stamps(2) and bench.said == []


def test_rows_of_pictures_that_are_gone_are_dropped_when_there_are_many(tmp_path):
    bench = Bench(tmp_path, max_files=2)
    for _ in range(8):
        bench.offer()
    assert len(bench.rows) == 8
    bench.offer()
    assert [row['file'] for row in bench.rows] == bench.pictures == stamps(8, 9)
    for _ in range(50):
        bench.offer()
        assert len(bench.rows) <= 8
    bench.collector.close()


def test_of_the_rows_of_a_name_that_was_used_twice_the_last_is_right(tmp_path):
    bench = Bench(tmp_path, max_files=1)
    for number in range(5):
        bench.offer(prediction(f'label {number}', known=False), stamp_ns=0)
    bench.collector.close()
    assert [row['label_1'] for row in bench.rows] == ['label 4']


@pytest.mark.parametrize('damage', [
    b'file,stamp\n1.000000000_came', b'\0\xff\xfe,\n"', b'"' + b'x' * 200_000])
def test_a_row_stands_in_a_line_of_its_own_after_a_damaged_one(damage, tmp_path):
    (tmp_path / ANSWERS).write_bytes(damage)
    bench = Bench(tmp_path, max_files=1)
    bench.offer()
    lines = (tmp_path / ANSWERS).read_bytes().split(b'\n')
    assert lines[-2].startswith(b'1.000000000_camera') and lines[-1] == b''
    for _ in range(5):
        bench.offer()
    bench.collector.close()
    assert [row['file'] for row in bench.rows][-1:] == bench.pictures and bench.said == []


def test_a_full_disk_is_told_once_until_a_picture_is_kept_again(bench, monkeypatch):
    bench.offer()

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, 'fsync', full)
        for _ in range(3):
            bench.offer()
        bench.wait_until_said(1)
    assert sorted(os.listdir(bench.folder)) == sorted([*stamps(1), ANSWERS])
    assert 'No space left' in bench.said[0] and str(bench.folder) in bench.said[0]
    bench.offer()
    assert bench.pictures == stamps(1, 5) and len(bench.said) == 1
    with monkeypatch.context() as patched:
        patched.setattr(os, 'fsync', full)
        bench.offer()
        bench.wait_until_said(2)


def test_a_full_disk_removes_no_more_pictures_than_one(tmp_path, monkeypatch):
    bench = Bench(tmp_path, max_files=3)
    for _ in range(3):
        bench.offer()
    monkeypatch.setattr(collector, 'write_whole',
                        lambda *_: (_ for _ in ()).throw(OSError('full')))
    for _ in range(5):
        bench.offer()
    bench.collector.close()
    assert bench.pictures == stamps(2, 3)


def test_a_folder_that_cannot_be_made_is_told_and_the_caller_goes_on(tmp_path):
    (tmp_path / 'file').write_text('')
    bench = Bench(tmp_path / 'file' / 'pictures')
    bench.offer()
    bench.offer()
    bench.wait_until_said()
    bench.collector.close()
    assert 'Not a directory' in bench.said[0] and bench.collector.kept == 0


def test_an_image_that_is_too_wide_for_a_jpeg_is_told(bench):
    bench.offer(rgb=np.zeros((1, 70_000, 3), np.uint8))
    bench.wait_until_said()
    assert '70000x1 pixels' in bench.said[0]


def test_closing_waits_for_the_picture_in_hand_and_nothing_is_kept_after_it(bench, monkeypatch):
    begun, go_on, write = threading.Event(), threading.Event(), collector.write_whole

    def slow(path, content):
        begun.set()
        assert go_on.wait(TIMEOUT_S)
        write(path, content)

    monkeypatch.setattr(collector, 'write_whole', slow)
    bench.collector.offer(processed(STRANGE), 'unknown', 0)
    assert begun.wait(TIMEOUT_S)
    closing = threading.Thread(target=bench.collector.close, daemon=True)
    closing.start()
    go_on.set()
    closing.join(TIMEOUT_S)
    assert not closing.is_alive() and bench.pictures == stamps(0)
    bench.collector.offer(processed(STRANGE, SECOND_NS), 'unknown', SECOND_NS)
    assert bench.collector.passed_over == 1 and bench.pictures == stamps(0)


def test_closing_leaves_a_disk_that_hangs_behind(bench, monkeypatch):
    monkeypatch.setattr(background, 'PATIENCE_S', 0.05)
    begun, go_on = threading.Event(), threading.Event()

    def hang(path, content):
        begun.set()
        go_on.wait(TIMEOUT_S)

    monkeypatch.setattr(collector, 'write_whole', hang)
    bench.collector.offer(processed(STRANGE), 'unknown', 0)
    assert begun.wait(TIMEOUT_S)
    bench.collector.close()
    assert not go_on.is_set()
    go_on.set()


@pytest.mark.parametrize('label, folder', [('mug', 'mug'), ('', 'none'), ('a/b', 'a_b'),
                                           ('..', '_..')])
def test_what_was_taught_is_kept_by_class_and_never_overwritten(tmp_path, label, folder):
    rgb = np.full((8, 9, 3), (250, 0, 0), np.uint8)
    for _ in range(2):
        keep_taught(tmp_path, label, rgb, 5)
    kept = sorted((tmp_path / 'taught' / folder).iterdir())
    assert [path.name for path in kept] == ['0.000000005-2.jpg', '0.000000005.jpg']
    assert abs(decode_rgb(kept[0]).astype(int) - rgb).max() < 6
