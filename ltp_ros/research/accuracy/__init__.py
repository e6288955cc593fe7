# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""How often a reduced model is right, and how often it agrees with itself unreduced."""
