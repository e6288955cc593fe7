# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The part of the pip build that pyproject.toml cannot say. colcon uses CMakeLists.txt instead."""
import sys
from pathlib import Path
from xml.etree import ElementTree

from setuptools import Distribution, setup

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))       # an isolated build does not look beside setup.py

from build_messages import MESSAGE_EXTENSION, BuildMessages  # noqa: E402


class DistributionWithShare(Distribution):
    """Editable installs skip data files (setuptools asks for this name); share/ltp_ros is some."""

    def has_data(self):
        return self.has_data_files()


setup(
    version=ElementTree.parse(ROOT / 'package.xml').findtext('version'),
    ext_modules=[MESSAGE_EXTENSION],
    cmdclass={'build_ext': BuildMessages},
    distclass=DistributionWithShare,
)
