# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`Mailbox`: the newest frame of each camera, taken in turn, every drop counted by its reason."""
import math
import threading
from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from typing import Any, DefaultDict, Deque, Dict, List, Optional

from ltp_ros.frames.latency import NS_PER_MS
from ltp_ros.frames.rate_limit import RateLimit

ARRIVALS = 10  # frames that the period is taken from: a third of a second at 30 Hz
DROP_REASONS = ('superseded', 'rate', 'too old', 'late', 'bad stamp', 'undecodable', 'roi',
                'failed', 'inactive')


@dataclass(frozen=True)
class Frame:
    """One image as it came in."""

    topic: str
    message: Any  # opaque to the core; the pipeline is given a function that decodes it
    receive_ns: int  # monotonic clock
    age_at_receive_ms: float  # receive - stamp; NaN where the stamp is unusable
    simulated: bool = False  # that age is of simulated time

    def counted_age_ms(self, deadline_from: str) -> float:
        """Return how much of its budget was gone when it arrived; see `TunerConfig`."""
        if deadline_from == 'receive' or self.simulated or math.isnan(self.age_at_receive_ms):
            return 0.0
        return self.age_at_receive_ms


@dataclass(frozen=True)
class Counts:
    """What became of the frames of one camera, or of all, at one moment."""

    received: int
    published: int
    dropped: Dict[str, int]  # by reason

    def __add__(self, other: 'Counts') -> 'Counts':
        return Counts(self.received + other.received, self.published + other.published,
                      {reason: self.dropped[reason] + other.dropped[reason]
                       for reason in DROP_REASONS})


NOTHING = Counts(0, 0, dict.fromkeys(DROP_REASONS, 0))


class Mailbox:
    """Hand the newest frame of each camera from the receiving thread to the working one.

    An older frame that still waits is superseded: a queue would only add to the age of what is
    published. Cameras take turns, so a fast one cannot starve a slow one.

    At any time received = published + dropped + waiting + in work, for each camera.

    Args:
        max_rate: images of each camera that are handed on in a second, at most; 0: no limit.
            Replace the attribute to change it from the next image on.
    """

    def __init__(self, max_rate: float = 0.0) -> None:
        self.max_rate = max_rate
        self._limits: DefaultDict[str, RateLimit] = defaultdict(RateLimit)
        self._condition = threading.Condition()
        self._waiting: Dict[str, Frame] = {}
        self._turns: Deque[str] = deque()  # the camera served longest ago comes first
        self._arrivals_ns: Deque[int] = deque(maxlen=ARRIVALS)
        self._closed = self._woken = False
        self._expected: List[str] = []  # topics
        self.received: Counter = Counter()  # by topic
        self.published: Counter = Counter()  # by topic
        self.dropped: Counter = Counter()  # by (topic, reason)
        self._dropped_since_last: Counter = Counter()  # by topic

    def expect(self, topic: str) -> None:
        """Count the frames of a topic from now on, even while there are none."""
        with self._condition:
            if topic not in self._expected:
                self._expected.append(topic)

    def put(self, frame: Frame) -> None:
        """Leave a frame; it replaces an older one of its camera that was not taken yet."""
        self.expect(frame.topic)
        with self._condition:
            self.received[frame.topic] += 1
            if self._closed:
                self._count_drop(frame.topic, 'inactive')
                return
            if self._limits[frame.topic].admits(frame.receive_ns, self.max_rate):
                self._arrivals_ns.append(frame.receive_ns)
            elif frame.topic not in self._waiting:
                self._count_drop(frame.topic, 'rate')
                return
            if frame.topic in self._waiting:  # its place, which a newer one may have in any case
                self._count_drop(frame.topic, 'superseded')
            if frame.topic not in self._turns:
                self._turns.append(frame.topic)
            self._waiting[frame.topic] = frame
            self._condition.notify()

    def take(self, timeout_s: Optional[float] = None) -> Optional[Frame]:
        """Wait for a frame and return it; None if `wake` or the end came first, or once closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._waiting or self._woken or self._closed,
                                     timeout_s)
            self._woken = False
            if not self._waiting:
                return None
            topic = next(topic for topic in self._turns if topic in self._waiting)
            self._turns.remove(topic)
            self._turns.append(topic)
            return self._waiting.pop(topic)

    def mark_dropped(self, frame: Frame, reason: str) -> None:
        """Count a taken frame that was given up, for one of DROP_REASONS."""
        if reason not in DROP_REASONS:
            raise ValueError(f'{reason!r} is not a reason; expected one of {DROP_REASONS}')
        with self._condition:
            self._count_drop(frame.topic, reason)

    def mark_published(self, frame: Frame) -> int:
        """Count a taken frame that was answered; return the camera's drops since its last one."""
        with self._condition:
            self.published[frame.topic] += 1
            return self._dropped_since_last.pop(frame.topic, 0)

    @property
    def period_ms(self) -> float:
        """Milliseconds from one frame of any camera to the next, lately; inf where not known.

        Those that `max_rate` leaves out cost no time, and do not count.
        """
        with self._condition:
            span_ns = self._arrivals_ns[-1] - self._arrivals_ns[0] if self._arrivals_ns else 0
            return span_ns / (len(self._arrivals_ns) - 1) / NS_PER_MS if span_ns > 0 else math.inf

    @property
    def next_ns(self) -> Optional[int]:
        """When the next frame came or is to come, on the clock of `Frame.receive_ns`.

        None if none is known to come.
        """
        with self._condition:
            if self._waiting:
                return min(frame.receive_ns for frame in self._waiting.values())
            last_ns = self._arrivals_ns[-1] if self._arrivals_ns else None
        period_ms = self.period_ms
        if last_ns is None or math.isinf(period_ms):
            return None
        return last_ns + int(period_ms * NS_PER_MS)

    def counts(self) -> Counts:
        """Return the counters over all cameras."""
        return sum(self.counts_by_camera().values(), NOTHING)

    def counts_by_camera(self) -> Dict[str, Counts]:
        """Return the counters of every camera that is expected, all of the same moment."""
        with self._condition:
            return {topic: Counts(self.received[topic], self.published[topic],
                                  {reason: self.dropped[topic, reason]
                                   for reason in DROP_REASONS})
                    for topic in self._expected}

    def discard(self) -> None:
        """Give up the frames that wait, counted as inactive; the pause after it is no period."""
        with self._condition:
            self._arrivals_ns.clear()
            for topic in list(self._waiting):
                del self._waiting[topic]
                self._count_drop(topic, 'inactive')

    def wake(self) -> None:
        """Let `take` wait no longer for a frame: there is other work."""
        with self._condition:
            self._woken = True
            self._condition.notify()

    @property
    def closed(self) -> bool:
        """Whether no frame will be handed out any more."""
        return self._closed

    def close(self) -> None:
        """Discard waiting and future frames; wake the thread that waits for one."""
        with self._condition:
            self._closed = True
            self.discard()
            self._condition.notify_all()

    def _count_drop(self, topic: str, reason: str) -> None:
        self.dropped[topic, reason] += 1
        self._dropped_since_last[topic] += 1
