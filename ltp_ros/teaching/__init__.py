# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A user's own classes on the features of a model that stays as it is: pure numbers.

D features, C classes.
"""
