# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The Vision Transformer: the one module that knows timm, its stem, its input, its weights.

May import: config, reduction.
"""
