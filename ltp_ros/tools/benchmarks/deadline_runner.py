# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Run the situations of `ltp_benchmark deadline` with the real node and a camera over DDS."""
import contextlib
import itertools
import math
import subprocess
import sys
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence

from ltp_ros.config import ClassifierConfig, snap
from ltp_ros.research.benchmarks import BenchmarkError
from ltp_ros.research.benchmarks.deadline import FrameRow, Phase, Run, by_phase, policy_name
from ltp_ros.tools.benchmarks.session import (
    CAMERA,
    CLASSIFIER,
    RATE_HZ,
    Session,
    stamp_ns,
)

SETTLE_FRAMES = 15  # answers skipped at the start of a turn
MIN_ARRIVING = 0.8  # share of the images sent by the camera
BUSY = '''import os
parent = os.getppid()
print(flush=True)
while os.getppid() == parent:  # do not outlive the benchmark
    for _ in range(1_000_000):
        pass
'''


class PolicyRunner:
    """Runs the policies through a situation in one session, in short turns.

    So all of them see the same machine. Under a fixed policy `deadline_ms` is 0 and the tuner
    only observes; it goes on at the level that it had.

    Args:
        session: a running session.
        ladder: all keep ratios of its node.
        seconds: that each policy has in each phase.
        turns: that it has them in.
    """

    def __init__(self, session: Session, ladder: Sequence[float], seconds: float, turns: int = 1):
        self._session = session
        self._ladder = tuple(ladder)
        self._seconds, self._turns = seconds, turns
        self._policy: Optional[float] = math.nan  # none yet
        self._tuned_level = ClassifierConfig.keep_ratio

    def run(self, situation: str, phases: Sequence[Phase], policies: Sequence[Optional[float]],
            deadline_ms: float, begin: Callable[[str], None] = lambda name: None) -> List[Run]:
        """Run the policies through a situation.

        Args:
            situation: name of the situation.
            phases: its phases.
            policies: fixed keep ratios; None for the tuner.
            deadline_ms: the deadline before any phase's factor.
            begin: called with the name of the policy whose turn begins.

        Raises:
            BenchmarkError: if the node did not follow a policy, or a phase has no answer.
            ProcessError: if a process ended, or did not answer in time.
        """
        session, first = self._session, len(self._session.heard)
        spans: Dict[Optional[float], List[Span]] = {policy: [] for policy in policies}
        for phase in phases:
            # The first one is under way when the conditions change, as it would be on a robot
            self._follow(policies[0], deadline_ms)
            with self._conditions(phase):
                for turn, policy in itertools.product(range(self._turns), policies):
                    begin(policy_name(policy))
                    self._follow(policy, deadline_ms * phase.deadline_factor,
                                 settle=turn > 0 or policy != policies[0])
                    spans[policy].append(Span(phase, turn, *session.let_time_pass(
                        self._seconds / self._turns)))
                    # Before the next policy: what is in work belongs to this one
                    session.wait_for_answer_after(spans[policy][-1].end_ns)
        runs = [Run(situation, policy, self._rows(first, found, deadline_ms))
                for policy, found in spans.items()]
        for run in runs:
            check_run(run, phases)
            check_arrivals(run, phases, self._seconds)
        return runs

    def _follow(self, policy: Optional[float], deadline_ms: float, settle: bool = True) -> None:
        """Let the node follow a policy, and forget what the one before has left."""
        session = self._session
        if policy != self._policy:
            if self._policy is None:
                self._tuned_level = session.heard[-1].keep_ratio
                session.set(CLASSIFIER, 'deadline_ms', 0.0)
            session.set(CLASSIFIER, 'keep_ratio', self._tuned_level if policy is None else policy)
            self._policy = policy
        if policy is None:
            session.set(CLASSIFIER, 'deadline_ms', deadline_ms)
        if settle:
            session.wait_for_answers(SETTLE_FRAMES)

    @contextlib.contextmanager
    def _conditions(self, phase: Phase) -> Iterator[None]:
        if phase.rate_factor != 1.0:
            self._session.set(CAMERA, 'rate', RATE_HZ * phase.rate_factor)
        with busy_core() if phase.loaded else contextlib.nullcontext():
            yield
        if phase.rate_factor != 1.0:
            self._session.set(CAMERA, 'rate', RATE_HZ)

    def _rows(self, first: int, spans: Sequence['Span'], deadline_ms: float) -> List[FrameRow]:
        """Return the answers to images captured within a turn, with the deadline of the phase."""
        turn_s, heard = self._seconds / self._turns, self._session.heard[first:]
        return [FrameRow(span.phase.name,
                         turn_s * index + (stamp_ns(message) - span.start_ns) / 1e9,
                         message.frame_index, snap(message.keep_ratio, self._ladder),
                         message.capture_to_publish_ms, message.inference_ms,
                         message.dropped_since_last, deadline_ms * span.phase.deadline_factor,
                         span.turn)
                for index, span in enumerate(spans) for message in heard
                if span.start_ns <= stamp_ns(message) < span.end_ns]


class Span(NamedTuple):
    """A turn of a policy."""

    phase: Phase
    turn: int
    start_ns: int
    end_ns: int


def check_run(run: Run, phases: Sequence[Phase]) -> None:
    """Raise BenchmarkError if a run is not a valid measurement of its policy."""
    where = f'situation {run.situation!r}, policy {policy_name(run.keep_ratio)!r}'
    for phase in phases:
        if not any(frame.phase == phase.name for frame in run.frames):
            raise BenchmarkError(f'{where}: no answer in the phase {phase.name!r}; increase '
                                 '--seconds')
    if any(math.isnan(frame.age_ms) for frame in run.frames):
        raise BenchmarkError(f'{where}: capture_to_publish_ms of an answer is NaN, so it is '
                             'unknown whether it was late; was the clock set?')
    wrong = {frame.keep_ratio for frame in run.frames} - {run.keep_ratio}
    if run.keep_ratio is not None and wrong:
        raise BenchmarkError(f'{where}: the node ran at {sorted(wrong)} as well')


def check_arrivals(run: Run, phases: Sequence[Phase], seconds: float) -> None:
    """Raise BenchmarkError if too many images of a phase were lost in transport."""
    frames_of = by_phase(run.frames)
    for phase in phases:
        frames = frames_of[phase.name]
        arrived = len(frames) + sum(frame.dropped for frame in frames)
        sent = RATE_HZ * phase.rate_factor * seconds
        if arrived < MIN_ARRIVING * sent:
            raise BenchmarkError(
                f'situation {run.situation!r}, phase {phase.name!r}: {arrived} of about '
                f'{sent:.0f} images reached the node; is config/fastdds.xml in use, and does the '
                'camera have a core to itself?')


@contextlib.contextmanager
def busy_core() -> Iterator[subprocess.Popen]:
    """Run a busy-looping process that competes for a core."""
    process = subprocess.Popen([sys.executable, '-S', '-c', BUSY], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None  # a pipe
        process.stdout.readline()  # the loop has started
        yield process
    finally:
        process.kill()
        process.communicate()
