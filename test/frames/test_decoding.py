# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the decoding of images against OpenCV's own conversions and a known picture."""
import array
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltp_ros.frames import decoding as image_module
from ltp_ros.frames import jpeg as jpeg_module
from ltp_ros.frames.decoding import CompressedImage, RawImage, decode
from ltp_ros.frames.encodings import SUPPORTED_ENCODINGS, ImageError

HEIGHT, WIDTH = 12, 16
# Written out here, apart from the table in the code: a wrong entry there must not hide here.
BAYER_CODES = {'bayer_rggb8': cv2.COLOR_BayerBG2RGB, 'bayer_bggr8': cv2.COLOR_BayerRG2RGB,
               'bayer_gbrg8': cv2.COLOR_BayerGR2RGB, 'bayer_grbg8': cv2.COLOR_BayerGB2RGB}
GREY = ('mono8', '8UC1', 'mono16')


def picture():
    """Return a smooth (12, 16, 3) RGB picture, constant over blocks of 2x2, R, G and B apart."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] // 2 * 2
    return np.stack([190 - 4 * y, 60 + 4 * x, 40 + 2 * x + 2 * y], axis=-1).astype(np.uint8)


def widened(samples):
    """Return 16-bit samples of which the 8-bit ones are the upper byte, near enough."""
    return samples.astype(np.uint16) * 257


def pack_444(rgb):
    """Return a plane of Y and below it U and V of every pixel, twice as many rows as long."""
    luma, chroma = np.split(pack_420(rgb, 'u', 'v'), [HEIGHT])
    full = chroma.reshape(HEIGHT // 2, WIDTH // 2, 2).repeat(2, 0).repeat(2, 1)
    return np.vstack([luma, full.reshape(2 * HEIGHT, WIDTH)])


def grey16(rgb):
    """Return a (H, W) picture of 16-bit grey that uses low bytes too."""
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.uint16) * 257 - 100


def yuv_planes(rgb):
    """Return Y (H, W) and U, V (H/2, W/2), as OpenCV computes them."""
    planes = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)
    height, width = rgb.shape[:2]
    chroma = planes[height:].reshape(2, height // 2, width // 2)
    return planes[:height], chroma[0], chroma[1]


def pack_422(rgb, order):
    """Return (H, W, 2): for every two pixels the samples of `order`, such as 'uyvy'."""
    luma, u, v = yuv_planes(rgb)
    packed = np.zeros((*rgb.shape[:2], 2), np.uint8)
    for row in range(rgb.shape[0]):
        for pair in range(rgb.shape[1] // 2):
            lumas = iter(luma[row, 2 * pair:2 * pair + 2])
            samples = [next(lumas) if name == 'y' else {'u': u, 'v': v}[name][row // 2, pair]
                       for name in order]
            packed[row, 2 * pair:2 * pair + 2] = np.reshape(samples, (2, 2))
    return packed


def pack_420(rgb, first, second):
    """Return (3H/2, W): luma, then rows of interleaved chroma."""
    planes = dict(zip('yuv', yuv_planes(rgb)))
    chroma = np.stack([planes[first], planes[second]], axis=-1)
    return np.vstack([planes['y'], chroma.reshape(rgb.shape[0] // 2, rgb.shape[1])])


def mosaic(rgb, pattern):
    """Return (H, W): at every pixel the one colour that `pattern`, such as 'rggb', names."""
    out = np.zeros(rgb.shape[:2], np.uint8)
    for row in range(rgb.shape[0]):
        for column in range(rgb.shape[1]):
            colour = pattern[2 * (row % 2) + column % 2]
            out[row, column] = rgb[row, column, 'rgb'.index(colour)]
    return out


def samples_and_expected(encoding, rgb):
    """Return what a driver would send for `rgb`, an array, and what OpenCV makes of that."""
    alpha = np.arange(rgb.size // 3, dtype=np.uint8).reshape(rgb.shape[:2])
    if encoding == 'rgb8':
        return rgb, rgb
    if encoding in ('bgr8', '8UC3'):
        samples = rgb[..., ::-1].copy()
        return samples, cv2.cvtColor(samples, cv2.COLOR_BGR2RGB)
    if encoding == 'rgba8':
        samples = np.dstack([rgb, alpha])
        return samples, cv2.cvtColor(samples, cv2.COLOR_RGBA2RGB)
    if encoding == 'bgra8':
        samples = np.dstack([rgb[..., ::-1], alpha])
        return samples, cv2.cvtColor(samples, cv2.COLOR_BGRA2RGB)
    if encoding in ('rgb16', 'bgr16', 'rgba16', 'bgra16'):
        samples, expected = samples_and_expected(encoding.replace('16', '8'), rgb)
        return widened(samples), expected
    if encoding.startswith('bayer_') and encoding.endswith('16'):
        samples, expected = samples_and_expected(encoding[:-2] + '8', rgb)
        return widened(samples), expected
    if encoding == '8UC4':
        return samples_and_expected('bgra8', rgb)
    if encoding == 'nv24':  # the picture's chroma is constant over 2x2: that of nv12
        return pack_444(rgb), samples_and_expected('nv12', rgb)[1]
    if encoding in ('mono8', '8UC1'):
        samples = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        return samples, cv2.cvtColor(samples, cv2.COLOR_GRAY2RGB)
    if encoding == 'mono16':  # cv_bridge: GRAY2RGB, then convertTo(8 bit, 255 / 65535)
        samples = grey16(rgb)
        wide = cv2.cvtColor(samples, cv2.COLOR_GRAY2RGB)
        return samples, cv2.convertScaleAbs(wide, alpha=255. / 65535.)
    if encoding in ('yuv422', 'uyvy'):
        samples = pack_422(rgb, 'uyvy')
        return samples, cv2.cvtColor(samples, cv2.COLOR_YUV2RGB_UYVY)
    if encoding in ('yuv422_yuy2', 'yuyv'):
        samples = pack_422(rgb, 'yuyv')
        return samples, cv2.cvtColor(samples, cv2.COLOR_YUV2RGB_YUY2)
    if encoding == 'nv12':
        samples = pack_420(rgb, 'u', 'v')
        return samples, cv2.cvtColor(samples, cv2.COLOR_YUV2RGB_NV12)
    if encoding == 'nv21':
        samples = pack_420(rgb, 'v', 'u')
        return samples, cv2.cvtColor(samples, cv2.COLOR_YUV2RGB_NV21)
    samples = mosaic(rgb, encoding[len('bayer_'):-1])
    return samples, cv2.cvtColor(samples, BAYER_CODES[encoding])


def raw_image(encoding, samples, padding=0, is_bigendian=False):
    """Return the message for `samples`, every row followed by `padding` bytes of noise."""
    if samples.dtype == np.uint16:
        samples = samples.astype('>u2' if is_bigendian else '<u2')
    rows = samples.shape[0]
    row_bytes = np.frombuffer(samples.tobytes(), np.uint8).reshape(rows, -1)
    step = row_bytes.shape[1] + padding
    noise = np.random.RandomState(0).randint(0, 256, (rows, padding)).astype(np.uint8)
    data = np.hstack([row_bytes, noise]).ravel()
    height = {'nv12': rows * 2 // 3, 'nv21': rows * 2 // 3, 'nv24': rows // 3}.get(encoding, rows)
    if encoding == 'nv24':  # a row of chroma is twice as long, and so is its padding
        chroma = np.hstack([row_bytes[height:].reshape(height, -1),
                            noise[height:].reshape(height, -1)])
        data = np.concatenate([data[:height * step], chroma.ravel()])
    return RawImage(height, samples.shape[1], encoding, is_bigendian, step, data.tobytes())


def replaced(message, **fields):
    """Return a copy of a message with other values in some fields."""
    return type(message)(**dict(vars(message), **fields))


def jpeg(bgr, *options):
    """Return `bgr`, (H, W, 3) or (H, W), as the bytes of a JPEG."""
    return cv2.imencode('.jpg', bgr, list(options))[1].tobytes()


def png(pixels):
    """Return an array in OpenCV's order as the bytes of a PNG."""
    return cv2.imencode('.png', pixels)[1].tobytes()


