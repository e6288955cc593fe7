# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_doctor`: twelve broken set-ups, each named with its remedy; and a sound one."""
import json

import numpy as np
import pytest
from zoom_scenes import ground, put, thing

from ltp_ros.backends import cache
from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig
from ltp_ros.images import decode_rgb
from ltp_ros.region import Region
from ltp_ros.tools import doctor
from ltp_ros.tools.checks import channels, examination, installation, machine, model, transport
from ltp_ros.tools.checks.camera import RAW, Arrival, Camera, Publisher, judge_camera
from ltp_ros.tools.checks.examination import View
from ltp_ros.tools.checks.finding import Level
from ltp_ros.tools.checks.installation import Package
from ltp_ros.tools.support.frame_sources import SAMPLE_FOLDER, SAMPLES

HOUR_NS, MS_NS = 3_600_000_000_000, 1_000_000
NOW_NS = 1_700_000_000_000_000_000
DRIVER = Publisher('/driver', RAW, best_effort=True)
SOUND = {name: Package(version) for name, version in (
    ('numpy', '1.26.4'), ('cv2', '4.10.0'), ('torch', '2.4.1+cu124'), ('torchvision', '0.19.1'),
    ('timm', '1.0.22'), ('safetensors', '0.4.5'), ('onnx', '1.16.0'), ('onnxruntime', '1.19.2'),
    ('rclpy', ''), ('ltp_ros.msg', ''))}
DISTRIBUTIONS = {'numpy': '1.26.4', 'opencv-python': '4.10.0.84', 'torch': '2.4.1',
                 'onnxruntime': '1.19.2'}


def samples():
    return [decode_rgb(SAMPLE_FOLDER / f'{name}.jpg') for name in SAMPLES]


def camera(count=60, period_ms=100, age_ms=20, publishers=(DRIVER,), **seen):
    """Return a camera that was listened to; every image took 20 ms unless told otherwise."""
    arrivals = [Arrival(NOW_NS + index * period_ms * MS_NS - age_ms * MS_NS,
                        NOW_NS + index * period_ms * MS_NS, index * period_ms * MS_NS)
                for index in range(count)]
    seen = {'topic': '/camera/image_raw', 'encoding': 'rgb8', 'size': (480, 640), **seen}
    return Camera(seconds=6.0, publishers=publishers, arrivals=arrivals, **seen)


def of_pictures(pictures, encoding='rgb8', classifier=None, output='/dev/null/no.png'):
    return list(examination.of_view(View(list(pictures), encoding, {}), classifier, 1.0, output))


def exchanged_channels(data):
    paths = sorted((data / 'photos500').glob('*.jpg'))[1:26:2]  # of the half not tuned on
    return of_pictures(channels.exchanged(decode_rgb(path)) for path in paths)


def no_profile(data):
    return [transport.judge_profile('rmw_fastrtps_cpp', transport.shell_fault({}), [])]


def tiny_shared_memory(data):
    return [transport.judge_shared_memory(free=8 << 20, total=16 << 20)]


