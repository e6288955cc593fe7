# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Picture files: what is a photo, what is damaged, and what is neither."""
import cv2
import numpy as np
import pytest

from ltp_ros.frames.decoding import CompressedImage, decode
from ltp_ros.images import (
    ImageFileError,
    Unread,
    decode_rgb,
    ignore,
    image_files,
    read_images,
    spread,
    unread_pictures,
    video_frames,
)


@pytest.fixture
def pixels():
    """Return a smooth BGR picture (60, 80, 3) of 8 bits."""
    coarse = np.random.default_rng(0).integers(0, 256, (3, 4, 3), np.uint8)
    return cv2.resize(coarse, (80, 60), interpolation=cv2.INTER_CUBIC)


def saved(path, pixels):
    """Save pixels as they are; return the path."""
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())
    return path


@pytest.mark.parametrize('suffix', ['.png', '.tif'])
def test_a_file_of_16_bit_grey_may_be_depth_and_is_refused_with_the_way_out(
        suffix, pixels, tmp_path):
    path = saved(tmp_path / f'frame{suffix}', pixels[..., 0].astype(np.uint16) * 7)
    with pytest.raises(ImageFileError, match=rf'frame\{suffix}.*16-bit grey, which may be depth, '
                                             'not colours or 8-bit grey.*save it with 8 bits'):
        decode_rgb(path)


@pytest.mark.parametrize('dtype', ['float32', 'float64', 'int32', 'int16'])
@pytest.mark.parametrize('channels', [1, 3])
def test_a_tiff_of_numbers_is_refused_with_their_type(dtype, channels, pixels, tmp_path):
    path = saved(tmp_path / 'depth.tiff', pixels[..., :channels].astype(dtype))
    with pytest.raises(ImageFileError, match=f'numbers of type {dtype}, not colours or 8-bit'):
        decode_rgb(path)


@pytest.mark.parametrize('suffix', ['.png', '.tif', '.ppm'])
def test_colours_of_16_bits_are_scaled_to_8(suffix, pixels, tmp_path):
    path = saved(tmp_path / f'photo{suffix}', pixels.astype(np.uint16) * 257)
    np.testing.assert_array_equal(decode_rgb(path), pixels[..., ::-1])


@pytest.mark.parametrize('suffix', ['.png', '.bmp', '.tif', '.jpg'])
def test_a_file_of_8_bit_grey_is_a_photo(suffix, pixels, tmp_path):
    rgb = decode_rgb(saved(tmp_path / f'grey{suffix}', pixels[..., 0]))
    assert rgb.shape == (60, 80, 3) and rgb.dtype == np.uint8
    assert np.abs(rgb - pixels[..., :1].astype(int)).max() < 10


@pytest.mark.parametrize('bits', [8, 16])
def test_a_file_and_a_message_of_the_same_bytes_show_the_same_picture(bits, pixels):
    file = cv2.imencode('.png', pixels.astype(f'uint{bits}') * (257 if bits == 16 else 1))[1]
    np.testing.assert_array_equal(decode_rgb(file.reshape(-1)),
                                  decode(CompressedImage('png', file.tobytes())))


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.bmp', '.webp', '.tif'])
@pytest.mark.parametrize('share', [0, 0.01, 0.5, 0.9])
def test_a_file_cut_off_anywhere_is_refused_by_name(suffix, share, pixels, tmp_path):
    path = saved(tmp_path / f'photo{suffix}', pixels)
    whole = path.read_bytes()
    path.write_bytes(whole[:int(share * len(whole))])
    with pytest.raises(ImageFileError, match=rf'photo\{suffix} cannot be read as an image: '):
        decode_rgb(path)


def test_a_jpeg_cut_off_is_refused_where_opencv_would_fill_it_up(pixels, monkeypatch):
    file = cv2.imencode('.jpg', pixels)[1].reshape(-1)
    monkeypatch.setattr(cv2, 'imdecode', lambda *_: pixels)  # as OpenCV up to 4.10 does
    with pytest.raises(ImageFileError, match='no end marker'):
        decode_rgb(file[:-20])


def test_a_picture_that_opencv_raises_an_error_for_is_refused_by_name(
        pixels, tmp_path, monkeypatch):
    path = saved(tmp_path / 'large.bmp', pixels)

    def fail(*_):
        raise cv2.error('the image is too large')
    monkeypatch.setattr(cv2, 'imdecode', fail)
    with pytest.raises(ImageFileError, match='large.bmp cannot be read'):
        decode_rgb(path)


