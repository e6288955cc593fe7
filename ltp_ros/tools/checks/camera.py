# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What a camera's topic tells: its publishers, QoS, rate, losses, stamps, encoding and size."""
import difflib
import math
from dataclasses import dataclass, field
from statistics import median
from typing import Dict, List, Optional, Sequence, Tuple

from ltp_ros.files import some_of
from ltp_ros.frames.encodings import LAYOUTS, ImageError, layout_of
from ltp_ros.frames.latency import NS_PER_MS, StampClock
from ltp_ros.tools.checks.finding import Finding, Level, skipped

RAW, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
SUFFIX = '/compressed'
SLOW_HZ = 5.0
OLD_MS = 1_000.0  # a stamp's age; more is no transport
LOST = 0.5  # share of the images; a busy machine loses fewer
FEWEST = 4  # images that losses are judged by
SMALL = 0.5  # of the model's input


@dataclass(frozen=True)
class Publisher:
    """One publisher of a topic."""

    node: str  # full name
    message_type: str
    best_effort: bool


@dataclass(frozen=True)
class Arrival:
    """One image, without its pixels; times in nanoseconds."""

    stamp_ns: int
    now_ns: int  # on the clock of the stamps
    received_ns: int  # monotonic
    step_ms: Optional[float] = None  # of a simulated clock


@dataclass(frozen=True)
class Camera:
    """All that was seen of a camera in `seconds`."""

    topic: str  # as subscribed to, with /compressed if so
    seconds: float
    publishers: Sequence[Publisher] = ()
    arrivals: Sequence[Arrival] = ()
    wants_reliable: bool = False  # the node's subscription
    encoding: str = ''  # of the newest image; the format, if compressed
    size: Tuple[int, int] = (0, 0)  # height, width in pixels
    fault: str = ''  # why the newest image cannot be decoded
    images: Dict[str, List[str]] = field(default_factory=dict)  # types of every topic of images

    @property
    def message_type(self) -> str:
        """The type that is subscribed to."""
        return COMPRESSED if self.topic.endswith(SUFFIX) else RAW


def judge_camera(camera: Camera, domain: str) -> List[Finding]:
    """Return the findings on one camera.

    Args:
        camera: as it was seen.
        domain: ROS_DOMAIN_ID, for the remedy where nothing is found.
    """
    name = f'camera {camera.topic}'
    fitting = [publisher for publisher in camera.publishers
               if publisher.message_type == camera.message_type]
    if not fitting:
        return [Finding(name, Level.ERROR, *_no_publisher(camera, domain))]
    findings = [_qos(name, camera, fitting)]
    if not camera.arrivals:
        return [*findings, Finding(
            name, Level.ERROR, f'no image in {camera.seconds:.0f} s, though '
            f'{some_of(publisher.node for publisher in fitting)} publishes',
            'check that the camera runs (its log, its cable); that its process has the Fast DDS '
            'profile; across machines, that UDP multicast and fragments pass the firewall')]
    return [*findings, *_rate(name, camera), _stamps(name, camera)]


def _no_publisher(camera: Camera, domain: str) -> Tuple[str, str]:
    base = camera.topic[:-len(SUFFIX)] if camera.topic.endswith(SUFFIX) else camera.topic
    other = base if camera.topic.endswith(SUFFIX) else base + SUFFIX
    if camera.publishers:
        found = camera.publishers[0]
        return (f'{found.node} publishes {found.message_type} there, not {camera.message_type}',
                'give a topic of images in image_topics: the base topic, without /compressed')
    if other in camera.images:
        transport = 'raw' if camera.topic.endswith(SUFFIX) else 'compressed'
        return (f'it has no publisher, but {other} has', f'set image_transport:={transport}')
    if not camera.images:
        return ('it has no publisher, and no other topic has images',
                f"start the camera's driver; it must have this ROS_DOMAIN_ID ({domain or 0}), "
                'this middleware and these discovery settings')
    bases = {topic[:-len(SUFFIX)] if topic.endswith(SUFFIX) else topic: topic
             for topic in camera.images}
    near = difflib.get_close_matches(base, bases, n=3, cutoff=0.3) or sorted(bases)
    return (f'it has no publisher; topics with images: {some_of(near)}',
            f"set image_topics:='[{near[0]}]'" + (
                '' if COMPRESSED not in camera.images[bases[near[0]]]
                else ' image_transport:=compressed'))


def _qos(name: str, camera: Camera, fitting: Sequence[Publisher]) -> Finding:
    best_effort = [publisher.node for publisher in fitting if publisher.best_effort]
    if camera.wants_reliable and best_effort:
        return Finding(f'{name} QoS', Level.ERROR,
                       f'{some_of(best_effort)} publishes best effort and the node asks for '
                       'reliable: it gets no image', 'set image_reliability:=best_effort')
    return Finding(f'{name} QoS', Level.OK,
                   f'{some_of(publisher.node for publisher in fitting)} publishes '
                   f'{"best effort" if best_effort else "reliable"}, the node asks for '
                   f'{"reliable" if camera.wants_reliable else "best effort"}')


