# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The report of `ltp_demo`: live table, summary and annotated picture."""
import json
from collections import Counter, defaultdict, deque
from typing import DefaultDict, Deque, Dict, List, NamedTuple, Tuple, Union

import cv2
import numpy as np
from rich.table import Table
from rich.text import Text

from ltp_ros.files import plain
from ltp_ros.model.card import read_model_card
from ltp_ros.model.labels import names_in
from ltp_ros.msg import Classification, FrameLatency
from ltp_ros.tools.support.frame_sources import SAMPLES

LIVE_ROWS = 10
LISTED_CLASSES = 20  # more would not fit the screen
NO_LABEL = '(below the threshold)'


class PictureRow(NamedTuple):
    """The answers to all frames of one picture."""

    picture: str
    frames: int
    label: str  # the most frequent one
    share: float  # of the frames with this label
    verdict: str


class DemoReport:
    """Collect the answers, latencies and debug images of one run.

    Args:
        model: as given to the classifier.
        checkpoint: likewise. The labels in its card decide which of `SAMPLES` have a class.
    """

    def __init__(self, model: str, checkpoint: str):
        self.num_answered = 0
        self.last_answer_s = 0.0
        self._recent: Deque[Classification] = deque(maxlen=LIVE_ROWS)
        self._labels: DefaultDict[str, Counter] = defaultdict(Counter)  # by picture
        self._latencies: Dict[Tuple[int, int], FrameLatency] = {}  # by stamp
        self._pictures: Dict[str, np.ndarray] = {}  # RGB
        card = read_model_card(checkpoint or model)
        self._classes = names_in(card.get('label_names', []), checkpoint or model)
        self._has_class = {
            name: not self._classes or any(_names(label, words) for label in self._classes)
            for name, words in SAMPLES.items()}

    def add_answer(self, message: Classification, now_s: float) -> None:
        """Record a classification received at `now_s`."""
        self.num_answered += 1
        self.last_answer_s = now_s
        self._recent.append(message)
        label = message.labels[0] if message.labels else NO_LABEL
        self._labels[message.header.frame_id][label] += 1

    def add_latency(self, message: FrameLatency) -> None:
        """Record the latency of an answer."""
        self._latencies[_stamp(message)] = message

    def add_picture(self, name: str, rgb: np.ndarray) -> None:
        """Keep a debug image as the newest one of this picture."""
        self._pictures[name] = rgb

    def answered_all(self, num_frames: int) -> bool:
        """Return whether so many answers and latencies, and any debug image, were received."""
        return (self.num_answered >= num_frames and len(self._latencies) >= num_frames
                and bool(self._pictures))

    def live_table(self) -> Table:
        """Return the newest answers as a table."""
        table = Table(title=f'/ltp/classification: {self.num_answered} answers',
                      caption='tokens: patches kept / all; latency: received to published')
        for name in ('frame', 'picture', 'label', 'score', 'keep ratio', 'tokens', 'latency'):
            table.add_column(name, justify='left' if name in ('picture', 'label') else 'right')
        first = self.num_answered - len(self._recent)
        for index, answer in enumerate(self._recent, first):
            latency = self._latencies.get(_stamp(answer))
            table.add_row(
                str(index), _cell(answer.header.frame_id),
                _cell(answer.labels[0]) if answer.labels else NO_LABEL,
                f'{answer.scores[0]:.2f}' if answer.labels else '', f'{answer.keep_ratio:.2f}',
                f'{answer.tokens_kept}/{answer.tokens_total}',
                f'{latency.total_ms:.1f} ms' if latency else 'n/a')
        return table

    def summary_table(self) -> Table:
        """Return the most frequent label of each picture as a table."""
        table = Table(title='Summary')
        for name in ('picture', 'shows', 'frames', 'most frequent label', 'share', 'verdict'):
            table.add_column(name, justify='right' if name in ('frames', 'share') else 'left')
        for row in self._rows():
            subject = SAMPLES.get(row.picture, ('',))[0]
            table.add_row(_cell(row.picture), subject, str(row.frames), _cell(row.label),
                          f'{row.share:.0%}', row.verdict)
        return table

    def class_line(self) -> str:
        """Return a sentence on the pictures that no class of the model fits; '' without any."""
        unknown = [name for name in self._labels if not self._has_class.get(name, True)]
        if not unknown:
            return ''
        listed = f': {", ".join(self._classes)}' if len(self._classes) <= LISTED_CLASSES else ''
        return (f'The model has no class for {" or ".join(unknown)} and picks the most similar of '
                f'its {len(self._classes)} classes{listed}.')

    def latency_line(self) -> str:
        """Return the latencies of the run as one sentence."""
        numbers = self._latency_numbers()
        return (f'Latency, received to published: p50 {numbers["total_p50_ms"]:.1f} ms, '
                f'p95 {numbers["total_p95_ms"]:.1f} ms; inference alone: p50 '
                f'{numbers["inference_p50_ms"]:.1f} ms. Frames dropped in favour of newer ones: '
                f'{numbers["dropped"]}.')

    def save_picture(self, path: str) -> None:
        """Write the newest debug image of each picture, side by side.

        Raises:
            OSError: if no debug image was received, or the file cannot be written.
        """
        if not self._pictures:
            raise OSError('received no debug image; is publish_debug_image on?')
        pictures = list(self._pictures.values())[:len(SAMPLES)]
        height = min(picture.shape[0] for picture in pictures)
        row = np.hstack([cv2.resize(p, (round(p.shape[1] * height / p.shape[0]), height),
                                    interpolation=cv2.INTER_AREA) for p in pictures])
        try:
            written = cv2.imwrite(path, row[..., ::-1])
        except cv2.error as error:  # a suffix that OpenCV does not know
            raise OSError(f'{path}: {error.err}') from error
        if not written:
            raise OSError(f'{path} cannot be written')

    def save_json(self, path: str) -> None:
        """Write the summary as JSON."""
        with open(path, 'w', encoding='utf-8') as file:
            json.dump({**self._latency_numbers(), 'answered': self.num_answered,
                       'pictures': [row._asdict() for row in self._rows()]}, file, indent=2)

    def _rows(self) -> List[PictureRow]:
        rows = []
        for picture, labels in self._labels.items():
            label, count = labels.most_common(1)[0]
            frames = sum(labels.values())
            rows.append(PictureRow(picture, frames, label, count / frames,
                                   self._verdict(picture, label)))
        return rows

    def _verdict(self, picture: str, label: str) -> str:
        words = SAMPLES.get(picture)
        if words is None:
            return ''
        if not self._has_class[picture]:
            return 'no such class'
        return 'correct' if _names(label, words) else 'wrong'

    def _latency_numbers(self) -> Dict[str, float]:
        total = [latency.total_ms for latency in self._latencies.values()]
        inference = [latency.inference_ms for latency in self._latencies.values()]
        return {
            'total_p50_ms': float(np.percentile(total, 50)),
            'total_p95_ms': float(np.percentile(total, 95)),
            'inference_p50_ms': float(np.percentile(inference, 50)),
            'dropped': sum(item.dropped_since_last for item in self._latencies.values())}


def _names(label: str, words: Tuple[str, ...]) -> bool:
    return any(word in label.lower() for word in words)


def _cell(text: str) -> Text:
    """Return what a message says as it is, whatever rich or a terminal would make of it."""
    return Text(plain(text.split(',')[0]))  # ImageNet's names are lists of synonyms


def _stamp(message: Union[Classification, FrameLatency]) -> Tuple[int, int]:
    return message.header.stamp.sec, message.header.stamp.nanosec