@pytest.mark.parametrize('make', [lambda path: None, lambda path: path.mkdir(),
                                  lambda path: path.symlink_to('nowhere.jpg')],
                         ids=['absent', 'a folder', 'a dangling link'])
def test_a_file_that_cannot_be_opened_is_refused_by_name(make, tmp_path):
    path = tmp_path / 'photo.jpg'
    make(path)
    with pytest.raises(ImageFileError, match='photo.jpg cannot be read'):
        decode_rgb(path)


def test_a_phone_held_upright_gives_an_upright_picture(pixels):
    exif = b'Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0'
    file = cv2.imencode('.jpg', pixels)[1].tobytes()
    turned = file[:2] + b'\xff\xe1' + (len(exif) + 2).to_bytes(2, 'big') + exif + file[2:]
    assert decode_rgb(np.frombuffer(turned, np.uint8)).shape == (80, 60, 3)


def a_set(tmp_path, pixels, total, damaged):
    """Return the paths of a set of pictures, of which the first ones are damaged."""
    return [saved(tmp_path / f'{number:02d}.png', pixels) if number >= damaged else
            write(tmp_path / f'{number:02d}.png', b'damaged') for number in range(total)]


def write(path, content):
    path.write_bytes(content)
    return path


def test_damaged_pictures_are_left_out_and_told_at_the_end_with_three_names(pixels, tmp_path):
    paths, told = a_set(tmp_path, pixels, total=40, damaged=4), []
    assert [index for index, _ in read_images(paths, 40, told.append)] == list(range(4, 40))
    sentence, = told
    assert f'4 of 40 images cannot be used: {paths[0]}, {paths[1]}, {paths[2]} and 1' in sentence
    assert '00.png cannot be read as an image: it is damaged' in sentence


@pytest.mark.parametrize('total, damaged, is_used', [
    (40, 4, True), (40, 5, False), (2, 1, True), (3, 1, True), (3, 2, False), (1, 1, False)])
def test_a_set_is_refused_if_more_than_a_tenth_is_damaged_but_not_for_a_single_picture(
        total, damaged, is_used, pixels, tmp_path):
    paths = a_set(tmp_path, pixels, total, damaged)
    if is_used:
        assert len(list(read_images(paths, total, ignore))) == total - damaged
        return
    with pytest.raises(ImageFileError, match=f'{damaged} of {total} images cannot be used'):
        list(read_images(paths, total, ignore))


def test_nothing_is_told_where_every_picture_is_good(pixels, tmp_path):
    told = []
    assert len(list(read_images(a_set(tmp_path, pixels, 3, 0), 3, told.append))) == 3
    assert told == []


def test_a_picture_of_a_size_of_no_use_is_left_out(pixels, tmp_path):
    paths, told = a_set(tmp_path, pixels, 3, 0), []
    saved(paths[1], pixels[:10])

    def fits(height, width):
        if height == 10:
            raise ValueError('too elongated')
    assert [index for index, _ in read_images(paths, 3, told.append, fits)] == [0, 2]
    assert '01.png; the first: too elongated' in told[0]


class Video:
    """A video of OpenCV whose frames (2, 2, 3) are B = number, G = 50 and R = 100."""

    frames, length, damaged = 4, 4, ()

    def __init__(self, source):
        self.source, self.number, self.released = source, -1, False

    def isOpened(self):  # noqa: N802  OpenCV's name
        return self.source != 'absent.mp4'

    def get(self, what):
        assert what == cv2.CAP_PROP_FRAME_COUNT
        return float(self.length)

    def grab(self):
        self.number += 1
        return self.number < self.frames

    def retrieve(self):
        return self.number not in self.damaged, np.full((2, 2, 3), (self.number, 50, 100),
                                                        np.uint8)

    def read(self):
        return self.retrieve() if self.grab() else (False, None)

    def release(self):
        self.released = True


@pytest.fixture
def video(monkeypatch):
    """Return a function that sets what OpenCV opens from now on; it gives what was opened."""
    def put(**how):
        opened = []

        def open_video(source):
            opened.append(type('ThisVideo', (Video,), how)(source))
            return opened[-1]
        monkeypatch.setattr(cv2, 'VideoCapture', open_video)
        return opened
    return put


