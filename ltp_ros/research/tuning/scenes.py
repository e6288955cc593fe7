# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Scenes to play: cameras and machines that are drawn at random, the same for the same seed."""
from typing import Callable, Dict, Optional, Sequence

import numpy as np

from ltp_ros.research.tuning.simulation import LADDER, Images, images, synthetic_costs

HZ = 30.0
DRAW = Callable[[np.random.Generator, np.ndarray], np.ndarray]


def camera(rng: np.random.Generator, seconds: float, hz: float = HZ,
           jitter_ms: float = 1.0) -> np.ndarray:
    """Return the arrival times [ms] of the images of one camera."""
    count = int(seconds * hz)
    return np.arange(count) * 1e3 / hz + rng.uniform(0.0, jitter_ms, count)


def noise(rng: np.random.Generator, count: int, spread: float = 0.03) -> np.ndarray:
    """Return log-normal slowdowns."""
    return np.exp(rng.normal(0.0, spread, count))


def loads(name: str, seconds: float, period_s: float, on_s: float, factor: float, seed: int, *,
          hz: float = HZ, quiet_s: float = 0.0) -> Images:
    """Return a scene in which a load comes again and again, and then no more.

    Args:
        name: of the scene.
        seconds: with loads.
        period_s: from one to the next.
        on_s: how long each lasts.
        factor: by which the machine is slower meanwhile.
        seed: of the noise and of the first load's moment.
        hz: of the camera.
        quiet_s: without, at the end.
    """
    rng = np.random.default_rng([seed, 5])
    arrivals_ms = camera(rng, seconds + quiet_s, hz)
    now_s = arrivals_ms / 1e3
    busy = ((now_s + rng.uniform(0.0, period_s)) % period_s < on_s) & (now_s < seconds)
    return images(name, arrivals_ms, noise(rng, len(now_s)) * np.where(busy, factor, 1.0),
                  load_ends_ms=_ends(arrivals_ms, busy))


def cameras(name: str, count: int, hz: float, together: bool, seed: int, seconds: float = 120.0,
            transport_ms: Optional[Sequence[float]] = None) -> Images:
    """Return a scene of several cameras, triggered together or evenly spread in time."""
    rng = np.random.default_rng([seed, 9])
    arrivals = [camera(rng, seconds, hz) + (0.3 * index if together else index * 1e3 / hz / count)
                for index in range(count)]
    which = np.repeat(np.arange(count), [len(each) for each in arrivals])
    ages_ms = 1.0 + (np.zeros(count) if transport_ms is None else np.array(transport_ms))[which]
    return images(name, np.concatenate(arrivals), noise(rng, len(which)), ages_ms, which)


def old_stamps(seed: int, seconds: float = 120.0) -> Images:
    """Return a scene in which the stamp of every 97th image is nine seconds old."""
    rng = np.random.default_rng([seed, 8])
    arrivals_ms = camera(rng, seconds)
    ages_ms = np.ones(len(arrivals_ms))
    ages_ms[::97] += 9e3
    return images('old stamps', arrivals_ms, noise(rng, len(arrivals_ms)), ages_ms)


def wrong_table(seed: int, factor: float = 1.6, seconds: float = 120.0) -> Images:
    """Return a scene in which the levels from 0.6 up are slower than the table says."""
    rng = np.random.default_rng([seed, 10])
    arrivals_ms, table_ms = camera(rng, seconds), synthetic_costs()
    costs_ms = [cost_ms * (factor if keep_ratio >= 0.6 else 1.0)
                for keep_ratio, cost_ms in zip(LADDER, table_ms)]
    return images('wrong table', arrivals_ms, noise(rng, len(arrivals_ms)), costs_ms=costs_ms,
                  table_ms=table_ms)


def spikes(percent: float, seed: int, seconds: float = 120.0) -> Images:
    """Return a scene in which some frames, at random, are three times slower."""
    def draw(rng: np.random.Generator, slowdowns: np.ndarray) -> np.ndarray:
        return np.where(rng.random(len(slowdowns)) < percent / 100, 3.0, 1.0) * slowdowns
    return _scene(f'spikes {percent:g} %', seed, seconds, draw)


def _scene(name: str, seed: int, seconds: float, draw: DRAW, hz: float = HZ,
           jitter_ms: float = 1.0) -> Images:
    rng = np.random.default_rng([seed, sum(map(ord, name))])
    arrivals_ms = camera(rng, seconds, hz, jitter_ms)
    return images(name, arrivals_ms, draw(rng, noise(rng, len(arrivals_ms))))


