# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""How often a model is still right with fewer tokens. No ROS."""
