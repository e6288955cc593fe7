# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Keep the pictures worth teaching, off the path of the frames. No ROS."""
import csv
import io
import itertools
import os
import re
import threading
from pathlib import Path
from typing import Dict, Optional, Sequence, Tuple

import cv2
import numpy as np

from ltp_ros.backends.protocol import Log
from ltp_ros.files import plain, write_whole
from ltp_ros.frames.background import Background
from ltp_ros.frames.processed import ProcessedFrame
from ltp_ros.prediction import Prediction
from ltp_ros.teaching.classes import NONE_NAME

WHEN = ('never', 'unsure', 'unknown', 'changed')
UNSURE_BELOW, STRANGE_ABOVE = 0.5, 0.8  # the best probability, `Prediction.unknown`
PERIOD_NS = 10 ** 9  # from one picture of a topic to the next, while it goes on being unsure
QUALITY, MAX_SIDE = 95, 65_500  # of a JPEG; OpenCV writes to stderr what it thinks of more pixels
ANSWERS = 'answers.csv'
_KEEPING = threading.Lock()
TAUGHT = 'taught'  # the folder of pictures that were taught, by class
TOP = 3  # classes in a row of it
COLUMNS = ('file', 'stamp', 'topic', 'why', 'known', 'unknown',
           *(f'{name}_{place}' for place in range(1, TOP + 1) for name in ('label', 'score')))
ROWS_A_FILE = 4  # before the rows of pictures that are gone are dropped
MAX_TOPIC = 150  # letters in a name: file systems take 255
# Nine decimals: nobody calls a picture of their own so. What a crash left half written counts too
_OURS = re.compile(r'\.?[0-9]+\.[0-9]{9}_[A-Za-z0-9_.-]*\.jpg(\.partial)?')


def is_wanted(when: str, prediction: Prediction, label_before: Optional[str]) -> bool:
    """Return whether a picture is worth teaching.

    Args:
        when: one of `WHEN`.
        prediction: its answer.
        label_before: `best_label` of the topic's answer before; None: it is the first.
    """
    if when == 'changed':
        return label_before is not None and best_label(prediction) != label_before
    if when == 'unsure' and (max(prediction.scores, default=0.0) < UNSURE_BELOW
                             or prediction.unknown > STRANGE_ABOVE):  # which NaN is not
        return True
    return when in ('unsure', 'unknown') and not prediction.known


def best_label(prediction: Prediction) -> str:
    """Return the best label; '' if none was above the threshold."""
    return prediction.labels[0] if prediction.labels else ''


class Collector:
    """Keeps pictures in a folder, within bounds, and in its `ANSWERS` what they were taken for.

    One picture is in hand at a time; those that come meanwhile are passed over. A folder that
    cannot be written to is told once, until a picture was kept again.

    Args:
        folder: made at the first picture.
        max_files: of the pictures that a collector made there, in earlier runs too; 1 or more.
        max_bytes: of the same. The oldest goes first; other files are left alone.
        log: called with a sentence, in the background thread.
    """

    def __init__(self, folder: Path, max_files: int, max_bytes: int, log: Log):
        self.kept = self.passed_over = 0
        self._pictures = _Pictures(folder, max_files, max_bytes)
        self._log, self._told = log, False
        self._labels: Dict[str, str] = {}  # of the last answer, by topic
        self._next_ns: Dict[str, int] = {}  # before which no other is kept, by topic
        self._in_hand = threading.Lock()  # taken by the worker, let go in the background
        self._background = Background(self._keep, self._tell)

    def offer(self, processed: ProcessedFrame, when: str, stamp_ns: int) -> None:
        """Keep a picture if it is worth it, later; for one thread at a time.

        Args:
            processed: the frame, which was answered.
            when: one of `WHEN`.
            stamp_ns: of its message.
        """
        frame, prediction = processed.frame, processed.prediction
        before, self._labels[frame.topic] = self._labels.get(frame.topic), best_label(prediction)
        soon = when != 'changed' and frame.receive_ns < self._next_ns.get(frame.topic, 0)
        if soon or not is_wanted(when, prediction, before):
            return
        if not self._in_hand.acquire(blocking=False):
            self.passed_over += 1
            return
        self._next_ns[frame.topic] = frame.receive_ns + PERIOD_NS
        self._background.offer((processed, when, stamp_ns), 0.0)

    def close(self) -> None:
        """Wait for the picture in hand, unless it hangs; what is offered later is passed over."""
        self._background.stop()
        self._in_hand.acquire(blocking=False)

    def _keep(self, wanted: Tuple[ProcessedFrame, str, int]) -> None:
        processed, why, stamp_ns = wanted
        try:
            stamp = _stamp(stamp_ns)
            topic, answer = processed.frame.topic, processed.prediction
            name = re.sub('[^A-Za-z0-9_.-]', '_', topic.strip('/').replace('/', '-'))[:MAX_TOPIC]
            unknown = '' if np.isnan(answer.unknown) else f'{answer.unknown:.4f}'
            classes = itertools.chain(*zip(map(plain, answer.labels[:TOP]),
                                           (f'{score:.4f}' for score in answer.scores)))
            self._pictures.add(f'{stamp}_{name}.jpg', _jpeg(processed.rgb[
                processed.region.slices]), [
                stamp, plain(topic), why, str(answer.known).lower(), unknown, *classes])
            self.kept += 1
            self._told = False
        finally:
            self._in_hand.release()

    def _tell(self, error: Exception) -> None:
        told, self._told = self._told, True
        if not told:
            self._log(f'A picture worth teaching was not kept in {self._pictures.folder}: '
                      f'{plain(str(error))}. Nothing more is said of it until one is kept')


