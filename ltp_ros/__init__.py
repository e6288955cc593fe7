# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Classify camera images before a deadline. `classifier.Classifier` is the door without ROS."""
import os

# Read once, when ONNX Runtime is loaded: since 1.29 its wheels tell Microsoft of each process and
# session, and keep an identifier in ~/.cache. 0 in the environment lets them.
os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')

if not os.path.isfile(os.path.join(os.path.dirname(__file__), 'msg', '__init__.py')):
    # `python -m` in a checkout puts the sources before the installed package, which alone has
    # the messages that the build generates
    import pkgutil
    __path__ = pkgutil.extend_path(__path__, __name__)
