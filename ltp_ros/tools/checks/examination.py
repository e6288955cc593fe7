# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The rounds of `ltp_doctor` that need the packages: machine, node and camera, pictures, model."""
import functools
import os
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

import numpy as np
from huggingface_hub import constants

from ltp_ros.backends import cache as kept
from ltp_ros.backends import choice
from ltp_ros.backends.level_files import origin
from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig
from ltp_ros.files import some_of
from ltp_ros.frames.encodings import ImageError
from ltp_ros.images import ImageFileError, decode_rgb
from ltp_ros.machine import power_mode
from ltp_ros.region import RegionError, region_of
from ltp_ros.tools.checks import camera, channels, machine, model, node, picture, transport
from ltp_ros.tools.checks.camera import SUFFIX, Camera
from ltp_ros.tools.checks.finding import Finding, Level, skipped
from ltp_ros.tools.checks.installation import Package
from ltp_ros.tools.support.frame_sources import SAMPLE_FOLDER, SAMPLES


class View(NamedTuple):
    """Pictures of one camera or file, oldest first, and the parameters of who classifies them."""

    pictures: List[np.ndarray]  # (H, W, 3) uint8 RGB
    encoding: str  # '' of a file
    parameters: Mapping[str, object]
    camera: Optional[Camera] = None


def of_machine(packages: Mapping[str, Package], cache: str) -> Iterator[Finding]:
    """Yield the findings on the GPU, the clocks and the folders that are written to."""
    yield from machine.judge_gpu(machine.find_gpu(), packages.get('torch', Package()),
                                 packages.get('onnxruntime', Package()))
    yield machine.judge_clocks(os.cpu_count() or 1, len(os.sched_getaffinity(0)), power_mode(),
                               machine.scaling_driver())
    exported = choice.model_folder(cache, 'any', '0', 'none', '', 0)
    folder = exported.parents[1] if exported else None
    yield machine.judge_folder('cache', folder, 'cache:=FOLDER')
    sharer = kept.who_else_writes(folder) if folder and folder.is_dir() else ''
    if sharer:
        yield Finding('cache', Level.ERROR, f'{folder} {sharer}: the backend onnx does not use it',
                      f'sudo chown $USER {folder}; chmod go-w {folder}')
    yield machine.judge_exports(kept.misfits(folder, origin) if folder else [])
    yield machine.judge_folder('cache of the hub', Path(constants.HF_HUB_CACHE),
                               'HF_HOME to another folder')


def of_file(path: str, given: Mapping[str, object]) -> Tuple[Optional[View], List[Finding]]:
    """Return a picture file as a view, or why it cannot be read."""
    try:
        return View([decode_rgb(Path(path))], '', given), []
    except ImageFileError as error:
        return None, [Finding('image', Level.ERROR, str(error), 'give another --image FILE')]


def of_system(asked_node: str, asked_topic: str, seconds: float, given: Mapping[str, object],
              environment: Mapping[str, str]) -> Tuple[List[View], List[Finding]]:
    """Look at the nodes and cameras of this ROS domain.

    Args:
        asked_node: full name of the node to look at; '' is all.
        asked_topic: the camera to look at; '' is those of the nodes, or the only one there is.
        seconds: how long each camera is listened to.
        given: parameters from the command line, which override the node's.
        environment: of this shell, before this program changed it.
    """
    from ltp_ros.tools.checks.observer import Observer  # noqa: PLC0415  ROS is not everywhere

    domain = environment.get('ROS_DOMAIN_ID', '')
    views: List[View] = []
    with Observer() as observer:
        names = observer.classifiers()
        findings = node.judge_nodes(names, asked_node, domain)
        wanted: Dict[str, Tuple[bool, Mapping[str, object]]] = {}
        for name in [asked_node] if asked_node in names else [] if asked_node else names:
            seen = observer.classifier(name)
            findings += node.judge_classifier(seen)
            wanted.update({topic: (reliable, {**seen.parameters, **given})
                           for topic, reliable in seen.cameras.items()
                           if asked_topic in ('', topic, topic[:-len(SUFFIX)])})
        topics = observer.image_topics()
        if asked_topic and not wanted:
            wanted[_published(asked_topic, topics)] = False, given
        elif not wanted and len(topics) == 1:
            wanted[next(iter(topics))] = False, given
        elif not wanted:
            findings.append(skipped('camera', 'topics with images: '
                                    f'{some_of(topics)}; choose one with --topic' if topics else
                                    'no topic has images; start the camera, or give --image FILE'))
        processes = {process for topic in wanted for process in observer.participants(topic)}
        findings.append(transport.judge_profile(
            transport.middleware(), transport.shell_fault(environment), sorted(processes)))
        for topic, (reliable, parameters) in wanted.items():
            seen_camera, messages = observer.watch(topic, seconds, reliable)
            findings += camera.judge_camera(seen_camera, domain)
            views.append(View(list(_decoded(messages)), seen_camera.encoding, parameters,
                              seen_camera))
    return views, findings