def keep_taught(folder: Path, label: str, rgb: np.ndarray, stamp_ns: int) -> None:
    """Keep pixels (H, W, 3) that were taught, in a folder for their class, for another model.

    Raises:
        OSError, ValueError: if they cannot be kept.
    """
    name = re.sub('[/\0]', '_', label or NONE_NAME).encode()[:MAX_TOPIC].decode(errors='ignore')
    kept = folder / TAUGHT / (f'_{name}' if name.startswith('.') else name)
    with _KEEPING:  # else two of one stamp would find the same name free
        kept.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(free_path(kept / f'{_stamp(stamp_ns)}.jpg'), _jpeg(rgb))


def _stamp(stamp_ns: int) -> str:
    return '{}.{:09d}'.format(*divmod(max(stamp_ns, 0), 10 ** 9))


def _jpeg(rgb: np.ndarray) -> bytes:
    if max(rgb.shape) > MAX_SIDE:
        raise ValueError(f'no JPEG is made of {rgb.shape[1]}x{rgb.shape[0]} pixels')
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    return bytes(cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes())


class _Pictures:
    """The files. The folder is looked at again only where somebody else has changed it."""

    def __init__(self, folder: Path, max_files: int, max_bytes: int):
        self.folder, self._max_files, self._max_bytes = folder, max_files, max_bytes
        self._sizes: Dict[str, int] = {}  # in bytes, by name, the oldest first
        self._changed_ns: Optional[int] = None  # the folder, by its own clock

    def add(self, name: str, jpeg: bytes, row: Sequence[str]) -> None:
        if len(jpeg) > self._max_bytes:
            raise ValueError(f'it takes {len(jpeg)} bytes, all may take {self._max_bytes}')
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.folder.stat().st_mtime_ns != self._changed_ns:
            self._look()
        while self._sizes and (len(self._sizes) >= self._max_files or
                               sum(self._sizes.values()) + len(jpeg) > self._max_bytes):
            oldest = next(iter(self._sizes))
            (self.folder / oldest).unlink(missing_ok=True)
            del self._sizes[oldest]
        path = free_path(self.folder / name)
        write_whole(path, jpeg)
        self._sizes[path.name] = len(jpeg)
        self._append([path.name, *row])
        self._changed_ns = self.folder.stat().st_mtime_ns

    def _look(self) -> None:
        found = {entry.name: entry.stat() for entry in os.scandir(str(self.folder))
                 if _OURS.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)}
        self._sizes = {name: found[name].st_size for name in sorted(
            found, key=lambda name: (found[name].st_mtime_ns, name))}

    def _append(self, row: Sequence[str]) -> None:
        path = self.folder / ANSWERS
        with path.open('a+b') as file:
            file.seek(0)
            there = file.read()
            # No end of a line: the power failed, or the disk was full, in the last one
            lead = (b'' if there.endswith(b'\n') else b'\n') if there else _line(COLUMNS)
            file.write(lead + _line(row))
        lines = (there + lead + _line(row)).splitlines(keepends=True)
        if len(lines) > ROWS_A_FILE * self._max_files + 1:
            last = {line.split(b',')[0].decode(errors='replace'): line for line in lines[1:]}
            write_whole(path, _line(COLUMNS) + b''.join(
                last[name] for name in self._sizes if name in last))


def _line(row: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerow(row)
    return text.getvalue().encode()


def free_path(path: Path) -> Path:
    """Return a path that is not taken: this one, or with -2, -3, ... before its suffix."""
    names = (f'{path.stem}-{number}{path.suffix}' for number in itertools.count(2))
    return next(path.with_name(name) for name in itertools.chain([path.name], names)
                if not os.path.lexists(str(path.with_name(name))))
