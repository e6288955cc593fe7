# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What docker/healthcheck.py makes of a node's statuses; test/ros has it beside a live one."""
import pytest
from test_containers import ROOT, health_check

pytestmark = pytest.mark.skipif(not (ROOT / 'docker').is_dir(),
                                reason='the sources have no containers')


@pytest.mark.parametrize('statuses, options, fault', [
    ([('lifecycle', 0, 'active'), ('device', 0, 'running')], {}, ''),
    ([('lifecycle', 0, 'active, idle: nobody subscribes')], {}, ''),
    ([('lifecycle', 0, 'active'), ('device', 1, 'loaded anew')], {}, ''),
    ([('lifecycle', 0, 'active'), ('device', 2, 'hangs')], {}, 'device: hangs'),
    ([('lifecycle', 0, 'active'), ('camera /image', 2, 'no image')], {}, ''),
    ([('lifecycle', 0, 'active'), ('deadline', 2, 'late')], {'judged': ['deadline']},
     'deadline: late'),
    ([('lifecycle', 2, 'unconfigured: lost')], {'inactive': True},
     'lifecycle: unconfigured: lost'),
    ([('lifecycle', 0, 'configuring')], {}, 'configuring: it answers nothing'),
    ([('lifecycle', 0, 'inactive')], {'inactive': True}, '')])
def test_a_node_is_well_if_starting_it_again_would_not_help(statuses, options, fault):
    script = health_check()
    others = [('back/classifier: device', 2, 'of another node')]
    reports = script.reports_of('/ltp/classifier', [
        *((f'ltp/classifier: {name}', level, message) for name, level, message in statuses),
        *others])
    assert script.fault_of(reports, **options) == fault
