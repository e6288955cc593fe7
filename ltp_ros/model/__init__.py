# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The Vision Transformer, its input, weights and labels: the only room that knows timm.

May import: config, files, reduction.
"""