def _ends(arrivals_ms: np.ndarray, busy: np.ndarray) -> Sequence[float]:
    return arrivals_ms[1:][busy[:-1] & ~busy[1:]].tolist()


def _heavy(rng: np.random.Generator, slowdowns: np.ndarray) -> np.ndarray:
    return slowdowns * (1.0 + 0.05 * rng.pareto(2.5, len(slowdowns)))


def _drift(rng: np.random.Generator, slowdowns: np.ndarray) -> np.ndarray:
    """A machine that heats up, and whose clock is stepped down for seconds."""
    count, start = len(slowdowns), 0
    steps = np.ones(count)
    while start < count:
        length = int(rng.uniform(5.0, 20.0) * HZ)
        steps[start:start + length] = rng.choice([1.0, 1.0, 1.08, 1.15])
        start += length
    return slowdowns * steps * np.linspace(1.0, 1.6, count)


def changing_rate(seed: int, seconds: float) -> Images:
    """Return a scene in which the camera's rate changes six times."""
    rng = np.random.default_rng([seed, 11])
    part_s = seconds / 6
    arrivals_ms = np.concatenate([camera(rng, part_s, hz, 3.0) + 1e3 * part_s * index
                                  for index, hz in enumerate((30, 60, 15, 30, 60, 15))])
    return images('rate changes', arrivals_ms, noise(rng, len(arrivals_ms)))


def ages(seed: int, seconds: float, slowly: bool) -> Images:
    """Return a scene in which images arrive up to 20 ms old, from one to the next or slowly."""
    rng = np.random.default_rng([seed, 12 + slowly])
    taken_ms = camera(rng, seconds)
    count = len(taken_ms)
    if slowly:
        walk, shocks = np.zeros(count), rng.normal(0.0, np.sqrt(1 - 0.98 ** 2), count)
        for index in range(1, count):
            walk[index] = 0.98 * walk[index - 1] + shocks[index]
        transport_ms = np.clip(10.0 + 7.0 * walk, 0.0, 20.0)
    else:
        transport_ms = rng.uniform(0.0, 20.0, count)
    transport_ms += 80.0 * (rng.random(count) < 0.004)
    return images('slow ages' if slowly else 'ages', taken_ms + transport_ms, noise(rng, count),
                  1.0 + transport_ms)


def random_loads(seed: int, seconds: float) -> Images:
    """Return a scene in which loads of random strength come and go at random."""
    rng = np.random.default_rng([seed, 14])
    arrivals_ms = camera(rng, seconds)
    count, start, busy = len(arrivals_ms), 0, False
    factors = np.ones(count)
    while start < count:
        length = int(max(rng.exponential(3.0 if busy else 8.0) * HZ, 3))
        factors[start:start + length] = rng.uniform(1.3, 2.5) if busy else 1.0
        start, busy = start + length, not busy
    return images('random loads', arrivals_ms, noise(rng, count, 0.04) * factors,
                  load_ends_ms=_ends(arrivals_ms, factors > 1.0))


def synthetic(seed: int, seconds: float) -> Dict[str, Images]:
    """Return the scenes of the comparison, by name."""
    def steady(name: str, spread: float, hz: float = HZ, jitter_ms: float = 1.0) -> Images:
        rng = np.random.default_rng([seed, 20, int(1e3 * spread), int(hz)])
        arrivals_ms = camera(rng, seconds, hz, jitter_ms)
        return images(name, arrivals_ms, noise(rng, len(arrivals_ms), spread))

    found = [steady('steady', 0.005), steady('noise 3 %', 0.03), steady('noise 10 %', 0.1),
             _scene('heavy tail', seed, seconds, _heavy),
             loads('bursts', seconds, 10.0, 2.0, 2.0, seed),
             loads('square', seconds, 10.0, 5.0, 1.7, seed),
             _scene('drift', seed, seconds, _drift),
             *[spikes(percent, seed, seconds) for percent in (0.2, 1.0, 2.0)],
             steady('15 Hz', 0.03, 15.0, 2.0), steady('60 Hz', 0.03, 60.0, 2.0),
             changing_rate(seed, seconds), ages(seed, seconds, False), ages(seed, seconds, True),
             random_loads(seed, seconds), old_stamps(seed, seconds),
             cameras('2 cameras together', 2, 15.0, True, seed, seconds),
             cameras('3 cameras spread', 3, 10.0, False, seed, seconds),
             wrong_table(seed, seconds=seconds)]
    return {scene.name: scene for scene in found}
