# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Hostile images through decoder and pipeline, in a process of its own that may crash or hang."""
import base64
import contextlib
import json
import math
import multiprocessing
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Callable, Dict, List, Optional, cast

import numpy as np

from ltp_ros.classifier import Classifier
from ltp_ros.config import Config
from ltp_ros.frames.decoding import CompressedImage, RawImage, decode
from ltp_ros.frames.drops import FrameDropped
from ltp_ros.frames.encodings import ImageError
from ltp_ros.frames.mailbox import Counts, Frame, Mailbox
from ltp_ros.frames.pipeline import Pipeline
from ltp_ros.machine import resident_mib
from ltp_ros.prediction import Prediction
from ltp_ros.research.hostile import HostileImage, Image, hostile_image
from ltp_ros.tuner.levels import LevelCost

SLOW_S = 1.0
HUNG_AFTER_S = 30.0
MAX_FAULTS = 20
REPORT_EVERY_S = 1.0
WARM_IMAGES = 3000  # until the allocator has what it needs
_TOPICS = ('front', 'rear')


@dataclass
class PartReport:
    """What came of one part of a run."""

    figures: Dict[str, float]
    counts: Dict[str, int]
    memory_mib: List[float]  # one a second
    faults: List[str]

    @property
    def memory_growth(self) -> Optional[float]:
        """By which share the last quarter of the samples is more than the first."""
        quarter = len(self.memory_mib) // 4
        if not quarter:
            return None
        return float(np.median(self.memory_mib[-quarter:]) /
                     np.median(self.memory_mib[:quarter])) - 1


@dataclass
class Fault:
    """Something that broke."""

    number: int  # of the image
    sentence: str


@dataclass
class Tally:
    """What became of the images so far."""

    images: int = 0
    outcomes: Counter = field(default_factory=Counter)  # by 'kind: outcome'
    slowest_s: float = 0.0
    slowest_number: int = -1
    memory_mib: List[float] = field(default_factory=list)  # one a second
    counts: Dict[str, int] = field(default_factory=dict)  # of the mailbox
    faults: List[Fault] = field(default_factory=list)

    def note(self, number: int, sentence: str) -> None:
        """Note a fault."""
        self.faults.append(Fault(number, sentence))