def png_chunk(name, body):
    """Return one chunk of a PNG."""
    return (struct.pack('>I', len(body)) + name + body
            + struct.pack('>I', zlib.crc32(name + body) & 0xFFFFFFFF))


def handmade_png(samples, colour_type):
    """Return a PNG of a type that OpenCV cannot write; `samples` is (H, W, C) uint8."""
    header = struct.pack('>IIBBBBB', samples.shape[1], samples.shape[0], 8, colour_type, 0, 0, 0)
    lines = b''.join(b'\0' + row.tobytes() for row in samples)
    return (b'\x89PNG\r\n\x1a\n' + png_chunk(b'IHDR', header)
            + png_chunk(b'IDAT', zlib.compress(lines)) + png_chunk(b'IEND', b''))


def with_segment(file, payload):
    """Return a JPEG with an APP1 segment put behind its first marker."""
    return file[:2] + b'\xff\xe1' + struct.pack('>H', len(payload) + 2) + payload + file[2:]


def with_jpeg_size(file, height, width):
    """Return a baseline JPEG whose header tells other sides than it has."""
    at = file.index(b'\xff\xc0') + 5
    return file[:at] + struct.pack('>HH', height, width) + file[at + 4:]


EXIF_ROTATED = (b'Exif\0\0MM\0\x2a\0\0\0\x08\0\x01'
                + struct.pack('>HHIHH', 0x0112, 3, 1, 6, 0) + b'\0\0\0\0')


