# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Make Fast DDS carry camera images."""
import os
import sys
from pathlib import Path

PROFILES_VARIABLE = 'FASTRTPS_DEFAULT_PROFILES_FILE'


def share_directory() -> Path:
    """Return the folder that config/ and launch/ are installed in."""
    try:
        from ament_index_python import get_package_share_directory  # noqa: PLC0415  comes with ROS
        return Path(get_package_share_directory('ltp_ros'))
    except (ImportError, LookupError, OSError):  # no ROS is sourced: pip put it beside Python
        beside_python = Path(sys.prefix) / 'share' / 'ltp_ros'
        sources = Path(__file__).parents[3]  # run from there, not installed
        return beside_python if (beside_python / 'config').is_dir() else sources


def use_large_images() -> None:
    """Name config/fastdds.xml to Fast DDS, unless the user names profiles of their own.

    With its default transports three of four images are lost: one is larger than the 512 KiB
    shared-memory segment. Must run before rclpy.init; child processes inherit it.
    """
    os.environ.setdefault(PROFILES_VARIABLE, str(share_directory() / 'config' / 'fastdds.xml'))
