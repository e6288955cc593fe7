# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The search of a ladder for a scene: which levels to try, which to drop, which to keep."""
