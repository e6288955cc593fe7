# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The bond with nav2's lifecycle manager, with a stand-in for bondpy, which comes with ROS."""
from types import SimpleNamespace

from ltp_ros.ros import bond


class Bond:
    """What bondpy's class of this name is told."""

    def __init__(self, node, topic, bond_id):
        self.told = [(node.get_name(), topic, bond_id)]

    def __getattr__(self, name):
        return lambda *args: self.told.append((name, *args))


NODE = SimpleNamespace(get_name=lambda: 'classifier')


def test_a_bond_is_begun_as_the_manager_expects_it(monkeypatch):
    monkeypatch.setattr(bond, '_Bond', Bond)
    formed = bond.form(NODE)
    formed.shutdown()
    assert formed.told == [('classifier', 'bond', 'classifier'), ('set_heartbeat_period', 0.1),
                           ('set_heartbeat_timeout', 4.0), ('start',), ('shutdown',)]


def test_without_bondpy_there_is_none(monkeypatch):
    monkeypatch.setattr(bond, '_Bond', None)
    bond.form(NODE).shutdown()
