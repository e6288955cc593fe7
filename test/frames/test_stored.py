# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Files are decoded as OpenCV decodes them, but in silence, and at a bounded cost."""
import contextlib
import io
import random
import struct
import time
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ltp_ros.frames import decoding, jpeg
from ltp_ros.frames.decoding import CompressedImage, decode
from ltp_ros.frames.encodings import ImageError
from ltp_ros.frames.png import _DEPTHS, SIGNATURE, Header
from ltp_ros.frames.stored import stored_pixels
from ltp_ros.images import ImageFileError, decode_rgb

AS_STORED, AS_A_PHOTO = cv2.IMREAD_UNCHANGED, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH
MODES = {'jpg': ('RGB', 'L', 'CMYK'), 'png': ('RGB', 'RGBA', 'L', 'LA', 'P', '1'),
         'bmp': ('RGB',), 'ppm': ('RGB',), 'tiff': ('RGB', 'L'), 'webp': ('RGB',)}


@pytest.fixture(params=['simplejpeg', 'Pillow'])
def jpeg_decoder(request, monkeypatch):
    """Decode JPEGs by either library."""
    if request.param == 'Pillow':
        monkeypatch.setattr(jpeg, 'simplejpeg', None)
    else:
        pytest.importorskip('simplejpeg')


def photo():
    rgb = np.random.default_rng(0).integers(0, 256, (9, 13, 3), dtype=np.uint8)
    return Image.fromarray(rgb).resize((83, 61), Image.BICUBIC)


def saved(picture, kind, **options):
    file = io.BytesIO()
    picture.save(file, 'jpeg' if kind == 'jpg' else kind, **options)
    return file.getvalue()


def chunk(name, body):
    return struct.pack('>I', len(body)) + name + body + struct.pack('>I', zlib.crc32(name + body))


def png_of(header, pixels, palette=b''):
    return b''.join((
        SIGNATURE, chunk(b'IHDR', struct.pack('>IIBBBBB', *header)),
        chunk(b'PLTE', palette) if palette else b'', chunk(b'IDAT', zlib.compress(pixels)),
        chunk(b'IEND', b'')))


def assert_as_opencv(file, flags):
    expected = cv2.imdecode(np.frombuffer(file, np.uint8), flags)
    pixels = stored_pixels(np.frombuffer(file, np.uint8), flags)
    if expected.ndim > pixels.ndim:  # transparency, which is left out, made three colours of grey
        pixels = np.dstack([pixels] * 3)
    np.testing.assert_array_equal(pixels[..., :3], expected[..., :3])


@pytest.mark.parametrize('flags', [AS_STORED, AS_A_PHOTO], ids=['stored', 'photo'])
@pytest.mark.parametrize('progressive', [False, True], ids=['baseline', 'progressive'])
@pytest.mark.parametrize('subsampling', [0, 1, 2])
@pytest.mark.parametrize('mode', MODES['jpg'])
def test_a_jpeg_has_the_pixels_that_opencv_reads(
        mode, subsampling, progressive, flags, jpeg_decoder):
    assert_as_opencv(saved(photo().convert(mode), 'jpg', subsampling=subsampling,
                           progressive=progressive), flags)


def test_every_photo_has_the_pixels_that_opencv_reads(data, jpeg_decoder):
    for path in sorted((data / 'photos500').glob('*.jpg'))[::25]:
        assert_as_opencv(path.read_bytes(), AS_STORED)


