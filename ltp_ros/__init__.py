# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Classify camera images before a deadline. `classifier.Classifier` is the door without ROS."""
