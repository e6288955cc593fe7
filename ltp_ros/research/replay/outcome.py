# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What became of an image, as a line of text that holds every number to the last bit."""
import json
from dataclasses import astuple, dataclass, fields, replace
from typing import Optional, Sequence, Tuple

from ltp_ros.frames.latency import FrameLatency
from ltp_ros.frames.processed import ProcessedFrame
from ltp_ros.region import Region
from ltp_ros.research.replay.bag_images import BagImage, Header


@dataclass(frozen=True)
class Answer:
    """The fields of Classification.msg after header and topic."""

    model: str
    labels: Tuple[str, ...]  # best first
    class_ids: Tuple[int, ...]
    scores: Tuple[float, ...]
    keep_ratio: float
    tokens_kept: int
    tokens_total: int
    unknown: float
    known: bool
    region: Region
    picture_faults: int


ANSWER = tuple(each.name for each in fields(Answer))


@dataclass(frozen=True)
class Outcome:
    """What became of one image."""

    number: int  # of the image, see `BagImage`
    topic: str  # of the camera
    record_ns: int
    header: Optional[Header]  # None: the message is damaged
    reason: str = ''  # why there is no answer, one of `mailbox.DROP_REASONS`
    detail: str = ''
    answer: Optional[Answer] = None
    latency: Optional[FrameLatency] = None
    readings: Tuple[int, ...] = ()  # of the clock, see `ReplayClock.end`

    @property
    def name(self) -> str:
        """How to call the image."""
        return f'message {self.number} on {self.topic}'


def dropped(image: BagImage, reason: str, detail: str = '') -> Outcome:
    """Return the outcome of an image without an answer."""
    return Outcome(image.number, image.topic, image.record_ns, image.header, reason, detail)


def answered(processed: ProcessedFrame, latency: FrameLatency) -> Outcome:
    """Return the outcome of an image that was answered."""
    image: BagImage = processed.frame.message
    prediction = processed.prediction
    return replace(dropped(image, ''), latency=latency, answer=Answer(
        model=prediction.model, labels=prediction.labels, class_ids=prediction.class_ids,
        scores=prediction.scores, keep_ratio=prediction.keep_ratio,
        tokens_kept=prediction.num_keep, tokens_total=prediction.num_patches,
        unknown=float(prediction.unknown), known=bool(prediction.known),
        region=prediction.seen.moved(processed.region), picture_faults=int(processed.faults)))


def to_line(outcome: Outcome) -> bytes:
    """Return an outcome as a line of JSON. Python writes a float so that it is read as it was."""
    answer, latency = outcome.answer, outcome.latency
    return json.dumps([
        outcome.number, outcome.topic, outcome.record_ns, outcome.header, outcome.reason,
        outcome.detail, answer and astuple(answer), latency and astuple(latency),
        outcome.readings], separators=(',', ':')).encode() + b'\n'


def from_line(line: bytes) -> Outcome:
    """Return the outcome of a line of `to_line`.

    Raises:
        ValueError, TypeError: if it is none.
    """
    number, topic, record_ns, header, reason, detail, answer, latency, readings = json.loads(line)
    return Outcome(number, topic, record_ns, header and Header(*header), reason, detail,
                   answer and _answer(answer), latency and FrameLatency(*latency),
                   tuple(readings))


def _answer(values: Sequence) -> Answer:
    found = dict(zip(ANSWER, values))
    found.update({name: tuple(found[name]) for name in ('labels', 'class_ids', 'scores')})
    return Answer(**{**found, 'region': Region(*found['region'])})
