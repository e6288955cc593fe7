# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The checks of `ltp_doctor`, one by one: the brothers of the faults in test_doctor.py."""
import dataclasses
import re
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from test_doctor import (
    DISTRIBUTIONS,
    DRIVER,
    HOUR_NS,
    MS_NS,
    NOW_NS,
    SOUND,
    camera,
    of_pictures,
    samples,
)

from ltp_ros.tools.checks import (
    channels,
    examination,
    installation,
    machine,
    model,
    node,
    picture,
    transport,
)
from ltp_ros.tools.checks.camera import (
    COMPRESSED,
    RAW,
    Arrival,
    Publisher,
    judge_camera,
    judge_image,
)
from ltp_ros.tools.checks.examination import View
from ltp_ros.tools.checks.finding import Level
from ltp_ros.tools.checks.installation import Package
from ltp_ros.tools.checks.machine import Gpu
from ltp_ros.tools.checks.node import Classifier
from ltp_ros.tools.checks.picture import judge_mosaic
from ltp_ros.tools.checks.transport import Participant

BAD = (Level.WARN, Level.ERROR)


def bad(findings):
    """Return the findings that are not fine, each of which has a remedy."""
    found = [finding for finding in findings if finding.level in BAD]
    assert all(finding.remedy for finding in found)
    return found


def packages(**changed):
    return {**SOUND, **changed}


@pytest.mark.parametrize('changed, distributions, check, message, remedy', [
    ({'timm': Package(missing=True)}, {}, 'package timm', 'not installed', 'timm>=1.0.21'),
    ({'torch': Package('1.13.1')}, {'torch': '1.13.1'}, 'package torch', '1.13.1 is too old',
     'torch>=2.0'),
    ({'cv_bridge': Package(error='AttributeError: _ARRAY_API not found')}, {},
     'package cv_bridge', '_ARRAY_API', 'numpy<2'),
    ({'cv2': Package(error='ImportError: numpy.core.multiarray failed to import')}, {},
     'package cv2', 'multiarray', 'numpy<2'),
    ({'torch': Package(error='OSError: libcudnn.so.8: cannot open shared object file')}, {},
     'package torch', 'libcudnn.so.8', 'pip install --force-reinstall torch'),
    ({'torchvision': Package('0.18.1')}, {}, 'package torchvision', 'not built for torch 2.4.1',
     'torchvision==0.19.*'),
    ({'numpy': Package('1.21.5')}, {}, 'package numpy', 'pip that it is 1.26.4', '~/.local'),
    ({'onnxruntime': Package('1.10.0')}, {'onnxruntime': '1.10.0'}, 'package onnxruntime',
     'too old', 'onnxruntime>=1.16'),
    ({'onnx': Package(missing=True)}, {}, 'package onnx', 'without onnx', 'onnx>=1.14'),
    ({'onnxruntime': Package(missing=True)}, {}, 'package onnxruntime', 'without onnxruntime',
     'onnxruntime>=1.16'),
    ({}, {'opencv-python-headless': '4.8.0.76'}, 'package cv2', 'overwrite', 'pip uninstall'),
    ({'rclpy': Package(error="ModuleNotFoundError: No module named 'rclpy._rclpy_pybind11'")},
     {}, 'package rclpy', '_rclpy_pybind11', 'the Python that ROS was built for'),
    ({'ltp_ros.msg': Package(missing=True)}, {}, 'package ltp_ros.msg', 'not built', 'source'),
])
def test_a_package_that_does_not_fit_is_named(changed, distributions, check, message, remedy):
    found = bad(installation.judge_packages(packages(**changed),
                                            {**DISTRIBUTIONS, **distributions}))
    assert [finding.check for finding in found] == [check]
    assert message in found[0].message and remedy in found[0].remedy


def test_packages_that_are_optional_may_be_missing():
    gone = {name: Package(missing=True) for name in ('onnx', 'onnxruntime', 'rclpy', 'ltp_ros.msg',
                                                     'torchvision', 'cv_bridge')}
    assert bad(installation.judge_packages(packages(**gone), {})) == []


def test_the_versions_that_are_needed_are_those_of_the_build():
    project = (Path(__file__).parents[2] / 'pyproject.toml').read_text()
    for name, version in installation.MINIMUM.items():
        pip_name = 'opencv-python-headless' if name == 'cv2' else name
        assert re.search(rf'"{pip_name}>={re.escape(version)}[",]', project), name


