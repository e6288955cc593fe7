# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Every parameter once: its default, range, unit, meaning and whether it may change while running.

The ROS parameters, their descriptors, the refusals, the launch arguments and the table in the
documentation are derived from these dataclasses.
"""
from dataclasses import dataclass
from typing import Sequence, Tuple, Union

from ltp_ros.parameter import parameter

METHODS = ('ltp', 'mixed', 'papr', 'tome', 'resize', 'none')
REDUCTIONS = tuple(method for method in METHODS if method != 'resize')  # at one input size
SCORES = ('srb', 'redundancy', 'spatial', 'random')

# Topic names as rcl has them. image_transport adds the transport to the name of a camera's topic.
_WORD = r'(?:[A-Za-z_]|\{(?:node|ns|namespace)\})(?:\w|\{(?:node|ns|namespace)\})*'
TOPIC = rf'(?a)(?!(?:.*/)?compressed$)(?:/|~/)?{_WORD}(?:/{_WORD})*'

Sides = Tuple[int, int]  # height, width in pixels; 0: not said
Value = Union[bool, int, float, str, Tuple[float, ...], Tuple[str, ...]]  # of a parameter


def in_shares(roi: Sequence[float]) -> bool:
    """Return whether a `roi` is in shares of the image, not in pixels."""
    return max(roi) <= 1.0


def _roi_fault(roi: Sequence[float]) -> str:
    if not all(roi[2:]):
        return 'its width and height must be above 0; [0, 0, 1, 1] is the whole image'
    if in_shares(roi):
        sums = [offset + size for offset, size in zip(roi[:2], roi[2:])]
        return '' if max(sums) <= 1.0 + 1e-6 else (
            'in shares of the image, an offset and its size must not exceed 1 together')
    if any(number % 1 for number in roi):
        return ('it mixes shares of the image with pixels: either no number is above 1, or all '
                'are whole')
    return '' if min(roi[2:]) > 1 else (
        'a width or height of 1 may be one pixel or the whole image; give all in pixels, at least '
        '2, or all in shares')


@dataclass(frozen=True)
class ClassifierConfig:
    """The model, its runtime, and the form of its answers."""

    model: str = parameter(
        'vit_small_patch16_224.augreg_in21k_ft_in1k',
        'any timm VisionTransformer with absolute positions, and with the methods resize and none '
        "any timm classifier; 'demo' is the model inside the package")
    checkpoint: str = parameter(
        '', 'a .safetensors file, or a .pth that holds weights only; empty: the pretrained '
        'weights of the model', path=True)
    labels: str = parameter(
        '', "a file of class names: one a line, or '0: cat' or 'cat,0' a line, or a JSON list or "
        'object; empty: the names of the model', path=True)
    input_size: int = parameter(
        0, 'pixels a side of the image that the model is given; 0: as the checkpoint was trained, '
        'else as the model. More than those with a lower keep_ratio looks closer at the same cost',
        minimum=0, maximum=2048)
    crop_mode: str = parameter(
        'auto', "how an image is brought to the model's shape: 'center' cuts off the ends of the "
        "longer side (44 % of a 16:9 frame), 'squash' squeezes it, 'border' adds bars; 'auto': as "
        "the model's card says. The margin of the model's crop_pct is cut off in each",
        choices=('auto', 'center', 'squash', 'border'))
    device: str = parameter(
        'auto', "where the model runs; 'cuda:1' is the second GPU",
        choices=('auto', 'cuda', 'cpu'), pattern=r'cuda:\d+', example='cuda:N')
    precision: str = parameter(
        'auto', "number format of the model; 'auto' is float16 on a GPU, on a CPU the fastest of "
        'float32, bfloat16 and, where ltp_export --int8 has found that the answers hold, int8. '
        'int8 that is given (ONNX Runtime or OpenVINO on a CPU) is not checked and changes some '
        'predictions', choices=('auto', 'float32', 'float16', 'bfloat16', 'int8'))
    backend: str = parameter(
        'auto', 'runtime of the model: CUDA graphs, plain torch, ONNX Runtime, OpenVINO (CPU); '
        "'auto' times those that are available, at startup",
        choices=('auto', 'graph', 'eager', 'onnx', 'openvino'))
    num_threads: int = parameter(
        0, 'CPU threads of the model; 0: as many as there are cores', minimum=0, maximum=1024)
    priority: int = parameter(
        0, 'real-time priority (SCHED_FIFO) of the inference thread; needs CAP_SYS_NICE or an '
        'rtprio limit. Stay below 50, the priority of interrupt threads. 0: none', minimum=0,
        maximum=99)
    cache: str = parameter(
        '', 'folder for exported models and engines of the backends onnx and openvino, and for '
        'what an earlier start found out; empty: ltp_ros in XDG_CACHE_HOME or ~/.cache',
        path=True)
    method: str = parameter(
        'ltp', 'token reduction: ltp drops the least important tokens; mixed merges quads of '
        'patches without detail; papr and tome are the peers, tome with as much work as ltp at '
        'the same keep_ratio; resize gives the model a smaller image, with as many tokens; none',
        choices=METHODS)
    score: str = parameter(
        'srb', "token-ranking criterion of ltp: the paper's score, one of its two terms alone, or "
        'chance, for comparison', choices=SCORES)
    papr_checkpoint: str = parameter(
        '', "weights of timm's mobileone_s0, which papr uses to choose patches; empty: the "
        'pretrained ones', path=True)
    zoom: bool = parameter(
        False, 'look where something is: the model is given the part of the image that holds its '
        'detail, never less than `input_size` pixels a side; the whole crop where the detail is '
        'spread over the image, or there is none', live=True)
    zoom_boxes: int = parameter(
        0, 'after the answer, one for each of so many regions that lie apart, on the topic '
        'regions while somebody subscribes to it, the largest first. With a deadline as many as '
        'it and the next image leave time for, else all. 0: none', live=True, minimum=0,
        maximum=32)
    alpha: float = parameter(
        0.5, 'weight of the spatial term against redundancy in the SRB score', minimum=0.0,
        maximum=1.0)
    keep_ratios: Tuple[float, ...] = parameter(
        (1.0, 0.9, 0.8, 0.7, 0.6, 0.53, 0.45, 0.35, 0.25),
        'the ladder: keep ratios that the model is warmed up for', minimum=0.0, maximum=1.0,
        above_minimum=True)
    profile: str = parameter(
        '', 'a YAML file of ltp_profile with the times of the ladder on this machine; if empty or '
        'for another machine, the ladder is timed at startup', path=True)
    keep_ratio: float = parameter(
        0.7, 'share of the patch tokens kept; snapped to the nearest level of the ladder',
        live=True, minimum=0.0, maximum=1.0, above_minimum=True)
    ladder: str = parameter(
        '', 'a file of levels, each a whole description (model, method, input size, precision and '
        'more), in place of keep_ratios; ltp_profile IMAGES finds one for a scene. keep_ratio '
        'then names the level nearest to it in work', path=True)
    top_k: int = parameter(
        5, 'maximum number of classes published', live=True, minimum=1, maximum=100)
    score_threshold: float = parameter(
        0.0, 'classes below this probability are left out', live=True, minimum=0.0, maximum=1.0)
    temperatures: str = parameter(
        '', "a file of ltp_evaluate --calibrate that makes the scores of the model's own classes "
        'mean how often they are right, at every level; empty: as the softmax has them', path=True)
    classes: str = parameter(
        '', 'a file of classes that were taught (ltp_teach, ~/save_classes), in place of the '
        "model's own; empty: none yet", path=True)
    keep_model_classes: bool = parameter(
        False, "what is unknown to the classes that were taught is answered with the model's own")
    unknown_threshold: float = parameter(
        0.95, 'a picture that is stranger to the taught classes than this share of their own '
        'pictures, each left out in turn, is unknown. 1: none is', live=True, minimum=0.0,
        maximum=1.0)

    @property
    def image_sides(self) -> Sides:
        """Height and width of the model's input in pixels; 0: the model's own."""
        return self.input_size, self.input_size

    @property
    def patch_size(self) -> int:
        """Pixels a side of a patch, which levels of a ladder may set; 0: the model's own."""
        return 0

    @property
    def levels(self) -> Tuple[float, ...]:
        """The available keep ratios: `keep_ratios`, or 1 alone if nothing reduces the work."""
        return self.keep_ratios if self.ladder or self.method != 'none' else (1.0,)