class Trial:
    """A mailbox and a pipeline whose classifier recognises what it is shown."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.mailbox = Mailbox()
        self.seen = np.zeros((0, 0, 3), np.uint8)
        # A model would take a hundred times as long
        self._pipeline = Pipeline(cast(Classifier, self), [LevelCost(1.0, 1.0, 1.0)],
                                  self.mailbox, self._decode, time.monotonic_ns, Config())

    def may_zoom(self, wanted: bool) -> bool:
        """Return that it looks at the whole."""
        return False

    def zooms(self, keep_ratio: float, wanted: bool) -> bool:
        """Return that it looks at the whole."""
        return False

    def classify(self, rgb: np.ndarray, *_: object, **__: object) -> Prediction:
        """Remember the picture."""
        self.seen = rgb
        return Prediction((), (), (), 1.0, 1, 1, np.zeros(1, np.int64))

    def _decode(self, image: object) -> np.ndarray:
        started = time.perf_counter()
        try:
            rgb = decode(image)  # type: ignore[arg-type]
        finally:
            self.seconds = time.perf_counter() - started
        if rgb.dtype != np.uint8 or rgb.shape[2:] != (3,) or not rgb.flags.c_contiguous:
            raise AssertionError(f'decoded to {rgb.dtype} {rgb.shape}')
        return rgb

    def show(self, number: int, hostile: HostileImage) -> None:
        """Put an image through the pipeline; every eleventh is superseded before it is taken."""
        topic = _TOPICS[number // 3 % 2]
        self.mailbox.put(Frame(topic, hostile.image, time.monotonic_ns(), math.nan))
        self.tally.images += 1
        if number % 11 == 0:
            return
        outcome = ''
        for _ in range(len(_TOPICS)):  # the other camera may have one that waits
            frame = self._pipeline.take()
            assert frame is not None
            try:
                self._pipeline.finish(self._pipeline.process(frame))
                outcome = 'decoded'
            except FrameDropped as drop:
                outcome = drop.reason
            except Exception as error:  # noqa: BLE001  whatever it is, it is what is looked for
                outcome = type(error).__name__
                self.tally.note(number, f'{outcome}: {error}')
                self.mailbox.mark_dropped(frame, 'failed')
            if frame.message is hostile.image:
                break
        self.tally.outcomes[f'{hostile.kind}: {outcome}'] += 1
        if hostile.picture is not None and (outcome != 'decoded' or
                                            not np.array_equal(self.seen, hostile.picture)):
            self.tally.note(number, f'a good image was {outcome}, or another picture was seen')
        if self.seconds > max(self.tally.slowest_s, 0.02):
            self._time(number, hostile.image)

    def _time(self, number: int, image: Image) -> None:
        """Decode a slow image again, and count the time of the process: the machine is shared."""
        started = time.process_time()
        with contextlib.suppress(ImageError):
            self._decode(image)
        seconds = time.process_time() - started
        if seconds > self.tally.slowest_s:
            self.tally.slowest_s, self.tally.slowest_number = seconds, number
        if seconds > SLOW_S:
            self.tally.note(number, f'it took {seconds:.1f} s')

    def check(self, number: int) -> Counts:
        """Return the counters, having checked that they account for every image."""
        self.mailbox.discard()
        counts = self.mailbox.counts()
        if counts.received != self.tally.images or (
                counts.received != counts.published + sum(counts.dropped.values())):
            self.tally.note(number, f'images are lost: {counts}')
        return counts


def _work(seed: int, most: int, seconds: float, at: 'Synchronized[int]',
          reports: Connection) -> None:
    trial, told = Trial(), time.monotonic()
    ends = told + seconds
    for number in range(most):
        at.value = number
        trial.show(number, hostile_image(seed, number))
        if time.monotonic() - told > REPORT_EVERY_S or len(trial.tally.faults) >= MAX_FAULTS:
            told = time.monotonic()
            if number > WARM_IMAGES:
                trial.tally.memory_mib.append(resident_mib())
            reports.send(trial.tally)
            if told > ends or len(trial.tally.faults) >= MAX_FAULTS:
                break
    counts = trial.check(at.value)
    trial.tally.counts = {'received': counts.received, 'published': counts.published,
                          **counts.dropped}
    reports.send(trial.tally)
    reports.close()


def fuzz_pipeline(seed: int, most: int, seconds: float, advance: Callable[[int], None]) -> Tally:
    """Show hostile images to a decoder and a pipeline; a crash or a hang is a fault of the image.

    Args:
        seed: of the images.
        most: their number.
        seconds: after which it ends in any case.
        advance: called about once a second with the number of images so far.
    """
    spawn = multiprocessing.get_context('spawn')
    at = spawn.Value('q', -1, lock=False)
    reports, sender = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_work, args=(seed, most, seconds, at, sender),
                            daemon=True)
    process.start()
    sender.close()
    tally, last, since = Tally(), -1, time.monotonic()  # -1: it still imports
    try:
        while True:
            if reports.poll(1.0):
                try:
                    tally = reports.recv()
                except EOFError:
                    break
                advance(tally.images)
            if at.value != last:
                last, since = at.value, time.monotonic()
            elif last >= 0 and time.monotonic() - since > HUNG_AFTER_S:
                tally.note(last, f'it hung for {HUNG_AFTER_S:g} s')
                process.kill()
                break
        process.join(HUNG_AFTER_S)
        if process.exitcode and not tally.faults:
            tally.note(at.value, f'the process ended with {process.exitcode}')
    finally:
        process.kill()
    return tally


def save_image(path: Path, image: Image, about: Dict[str, object]) -> None:
    """Write an image to a JSON file that `load_image` reads."""
    def plain(value: object) -> object:
        return {'base64': base64.b64encode(value).decode()} if isinstance(value, bytes) else value

    values = {name: plain(value) for name, value in vars(image).items()}
    path.write_text(json.dumps({**about, 'type': type(image).__name__, 'fields': values},
                               indent=2, default=repr) + os.linesep, encoding='utf-8')


def load_image(path: Path) -> Image:
    """Return the image of a file of `save_image`."""
    content = json.loads(path.read_text(encoding='utf-8'))
    values = {name: base64.b64decode(value['base64']) if isinstance(value, dict) and value
              else value for name, value in content['fields'].items()}
    kinds: Dict[str, Callable[..., Image]] = {
        'RawImage': RawImage, 'CompressedImage': CompressedImage}
    return kinds[content['type']](**values)
