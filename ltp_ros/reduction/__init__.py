# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Methods of token reduction, one file each, in plain torch with static shapes.

May import: nothing of this package.
"""
