# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark soak` without ROS: the plan of a run, what is recorded, and what it must show."""
import itertools
import math
import random
from dataclasses import dataclass, field
from typing import Callable, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ltp_ros.frames.mailbox import Counts
from ltp_ros.research.benchmarks.process_usage import Usage

WARM_UP, FIRST, MIX, LAST = 'warm-up', 'first', 'mix', 'last'
STEADY, NOTHING = 'steady', 'nothing'
WARM_UP_S, STEADY_S, PHASE_S = 60.0, 300.0, 30.0  # of a long run; a short one has a fifth each
LEAST_S = 1.5        # of a phase; what happens in it happens once at least, and may take longer
SETTLE_S = 3.0       # at the start of a steady stage: answers to what came before
JUDGED_S = 60.0      # a stage that is shorter says nothing about growth and drift
IN_FLIGHT = 2        # images of one camera: in the mailbox, and in work
TOLERANCE = 1e-3     # of a score
MAX_GROWTH, MAX_DRIFT = 0.01, 0.10


class Step(NamedTuple):
    """A phase as planned: a stage of the run, what the cameras do, and what happens meanwhile."""

    stage: str
    load: str
    event: str
    seconds: float


def plan(seconds: float, loads: Sequence[str], events: Sequence[str], seed: int) -> List[Step]:
    """Return the phases of a run: warm-up, steady, all loads mixed with all events, steady.

    The warm-up is the mix in short: what the node allocates on the first image of a kind is no
    leak. Both mixes begin with each load and each event once, and go on through all pairs.
    """
    steady_s = min(STEADY_S, seconds / 5)
    warm_up_s = min(WARM_UP_S, seconds / 5)
    mix_s = seconds - warm_up_s - 2 * steady_s
    once = max(len(loads), len(events))
    shuffle = random.Random(seed).sample
    steps = []
    for stage, stage_s, count in ((WARM_UP, warm_up_s, once),
                                  (MIX, mix_s, max(once, round(mix_s / PHASE_S)))):
        count = max(min(count, int(stage_s // LEAST_S)), 1)
        pairs = _pairs(shuffle(loads, len(loads)), shuffle(events, len(events)))
        steps += [Step(stage, *pair, stage_s / count) for pair in itertools.islice(pairs, count)]
        steps.append(Step(LAST if stage == MIX else FIRST, STEADY, NOTHING, steady_s))
    return steps


def _pairs(loads: Sequence[str], events: Sequence[str]) -> Iterator[Tuple[str, str]]:
    """Yield pairs for ever; all different ones before any comes again."""
    diagonal = len(loads) * len(events) // math.gcd(len(loads), len(events))
    for index in itertools.count():
        # Where the lengths have a common divisor, the next diagonal begins one further
        yield loads[index % len(loads)], events[(index + index // diagonal) % len(events)]


class Answer(NamedTuple):
    """Classes and their scores, best first."""

    class_ids: Tuple[int, ...]
    scores: Tuple[float, ...]


def difference(given: Answer, right: Answer) -> float:
    """Return by how much the scores of an answer are off; inf if it names other classes.

    The answer may be shorter than the right one, but not empty. Classes whose scores are equal may
    come in another order.
    """
    score_of = dict(zip(*right))
    found = [max(abs(score - score_of.get(class_id, math.inf)), abs(score - in_place))
             for class_id, score, in_place in zip(*given, right.scores)]
    return max(found) if found and len(given.scores) <= len(right.scores) else math.inf


def counts_of(values: Mapping[str, str]) -> Counts:
    """Return the counters among the values of a diagnostics status."""
    dropped = {key[len('dropped ('):-1]: int(value) for key, value in values.items()
               if key.startswith('dropped (')}
    return Counts(int(values['received']), int(values['published']), dropped)


def in_flight(counts: Counts) -> int:
    """Return how many images are neither answered nor dropped."""
    return counts.received - counts.published - sum(counts.dropped.values())


def since(before: Counts, now: Counts) -> Counts:
    """Return what was counted between two moments."""
    return Counts(now.received - before.received, now.published - before.published,
                  {reason: number - before.dropped.get(reason, 0)
                   for reason, number in now.dropped.items()})


def unaccounted(cameras: Mapping[str, Counts], total: Counts,
                before: Mapping[str, Counts]) -> Iterator[str]:
    """Yield what is wrong with the counters of one report.

    Args:
        cameras: by topic.
        total: over all cameras.
        before: of the report before, by topic.
    """
    for topic, counts in cameras.items():
        if not 0 <= in_flight(counts) <= IN_FLIGHT:
            yield (f'{topic}: {counts.received} received, {counts.published} published, '
                   f'{sum(counts.dropped.values())} dropped: {in_flight(counts)} in flight')
        earlier = before.get(topic)
        if earlier and (counts.received < earlier.received or counts.published < earlier.published
                        or any(counts.dropped[reason] < number
                               for reason, number in earlier.dropped.items())):
            yield f'{topic}: a counter went down, from {earlier} to {counts}'
    if sum(map(in_flight, cameras.values())) != in_flight(total):
        yield f'all cameras: {total} is not the sum of {dict(cameras)}'


class Sample(NamedTuple):
    """The node at one moment."""

    time_s: float  # from the first answer on, as below
    stage: str
    usage: Usage


class Phase(NamedTuple):
    """What became of one step."""

    step: Step
    start_s: float
    end_s: float
    counts: Counts  # of the images that came in it
    again_s: float  # from its end to an answer to an image taken after it
    ages: Tuple[Tuple[float, float], ...]  # time_s and ms of its answers, capture to publish

    @property
    def ages_ms(self) -> List[float]:
        """The ages alone."""
        return [age_ms for _, age_ms in self.ages]


@dataclass
class Record:
    """What a run has seen so far."""

    samples: List[Sample] = field(default_factory=list)
    phases: List[Phase] = field(default_factory=list)
    num_reports: int = 0
    compared: int = 0
    largest_difference: float = 0.0
    wrong: List[str] = field(default_factory=list)  # answers
    lost: List[str] = field(default_factory=list)  # reports that do not account for every image
    ended: str = ''  # why, if it did not come to its end
    interrupted: bool = False  # that was the user's will


class Check(NamedTuple):
    """Something that a run must show."""

    sentence: str
    holds: Optional[bool]  # None: the run was too short to tell
    found: str
    decides: bool = True  # the exit code


def checks(record: Record) -> List[Check]:
    """Return what a run has shown."""
    return [
        Check('the node lived to the end, and answered after everything that happened',
              None if record.interrupted else not record.ended,
              record.ended.split('\n', 1)[0] or f'again after {_longest(record):.1f} s at most'),
        Check('received = published + dropped (failed among them) + in flight, in every report',
              not record.lost if record.num_reports else None,
              _first(record.lost) or f'{record.num_reports} reports'),
        Check('every answer is that of the classifier outside of ROS',
              not record.wrong if record.compared else None,
              _first(record.wrong) or f'{record.compared} compared, scores differ by '
              f'{record.largest_difference:.1e} at most'),
        _memory(record),
        _grown(record, 'threads', lambda usage: usage.threads),
        _grown(record, 'descriptors', lambda usage: usage.descriptors),
        drift(record)]


def stage_of(record: Record, stage: str) -> List[Phase]:
    """Return the phases of a stage."""
    return [phase for phase in record.phases if phase.step.stage == stage]


def long_enough(record: Record) -> bool:
    """Return whether both steady stages were there, and say something."""
    return all(any(phase.end_s - phase.start_s >= JUDGED_S for phase in stage_of(record, stage))
               for stage in (FIRST, LAST))


def _memory(record: Record) -> Check:
    """Compare what the node needs, without shared memory, and tell what it held."""
    check = _grown(record, 'memory', lambda usage: usage.rss_mib - usage.shared_mib, MAX_GROWTH,
                   ' MiB')
    most_mib = max((sample.usage.rss_mib for sample in record.samples), default=math.nan)
    return check._replace(found=f'{check.found}; resident at most {most_mib:.0f} MiB')


def _grown(record: Record, what: str, number: Callable[[Usage], float],
           allowed: float = 0.0, unit: str = '') -> Check:
    """Compare the medians of the two steady stages."""
    medians = [float(np.median(values)) for values in (
        [number(sample.usage) for sample in record.samples if sample.stage == stage]
        for stage in (FIRST, LAST)) if values]
    sentence = f'{what} did not grow' + (f' by {allowed:.0%} or more' if allowed else '')
    if len(medians) < 2:
        return Check(sentence, None, 'one of the steady stages is missing')
    first, last = medians
    growth = last / first - 1
    return Check(sentence, (growth < allowed if allowed else growth <= 0)
                 if long_enough(record) else None,
                 f'{first:.0f} -> {last:.0f}{unit}' + (f' ({growth:+.2%})' if allowed else ''))


def drift(record: Record) -> Check:
    """Compare the p99 of the ages in the two steady stages; other programs have a share in it."""
    sentence = f'p99 of the last steady stage within {MAX_DRIFT:.0%} of the first'
    ages_ms = {stage: [age for phase in stage_of(record, stage) for age in phase.ages_ms]
               for stage in (FIRST, LAST)}
    if not all(ages_ms.values()):
        return Check(sentence, None, 'one of the steady stages is missing', decides=False)
    first, last = (np.percentile(ages, [50, 99]) for ages in ages_ms.values())
    waits = [_waited(record, stage) for stage in (FIRST, LAST)]
    return Check(sentence, bool(last[1] <= (1 + MAX_DRIFT) * first[1])
                 if long_enough(record) else None,
                 f'p99 {first[1]:.1f} -> {last[1]:.1f} ms ({last[1] / first[1] - 1:+.0%}), p50 '
                 f'{first[0]:.1f} -> {last[0]:.1f} ms; the threads of the node together waited '
                 f'for a core {waits[0]:.2f} and {waits[1]:.2f} s a second', decides=False)


def _waited(record: Record, stage: str) -> float:
    samples = [sample for sample in record.samples if sample.stage == stage]
    seconds = samples[-1].time_s - samples[0].time_s if samples else 0.0
    return ((samples[-1].usage.waited_s - samples[0].usage.waited_s) / seconds
            if seconds else math.nan)


def _longest(record: Record) -> float:
    return max((phase.again_s for phase in record.phases), default=math.nan)


def _first(faults: Sequence[str]) -> str:
    return f'{len(faults)} times not; the first: {faults[0]}' if faults else ''

