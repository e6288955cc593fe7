# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The sub-commands of `ltp_benchmark`, one file each, and the session that drives the node."""