@dataclass(frozen=True)
class TunerConfig:
    """The deadline, and the bounds within which the tuner meets it."""

    deadline_ms: float = parameter(
        0.0, 'budget for an answer; the tuner adjusts keep_ratio to meet it. 0: no tuning',
        live=True, unit='ms', minimum=0.0)
    deadline_from: str = parameter(
        'capture', "start of the budget: 'capture' is the header's stamp, 'receive' the arrival "
        "at this node. While stamps are unusable, and in simulated time, as 'receive'", live=True,
        choices=('capture', 'receive'))
    target_miss_rate: float = parameter(
        0.01, 'share of answers that may be late', live=True, minimum=0.0, maximum=0.5)
    objective: str = parameter(
        'on_time', "'on_time' answers as many images right and in time as it can; 'strict' misses "
        'no more than target_miss_rate where any level can hold that', live=True,
        choices=('on_time', 'strict'))
    drop_late: bool = parameter(
        False, 'drop an image that not even the lowest keep_ratio would answer in time, and count '
        'it (late), rather than answer it late', live=True)
    min_keep_ratio: float = parameter(
        0.45, 'lower bound of the tuner. DeiT-tiny is right on 86 % of photos at 1, on 66 % at '
        '0.45 and on 33 % at 0.25', live=True, minimum=0.0, maximum=1.0, above_minimum=True)
    max_keep_ratio: float = parameter(
        1.0, 'upper bound of the tuner', live=True, minimum=0.0, maximum=1.0,
        above_minimum=True)