# Raw images


@pytest.mark.parametrize('is_bigendian', [False, True], ids=['little', 'big'])
@pytest.mark.parametrize('padding', [0, 1, 8])
@pytest.mark.parametrize('encoding', SUPPORTED_ENCODINGS)
def test_every_encoding_gives_what_opencv_gives(encoding, padding, is_bigendian):
    samples, expected = samples_and_expected(encoding, picture())
    decoded = decode(raw_image(encoding, samples, padding, is_bigendian))
    # OpenCV has no code for nv24; that of nv12 rounds a little differently
    assert np.abs(decoded.astype(int) - expected).max() <= (encoding == 'nv24')


@pytest.mark.parametrize('encoding', SUPPORTED_ENCODINGS)
def test_every_encoding_shows_the_picture_it_was_made_from(encoding):
    rgb = picture()
    decoded = decode(raw_image(encoding, samples_and_expected(encoding, rgb)[0])).astype(int)
    if encoding in GREY:
        rgb = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None]
    inner = (slice(2, -2), slice(2, -2))  # demosaicing is less sure at the edges
    assert np.abs(decoded[inner] - rgb[inner]).max() <= 8  # R, G and B are 40 and more apart


@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize('encoding', SUPPORTED_ENCODINGS)
def test_every_answer_is_contiguous_rgb_of_8_bits(encoding, padding):
    decoded = decode(raw_image(encoding, samples_and_expected(encoding, picture())[0], padding))
    assert decoded.shape == (HEIGHT, WIDTH, 3)
    assert decoded.dtype == np.uint8
    assert decoded.flags.c_contiguous


@pytest.mark.parametrize('encoding', SUPPORTED_ENCODINGS)
def test_decoding_leaves_the_buffer_as_it_was(encoding):
    message = raw_image(encoding, samples_and_expected(encoding, picture())[0], 3)
    buffer = bytearray(message.data)
    decode(replaced(message, data=buffer))
    assert buffer == message.data


def test_the_supported_encodings_are_those_promised():
    assert set(SUPPORTED_ENCODINGS) == {
        'rgb8', 'bgr8', 'rgba8', 'bgra8', 'rgb16', 'bgr16', 'rgba16', 'bgra16', 'mono8', 'mono16',
        '8UC1', '8UC3', '8UC4', 'yuv422', 'uyvy', 'yuv422_yuy2', 'yuyv', 'nv12', 'nv21', 'nv24',
        *BAYER_CODES, *(name[:-1] + '16' for name in BAYER_CODES)}


