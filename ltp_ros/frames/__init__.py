# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""One image's way through the program, without ROS: decoding to health.

May import: config, machine, images, tuner, reduction, model, backends, classifier.
"""
