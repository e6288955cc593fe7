# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The pictures of `ltp_image_source`: which, in what order, and what is refused."""
import functools
import http.server
import threading
from itertools import islice

import cv2
import numpy as np
import pytest

from ltp_ros.images import ImageFileError
from ltp_ros.tools.support import frame_sources
from ltp_ros.tools.support.frame_sources import SAMPLES, absolute_source, open_source, pan


def save(path, grey):
    cv2.imwrite(str(path), np.full((6, 8, 3), grey, np.uint8))


@pytest.fixture
def folder(tmp_path):
    """Return a folder of three pictures, not written in order, and a file that is none."""
    for name, grey in (('b.png', 20), ('a.jpg', 10), ('c.PNG', 30)):
        save(tmp_path / name, grey)
    (tmp_path / 'labels.csv').write_text('a,1\n')
    return tmp_path


@pytest.fixture
def video(tmp_path):
    """Return a video file of five frames, each brighter than the last."""
    path = tmp_path / 'ramp.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10.0, (64, 48))
    for index in range(5):
        writer.write(np.full((48, 64, 3), 40 * index, np.uint8))
    writer.release()
    return path


def read(source, loop=False, samples=(), count=100):
    """Return the first `count` frames, more than there are: a broken source may never end."""
    return list(islice(open_source(str(source), loop, samples), count))


def brightness(frames):
    return [round(float(image.mean()), -1) for _, image in frames]


def test_a_folder_is_read_in_the_order_of_names_without_what_is_no_picture(folder):
    frames = read(folder)
    assert [name for name, _ in frames] == ['a', 'b', 'c']
    assert brightness(frames) == [10, 20, 30]


def test_colours_are_in_the_order_of_rgb(tmp_path, video):
    cv2.imwrite(str(tmp_path / 'red.png'), np.full((4, 4, 3), (0, 0, 250), np.uint8))  # BGR
    (_, image), *_ = read(tmp_path)
    assert image[0, 0].tolist() == [250, 0, 0]


def test_a_looped_folder_begins_again(folder):
    frames = read(folder, loop=True, count=7)
    assert [name for name, _ in frames] == ['a', 'b', 'c', 'a', 'b', 'c', 'a']


def test_every_frame_is_rgb_of_8_bits(folder):
    cv2.imwrite(str(folder / 'd.png'), np.zeros((6, 8, 3), np.uint16))
    for _, image in read(folder):
        assert (image.shape, image.dtype) == ((6, 8, 3), np.uint8)


def test_a_video_is_read_frame_by_frame_under_its_name(video):
    frames = read(video)
    assert [name for name, _ in frames] == ['ramp'] * 5
    assert brightness(frames) == [0, 40, 80, 120, 160]


def test_a_looped_video_begins_again(video):
    frames = read(video, loop=True, count=7)
    assert brightness(frames) == [0, 40, 80, 120, 160, 0, 40]


@pytest.mark.parametrize('source', ['nowhere', 'nowhere/at/all.mp4'])
def test_an_unknown_source_is_refused_with_what_is_allowed(source):
    with pytest.raises(ImageFileError, match=f"'{source}' is neither a file nor a folder; exp"):
        open_source(source, loop=False, samples=())


def test_a_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / 'notes.txt').write_text('no picture')
    with pytest.raises(ImageFileError, match='contains no frame'):
        open_source(str(tmp_path), loop=True, samples=())


def test_a_file_that_is_no_video_is_refused_by_name(tmp_path):
    (tmp_path / 'notes.txt').write_text('no video')
    with pytest.raises(ImageFileError, match=r'cannot open the video .*notes\.txt'):
        open_source(str(tmp_path / 'notes.txt'), loop=False, samples=())


def test_an_unreadable_picture_is_left_out_and_told_once_also_in_a_loop(folder):
    (folder / 'b.png').write_bytes(b'no picture')
    told = []
    frames = open_source(str(folder), loop=True, samples=(), note=told.append)
    assert [name for name, _ in islice(frames, 6)] == ['a', 'c', 'a', 'c', 'a', 'c']
    sentence, = told
    assert '1 of 3 images' in sentence and 'b.png cannot be read as an image' in sentence


def test_too_many_unreadable_pictures_end_the_source(folder):
    (folder / 'b.png').write_bytes(b'no picture')
    (folder / 'c.PNG').write_bytes(b'')
    frames = open_source(str(folder), loop=False, samples=())
    assert next(frames)[0] == 'a'
    with pytest.raises(ImageFileError, match=r'2 of 3 images cannot be used: .*b\.png, .*c\.PNG'):
        next(frames)


def test_what_systems_leave_in_a_folder_is_no_picture(folder):
    (folder / '__MACOSX').mkdir()
    save(folder / '__MACOSX' / 'd.png', 40)
    (folder / '._a.jpg').write_bytes(b'a resource fork')
    assert [name for name, _ in read(folder)] == ['a', 'b', 'c']


def test_pictures_of_subfolders_are_shown_too(folder):
    (folder / 'deeper').mkdir()
    save(folder / 'deeper' / 'd.png', 40)
    assert [name for name, _ in read(folder)] == ['a', 'b', 'c', 'd']