@pytest.mark.parametrize('as_buffer', [
    bytes, bytearray, memoryview, lambda data: array.array('B', data),
    lambda data: np.frombuffer(data, np.uint8).copy(),
    lambda data: np.frombuffer(data, np.uint8).reshape(HEIGHT, WIDTH, 3)],
    ids=['bytes', 'bytearray', 'memoryview', 'array', 'ndarray', 'ndarray 3-D'])
def test_rgb8_without_padding_shares_memory_with_any_buffer(as_buffer):
    message = raw_image('rgb8', picture())
    buffer = as_buffer(message.data)
    decoded = decode(replaced(message, data=buffer))
    assert np.shares_memory(decoded, np.frombuffer(buffer, np.uint8))
    np.testing.assert_array_equal(decoded, picture())


def test_rgb8_of_a_buffer_that_can_be_written_can_be_written():
    message = raw_image('rgb8', picture())
    assert decode(replaced(message, data=bytearray(message.data))).flags.writeable


def test_mono16_is_scaled_over_its_whole_range():
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    decoded = decode(raw_image('mono16', values))
    expected = [int(value / 65535. * 255. + 0.5) for value in range(65536)]
    np.testing.assert_array_equal(decoded[..., 0].ravel(), expected)


def test_mono16_of_the_wrong_endianness_is_another_picture():
    message = raw_image('mono16', grey16(picture()), is_bigendian=True)
    assert (decode(message) != decode(replaced(message, is_bigendian=False))).any()


def test_bytes_behind_the_last_row_are_ignored():
    message = raw_image('bgr8', picture())
    longer = replaced(message, data=message.data + b'\xff' * 4096)
    np.testing.assert_array_equal(decode(longer), decode(message))


def test_integers_of_numpy_are_integers():
    message = raw_image('nv12', pack_420(picture(), 'u', 'v'))
    other = replaced(message, height=np.uint32(HEIGHT), width=np.uint16(WIDTH),
                     step=np.uint8(message.step), is_bigendian=np.bool_(False))
    np.testing.assert_array_equal(decode(other), decode(message))


@pytest.mark.parametrize('encoding', BAYER_CODES)
def test_a_mosaic_of_odd_sides_is_demosaiced(encoding):
    samples, expected = samples_and_expected(encoding, picture()[:7, :9])
    np.testing.assert_array_equal(decode(raw_image(encoding, samples)), expected)


# Refusals


@pytest.mark.parametrize('fields, words', [
    ({'height': 0}, 'height 0.*1 to 65535'),
    ({'width': 0}, 'width 0.*1 to 65535'),
    ({'width': -3}, 'width -3.*1 to 65535'),
    ({'height': 65536}, 'height 65536.*1 to 65535'),
    ({'height': 20000, 'width': 20000}, 'at most 268435456 pixels'),
    ({'height': 10 ** 6000}, 'integer of 19932 bits'),
    ({'height': None}, 'height is None; expected an integer'),
    ({'width': 16.0}, 'width is 16.0; expected an integer'),
    ({'step': 'wide'}, "step is 'wide'; expected an integer"),
    ({'step': 47}, 'step is 47.*16 rgb8 pixels takes 48 bytes'),
    ({'step': -48}, 'step is -48'),
    ({'step': 2 ** 70}, 'integer of 7. bits'),
    ({'is_bigendian': 'no'}, "is_bigendian is 'no'; expected an integer"),
    ({'encoding': 'yuv420'}, "'yuv420' is not supported; expected one of rgb8, bgr8"),
    ({'encoding': ''}, "'' is not supported; expected one of"),
    ({'encoding': None}, 'None is not supported; expected one of'),
    ({'encoding': ['rgb8']}, 'is not supported; expected one of'),
    ({'encoding': 'x' * 10 ** 6}, '^.{,400}$'),
    ({'data': b''}, 'data has 0 bytes.*takes 576, 12 rows of step 48'),
    ({'data': bytes(575)}, 'data has 575 bytes.*takes 576, 12 rows of step 48'),
    ({'data': [0] * 576}, 'data is .*expected C-contiguous uint8'),
    ({'data': None}, 'data is None; expected C-contiguous uint8'),
    ({'data': 'x' * 576}, 'data is .*expected C-contiguous uint8'),
    ({'data': array.array('H', [0] * 576)}, 'data is .*expected C-contiguous uint8'),
    ({'data': np.zeros(576, np.float32)}, 'data is .*expected C-contiguous uint8'),
    ({'data': np.zeros(576, 'M8[s]')}, 'data is .*expected C-contiguous uint8'),
    ({'data': np.zeros((576, 2), np.uint8)[:, 0]}, 'data is .*expected C-contiguous uint8'),
    ({'data': memoryview(bytes(1152))[::2]}, 'data is .*expected C-contiguous uint8'),
], ids=lambda value: None if isinstance(value, str) else ' '.join(value))
def test_a_bad_field_is_refused_with_what_came_and_what_is_allowed(fields, words):
    with pytest.raises(ImageError, match=words):
        decode(replaced(raw_image('rgb8', picture()), **fields))


