# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Teach classes from the pictures of the stream, in the gaps that its answers leave."""
import contextlib
import functools
import threading
from collections import deque
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any, Callable, Deque, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from ltp_ros.frames.pipeline import Pipeline
from ltp_ros.frames.processed import ProcessedFrame
from ltp_ros.frames.worker import Steps
from ltp_ros.region import Region, RegionError, region_of
from ltp_ros.teaching.classes import Classes
from ltp_ros.teaching.examples import NotTaughtError

INTERVAL_NS = 100_000_000  # of pictures that are taught: those of one moment teach the same
SHOW_EVERY_NS = 500_000_000  # while a class is taught
FIT_MS = 6.0               # what a head takes, about
KEPT_FRAMES = 30           # that `picture_of` can still find
KEPT_BYTES = 32 * 2 ** 20
RELEASED = 'the model was released before all was taught'

SpareTime = Callable[[Steps], 'futures.Future[None]']


class TeachingError(ValueError):
    """What cannot be taught or forgotten; the message says why."""


@dataclass
class Progress:
    """How far the teaching of a class has come."""

    label: str
    taught: int = 0      # pictures, by this session
    examples: int = 0    # pictures of the class in all
    accuracy: float = float('nan')  # of the class, if its pictures are left out
    confused_with: str = ''


@dataclass
class Session:
    """Pictures of a camera that are to be taught as one class, until `over`."""

    label: str
    topic: str  # '' for any
    region: Sequence[float] = ()  # in pixels: x, y, width, height; (): what is classified
    frames: int = 0  # at most; 0: any number
    progress: Progress = field(init=False)
    asked: int = 0  # pictures that are taught, or wait for a gap
    over: bool = False
    fault: str = ''
    last_ns: Optional[int] = None
    news: 'futures.Future[None]' = field(default_factory=futures.Future)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.progress = Progress(self.label)

    def tell(self) -> None:
        """Let whoever waits for news look at the progress; any thread may call this."""
        with self.lock:
            news, self.news = self.news, futures.Future()
        news.set_result(None)

    def end(self, fault: str = '') -> None:
        """Take no more pictures; `fault` says why, if that was not asked for."""
        self.fault, self.over = self.fault or fault, True
        self.tell()


