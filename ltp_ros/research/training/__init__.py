# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Train and adapt models that stay accurate with fewer tokens."""