@pytest.mark.parametrize('encoding, height, width', [
    ('yuv422', 4, 5), ('uyvy', 4, 5), ('yuv422_yuy2', 4, 5), ('yuyv', 4, 5),
    ('nv12', 4, 5), ('nv12', 5, 4), ('nv21', 4, 5), ('nv21', 5, 4)])
def test_odd_sides_are_refused_where_two_pixels_share_their_chroma(encoding, height, width):
    with pytest.raises(ImageError, match='width a multiple of 2'):
        decode(RawImage(height, width, encoding, False, 64, bytes(64 * 16)))


@pytest.mark.parametrize('encoding', BAYER_CODES)
@pytest.mark.parametrize('height, width', [(2, 8), (8, 2)])
def test_a_mosaic_too_small_for_opencv_is_refused(encoding, height, width):
    with pytest.raises(ImageError, match='takes 3 to 65535 pixels a side'):
        decode(RawImage(height, width, encoding, False, 64, bytes(64 * 16)))


@pytest.mark.parametrize('encoding', SUPPORTED_ENCODINGS)
def test_one_byte_too_few_is_refused_in_every_encoding(encoding):
    message = raw_image(encoding, samples_and_expected(encoding, picture())[0])
    with pytest.raises(ImageError, match='data has'):
        decode(replaced(message, data=message.data[:-1]))


