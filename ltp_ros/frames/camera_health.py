# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`CameraHealth`: the status of one camera, by all that came from it since the last report."""
import math
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from typing import Deque, Dict, Iterable, Iterator, List, Tuple

from ltp_ros.files import plain
from ltp_ros.frames.crops import Crops
from ltp_ros.frames.latency import NO_CLOCK, NS_PER_MS, StampClock
from ltp_ros.frames.mailbox import Counts
from ltp_ros.frames.status import FEWEST, SILENT_AFTER_S, Severity, Status, number

UNUSABLE = ('undecodable', 'bad stamp', 'too old', 'roi')  # drops that the camera's images cause
# Shares of the images at which something begins to be told, and below which it is over
MANY, FEW = 0.1, 0.05
ALL, NOT_ALL = 1.0, 0.9
MOST, HARDLY_ANY = 0.5, 0.25


@dataclass
class CameraFeed:
    """What its subscription knows of a camera; for the executor's thread alone."""

    topic: str
    encoding: str = ''  # of the newest image; for a compressed one its format
    age_ms: float = math.nan  # on arrival
    receive_ns: int = 0
    simulated: bool = False  # the age is of simulated time
    incompatible_qos: str = ''  # the policy, until an image comes
    silent_because: str = ''  # as far as can be seen, until an image comes
    unpaired_because: str = ''  # its images come, and no boxes for them
    stamps: StampClock = field(default_factory=StampClock)


class Latch:
    """A condition that begins at one share and ends below another, so that it does not flicker."""

    def __init__(self, begin: float, end: float):
        self._begin, self._end = begin, end
        self.on = False

    def update(self, share: float) -> bool:
        """Return whether the condition holds, now that its share is this."""
        self.on = share >= (self._end if self.on else self._begin)
        return self.on


