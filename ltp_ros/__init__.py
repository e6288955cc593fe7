# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Classify camera images before a deadline. `classifier.Classifier` is the door without ROS."""
import os

if not os.path.isfile(os.path.join(os.path.dirname(__file__), 'msg', '__init__.py')):
    # `python -m` in a checkout puts the sources before the installed package, which alone has
    # the messages that the build generates
    import pkgutil
    __path__ = pkgutil.extend_path(__path__, __name__)
