# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Training and adaptation of models that stay accurate with fewer tokens."""