@dataclass(frozen=True)
class InputConfig:
    """Where images come from."""

    image_topics: Tuple[str, ...] = parameter(
        ('image',), 'the camera topics; relative names are resolved in the namespace',
        pattern=TOPIC, example='topic names such as /camera/image_raw: words of letters, digits '
        'and _ joined by single slashes, without /compressed (image_transport adds it)')
    image_transport: str = parameter(
        'raw', "'compressed' subscribes to <topic>/compressed", choices=('raw', 'compressed'))
    image_reliability: str = parameter(
        'best_effort', 'reliability of the subscriptions; best_effort also matches reliable '
        'publishers', choices=('best_effort', 'reliable'))
    detections_topic: str = parameter(
        '', 'vision_msgs/Detection2DArray of a detector: its boxes are classified in place of the '
        'whole image, and sent on as `detections`; empty: none', choices=('',), pattern=TOPIC,
        example='a topic name such as /yolo/detections')
    detections_slop_ms: float = parameter(
        0.0, "by which the stamps of an image and of its boxes may differ; 0: they are equal, as "
        "those of a detector that keeps the image's header", unit='ms', minimum=0.0,
        maximum=10_000.0)
    lazy: bool = parameter(
        False, 'listen to the cameras only while somebody subscribes to classification, latency, '
        'detections, debug_image or vision_msgs/classification', live=True)
    max_rate: float = parameter(
        0.0, 'at most so many images a second of each camera are classified, evenly spaced; the '
        'others are dropped as they come and counted (rate). 0: no limit', live=True, unit='Hz',
        minimum=0.0)
    roi: Tuple[float, ...] = parameter(
        (0.0, 0.0, 1.0, 1.0), 'the part of each image that is classified: x_offset, y_offset, '
        'width, height, in shares of the image if none is above 1, else in pixels as '
        'sensor_msgs/RegionOfInterest. One for all cameras: shares fit images of any size, while '
        'an image that a roi in pixels does not lie inside is dropped and counted (roi)',
        live=True, minimum=0.0, items=('x_offset', 'y_offset', 'width', 'height'),
        fault=_roi_fault)
    max_age_ms: float = parameter(
        0.0, 'images older than this, by their stamp, are dropped unclassified; in simulated time '
        'their age on arrival counts. 0 disables', live=True, unit='ms', minimum=0.0)


@dataclass(frozen=True)
class OutputConfig:
    """Output besides the classification and its latency."""

    publish_debug_image: bool = parameter(
        True, 'draw label and dropped patches on debug_image; published only while subscribed to',
        live=True)
    debug_image_rate: float = parameter(
        5.0, 'maximum debug-image rate', live=True, unit='Hz', minimum=0.0, maximum=60.0,
        above_minimum=True)
    collect_dir: str = parameter(
        '', 'folder for pictures worth teaching, with their answers in answers.csv; '
        'ltp_teach --review sorts them. Pictures that ~/teach is given are kept there too, in '
        'taught/, by class. Empty: none are kept', path=True)
    collect_when: str = parameter(
        'never', "which pictures are kept in collect_dir: 'unsure' (best probability below 0.5, "
        "or nearly unknown), 'unknown' (to the taught classes), 'changed' (another label than "
        'before); one a second of each camera but for changes', live=True,
        choices=('never', 'unsure', 'unknown', 'changed'))
    collect_max_files: int = parameter(
        1000, 'most pictures in collect_dir; the oldest goes first. Those that were taught do not '
        'count', minimum=1, maximum=1_000_000)
    collect_max_mb: float = parameter(
        500.0, 'most megabytes of pictures in collect_dir', unit='MB', minimum=0.0,
        above_minimum=True)
    on_failure: str = parameter(
        'degrade', "when the model cannot be run in any way any more: 'degrade' releases it, and "
        "the node waits, unconfigured, for who manages it; 'exit' ends the process with code 1. "
        "When it hangs in an image: 'degrade' loads it anew beside the one that hangs, 'exit' "
        'ends the process',
        choices=('degrade', 'exit'))
    autostart: bool = parameter(
        True, 'configure and activate at startup; false: wait for a lifecycle manager')


@dataclass(frozen=True)
class Config:
    """All parameters; the names are unique over the groups, and flat in ROS."""

    classifier: ClassifierConfig = ClassifierConfig()
    tuner: TunerConfig = TunerConfig()
    input: InputConfig = InputConfig()
    output: OutputConfig = OutputConfig()


def snap(keep_ratio: float, keep_ratios: Sequence[float]) -> float:
    """Return the level of the ladder nearest to `keep_ratio`; the higher one of two as near."""
    # Rounded, because 0.95 lies a little nearer to 0.9 than to 1.0 in binary
    return min(keep_ratios, key=lambda level: (round(abs(level - keep_ratio), 9), -level))