def test_chroma_rows_counted_as_height_are_refused():
    message = raw_image('nv12', pack_420(picture(), 'u', 'v'))
    with pytest.raises(ImageError, match='as height the rows of the picture'):
        decode(replaced(message, height=HEIGHT * 3 // 2))


@pytest.mark.parametrize('thing', [None, b'', 'rgb8', np.zeros((2, 2, 3), np.uint8), object()])
def test_what_is_no_image_is_refused(thing):
    with pytest.raises(ImageError, match='expected a RawImage or a CompressedImage'):
        decode(thing)


# Compressed images


@pytest.mark.parametrize('image_format', [
    '', 'jpeg', 'jpg', 'rgb8; jpeg compressed bgr8', 'bgr8; jpeg compressed bgr8',
    'rgba8; jpeg compressed bgr8', 'bgr8; jpeg compressed', 'rgb8; jpeg compressed '])
def test_a_jpeg_has_the_colours_opencv_gives_it(image_format):
    file = jpeg(picture()[..., ::-1])
    expected = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    decoded = decode(CompressedImage(image_format, file))
    np.testing.assert_array_equal(decoded, expected)
    assert decoded.flags.c_contiguous


@pytest.mark.parametrize('image_format', [
    'rgb8; jpeg compressed rgb8', 'rgb8; png compressed rgb8', 'bgr8; png compressed rgb8'])
def test_colours_said_to_be_stored_as_rgb_are_swapped_back_as_image_transport_does(image_format):
    stored = png(picture())  # imencode takes this for BGR: the file's red is our blue
    np.testing.assert_array_equal(decode(CompressedImage(image_format, stored)), picture())


@pytest.mark.parametrize('as_buffer', [
    bytes, bytearray, memoryview, lambda data: array.array('B', data),
    lambda data: np.frombuffer(data, np.uint8)],
    ids=['bytes', 'bytearray', 'memoryview', 'array', 'ndarray'])
def test_a_png_of_any_buffer_gives_the_very_picture(as_buffer):
    decoded = decode(CompressedImage('png', as_buffer(png(picture()[..., ::-1]))))
    np.testing.assert_array_equal(decoded, picture())


@pytest.mark.parametrize('encode', [jpeg, png])
def test_a_grey_file_gives_three_equal_channels(encode):
    grey = cv2.cvtColor(picture(), cv2.COLOR_RGB2GRAY)
    decoded = decode(CompressedImage('mono8; x compressed mono8', encode(grey)))
    assert np.ptp(decoded.astype(int), axis=-1).max() == 0
    assert np.abs(decoded[..., 0].astype(int) - grey).max() <= 4  # JPEG


def test_a_png_of_mono16_equals_the_raw_image():
    grey = grey16(picture())
    decoded = decode(CompressedImage('mono16; png compressed ', png(grey)))
    np.testing.assert_array_equal(decoded, decode(raw_image('mono16', grey)))


@pytest.mark.parametrize('channels', [3, 4])
def test_a_colour_png_of_16_bits_is_scaled_to_8(channels):
    wide = np.dstack([picture()[..., ::-1], picture()[..., :1]]).astype(np.uint16) * 257 + 100
    decoded = decode(CompressedImage('png', png(wide[..., :channels])))
    np.testing.assert_array_equal(decoded, picture())


def test_alpha_is_dropped_not_blended():
    transparent = np.dstack([picture()[..., ::-1], np.zeros((HEIGHT, WIDTH), np.uint8)])
    decoded = decode(CompressedImage('png', png(transparent)))
    np.testing.assert_array_equal(decoded, picture())


def test_grey_with_alpha_is_grey():
    grey = cv2.cvtColor(picture(), cv2.COLOR_RGB2GRAY)
    file = handmade_png(np.dstack([grey, np.zeros_like(grey)]), colour_type=4)
    np.testing.assert_array_equal(decode(CompressedImage('png', file)),
                                  cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB))


def test_exif_orientation_is_ignored():
    file = with_segment(jpeg(picture()), EXIF_ROTATED)
    turned = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)
    assert turned.shape == (WIDTH, HEIGHT, 3)  # the segment is sound
    assert decode(CompressedImage('jpeg', file)).shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize('image_format', [
    '{}; png compressed ', '{}; jpeg compressed {}', '{}; png compressed'])
@pytest.mark.parametrize('encoding', BAYER_CODES)
def test_a_mosaic_in_a_file_is_demosaiced(encoding, image_format):
    samples, expected = samples_and_expected(encoding, picture())
    decoded = decode(CompressedImage(image_format.format(encoding, encoding), png(samples)))
    np.testing.assert_array_equal(decoded, expected)


def test_a_mosaic_that_image_transport_made_grey_stays_grey():
    grey = cv2.cvtColor(picture(), cv2.COLOR_RGB2GRAY)
    decoded = decode(CompressedImage('bayer_rggb8; jpeg compressed mono8', png(grey)))
    np.testing.assert_array_equal(decoded, cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB))


def decode_whatever_comes(monkeypatch):
    """Make the decoders give a picture for any bytes."""
    monkeypatch.setattr(image_module.cv2, 'imdecode', lambda *_: np.zeros((2, 2, 3), np.uint8))
    monkeypatch.setattr(jpeg_module, 'decode_jpeg', lambda _: np.zeros((2, 2, 3), np.uint8))


@pytest.mark.parametrize('options', [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)],
                         ids=['baseline', 'progressive'])
def test_a_jpeg_cut_anywhere_is_refused(options, monkeypatch):
    thumbnail = jpeg(np.zeros((8, 8, 3), np.uint8))  # has an end marker of its own
    whole = with_segment(jpeg(picture(), *options), b'Exif\0\0' + thumbnail)
    decode_whatever_comes(monkeypatch)
    decode(CompressedImage('jpeg', whole))
    for size in range(len(whole)):
        with pytest.raises(ImageError, match='expected a'):
            decode(CompressedImage('jpeg', whole[:size]))


