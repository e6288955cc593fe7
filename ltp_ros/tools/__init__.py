# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The command-line programs: one thin file each, reports and plumbing in the folders below.

May import: every room.
"""