def test_an_import_that_ends_its_process_hides_no_other(tmp_path, monkeypatch):
    (tmp_path / 'crashes.py').write_text('import os; print("[broken]"); os.abort()')
    (tmp_path / 'fails.py').write_text('raise ImportError("libx.so: undefined symbol")')
    (tmp_path / 'works.py').write_text('__version__ = "1.2"')
    (tmp_path / 'lacks.py').write_text('import of_another_package')
    monkeypatch.syspath_prepend(str(tmp_path))
    found = installation.import_packages(('crashes', 'fails', 'works', 'lacks', 'not_there'))
    assert 'exit code -6' in found['crashes'].error
    assert 'undefined symbol' in found['fails'].error
    assert found['works'] == Package('1.2')
    assert 'of_another_package' in found['lacks'].error and not found['lacks'].missing
    assert found['not_there'].missing


def test_a_file_in_the_working_folder_is_no_package(tmp_path, monkeypatch):
    (tmp_path / 'of_the_user.py').write_text('raise RuntimeError')
    monkeypatch.chdir(tmp_path)
    assert installation.import_packages(('of_the_user',))['of_the_user'].missing


@pytest.mark.parametrize('gpu, torch, level, message', [
    (Gpu(False), Package('2.4.1'), Level.OK, 'no NVIDIA GPU'),
    (Gpu(True, '550.54', '12.4'), Package('2.4.1', cuda='12.4', gpus=('H100',)), Level.OK, 'H100'),
    (Gpu(True, '470.82', '11.4'), Package('2.4.1', cuda='12.4'), Level.ERROR, '11.4 at most'),
    (Gpu(True, '550.54', '12.4'), Package('2.4.1'), Level.WARN, 'for the CPU alone'),
    (Gpu(True), Package('2.4.1', cuda='11.4'), Level.ERROR, 'sees none'),
])
def test_torch_s_cuda_is_held_against_the_driver_s(gpu, torch, level, message):
    runtime = Package('1.19', providers=('CPUExecutionProvider',))
    finding = machine.judge_gpu(gpu, torch, runtime)[0]
    assert finding.level is level and message in finding.message


@pytest.mark.parametrize('power, driver, level', [
    ('powersave', 'acpi-cpufreq', Level.WARN), ('powersave', 'intel_pstate', Level.OK),
    ('schedutil', 'cpufreq-dt', Level.OK), ('', '', Level.OK),
    ('MODE_15W_4CORE, schedutil, GPU nvhost_podgov 1 to 2 Hz', '', Level.OK)])
def test_a_clock_that_is_held_down_is_told_and_a_dynamic_one_is_not(power, driver, level):
    finding = machine.judge_clocks(6, 6, power, driver)
    assert finding.level is level
    assert ('nvpmodel' in finding.remedy) is ('MODE_' in power)


def test_a_folder_is_judged_by_writing_to_it(tmp_path):
    def refuse(folder):
        raise OSError(30, 'Read-only file system')

    missing = tmp_path / 'a' / 'b'
    assert machine.judge_folder('cache', missing, 'cache:=FOLDER').level is Level.OK
    assert not missing.exists() and list(tmp_path.iterdir()) == []
    finding = machine.judge_folder('cache', missing, 'cache:=FOLDER', refuse)
    assert finding.level is Level.ERROR and 'Read-only' in finding.message
    assert machine.judge_folder('cache', None, 'cache:=FOLDER').level is Level.WARN
    tmp_path.chmod(0o555)  # for root too, whose node may be another user's
    assert machine.judge_folder('cache', tmp_path, 'cache:=FOLDER').level is Level.ERROR
    tmp_path.chmod(0o755)


def test_a_cache_that_others_can_write_to_is_an_error(tmp_path):
    (tmp_path / 'ltp').mkdir(mode=0o700)
    for mode, worst in ((0o700, {Level.OK}), (0o777, {Level.OK, Level.ERROR})):
        (tmp_path / 'ltp').chmod(mode)
        findings = [finding for finding in examination.of_machine({}, str(tmp_path / 'ltp'))
                    if finding.check == 'cache']
        assert {finding.level for finding in findings} == worst
    assert 'can be written to by everybody' in findings[-1].message
    assert 'chmod go-w' in findings[-1].remedy