def test_a_png_cut_anywhere_is_refused(monkeypatch):
    whole = png(picture())
    decode_whatever_comes(monkeypatch)
    decode(CompressedImage('png', whole))
    for size in range(len(whole)):
        with pytest.raises(ImageError, match='expected a'):
            decode(CompressedImage('png', whole[:size]))


def fail_with_cv2_error(*_):
    raise cv2.error('Insufficient memory')


@pytest.mark.parametrize('imdecode', [lambda *_: None, fail_with_cv2_error],
                         ids=['None', 'error'])
def test_a_file_opencv_cannot_decode_is_refused(imdecode, monkeypatch):
    monkeypatch.setattr(image_module.cv2, 'imdecode', imdecode)
    with pytest.raises(ImageError, match='damaged; expected a whole JPEG'):
        decode(CompressedImage('png', png(picture())))


def test_a_jpeg_padded_by_its_camera_is_decoded():
    whole = jpeg(picture())
    padded = whole + b'\0' * 100 + b'\xff\xda\xff'
    np.testing.assert_array_equal(decode(CompressedImage('jpeg', padded)),
                                  decode(CompressedImage('jpeg', whole)))


def test_a_jpeg_with_fill_bytes_and_strays_between_its_segments_is_decoded():
    whole = jpeg(picture())
    at = whole.index(b'\xff\xdb')  # the first quantisation table
    loose = whole[:at] + b'\0\x12\xff\xff' + whole[at:]
    np.testing.assert_array_equal(decode(CompressedImage('jpeg', loose)),
                                  decode(CompressedImage('jpeg', whole)))


@pytest.mark.parametrize('height, width, words', [
    (60000, 60000, 'at most 268435456 pixels'), (0, WIDTH, 'height 0'), (HEIGHT, 0, 'width 0')])
@pytest.mark.parametrize('kind', ['jpeg', 'png'])
def test_absurd_sides_are_refused_before_the_file_is_decoded(
        kind, height, width, words, monkeypatch):
    if kind == 'jpeg':
        file = with_jpeg_size(jpeg(picture()), height, width)
    else:
        body = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
        file = b'\x89PNG\r\n\x1a\n' + png_chunk(b'IHDR', body) + png(picture())[33:]
    monkeypatch.setattr(image_module.cv2, 'imdecode', lambda *_: pytest.fail('decoded'))
    monkeypatch.setattr(jpeg_module, 'decode_jpeg', lambda _: pytest.fail('decoded'))
    with pytest.raises(ImageError, match=words):
        decode(CompressedImage(kind, file))


@pytest.mark.parametrize('at', [33, -12], ids=['second chunk', 'last chunk'])
def test_a_damaged_chunk_length_is_refused_before_the_file_is_decoded(at, monkeypatch):
    file = bytearray(png(picture()))
    file[at] = 0x7F  # OpenCV 4.11 to 5 clear 2 GB for it
    monkeypatch.setattr(image_module.cv2, 'imdecode', lambda *_: pytest.fail('decoded'))
    with pytest.raises(ImageError, match='is damaged; expected a whole file'):
        decode(CompressedImage('png', file))


@pytest.mark.parametrize('image_format, data, words', [
    ('16UC1; compressedDepth png', b'\0' * 12 + b'\x89PNG', 'depth.*subscribe to the colour'),
    ('32FC1; compressedDepth', b'', 'depth.*subscribe to the colour'),
    ('jpeg', b'', '0 bytes.*expected a JPEG or PNG'),
    ('jpeg', b'GIF89a', 'GIF89a.*expected a JPEG or PNG'),
    ('tiff', b'II*\0', "'tiff'.*expected a JPEG or PNG"),
    ('h264', b'\0\0\0\x01', "'h264'.*expected a JPEG or PNG"),
    ('png', b'\x89PNG\r\n\x1a\n' + png_chunk(b'IEND', b''), 'PNG of 20 bytes is damaged'),
    (None, b'', 'format is None; expected a string'),
    ('jpeg', None, 'data is None; expected C-contiguous uint8'),
    ('jpeg', [255, 216], 'data is .*expected C-contiguous uint8'),
    ('16UC1; png compressed', png(grey16(picture())), 'depth.*subscribe to the colour'),
    ('32FC1; png compressed ', png(picture()), 'depth.*subscribe to the colour'),
    ('16UC1', png(grey16(picture())), 'depth.*subscribe to the colour'),
    ('mono16; compressedDepth png', png(grey16(picture())), 'depth.*subscribe to the colour'),
    ('png', png(grey16(picture())), '16-bit grey, which may be depth.*mono16; png compressed'),
    ('bayer_rggb8; png compressed ', png(np.zeros((2, 8), np.uint8)), '3 to 65535 pixels'),
], ids=['depth', 'depth too', 'empty', 'gif', 'tiff', 'h264', 'png of nothing',
        'no format', 'no data', 'list', 'depth as png', 'float depth',
        'depth by its type alone', 'mono16 as depth', '16 bits without a name', 'bayer 2 rows'])
