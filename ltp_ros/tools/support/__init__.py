# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Code shared by several programs: flags, files, processes, image sources."""