def test_a_single_picture_is_a_source_and_no_sequence_of_numbered_ones(tmp_path):
    for number in range(3):  # OpenCV takes 000.png for the first frame of a video
        save(tmp_path / f'00{number}.png', 10)
    assert [name for name, _ in read(tmp_path / '000.png', loop=True, count=2)] == ['000', '000']


@pytest.mark.parametrize('shape', [(30, 40), (200, 50), (50, 200), (48, 64), (400, 600)])
@pytest.mark.parametrize('size', [(48, 64), (64, 48)])
def test_panning_fills_the_view_whatever_the_shape_of_the_picture(shape, size):
    views = list(pan(np.zeros((*shape, 3), np.uint8), size, num_frames=12))
    assert [view.shape for view in views] == [(*size, 3)] * 12


def test_panning_moves_and_comes_back():
    x = np.broadcast_to(np.arange(200, dtype=np.uint8)[None, :, None], (100, 200, 3))
    left_edges = [int(view[0, 0, 0]) for view in pan(np.array(x), (48, 64), num_frames=16)]
    assert len(set(left_edges)) > 8
    steps = np.abs(np.diff(left_edges + left_edges[:1]))  # back to the first without a jump
    assert steps.max() < 0.25 * (max(left_edges) - min(left_edges))


@pytest.mark.parametrize('name', SAMPLES)
def test_each_sample_comes_with_the_package_and_is_shown_at_640x480(name):
    frames = read('samples', samples=(name,), count=3)
    assert [(shown, image.shape) for shown, image in frames] == [(name, (480, 640, 3))] * 3
    assert all(image.std() > 20 for _, image in frames)


def test_samples_follow_one_another():
    names = [name for name, _ in read('samples', samples=('coffee', 'rocket'))]
    assert names == sorted(names, key=('coffee', 'rocket').index)
    assert set(names) == {'coffee', 'rocket'}


@pytest.mark.parametrize('source, device', [
    ('63', '/dev/video63'), ('/dev/video63', '/dev/video63'),
    ('/dev/v4l/by-id/usb-camera', '/dev/v4l/by-id/usb-camera')])
def test_a_camera_that_is_not_there_is_refused_at_once(source, device):
    with pytest.raises(ImageFileError, match=f'cannot open the video {source}: there is no '
                                             f'{device}; cameras here: '):
        open_source(source, loop=False, samples=())


class Camera:
    """Stands in for cv2.VideoCapture: a camera that can be opened once, and its frames."""

    opened = []
    frames = 3

    def __init__(self, source):
        assert source not in self.opened
        self.opened.append(source)
        self._left = self.frames

    def isOpened(self):  # noqa: N802  the name of OpenCV
        return True

    def read(self):
        self._left -= 1
        return self._left >= 0, np.zeros((4, 4, 3), np.uint8)

    def release(self):
        pass


@pytest.fixture
def camera(monkeypatch):
    monkeypatch.setattr(frame_sources, '_check_device', lambda source: None)
    monkeypatch.setattr(Camera, 'opened', [])
    monkeypatch.setattr(cv2, 'VideoCapture', Camera)
    return Camera


@pytest.mark.parametrize('source, opened, name', [
    ('0', 0, 'camera 0'), ('/dev/video0', '/dev/video0', 'video0'),
    ('rtsp://me:secret@10.0.0.7:554/', 'rtsp://me:secret@10.0.0.7:554/', '10.0.0.7'),
    ('http://front.local/stream.mjpg', 'http://front.local/stream.mjpg', 'front.local')])
def test_a_camera_or_a_stream_is_opened_once_by_opencv(source, opened, name, camera):
    frames = open_source(source, loop=False, samples=())
    assert [shown for shown, _ in frames] == [name] * 3
    assert camera.opened == [opened]


@pytest.mark.parametrize('source', ['0', '/dev/video0', 'rtsp://10.0.0.7/'])
def test_a_camera_without_a_frame_is_refused(source, camera, monkeypatch):
    monkeypatch.setattr(camera, 'frames', 0)
    with pytest.raises(ImageFileError, match='contains no frame'):
        open_source(source, loop=True, samples=())


def test_a_stream_over_http_is_read(video):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(video.parent))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        frames = read(f'http://127.0.0.1:{server.server_port}/{video.name}')
        server.shutdown()
    assert [name for name, _ in frames] == ['127.0.0.1'] * 5
    assert brightness(frames) == [0, 40, 80, 120, 160]


@pytest.mark.parametrize('source', ['rtsp://127.0.0.1:9/x', 'http://127.0.0.1:9/x', 'no://no'])
def test_a_stream_that_is_not_there_is_refused_by_its_address(source):
    with pytest.raises(ImageFileError, match=f"cannot open the video '{source}'"):
        open_source(source, loop=False, samples=())


@pytest.mark.parametrize('source', ['', '²'])
def test_a_source_that_names_nothing_is_refused(source):
    with pytest.raises(ImageFileError, match='is neither a file nor a folder'):
        open_source(source, loop=False, samples=())


@pytest.mark.parametrize('source', ['samples', '0', '/dev/video0', 'rtsp://host/path', ''])
def test_what_is_no_path_stays_so_beside_a_file_of_its_name(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('samples', '0'):
        (tmp_path / name).touch()
    assert absolute_source(source) == source
    assert absolute_source('photos') == f'{tmp_path}/photos'