def test_what_is_neither_jpeg_nor_png_is_refused(image_format, data, words):
    with pytest.raises(ImageError, match=words):
        decode(CompressedImage(image_format, data))


# Anything at all


def assert_picture_or_image_error(message):
    try:
        decoded = decode(message)
    except ImageError as error:
        assert 0 < len(str(error)) < 1000
    else:
        assert decoded.dtype == np.uint8
        assert decoded.ndim == 3
        assert decoded.shape[2] == 3
        assert decoded.flags.c_contiguous


FUZZ = settings(max_examples=400, deadline=None, derandomize=True, database=None)
NUMBERS = st.one_of(st.integers(-1, 20), st.integers(), st.integers(0, 70000), st.none(),
                    st.floats(), st.text(max_size=3), st.booleans())
BUFFERS = st.one_of(st.binary(max_size=2000), st.binary(max_size=2000).map(bytearray),
                    st.binary(max_size=50).map(list), st.none(), st.text(),
                    st.binary(max_size=99).map(lambda data: np.frombuffer(data, np.uint8)))


@FUZZ
@given(st.builds(RawImage, NUMBERS, NUMBERS,
                 st.one_of(st.sampled_from(SUPPORTED_ENCODINGS), st.text(), st.none()),
                 NUMBERS, NUMBERS, BUFFERS))
def test_random_fields_give_a_picture_or_an_image_error(message):
    assert_picture_or_image_error(message)


@FUZZ
@given(st.builds(RawImage, st.integers(1, 9), st.integers(1, 9),
                 st.sampled_from(SUPPORTED_ENCODINGS), st.booleans(), st.integers(1, 40),
                 st.binary(min_size=200, max_size=600)))
def test_plausible_fields_give_a_picture_or_an_image_error(message):
    assert_picture_or_image_error(message)


@FUZZ
@given(st.one_of(st.text(), st.sampled_from(['jpeg', 'rgb8; jpeg compressed rgb8', None])),
       st.sampled_from([b'', b'\xff\xd8\xff', b'\x89PNG\r\n\x1a\n', jpeg(picture())[:-9]]),
       BUFFERS)
def test_random_bytes_give_a_picture_or_an_image_error(image_format, start, rest):
    data = start + bytes(rest) if isinstance(rest, (bytes, bytearray)) else rest
    assert_picture_or_image_error(CompressedImage(image_format, data))


@FUZZ
@given(st.sampled_from([jpeg(picture()), jpeg(picture()[..., 0]), png(picture()),
                        png(grey16(picture())), jpeg(picture(), cv2.IMWRITE_JPEG_PROGRESSIVE, 1)]),
       st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4))
def test_damaged_files_give_a_picture_or_an_image_error(file, changes):
    damaged = bytearray(file)
    for at, value in changes:
        damaged[at % len(damaged)] = value
    assert_picture_or_image_error(CompressedImage('jpeg', bytes(damaged)))


@pytest.mark.parametrize('error', [MemoryError(), cv2.error('Insufficient memory')], ids=repr)
def test_pixels_for_which_there_is_no_memory_are_the_image_s_fault(monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(image_module, 'to_rgb', fail)
    with pytest.raises(ImageError, match='no memory for the pixels'):
        decode(RawImage(1, 1, 'bgr8', False, 3, bytes(3)))
