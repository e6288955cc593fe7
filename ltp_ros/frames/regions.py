# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Answers for the parts of a picture that lie apart, after the one for the picture."""
from typing import List, NamedTuple

from ltp_ros.frames.pipeline import Pipeline
from ltp_ros.frames.processed import ProcessedFrame
from ltp_ros.prediction import Prediction


class RegionAnswers(NamedTuple):
    """Of one picture."""

    answers: List[Prediction]  # the largest region first
    found: int  # regions; those without an answer found no time, or the model failing
    fault: str = ''  # of the model


def answer_regions(pipeline: Pipeline, processed: ProcessedFrame) -> RegionAnswers:
    """Answer the regions of a frame that was answered, as many as there is time for.

    At the level of the frame's own answer, until the deadline of the frame or the next one is
    near; without a deadline all of them, while more images are dropped. For the pipeline's thread.

    Args:
        pipeline: that the frame has gone through.
        processed: the frame, published.

    Raises:
        Abandoned: if the model hangs and was given up.
    """
    rgb, prediction = processed.rgb[processed.region.slices], processed.prediction
    config = pipeline.config.classifier
    boxes = pipeline.classifier.zoom.boxes(rgb, config.zoom_boxes)
    answers: List[Prediction] = []
    for box in boxes:
        if not _has_time(pipeline, processed):
            break
        try:
            answers.append(pipeline.beside.classify_part(rgb, prediction.keep_ratio, box))
        except (RuntimeError, OSError, MemoryError) as error:
            return RegionAnswers(answers, len(boxes), str(error) or type(error).__name__)
    return RegionAnswers(answers, len(boxes))


def _has_time(pipeline: Pipeline, processed: ProcessedFrame) -> bool:
    """Return whether one more run ends before the frame's deadline and the next frame."""
    tuner, frame = processed.tuner, processed.frame
    if not tuner.deadline_ms:
        return True
    cost = pipeline.costs.get(processed.prediction.keep_ratio)
    end_ns = pipeline.now_ns() + int((cost.p99_ms if cost else 0.0) * 1e6)
    used_ms = frame.counted_age_ms(tuner.deadline_from) + (end_ns - frame.receive_ns) / 1e6
    next_ns = pipeline.mailbox.next_ns
    return used_ms <= tuner.deadline_ms and (next_ns is None or end_ns <= next_ns)
