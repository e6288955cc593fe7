# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What a block sets for the whole process stays until the last block has ended."""
import pytest

from ltp_ros.model.held import Held


@pytest.mark.parametrize('before', [None, 'mine'])
def test_the_first_block_to_end_takes_the_setting_from_no_other(before):
    settings = {'name': before}
    held = Held(lambda: settings['name'], lambda value: settings.update(name=value), 'ours')
    for _ in range(2):
        held.__enter__()
        held.__enter__()
        held.__exit__(None, None, None)
        assert settings['name'] == 'ours'
        held.__exit__(None, None, None)
        assert settings['name'] == before


def test_it_is_put_back_where_the_block_fails():
    settings = {'name': 1}
    with pytest.raises(KeyError):
        with Held(lambda: settings['name'], lambda value: settings.update(name=value), 2):
            raise KeyError
    assert settings['name'] == 1
