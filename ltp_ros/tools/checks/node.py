# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What a running node says of itself: its lifecycle state and its diagnostics."""
from dataclasses import dataclass, field
from typing import Dict, List, Sequence, Tuple

from ltp_ros.files import some_of
from ltp_ros.tools.checks.finding import Finding, Level

LEVELS = (Level.OK, Level.WARN, Level.ERROR, Level.ERROR)  # of REP-107; the last is 'stale'


@dataclass(frozen=True)
class Classifier:
    """A node of this package, as seen from outside."""

    name: str  # full
    parameters: Dict[str, object]  # empty: it did not answer
    state: str = ''  # of the lifecycle; empty: it did not answer
    statuses: Sequence[Tuple[str, int, str]] = ()  # newest of each part: name, level, message
    # Subscriptions to images: topic and whether it asks for reliable; empty while not active
    cameras: Dict[str, bool] = field(default_factory=dict)


def judge_nodes(names: Sequence[str], asked: str, domain: str) -> List[Finding]:
    """Return whether there is a node to look at.

    Args:
        names: full names of the nodes of this package.
        asked: that of --node; '' if none.
        domain: ROS_DOMAIN_ID.
    """
    if asked and asked not in names:
        return [Finding('node', Level.ERROR, f'there is no node {asked}; nodes of this package: '
                        f'{some_of(names) or "none"}',
                        f'give --node {names[0]}' if names else
                        f'start it, in this ROS_DOMAIN_ID ({domain or 0})')]
    if not names:
        return [Finding('node', Level.SKIP, f'no node of this package runs in domain '
                        f'{domain or 0}')]
    return [Finding('node', Level.OK, f'{some_of(names)}')]


def judge_classifier(seen: Classifier) -> List[Finding]:
    """Return the state of a node, and every status of it that is not OK."""
    check = f'node {seen.name}'
    if not seen.parameters or not seen.state:
        return [Finding(check, Level.ERROR, 'it does not answer', 'look into its log, and restart '
                        'it; across machines, check that both see each other (ros2 multicast)')]
    findings = [_state(check, seen.state)]
    if not seen.statuses:
        return [*findings, Finding(f'{check} diagnostics', Level.WARN,
                                   'nothing of it comes on /diagnostics, where it reports every '
                                   'second', 'look into its log; do not remap /diagnostics')]
    bad = [(name, LEVELS[min(level, 3)], message) for name, level, message in seen.statuses
           if level]
    findings += [Finding(name, level, message, _remedy(name, message))
                 for name, level, message in bad]
    if not bad:
        findings.append(Finding(f'{check} diagnostics', Level.OK, '; '.join(
            f'{name.split(": ", 1)[-1]}: {message}' for name, _, message in seen.statuses)))
    return findings


def _state(check: str, state: str) -> Finding:
    if state == 'active':
        return Finding(f'{check} state', Level.OK, 'active')
    if state in ('configuring', 'activating'):
        return Finding(f'{check} state', Level.WARN, f'{state}: it loads the model',
                       'wait for it, and start ltp_doctor again; its log says how far it is')
    name = check.split(' ', 1)[1]
    step = ('configure, then activate' if state == 'unconfigured' else 'activate')
    return Finding(f'{check} state', Level.WARN, f'{state}: it answers nothing',
                   f'ros2 lifecycle set {name} {step}; or start it with autostart:=true')


def _remedy(name: str, message: str) -> str:
    """Return what to do about a status; its own words come first where they say so."""
    for part, remedy in REMEDIES.items():
        if part in f'{name}: {message}':
            return remedy
    return "see the node's log and docs/doctor.md"


# By what the name or the message of a status contains
REMEDIES = {
    ': camera ': 'see the findings on this camera',
    ': input: ': 'see the findings on the cameras',
    'too slow even': 'lower min_keep_ratio, take a smaller model or precision:=int8, or raise '
                     'deadline_ms; ltp_benchmark choose finds what holds it',
    'missed more often': 'raise deadline_ms, lower min_keep_ratio, or end other programs',
    'too old for the deadline': "see the findings on the camera's stamps",
    'stuck in one image': 'restart the node; on a GPU look into dmesg',
    'transport': 'see the finding on the DDS profile',
}