@pytest.mark.parametrize('kind', ['jpg', 'png'])
@pytest.mark.parametrize('orientation', range(10))
def test_only_a_photo_is_turned_by_its_exif(orientation, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = saved(photo(), kind, exif=exif)
    assert_as_opencv(file, AS_A_PHOTO)
    assert_as_opencv(file, AS_STORED)


@pytest.mark.parametrize('size', [(13, 7), (1, 1), (2, 9)])
@pytest.mark.parametrize('interlaced', [0, 1])
@pytest.mark.parametrize('colour_type, depth', [
    (colour_type, depth) for colour_type, depths in _DEPTHS.items() for depth in depths])
def test_every_kind_of_png_has_the_pixels_that_opencv_reads(
        colour_type, depth, interlaced, size):
    header, rng = Header(*size, depth, colour_type, 0, 0, interlaced), random.Random(0)
    pixels = b''.join(bytes([rng.randrange(5)]) + bytes(rng.choices(range(256), k=stride - 1))
                      for rows, stride in header.scanlines() for _ in range(rows))
    palette = bytes(rng.choices(range(256), k=3 << depth)) if colour_type == 3 else b''
    assert_as_opencv(png_of(header, pixels, palette), AS_STORED)


def damaged(file, rng):
    """Return a file with some bytes changed, or cut; of a PNG the checksums may fit again."""
    file = bytearray(file)
    if rng.random() < 0.2:
        return bytes(file[:rng.randrange(8, len(file))])
    for _ in range(rng.choice((1, 1, 4, 20))):
        at = rng.randrange(3, min(200, len(file)) if rng.random() < 0.5 else len(file))
        file[at] = rng.choice((0, 1, 0x7F, 0xFF, rng.randrange(256), file[at] ^ 1 << at % 8))
    at = 8
    while file.startswith(SIGNATURE) and rng.random() < 0.9 and at + 12 <= len(file):
        end = at + 8 + int.from_bytes(file[at:at + 4], 'big')
        file[end:end + 4] = struct.pack('>I', zlib.crc32(file[at + 4:end]))
        at = end + 4
    return bytes(file)


@pytest.mark.filterwarnings('error')  # they would go to stderr, had pytest not taken them
@pytest.mark.parametrize('kind, mode', [(kind, mode) for kind, modes in MODES.items()
                                        for mode in modes])
def test_damaged_files_are_decoded_or_refused_in_silence(kind, mode, jpeg_decoder, capfd):
    file, rng, outcomes = saved(photo().convert(mode), kind), random.Random(mode), set()
    for _ in range(150):
        bad = damaged(file, rng)
        for read, image in ((decode, CompressedImage(kind, bad)),
                            (decode_rgb, np.frombuffer(bad, np.uint8))):
            try:
                read(image)
                outcomes.add('decoded')
            except (ImageError, ImageFileError):
                outcomes.add('refused')
    assert outcomes == {'decoded', 'refused'}
    assert capfd.readouterr() == ('', '')


@settings(max_examples=300, deadline=None, derandomize=True, database=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(header=st.tuples(*[st.integers(0, 40)] * 2, st.sampled_from((1, 2, 4, 8, 16, 3, 255)),
                        st.integers(0, 7), *[st.integers(0, 2)] * 3),
       pixels=st.binary(max_size=300), rest=st.sampled_from((0, 10 ** 4)),
       extra=st.lists(st.tuples(st.sampled_from((b'PLTE', b'tRNS', b'IDAT', b'IHDR', b'eXIf')),
                                st.binary(max_size=20)), max_size=3))
def test_a_png_of_any_chunks_is_decoded_or_refused_in_silence(header, pixels, rest, extra, capfd):
    file = png_of(header, pixels + bytes(rest))
    file = file[:33] + b''.join(chunk(*each) for each in extra) + file[33:]
    with contextlib.suppress(ImageError):
        assert decode(CompressedImage('png', file)).shape == (*header[1::-1], 3)
    assert capfd.readouterr() == ('', '')


@pytest.mark.parametrize('extra', [
    chunk(b'iCCP', b'x'), chunk(b'tRNS', b'1234567'), chunk(b'tIME', b''),
    chunk(b'acTL', b'\0' * 8),
    chunk(b'gAMA', b'')[:-1] + b'\0', chunk(b'eXIf', b'MM\0*\0\0\0\xFF')])
def test_what_a_sound_png_says_beside_its_pixels_is_passed_over_in_silence(extra, capfd):
    whole = saved(photo(), 'png')
    file = np.frombuffer(whole[:33] + extra + whole[33:], np.uint8)
    np.testing.assert_array_equal(decode_rgb(file), np.asarray(photo()))
    assert capfd.readouterr() == ('', '')


def test_a_colour_that_the_palette_lacks_is_black(capfd):
    file = png_of(Header(2, 1, 8, 3, 0, 0, 0), b'\0\x01\xC8', b'\x11' * 6)
    assert decode(CompressedImage('png', file)).tolist() == [[[17, 17, 17], [0, 0, 0]]]
    assert capfd.readouterr() == ('', '')


def test_opencvs_log_is_as_loud_as_before_once_a_file_is_read():
    logging = cv2.utils.logging
    before = logging.getLogLevel()
    with pytest.raises(ImageFileError):
        decode_rgb(np.frombuffer(b'BM' + bytes(60), np.uint8))
    assert logging.getLogLevel() == before


def with_size(file, height, width):
    """Return a baseline JPEG whose header tells other sides than it has."""
    at = file.index(b'\xff\xc0') + 5
    return file[:at] + struct.pack('>HH', height, width) + file[at + 4:]


@pytest.mark.parametrize('stray', [b'\xff\xd0', b'\xff\x01', b'\xff\x00', b'\xff\xd8'])
def test_the_size_of_a_jpeg_is_not_hidden_behind_a_marker_without_a_length(stray):
    file = with_size(saved(photo(), 'jpg'), 60000, 60000)
    at = file.index(b'\xff\xc0')
    with pytest.raises(ImageError, match='at most 268435456 pixels'):
        decode(CompressedImage('jpeg', file[:at] + stray + file[at:]))


def test_a_jpeg_too_short_for_its_size_is_refused_before_it_is_decoded():
    with pytest.raises(ImageError, match='too short for 5000x5000 pixels'):
        decode(CompressedImage('jpeg', with_size(saved(photo(), 'jpg'), 5000, 5000)))


def test_a_jpeg_of_one_colour_is_not_too_short():
    file = saved(Image.new('L', (2000, 2000)), 'jpg', optimize=True)
    assert not decode(CompressedImage('jpeg', file)).any()


def test_a_jpeg_of_very_many_scans_is_refused():
    file = saved(photo(), 'jpg', progressive=True)
    at = file.rindex(b'\xff\xda')
    with pytest.raises(ImageError, match='scans; at most 100 are allowed'):
        decode(CompressedImage('jpeg', file[:at] + 100 * file[at:-2] + file[-2:]))


@pytest.mark.parametrize('kind, mode, most', [
    ('jpg', 'RGB', 44739242), ('png', 'RGBA', 16777216), ('png', '1', 22369621)])
def test_a_message_that_would_unpack_to_very_much_is_refused_before_it_is_decoded(
        kind, mode, most):
    many = with_size(saved(photo(), 'jpg'), 8000, 8000) if kind == 'jpg' else png_of(
        Header(8000, 8000, 8, 6 if mode == 'RGBA' else 0, 0, 0, 0), b'')
    with pytest.raises(ImageError, match=f'of this kind takes at most {most} pixels'):
        decode(CompressedImage(kind, many))


def test_a_file_may_unpack_to_more_than_a_message(monkeypatch):
    file = saved(photo(), 'png')
    monkeypatch.setattr(decoding, 'MAX_UNPACKED', 2 * 3 * 83 * 61 - 1)
    with pytest.raises(ImageError, match='at most 5062 pixels'):
        decode(CompressedImage('png', file))
    assert decode_rgb(np.frombuffer(file, np.uint8)).shape == (61, 83, 3)


@pytest.mark.parametrize('start, content', [
    (jpeg.START[:2], b'\xff' * 10 ** 7), (jpeg.START[:2], b'\xff\xdb\x00\x02' * 10 ** 6),
    (jpeg.START[:2], b'\xff\x01' * 10 ** 6), (jpeg.START[:2], b'\xff\xff\xff\x01' * 10 ** 6),
    (SIGNATURE, chunk(b'tEXt', b'') * 10 ** 6)])
def test_a_file_of_empty_segments_is_refused_at_once(start, content):
    """They took seconds, in which a node was taken for stuck."""
    began_s = time.process_time()
    with pytest.raises(ImageError):
        stored_pixels(np.frombuffer(start + content, np.uint8), AS_STORED)
    assert time.process_time() - began_s < 1.0


def test_the_inks_of_print_take_little_more_memory_than_other_pixels():
    file = np.frombuffer(saved(Image.new('CMYK', (1000, 1000)), 'jpg'), np.uint8)
    tracemalloc.start()
    try:
        stored_pixels(file, AS_STORED)
        assert tracemalloc.get_traced_memory()[1] < 20 * 10 ** 6
    finally:
        tracemalloc.stop()
