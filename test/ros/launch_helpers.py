# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""An installed package for the tests of the launch file, with programs of their choice."""
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]


def install(prefix, programs):
    """Install the package under a prefix of the ament index.

    Args:
        prefix: a folder.
        programs: the text of `ltp_classifier`, of `ltp_image_source`, and of others.
    """
    share, folder = prefix / 'share', prefix / 'lib' / 'ltp_ros'
    for path in (share / 'ltp_ros', share / 'ament_index/resource_index/packages', folder):
        path.mkdir(parents=True)
    (share / 'ament_index/resource_index/packages/ltp_ros').touch()
    for name in ('launch', 'config'):
        (share / 'ltp_ros' / name).symlink_to(CHECKOUT / name)
    for name, text in zip(('ltp_classifier', 'ltp_image_source', 'ltp_export'), programs):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