class CameraHealth:
    """Judge one camera, steadily: by all images since the report before, and by at least five.

    Args:
        feed: what the subscription knows.
        counts: so far.
        start_ns: now; what was before is neither a rate nor silence.
    """

    def __init__(self, feed: CameraFeed, counts: Counts, start_ns: int):
        self.feed = feed
        self._counts, self._faults = counts, Counter(feed.stamps.faults)
        self._reported_ns = self._changed_ns = start_ns
        self._outcomes: Deque[Counter] = deque()  # one per report
        self._stamps: Deque[Counter] = deque()
        self._pictures: Deque[Counter] = deque([Counter()])
        self._many_dropped, self._all_dropped = Latch(MANY, FEW), Latch(ALL, NOT_ALL)
        self._many_stamps = Latch(MANY, FEW)
        self._most_pictures: Dict[str, Latch] = defaultdict(lambda: Latch(MOST, HARDLY_ANY))
        self._boxes: Counter = Counter()  # so far, where a detector gives them
        self._why = ''  # the newest image was dropped
        self._size = ''

    def add_picture(self, faults: Iterable[str], size: str) -> None:
        """Note the faults and the size of a picture that was answered."""
        self._size = size
        self._pictures[-1].update(['all', *faults])

    def add_drop(self, why: str) -> None:
        """Note the sentence on an image that was dropped."""
        self._why = why

    def add_boxes(self, crops: Crops) -> None:
        """Note what became of the boxes of an image."""
        self._boxes.update({'boxes': len(crops.boxes), 'boxes answered': crops.answered,
                            'boxes shed': crops.shed, 'boxes without pixels': crops.useless})

    def report(self, counts: Counts, now_ns: int, paused: bool) -> Status:
        """Return the status.

        Args:
            counts: so far.
            now_ns: rates are over the time since the last call.
            paused: a simulation, and all cameras with it; then silence is no fault.
        """
        new = counts.received - self._counts.received
        if new or paused:
            self._changed_ns = now_ns
        self._remember(counts, new)
        rate = new / max(now_ns - self._reported_ns, 1) * 1e9
        self._counts, self._reported_ns = counts, now_ns
        level, message = self._judge(now_ns, paused)
        status = Status(f'camera {self.feed.topic}', level, message, {
            'topic': self.feed.topic, **input_values(rate, counts),
            'stamp faults': str(sum(self._faults.values())),
            **{f'stamp faults ({kind})': str(count) for kind, count in self._faults.items()},
            **{kind: str(count) for kind, count in self._boxes.items()},
            'encoding': plain(self.feed.encoding) or 'n/a', 'size': self._size or 'n/a',
            'image_age_ms': number(self._age_ms(now_ns)),
            'incompatible QoS': self.feed.incompatible_qos or 'none',
            'picture': ', '.join(self._picture_faults()) or ('ok' if self._size else 'n/a'),
        }, hardware=self.feed.topic)
        self._pictures.append(Counter())
        return status

    def _remember(self, counts: Counts, new: int) -> None:
        outcomes = Counter({reason: counts.dropped[reason] - self._counts.dropped[reason]
                            for reason in UNUSABLE})
        outcomes['all'] = sum(outcomes.values()) + counts.published - self._counts.published
        faults = Counter(self.feed.stamps.faults)
        stamps = faults - self._faults
        stamps['all'] = new
        self._faults = faults
        self._outcomes.append(outcomes)
        self._stamps.append(stamps)
        for window in (self._outcomes, self._stamps, self._pictures):
            while sum(of['all'] for of in list(window)[1:]) >= FEWEST:
                window.popleft()
        pictures = sum(self._pictures, Counter())
        for fault in {*pictures, *self._most_pictures} - {'all'}:
            self._most_pictures[fault].update(pictures[fault] / pictures['all'])

    def _judge(self, now_ns: int, paused: bool) -> Tuple[Severity, str]:
        topic, silent_s = self.feed.topic, (now_ns - self._changed_ns) / 1e9
        if self.feed.incompatible_qos:
            return Severity.WARN, (
                f'a publisher on {topic} offers a QoS that does not match '
                f'({self.feed.incompatible_qos}); set image_reliability:=best_effort')
        if silent_s > SILENT_AFTER_S:
            if self.feed.unpaired_because:
                return Severity.WARN, self.feed.unpaired_because
            cause = self.feed.silent_because or 'ltp_doctor looks for the cause'
            return Severity.WARN, f'no image for {silent_s:.0f} s on {topic}; {cause}'
        if paused:
            return Severity.OK, 'simulated time stands still'
        if not self._counts.received:
            return Severity.OK, 'waiting for images'
        faults = list(self._faults_of_images())
        if not faults:
            return Severity.OK, 'receiving images'
        return max(level for level, _ in faults), '; '.join(sentence for _, sentence in faults)

    def _faults_of_images(self) -> Iterator[Tuple[Severity, str]]:
        topic = self.feed.topic
        dropped, share = _share(self._outcomes, UNUSABLE)
        everything = self._all_dropped.update(share)
        if self._many_dropped.update(share):
            yield (Severity.ERROR if everything else Severity.WARN,
                   f'{100 * share:.0f} % of the images on {topic} are dropped '
                   f'({", ".join(dropped)}), the newest because {self._why}')
        faulty, share = _share(self._stamps, [kind for kind in self._faults if kind != NO_CLOCK])
        if self._many_stamps.update(share) and 'bad stamp' not in dropped:
            yield Severity.WARN, (
                f'{100 * share:.0f} % of the stamps on {topic} are unusable '
                f'({", ".join(faulty)}): latencies and the deadline count from arrival')
        faults = self._picture_faults()
        if faults:
            yield Severity.WARN, (f'the images on {topic} are {" and ".join(faults)}; ltp_doctor '
                                  'shows what the model sees')

    def _picture_faults(self) -> List[str]:
        """Return the faults that most of the newest pictures have."""
        return [fault for fault, latch in self._most_pictures.items() if latch.on]

    def _age_ms(self, now_ns: int) -> float:
        if self.feed.simulated:  # the time since has passed on another clock
            return self.feed.age_ms
        return self.feed.age_ms + (now_ns - self.feed.receive_ns) / NS_PER_MS


def input_values(rate_hz: float, counts: Counts) -> Dict[str, str]:
    """Return what became of the images, as values of a status."""
    return {'rate (Hz)': f'{rate_hz:.1f}', 'received': str(counts.received),
            'published': str(counts.published),
            **{f'dropped ({reason})': str(count) for reason, count in counts.dropped.items()}}


def _share(window: Iterable[Counter], kinds: Iterable[str]) -> Tuple[List[str], float]:
    """Return which of these kinds there were, and their share of 'all'."""
    total = sum(window, Counter())
    found = [kind for kind in kinds if total[kind]]
    return found, min(sum(total[kind] for kind in found) / max(total['all'], 1), 1.0)