class Teacher:
    """Runs pictures at every level of the ladder, and shows what was learnt to the classifier.

    All but `begin`, `end` and `close` is called in the thread of the pipeline.

    Args:
        pipeline: of the frames, whose classifier is taught.
        spare_time: does work in steps between the frames.
        on_change: called when the labels have changed.
        keep: called with the label of each picture that was taught, its frame and its pixels.
    """

    def __init__(self, pipeline: Pipeline, spare_time: SpareTime, on_change: Callable[[], None],
                 keep: Callable[[str, ProcessedFrame, np.ndarray], None]):
        self._pipeline, self._spare_time = pipeline, spare_time
        self._on_change, self._keep = on_change, keep
        self._sessions: List[Session] = []
        self._recent: Deque[ProcessedFrame] = deque()
        self._last: Dict[str, Dict[float, np.ndarray]] = {}  # features of the newest, by label
        self._shown_ns: Optional[int] = None

    @property
    def classes(self) -> Classes:
        """What was taught."""
        return self._pipeline.classifier.taught

    def begin(self, session: Session) -> None:
        """Teach the next pictures of the session's camera."""
        self._sessions.append(session)

    def end(self, session: Session) -> 'futures.Future[None]':
        """Take no more pictures for a session; the result comes when all is taught."""
        session.over = True
        with contextlib.suppress(ValueError):
            self._sessions.remove(session)
        return self._spare_time(self._settle())

    @property
    def teaching(self) -> bool:
        """Whether a session waits for pictures."""
        return bool(self._sessions)

    def close(self, reason: str) -> None:
        """End all sessions, since no more frames are answered, and forget those that were."""
        for session in list(self._sessions):
            session.end(reason)
        self._recent = deque()  # the old one may be in use in the other thread

    def offer(self, processed: ProcessedFrame) -> None:
        """Take a frame that was answered: for a session that waits for it, and for later."""
        self._remember(processed)
        for session in list(self._sessions):
            if session.topic in ('', processed.frame.topic) and self._wants(session, processed):
                try:
                    work = self.teach(processed, session)
                except TeachingError as error:
                    session.end(str(error))
                else:
                    work.add_done_callback(functools.partial(_tell_failure, session))

    def teach(self, processed: ProcessedFrame, session: Session) -> 'futures.Future[None]':
        """Teach a frame that was answered, as a picture of the session's class.

        Raises:
            TeachingError: if the session's region does not lie inside the picture.
        """
        rgb, features = _part(processed, session.region)
        # Its own region was looked at with the eyes of the stream; another is a picture by itself
        box = processed.prediction.box if features else self._pipeline.beside.box(rgb)
        session.asked += 1
        return self._spare_time(self._steps(session, processed, rgb, box, features))

    def picture_of(self, topic: str, stamp_ns: int,
                   stamp_of: Callable[[Any], int]) -> ProcessedFrame:
        """Return a frame that was answered lately.

        Args:
            topic: of its camera; '': any.
            stamp_ns: of its image; 0: the newest.
            stamp_of: returns the stamp of a message.

        Raises:
            TeachingError: if there is none.
        """
        kept = [each for each in self._recent if topic in ('', each.frame.topic)]
        if not kept:
            raise TeachingError(f'no image of {topic or "any camera"} was answered yet')
        if not stamp_ns:
            return kept[-1]
        stamps = [stamp_of(each.frame.message) for each in kept]
        if stamp_ns not in stamps:
            raise TeachingError(
                f'the image of {_seconds(stamp_ns)} is not kept; the stamps of those that are '
                f'begin at {_seconds(min(stamps))} and end at {_seconds(max(stamps))}. A stamp of '
                '0 takes the newest')
        return kept[stamps.index(stamp_ns)]

    def forget(self, label: str, last: bool = False) -> Steps:
        """Forget a class, or only the picture of it that was taught last, in steps.

        Raises:
            TeachingError: if there is nothing to forget.
        """
        try:
            if last:
                if label not in self._last:
                    raise TeachingError(
                        f'which picture of {label!r} was taught last is not known: none was since '
                        'the node came up or one was forgotten. Forget the class')
                self.classes.remove(label, self._last.pop(label))
            else:
                self.classes.forget(label)
                self._last.pop(label, None)
        except NotTaughtError as error:
            raise TeachingError(str(error)) from error
        yield from self._settle()

    def take(self, classes: Classes) -> None:
        """Put classes that were read, and settled, in the place of those that were taught."""
        classifier = self._pipeline.classifier
        before, classifier.taught = classifier.labels, classes
        self._last.clear()
        if classifier.labels != before:
            self._on_change()

    def judge(self, progress: Progress) -> None:
        """Look up how well a class is told from the others at the level in use."""
        progress.examples = self.classes.counts.get(progress.label, 0)
        head = self.classes.heads.get(self._pipeline.keep_ratio)
        if head is not None and progress.label in head.labels:
            progress.accuracy, progress.confused_with = head.own_accuracy(progress.label)

    def _wants(self, session: Session, processed: ProcessedFrame) -> bool:
        taken_ns = processed.frame.receive_ns
        if session.over or session.frames and session.asked >= session.frames:
            return False
        # One that waits for a gap is old before it is taught, and keeps the end waiting
        if session.asked > session.progress.taught or (
                session.last_ns is not None and taken_ns - session.last_ns < INTERVAL_NS):
            return False
        session.last_ns = taken_ns
        return True

    def _steps(self, session: Session, processed: ProcessedFrame, rgb: np.ndarray,
               box: Optional[Region], features: Dict[float, np.ndarray]) -> Steps:
        costs = self._pipeline.costs
        for keep_ratio in self.classes.keep_ratios:
            if keep_ratio not in features:
                yield costs[keep_ratio].p99_ms if keep_ratio in costs else 0.0
                features[keep_ratio] = self._pipeline.beside.classify_part(
                    rgb, keep_ratio, box).features
        self.classes.add(session.label, features)
        self.classes.ways.add(self._pipeline.config.classifier.zoom)
        self._last[session.label] = features
        self._keep(session.label, processed, rgb)
        session.progress.taught += 1
        if session.frames and session.progress.taught >= session.frames:
            session.over = True
        taken_ns = processed.frame.receive_ns
        if session.over or self._shown_ns is None or taken_ns - self._shown_ns > SHOW_EVERY_NS:
            self._shown_ns = taken_ns
            yield from self._settle()
        self.judge(session.progress)
        session.tell()

    def _settle(self) -> Iterator[float]:
        classes = self.classes
        # Not in a thread beside the frames: even one that yields to all makes one in fifty late
        for keep_ratio in classes.levels:
            yield FIT_MS
            classes.fit(keep_ratio)
        before = self._pipeline.classifier.labels
        classes.settle()
        if self._pipeline.classifier.labels != before:
            self._on_change()

    def _remember(self, processed: ProcessedFrame) -> None:
        recent = self._recent
        recent.append(processed)
        while len(recent) > KEPT_FRAMES or len(recent) > 1 and (
                sum(map(_size_of, recent)) > KEPT_BYTES):
            recent.popleft()


def _size_of(processed: ProcessedFrame) -> int:
    """Return the bytes that a frame holds at most: of its message, and of its pixels beside it."""
    return processed.rgb.nbytes + len(getattr(processed.frame.message, 'data', ()))


def _tell_failure(session: Session, work: 'futures.Future[None]') -> None:
    """End a session whose picture could not be taught: it would wait for it for ever."""
    if work.cancelled():
        session.end(RELEASED)
    elif work.exception() is not None:
        session.end(f'a picture cannot be taught: {work.exception()}')


def _part(processed: ProcessedFrame, region: Sequence[float]
          ) -> Tuple[np.ndarray, Dict[float, np.ndarray]]:
    """Return the pixels that are taught, and the features that are known of them already."""
    prediction = processed.prediction
    if not any(region):
        return processed.rgb[processed.region.slices], {
            prediction.keep_ratio: prediction.features}
    try:
        found: Region = region_of(_in_pixels(region), *processed.rgb.shape[:2])
    except RegionError as error:
        raise TeachingError(str(error)) from error
    return processed.rgb[found.slices], {}


def _in_pixels(region: Sequence[float]) -> Sequence[float]:
    if min(region[2:]) < 2:
        raise TeachingError(f'the region {list(map(int, region))} is smaller than 2x2 pixels')
    return region


def _seconds(stamp_ns: int) -> str:
    return f'{stamp_ns // 1_000_000_000}.{stamp_ns % 1_000_000_000:09}'