def test_the_memory_of_a_container_is_its_limit(tmp_path):
    (tmp_path / 'meminfo').write_text('MemTotal: 8000000 kB\nMemAvailable: 4000000 kB\n')
    free = machine.available_memory(tmp_path / 'meminfo', tmp_path)
    assert free == 4000000 * 1024
    (tmp_path / 'memory.max').write_text('1000000\n')
    (tmp_path / 'memory.current').write_text('400000\n')
    assert machine.available_memory(tmp_path / 'meminfo', tmp_path) == 600_000
    assert machine.judge_memory(10 ** 9, 600_000).level is Level.ERROR


@pytest.mark.parametrize('environment, level', [
    ({}, Level.OK), ({'ROS_DOMAIN_ID': '101'}, Level.OK), ({'ROS_DOMAIN_ID': '150'}, Level.WARN),
    ({'ROS_DOMAIN_ID': '233'}, Level.ERROR), ({'ROS_DOMAIN_ID': 'robot'}, Level.ERROR),
    ({'ROS_AUTOMATIC_DISCOVERY_RANGE': 'OFF'}, Level.ERROR),
    ({'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCAL'}, Level.WARN),
    ({'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}, Level.OK)])
def test_variables_of_ros_that_cannot_be_meant_are_told(environment, level):
    assert transport.judge_environment(environment)[0].level is level


CAMERA_PROCESS = Participant(12, 'usb_cam_node_exe', 11 << 20)


@pytest.mark.parametrize('rmw, fault, participants, level', [
    ('rmw_fastrtps_cpp', '', [], Level.OK), ('rmw_fastrtps_cpp', 'not set', [], Level.WARN),
    ('rmw_fastrtps_cpp', 'not set', [CAMERA_PROCESS], Level.OK),
    ('rmw_fastrtps_cpp', '', [CAMERA_PROCESS._replace(segment=549_408)], Level.WARN),
    ('rmw_zenoh_cpp', 'not set', [], Level.SKIP), ('', '', [], Level.SKIP)])
def test_running_processes_are_held_to_the_profile_before_the_shell(rmw, fault, participants,
                                                                    level):
    finding = transport.judge_profile(rmw, fault, participants)
    assert finding.level is level
    assert ('usb_cam_node_exe' in finding.message) is bool(participants)


def test_profiles_that_are_not_there_are_a_fault_and_chosen_transports_are_not(tmp_path):
    name = transport.transport.PROFILES_VARIABLES[0]
    assert 'does not exist' in transport.shell_fault({name: str(tmp_path / 'no.xml')})
    assert transport.shell_fault({name: str(tmp_path)})  # a folder is no profile
    assert transport.shell_fault({'FASTDDS_BUILTIN_TRANSPORTS': 'LARGE_DATA'}) == ''


def test_a_shared_memory_that_is_full_is_told_as_one_that_is_small():
    finding = transport.judge_shared_memory(free=20 << 20, total=8 << 30)
    assert finding.level is Level.WARN and 'fastdds shm clean' in finding.remedy


def test_a_segment_that_a_process_only_reads_from_is_not_its_own(tmp_path):
    small, large = '/dev/shm/fastrtps_00000000000000aa', '/dev/shm/fastdds_00000000000000bb'
    (tmp_path / 'maps').write_text(f'7000000-7086000 rw-s 00000000 00:1 9 {small}\n'
                                   f'8000000-9000000 rw-s 00000000 00:1 9 {large}\n')
    (tmp_path / 'fd').mkdir()
    (tmp_path / 'fd' / '7').symlink_to(f'{small}_el')
    assert transport.own_segments(tmp_path) == [0x86000]
    (tmp_path / 'fd' / '8').symlink_to(f'{large}_el')
    (tmp_path / 'fd' / '3').write_text('')  # as one that is closed before it is looked at: no link
    assert sorted(transport.own_segments(tmp_path)) == [0x86000, 0x1000000]
    assert transport.own_segments(tmp_path / 'none') == []


def test_a_guid_of_another_machine_is_no_process_here():
    own = [1, 15, 7, 7, 0, 0]
    assert transport.participant_of([1, 15, 8, 7, 1, 0], own) is None


@pytest.mark.parametrize('seen, message, remedy', [
    ({'images': {'/camera/image_raw/compressed': [COMPRESSED]}},
     '/camera/image_raw/compressed has', 'image_transport:=compressed'),
    ({'images': {'/camera/image_raw': [RAW]}, 'topic': '/camera/image_raw/compressed'},
     '/camera/image_raw has', 'image_transport:=raw'),
    ({'publishers': [Publisher('/d', 'sensor_msgs/msg/CameraInfo', False)]},
     'publishes sensor_msgs/msg/CameraInfo', 'image_topics'),
    ({'images': {'/camera/camera/color/image_raw/compressed': [COMPRESSED], '/x': [RAW]}},
     '/camera/camera/color/image_raw',
     "image_topics:='[/camera/camera/color/image_raw]' image_transport:=compressed"),
])
def test_a_topic_without_a_publisher_leads_to_the_one_that_is_meant(seen, message, remedy):
    found = bad(judge_camera(camera(count=0, **{'publishers': (), **seen}), ''))
    assert len(found) == 1
    assert message in found[0].message and remedy in found[0].remedy


def test_a_publisher_that_sends_nothing_is_told():
    found = bad(judge_camera(camera(count=0), ''))
    assert len(found) == 1 and 'no image in 6 s' in found[0].message


@pytest.mark.parametrize('age_ms, message', [
    (-HOUR_NS // MS_NS, 'in the future'), (30 * 24 * HOUR_NS // MS_NS, '30 days'),
    (NOW_NS // MS_NS + 10 ** 6, 'zero'), (2_500, '2.5 s old'), (-3_000, 'in the future')])
def test_stamps_that_cannot_be_used_are_told(age_ms, message):
    seen = camera(age_ms=age_ms)
    if message == 'zero':
        seen = dataclasses.replace(seen, arrivals=[
            dataclasses.replace(arrival, stamp_ns=0) for arrival in seen.arrivals])
    found = bad(judge_camera(seen, ''))
    assert [finding.check for finding in found] == ['camera /camera/image_raw stamps']
    assert message in found[0].message


def test_a_few_stamps_out_of_order_are_no_fault():
    seen = camera()
    arrivals = list(seen.arrivals)
    arrivals[5], arrivals[6] = (dataclasses.replace(arrivals[5], stamp_ns=arrivals[6].stamp_ns),
                                dataclasses.replace(arrivals[6], stamp_ns=arrivals[5].stamp_ns))
    assert bad(judge_camera(dataclasses.replace(seen, arrivals=arrivals), '')) == []


def test_images_that_were_lost_are_told_and_do_not_make_a_camera_slow():
    seen = camera(count=180, period_ms=33)
    kept = [arrival for index, arrival in enumerate(seen.arrivals)
            if index % 10 in (0, 1, 5)]  # three of ten come
    found = bad(judge_camera(dataclasses.replace(seen, arrivals=kept), ''))
    assert [finding.check for finding in found] == ['camera /camera/image_raw losses']
    assert '70%' in found[0].message or '69%' in found[0].message


def test_a_busy_machine_that_receives_in_bursts_makes_no_camera_slow():
    seen = camera()
    bursts = [dataclasses.replace(arrival, received_ns=arrival.received_ns // (700 * MS_NS)
                                  * 700 * MS_NS) for arrival in seen.arrivals]
    assert bad(judge_camera(dataclasses.replace(seen, arrivals=bursts), '')) == []


def test_a_rate_is_told_without_stamps_too():
    arrivals = [Arrival(0, NOW_NS, index * 500 * MS_NS) for index in range(12)]
    found = bad(judge_camera(dataclasses.replace(camera(), arrivals=arrivals), ''))
    assert '2.0 Hz' in found[0].message and 'zero' in found[1].message


@pytest.mark.parametrize('seen, message', [
    ({'fault': "encoding '32FC1' is a depth map"}, 'depth'),
    ({'size': (90, 160)}, 'less than half the 224 pixels')])
def test_an_image_that_the_model_cannot_use_is_told(seen, message):
    found = bad(judge_image(camera(**seen), 224))
    assert len(found) == 1 and message in found[0].message


def test_a_grey_camera_is_told_and_no_fault():
    findings = judge_image(camera(encoding='mono8'), 224)
    assert bad(findings) == [] and 'grey' in findings[0].message


@pytest.mark.parametrize('seen, message, remedy', [
    ({'state': 'unconfigured'}, 'unconfigured', 'ros2 lifecycle set /ltp/classifier configure'),
    ({'state': 'inactive'}, 'inactive', 'ros2 lifecycle set /ltp/classifier activate'),
    ({'state': 'configuring'}, 'loads the model', 'wait'),
    ({'state': ''}, 'does not answer', 'log'),
    ({'statuses': ()}, 'nothing of it comes on /diagnostics', '/diagnostics'),
    ({'statuses': [('ltp/classifier: deadline', 2, 'too slow even at keep_ratio 0.45')]},
     'too slow even', 'deadline_ms'),
    ({'statuses': [('ltp/classifier: of a later version', 1, 'words')]}, 'words', 'log')])
def test_what_a_node_says_of_itself_is_passed_on(seen, message, remedy):
    sound = Classifier('/ltp/classifier', {'keep_ratio': 0.7}, 'active',
                       [('ltp/classifier: input', 0, 'receiving images')])
    assert bad(node.judge_classifier(sound)) == []
    found = bad(node.judge_classifier(dataclasses.replace(sound, **seen)))
    assert len(found) == 1
    assert message in found[0].message and remedy in found[0].remedy


def test_a_node_that_is_not_there_is_told_with_those_that_are():
    assert node.judge_nodes([], '', '')[0].level is Level.SKIP
    assert node.judge_nodes(['/front/classifier'], '', '')[0].level is Level.OK
    finding = node.judge_nodes(['/front/classifier'], '/ltp/classifier', '')[0]
    assert finding.level is Level.ERROR and '/front/classifier' in finding.remedy


@pytest.mark.parametrize('spoil, check', [
    (lambda rgb: 255 - (255 - rgb) // 10, 'brightness'),
    (lambda rgb: rgb // 12 + 110, 'contrast'),
    (lambda rgb: cv2.GaussianBlur(rgb, (0, 0), 12), 'sharpness'),
    (lambda rgb: np.clip(rgb * (0.1, 2.0, 0.1), 0, 255).astype(np.uint8), 'colour cast')])
def test_a_picture_that_is_spoilt_is_told_by_its_own_check(spoil, check):
    found = bad(of_pictures(map(spoil, samples())))
    assert check in [finding.check for finding in found]


def test_good_photos_are_not_called_spoilt(data):
    from ltp_ros.images import decode_rgb
    from ltp_ros.tools.checks.picture import judge_pictures
    spoilt = [finding.check for path in sorted((data / 'photos500').glob('*.jpg'))[::5]
              for finding in bad(judge_pictures([decode_rgb(path)], samples()[:1]))]
    assert len(spoilt) == len(set(spoilt))  # each at most once of 100 photos


def test_pictures_that_do_not_change_are_frozen():
    found = bad(of_pictures(samples()[:1] * 12))
    assert [finding.check for finding in found] == ['frozen picture']


def test_still_pictures_of_a_simulation_are_not_frozen():
    assert bad(picture.judge_pictures(samples()[:1] * 12, samples(), simulated=True)) == []


def test_only_the_roi_is_saved_as_what_the_model_sees(tmp_path):
    rgb = samples()[0]
    half = View([rgb], 'rgb8', {'roi': (0.0, 0.0, 0.5, 1.0)})
    findings = list(examination.of_view(half, None, 1.0, str(tmp_path / 'seen.png')))
    assert bad(findings) == []
    height, width = rgb.shape[:2]
    assert cv2.imread(str(tmp_path / 'seen.png')).shape[1] == round(width / 2 * 448 / height)


def test_a_roi_outside_of_the_image_is_told():
    outside = View(samples()[:1], 'rgb8', {'roi': (5000.0, 0.0, 20.0, 20.0)})
    found = bad(examination.of_view(outside, None, 1.0, '/dev/null/no.png'))
    assert [finding.check for finding in found] == ['roi']


def test_a_simulated_clock_may_lag_its_cameras_by_a_step():
    seen = camera(age_ms=-20)
    assert bad(judge_camera(seen, ''))
    simulated = [dataclasses.replace(arrival, step_ms=25.0) for arrival in seen.arrivals]
    assert bad(judge_camera(dataclasses.replace(seen, arrivals=simulated), '')) == []


def test_a_mosaic_published_as_grey_is_told_and_a_grey_picture_is_not():
    rgb = samples()[1]  # red tones: neighbours differ most
    mosaic = np.array(rgb[..., 1])
    mosaic[::2, ::2], mosaic[1::2, 1::2] = rgb[::2, ::2, 0], rgb[1::2, 1::2, 2]
    assert bad(judge_mosaic(mosaic, 'mono8')) and not judge_mosaic(rgb[..., 1], 'mono8')


def test_exchanging_twice_changes_nothing_and_once_turns_the_evidence_round():
    for rgb in samples():
        swapped = channels.exchanged(rgb)
        assert np.array_equal(channels.exchanged(swapped), rgb)
        assert channels.colour_evidence(swapped) == pytest.approx(
            -channels.colour_evidence(rgb), abs=0.25)  # hues at the edge of a bin


@pytest.mark.parametrize('encoding, named', [
    ('rgb8', 'encoding bgr8'), ('bgra8', 'encoding rgba8'), ('bayer_rggb8', 'bayer_bggr8'),
    ('8UC3', 'encoding rgb8'), ('nv12', 'COLOR_BGR2RGB'), ('jpeg', 'COLOR_BGR2RGB'), ('', 'BGR')])
def test_the_remedy_for_exchanged_channels_names_the_other_encoding(encoding, named):
    finding = channels.judge_channels([-3.0], encoding, True)
    assert finding.level is Level.WARN and named in finding.remedy


def test_pictures_without_colours_say_nothing_of_the_channels():
    grey = np.repeat(samples()[0][..., 1:2], 3, axis=2)
    assert channels.colour_evidence(grey) is None
    assert channels.judge_channels([], 'mono8', True).level is Level.SKIP


@pytest.mark.parametrize('parameters, message', [
    ({'model': 'vit_of_nobody'}, 'vit_of_nobody'),
    ({'device': 'cuda:7', 'model': 'demo'}, 'cuda:7'),
    ({'labels': '/no/labels.txt', 'model': 'demo'}, '/no/labels.txt'),
    ({'checkpoint': '/no/weights.safetensors'}, '/no/weights.safetensors')])
def test_a_model_that_cannot_be_loaded_is_told_in_the_words_of_the_package(parameters, message):
    classifier, findings = model.load({'device': 'cpu', **parameters}, 0.7)
    assert classifier is None
    assert len(bad(findings)) == 1 and message in findings[-1].message


def test_labels_in_another_order_are_found_out_by_the_packaged_photos(tmp_path):
    from ltp_ros.tools.support.frame_sources import SAMPLES
    pictures = dict(zip(SAMPLES, samples()))
    sound = model.load({'model': 'demo', 'device': 'cpu'}, 1.0)[0]
    assert bad(model.judge_samples(sound, pictures)) == []
    (tmp_path / 'labels.txt').write_text('\n'.join(sound.labels[1:] + sound.labels[:1]) + '\n')
    shifted = model.load({'model': 'demo', 'device': 'cpu',
                          'labels': str(tmp_path / 'labels.txt')}, 1.0)[0]
    assert bad(model.judge_samples(shifted, pictures))


class Fickle:
    """Stands in for a classifier that is sure, and of another label with fewer tokens."""

    labels = ('cattle', 'horse')

    def classify(self, rgb, keep_ratio, top_k, score_threshold):
        return SimpleNamespace(class_ids=(int(keep_ratio < self.changes_below),), scores=(0.9,),
                               labels=('horse',))

    def __init__(self, changes_below):
        self.changes_below = changes_below


def test_a_level_that_changes_most_sure_answers_is_told():
    pictures = samples() + samples()
    assert bad(model.judge_level(Fickle(0.5), pictures, 0.45))
    assert bad(model.judge_level(Fickle(0.5), pictures, 0.7)) == []
    assert model.judge_level(Fickle(0.5), pictures[:3], 0.45) == []  # too few to tell


def test_a_class_whose_name_only_contains_a_photo_s_word_is_not_asked_for():
    from ltp_ros.tools.support.frame_sources import SAMPLES
    assert model.judge_samples(Fickle(0.5), dict(zip(SAMPLES, samples()))) == []


def test_a_reliable_publisher_serves_a_reliable_subscription():
    reliable = dataclasses.replace(DRIVER, best_effort=False)
    assert bad(judge_camera(camera(publishers=[reliable], wants_reliable=True), '')) == []


def test_weights_that_give_no_numbers_are_told(small_model, tmp_path):
    tensors = load_file(small_model)
    broken = tmp_path / 'broken.safetensors'
    save_file({**tensors, 'head.bias': tensors['head.bias'] * float('nan')}, broken)
    broken.with_suffix('.json').write_text(Path(small_model).with_suffix('.json').read_text())
    classifier, findings = model.load({'device': 'cpu', 'checkpoint': str(broken)}, 0.7)
    (finding,) = bad(findings)
    assert classifier is None and finding.level is Level.ERROR and 'gives NaN' in finding.message