def _rate(name: str, camera: Camera) -> List[Finding]:
    check = f'{name} rate'
    if len(camera.arrivals) < 2:
        return [Finding(check, Level.WARN, f'one image in {camera.seconds:.1f} s',
                        _slow_remedy())]
    period_ns, share = _period_and_loss(camera.arrivals)
    rate = 1e9 / period_ns
    findings = [Finding(check, Level.OK, f'{rate:.1f} Hz') if rate >= SLOW_HZ else Finding(
        check, Level.WARN, f'{rate:.1f} Hz, and answers come no faster', _slow_remedy())]
    if len(camera.arrivals) >= FEWEST and share > LOST:
        findings.append(Finding(
            f'{name} losses', Level.WARN,
            f'about {share:.0%} of its images were lost on the way',
            'give its process the Fast DDS profile (see the finding on it); on a network, publish '
            'compressed images'))
    return findings


def _slow_remedy() -> str:
    return ('raise the frame rate in the driver; in dim light set a fixed exposure time; on USB 2 '
            'choose MJPEG or a smaller size')


def _period_and_loss(arrivals: Sequence[Arrival]) -> Tuple[float, float]:
    """Return the period [ns] of a camera and the share of its images that did not come.

    By the stamps where they advance, for they do not depend on how busy this process is. Losses
    make gaps longer, never shorter, so the period is that of the shorter ones.
    """
    stamps = sorted({arrival.stamp_ns for arrival in arrivals})
    believable = len(stamps) == len(arrivals) and stamps[0] > 0
    times = stamps if believable else sorted(arrival.received_ns for arrival in arrivals)
    gaps = sorted(later - earlier for earlier, later in zip(times, times[1:]))
    period = max(gaps[len(gaps) // 4] if believable else (times[-1] - times[0]) / len(gaps), 1)
    due = (times[-1] - times[0]) / period + 1
    return period, max(1 - len(times) / due, 0.0)


def _stamps(name: str, camera: Camera) -> Finding:
    check = f'{name} stamps'
    clock = StampClock()
    ages, faults = [], []
    for arrival in camera.arrivals:
        age_ms, fault = clock.age_ms(arrival.stamp_ns, arrival.now_ns, arrival.step_ms)
        if fault:
            faults.append(fault)
        else:
            ages.append(age_ms)
    if 2 * len(faults) > len(camera.arrivals):
        offset_ms = median((arrival.now_ns - arrival.stamp_ns) / NS_PER_MS
                           for arrival in camera.arrivals)
        if min(arrival.stamp_ns for arrival in camera.arrivals) <= 0:
            remedy = 'have the driver stamp its images (header.stamp)'
        else:
            remedy = ("set the clock of the camera's machine (chrony, or PTP), and let its driver "
                      "stamp with the system's time; in a bag, ros2 bag play --clock with "
                      'use_sim_time:=true')
        return Finding(check, Level.WARN, f'they cannot be used: {faults[-1]}'
                       + (f' (clock offset {_duration(offset_ms)})'
                          if camera.arrivals[-1].stamp_ns > 0 else ''), remedy
                       + '. Until then the node counts from arrival')
    age_ms = median(ages) if ages else math.nan
    if age_ms > OLD_MS:
        return Finding(check, Level.WARN, f'images arrive {_duration(age_ms)} old',
                       "compare the clocks of the two machines (chrony); shorten the driver's "
                       'queue; or set deadline_from:=receive')
    return Finding(check, Level.OK, f'images arrive {age_ms:.0f} ms old')


def _duration(ms: float) -> str:
    seconds = abs(ms) / 1e3
    text = (f'{seconds:.1f} s' if seconds < 120 else f'{seconds / 60:.0f} min' if seconds < 7200
            else f'{seconds / 3600:.1f} h' if seconds < 172800 else f'{seconds / 86400:.0f} days')
    return f'-{text}' if ms < 0 else text


def judge_image(camera: Camera, input_side: int) -> List[Finding]:
    """Return whether the newest image can be decoded, and is large enough for the model.

    Args:
        camera: that has sent an image.
        input_side: pixels of the model's input; 0: not known.
    """
    check = f'camera {camera.topic} image'
    if not camera.encoding and not camera.fault:
        return [skipped(check, 'there is no image')]
    if camera.fault:
        return [Finding(check, Level.ERROR, f'it cannot be decoded: {camera.fault}',
                        'have the driver publish rgb8 or bgr8, and give the topic of the colour '
                        'image')]
    height, width = camera.size
    message = f'{width}x{height} {camera.encoding}'
    if not camera.topic.endswith(SUFFIX):
        try:
            grey = layout_of(camera.encoding) in (LAYOUTS['mono8'], LAYOUTS['mono16'])
        except ImageError:  # told above
            grey = False
        message += ': grey, and a model that knows colours is right less often' if grey else ''
    if min(height, width) < SMALL * input_side:
        return [Finding(check, Level.WARN, f'{message}: less than half the {input_side} pixels '
                        'that the model is given', 'choose a larger size in the driver')]
    return [Finding(check, Level.OK, message)]
