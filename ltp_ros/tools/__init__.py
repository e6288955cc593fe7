# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""One thin file a program; reports and plumbing in the folders below. May import everything."""