def stamps_an_hour_off(data):
    return judge_camera(camera(age_ms=HOUR_NS // MS_NS), '')


def reliable_against_best_effort(data):
    return judge_camera(camera(count=0, wants_reliable=True), '')


def no_publisher(data):
    return judge_camera(camera(count=0, publishers=()), '42')


def underexposed(data):
    return of_pictures((rgb * 0.1).astype(np.uint8) for rgb in samples())


def read_only_cache(data):
    return list(examination.of_machine(SOUND, '/proc/ltp'))  # where root too writes no file


def two_onnxruntimes(data):
    return installation.judge_packages(SOUND, {**DISTRIBUTIONS, 'onnxruntime-gpu': '1.18.0'})


def misspelt_topic(data):
    return judge_camera(camera(count=0, publishers=(), images={
        '/camera/color/image_raw': [RAW], '/rear/image': [RAW]}), '')


def slow_camera(data):
    return judge_camera(camera(count=12, period_ms=500), '')


def model_that_does_not_fit(data):
    return model.load({'model': 'vit_small_patch16_224', 'device': 'cpu',
                       'checkpoint': str(data / 'deit_tiny_patch16_224.safetensors')}, 0.7)[1]


BROKEN = [
    (exchanged_channels, 'channel order', 'exchanged', 'encoding bgr8'),
    (no_profile, 'DDS profile', 'are not set', 'fastdds'),
    (tiny_shared_memory, 'shared memory', '/dev/shm has 17 MB', '--shm-size=256m'),
    (stamps_an_hour_off, 'camera /camera/image_raw stamps', '3600 s old', 'chrony'),
    (reliable_against_best_effort, 'camera /camera/image_raw QoS', 'asks for reliable',
     'image_reliability:=best_effort'),
    (no_publisher, 'camera /camera/image_raw', 'no publisher', 'ROS_DOMAIN_ID (42)'),
    (underexposed, 'brightness', 'underexposed', 'exposure time'),
    (read_only_cache, 'cache', '/proc/ltp cannot be written to', 'cache:=FOLDER'),
    (two_onnxruntimes, 'package onnxruntime', 'both installed', 'pip uninstall -y onnxruntime'),
    (misspelt_topic, 'camera /camera/image_raw', '/camera/color/image_raw',
     "image_topics:='[/camera/color/image_raw]'"),
    (slow_camera, 'camera /camera/image_raw rate', '2.0 Hz', 'frame rate'),
    (model_that_does_not_fit, 'model', 'does not fit', 'architecture'),
]


@pytest.mark.parametrize('broken, check, message, remedy', BROKEN,
                         ids=[row[0].__name__ for row in BROKEN])
def test_a_broken_set_up_is_named_with_its_remedy(data, broken, check, message, remedy):
    bad = [finding for finding in broken(data)
           if finding.level in (Level.WARN, Level.ERROR)]
    assert bad[0].check == check and message in bad[0].message and remedy in bad[0].remedy
    assert {finding.check for finding in bad[1:]} <= {'camera /camera/image_raw'}  # no image


def test_what_is_sound_gets_no_warning(small_model):
    findings = [
        *installation.judge_packages(SOUND, DISTRIBUTIONS),
        *transport.judge_environment({'ROS_DISTRO': 'jazzy', 'ROS_DOMAIN_ID': '7'}),
        transport.judge_shared_memory(64 << 20, 64 << 20),  # an empty container's
        *judge_camera(camera(), ''), *of_pictures(samples())]
    assert {finding.level for finding in findings} <= {Level.OK, Level.SKIP}


def test_the_colours_of_single_photos_seldom_call_channels_exchanged_that_are_in_order(data):
    wrong, found, paths = 0, 0, sorted((data / 'photos500').glob('*.jpg'))[1::2]  # not tuned on
    for path in paths:
        evidence = channels.colour_evidence(decode_rgb(path))
        if evidence is not None:
            wrong += channels.judge_channels([evidence], 'rgb8', False).level is Level.WARN
            found += channels.judge_channels([-evidence], 'rgb8', False).level is Level.WARN
    assert wrong <= 0.02 * len(paths) and found >= 0.2 * len(paths)  # docs/doctor.md


def test_a_classifier_is_surer_of_pictures_in_their_own_colours(data, deit_tiny):
    classifier = Classifier(ClassifierConfig(**deit_tiny, device='cpu', backend='eager',
                                             precision='float32', keep_ratios=(1.0,)))
    paths = sorted((data / 'photos500').glob('*.jpg'))[1::20]
    evidence = [model.channel_evidence(classifier, decode_rgb(path)) for path in paths]
    assert np.mean(evidence) > 0.2


def test_views_of_one_scene_count_as_one():
    turned = [samples()[0], np.roll(samples()[0], 40, axis=1), samples()[1]]
    assert channels.scenes(turned) == [[0, 1], [2]]


@pytest.fixture
def quick(monkeypatch):
    """Take the packages as sound: to import them all takes seconds."""
    monkeypatch.setattr(installation, 'import_packages', lambda: {**SOUND, 'rclpy': Package(
        missing=True)})
    monkeypatch.setattr(installation, 'installed_distributions', lambda: DISTRIBUTIONS)


def run(tmp_path, *argv):
    code = doctor.main([*argv, '--json', str(tmp_path / 'rows.json'),
                        '--output', str(tmp_path / 'seen.png')])
    rows = json.loads((tmp_path / 'rows.json').read_text())['rows']
    return code, {row['check']: row for row in rows}


def test_a_picture_is_examined_without_ros(tmp_path, quick, small_model, capsys):
    code, rows = run(tmp_path, '--image', str(SAMPLE_FOLDER / 'chelsea.jpg'), '--checkpoint',
                     small_model, '--device', 'cpu')
    assert code == 0
    assert set(rows['model']) == {'check', 'level', 'message', 'remedy'}
    assert 'thing' in rows['answer with all tokens']['message']
    assert 'thing' in rows['answer with keep_ratio 0.7']['message']
    out = capsys.readouterr().out
    assert 'channel order' in out and '0 ERROR' in out


def test_the_picture_that_is_saved_holds_the_model_s_input_beside_the_camera_s(
        tmp_path, quick, small_model):
    run(tmp_path, '--image', str(SAMPLE_FOLDER / 'chelsea.jpg'), '--checkpoint', small_model,
        '--device', 'cpu')
    saved = decode_rgb(tmp_path / 'seen.png')
    classifier = Classifier(ClassifierConfig(checkpoint=small_model, device='cpu',
                                             backend='eager', precision='float32'))
    rgb = decode_rgb(SAMPLE_FOLDER / 'chelsea.jpg')
    given = model.model_input(rgb, classifier.data_config)
    assert saved.shape[:2] == (448, round(rgb.shape[1] * 448 / rgb.shape[0]) + 8 + 448)
    assert np.array_equal(saved[:, -448:][3::7, 3::7], given)  # each pixel is 7x7


def test_where_the_zoom_looks_is_framed_and_shown(tmp_path, small_model):
    classifier, _ = model.load({'checkpoint': small_model, 'device': 'cpu', 'zoom': True}, 1.0)
    rgb = put(ground(), thing(), 150, 240)
    box = classifier.box(rgb)
    finding = model.save_picture(str(tmp_path / 'seen.png'), rgb, classifier.data_config, box)
    saved = decode_rgb(tmp_path / 'seen.png')
    given = model.model_input(rgb, classifier.data_config, box)
    assert np.array_equal(saved[:, -448:][3::7, 3::7], given)
    assert 'where the zoom looks' in finding.message
    inside = classifier.classify(rgb[box.slices], box=Region(0, 0, box.height, box.width))
    answer = model.answers(classifier, rgb, 1.0)[0].message
    assert answer.startswith(f'{inside.labels[0]} {inside.scores[0]:.2f}')


def test_an_error_is_the_exit_code_and_a_warning_is_not(tmp_path, quick):
    assert run(tmp_path, '--image', str(tmp_path / 'none.jpg'), '--no-model')[0] == 1
    dark = tmp_path / 'dark.png'
    import cv2
    cv2.imwrite(str(dark), np.full((48, 64, 3), 3, np.uint8))
    code, rows = run(tmp_path, '--image', str(dark), '--no-model')
    assert (code, rows['brightness']['level']) == (0, 'WARN')


def test_without_ros_and_without_a_picture_the_machine_is_examined(tmp_path, quick):
    code, rows = run(tmp_path)
    assert code == 0
    assert rows['node and camera']['level'] == rows['model']['level'] == 'SKIP'
    assert {'packages', 'ROS environment', 'GPU', 'clocks', 'cache'} <= set(rows)


def test_broken_packages_end_the_examination_but_not_the_program(tmp_path, monkeypatch, quick):
    monkeypatch.setattr(installation, 'import_packages', lambda: {
        **SOUND, 'torch': Package(error='libcudart.so.12: cannot open shared object file')})
    code, rows = run(tmp_path)
    assert code == 1
    assert 'libcudart' in rows['package torch']['message']
    assert rows['camera and model']['level'] == 'SKIP'


def test_a_file_that_cannot_be_written_is_refused_before_anything_else(tmp_path, capsys):
    assert doctor.main(['--json', str(tmp_path / 'no' / 'rows.json')]) == 2
    assert 'cannot be written' in capsys.readouterr().err


def test_exported_levels_that_do_not_fit_are_told(tmp_path):
    for name, content in (('keep_1.onnx', b'whole'), ('keep_0.5.onnx', b'damaged')):
        path = tmp_path / 'vit-0123' / 'tome' / name
        cache.ensure(path, {'torch': '2.1'}, lambda path: path.write_bytes(b'whole'), print)
        path.write_bytes(content)
    (told,) = cache.misfits(tmp_path, lambda int8: {'torch': '2.1'})
    finding = machine.judge_exports([told])
    assert 'keep_0.5.onnx is damaged: not used' in finding.message and finding.remedy
    assert machine.judge_exports([]).remedy == ''