def _published(topic: str, topics: Mapping[str, List[str]]) -> str:
    """Return the topic to listen to for one that was asked for: compressed, if only that is."""
    topic = topic if topic.startswith('/') else f'/{topic}'
    return topic + SUFFIX if topic not in topics and topic + SUFFIX in topics else topic


def _decoded(messages: List[object]) -> Iterator[np.ndarray]:
    from ltp_ros.ros.messages import to_rgb  # noqa: PLC0415  ROS is not everywhere
    for message in messages:
        try:
            yield to_rgb(message)
        except ImageError:  # told by the camera's finding
            continue


def of_view(view: View, classifier: Optional[Classifier], level: float,
            output: str) -> Iterator[Finding]:
    """Yield the findings on the pictures of a camera or a file, and on the answers to them.

    Args:
        view: of the camera.
        classifier: that is to classify them; None: there is none.
        level: the keep ratio in use.
        output: the PNG file that is written.
    """
    side = min(classifier.data_config.input_size) if classifier else 0
    if view.camera is not None:
        yield from camera.judge_image(view.camera, side)
    if not view.pictures:
        yield skipped('pictures', 'there is none to look at')
        return
    yield from _of_pixels(view)
    roi = view.parameters.get('roi')
    try:
        parts = [rgb[region_of(roi, *rgb.shape[:2]).slices] if isinstance(roi, tuple) else rgb
                 for rgb in view.pictures]
    except RegionError as error:
        yield Finding('roi', Level.ERROR, str(error), 'set roi to a part of this image, or in '
                      'shares, such as [0.25, 0.0, 0.5, 1.0]')
        return
    yield model.save_picture(output, parts[-1], *(
        (classifier.data_config, classifier.box(parts[-1])) if classifier else (None,)))
    scenes = [[parts[index] for index in scene] for scene in channels.scenes(parts)]
    evidence = [_evidence(scene, classifier) for scene in scenes]
    yield channels.judge_channels([odds for odds in evidence if odds is not None], view.encoding,
                                  classifier is not None)
    if classifier:
        yield from model.answers(classifier, parts[-1], level)
        yield from model.judge_level(classifier, [scene[0] for scene in scenes], level)


def _of_pixels(view: View) -> Iterator[Finding]:
    if view.encoding in ('mono8', 'mono16', '8UC1'):
        yield from picture.judge_mosaic(view.pictures[-1][..., 0], view.encoding)
    simulated = view.camera is not None and any(
        arrival.step_ms is not None for arrival in view.camera.arrivals)
    yield from picture.judge_pictures(view.pictures, list(_samples().values()), simulated)


def _evidence(scene: List[np.ndarray], classifier: Optional[Classifier]) -> Optional[float]:
    """Return the mean log odds that the channels of a scene are in order; None without colour."""
    found = []
    for rgb in scene:
        by_colour = channels.colour_evidence(rgb)
        if by_colour is not None:
            found.append(by_colour + (
                model.channel_evidence(classifier, rgb) if classifier else 0.0))
    return float(np.mean(found)) if found else None


def of_model(parameters: Mapping[str, object]
             ) -> Tuple[Optional[Classifier], float, List[Finding]]:
    """Load the classifier of these parameters; return it, the keep ratio in use, the findings."""
    level = float(str(parameters.get('keep_ratio', ClassifierConfig.keep_ratio)))
    if parameters.get('method') == 'none':
        level = 1.0
    classifier, findings = model.load(parameters, level)
    if classifier is not None:
        findings += model.judge_samples(classifier, _samples())
    return classifier, level, findings


@functools.lru_cache(maxsize=None)
def _samples() -> Dict[str, np.ndarray]:
    return {name: decode_rgb(SAMPLE_FOLDER / f'{name}.jpg') for name in SAMPLES}
