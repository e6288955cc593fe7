# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Configure Fast DDS to carry camera images."""
import os
import sys
from pathlib import Path

PROFILES_VARIABLE = 'FASTRTPS_DEFAULT_PROFILES_FILE'


def share_directory() -> Path:
    """Return the folder where config/ and launch/ are installed."""
    try:
        from ament_index_python import get_package_share_directory  # noqa: PLC0415  comes with ROS
        return Path(get_package_share_directory('ltp_ros'))
    except (ImportError, LookupError, OSError):  # no ROS is sourced: pip installs it beside Python
        beside_python = Path(sys.prefix) / 'share' / 'ltp_ros'
        sources = Path(__file__).parents[3]  # if run from the sources, without an installation
        return beside_python if (beside_python / 'config').is_dir() else sources


def use_large_images() -> None:
    """Point Fast DDS to config/fastdds.xml, unless the user has chosen other profiles.

    With the default transports three of four images are lost, since an image is larger than the
    512 KiB shared-memory segment. Call this before rclpy.init; child processes inherit it.
    """
    os.environ.setdefault(PROFILES_VARIABLE, str(share_directory() / 'config' / 'fastdds.xml'))