def numbers(frames):
    """Return the numbers of frames, which are RGB."""
    frames = list(frames)
    assert all(frame.shape == (2, 2, 3) and frame[0, 0, 0] == 100 for frame in frames)
    return [int(frame[0, 0, 2]) for frame in frames]


def test_a_damaged_frame_of_a_video_is_left_out(video):
    video(damaged=(2,))
    assert numbers(video_frames('x.mp4', 4)) == [0, 1, 3]


def test_a_webcam_is_read_until_it_ends_and_given_back(video):
    opened = video(length=-1)
    assert numbers(video_frames(0)) == [0, 1, 2, 3]
    assert [(one.source, one.released) for one in opened] == [(0, True)]


@pytest.mark.parametrize('limit, expected', [(1, [0]), (2, [0, 2]), (3, [0, 1, 2]),
                                             (9, [0, 1, 2, 3])])
def test_a_few_frames_are_spread_evenly_over_a_video(limit, expected, video):
    opened = video()
    assert numbers(video_frames('x.mp4', limit)) == expected
    assert opened[0].released


def test_a_video_may_be_shorter_than_it_says(video):
    video(length=100)
    assert numbers(video_frames('x.mp4', 50)) == [0, 2]


@pytest.mark.parametrize('source, length, sentence', [
    ('absent.mp4', 4, "OpenCV cannot open the video 'absent.mp4'"),
    ('x.mp4', 0, "'x.mp4' is not a video with a known number of frames"),
    ('x.mp4', -1, "'x.mp4' is not a video with a known number of frames")])
def test_a_video_of_no_use_is_refused_with_its_name_and_given_back(source, length, sentence,
                                                                    video):
    opened = video(length=length)
    with pytest.raises(ImageFileError) as refusal:
        list(video_frames(source, 2))
    assert str(refusal.value) == sentence and opened[0].released


@pytest.mark.parametrize('count, limit, indices', [
    (4, None, [0, 1, 2, 3]), (4, 2, [0, 2]), (5, 2, [0, 2]), (3, 9, [0, 1, 2]), (0, 3, []),
    (0, None, [])])
def test_a_choice_is_spread_evenly_and_never_larger_than_what_there_is(count, limit, indices):
    assert spread(count, limit).tolist() == indices


def test_the_images_of_a_folder_are_found_by_their_endings_in_order(tmp_path):
    for name in ('b/2.JPG', 'a.png', 'notes.txt', 'c.gif'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / 'folder.png').mkdir()
    assert image_files(tmp_path) == [tmp_path / 'a.png', tmp_path / 'b' / '2.JPG']
    assert image_files(tmp_path / 'b' / '2.JPG') == [tmp_path / 'b' / '2.JPG']
    assert image_files(tmp_path / 'notes.txt') == image_files(tmp_path / 'folder.png') == []


def test_pictures_in_formats_that_are_not_read_are_counted_by_their_endings(tmp_path):
    assert unread_pictures(tmp_path) == ''
    for name in ('1.HEIC', '2.heic', '3.gif', '4.png'):
        (tmp_path / name).touch()
    assert unread_pictures(tmp_path) == (
        '1 .gif, 2 .heic, which are not read: convert them to JPEG or PNG')


def test_an_image_without_a_file_is_told_by_its_size_and_its_place():
    with pytest.raises(ImageFileError, match='^an entry of 3 bytes cannot be read as an image: '):
        decode_rgb(np.zeros(3, np.uint8))
    told = []
    list(read_images([np.zeros(3, np.uint8), cv2.imencode('.png', np.zeros((2, 2)))[1].ravel()],
                     2, told.append))
    assert told == ['left out: 1 of 2 images cannot be used: image 0; the first: an entry of 3 '
                    'bytes cannot be read as an image: it is damaged, or of a format that OpenCV '
                    'does not know']


def test_a_set_that_is_refused_says_how_much_it_may_lack():
    unread = Unread(20)
    for name in ('a', 'b'):
        unread.add(name, f'{name} is torn')
    with pytest.raises(ImageFileError) as refusal:
        unread.add('c', 'c is torn')
    assert str(refusal.value) == ('3 of 20 images cannot be used: a, b, c; the first: a is torn. '
                                  'At most 10 % may be left out')
