# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""One file a runtime, behind the protocol of `protocol.py`; `choice.py` takes the fastest.

May import: config, model, reduction.
"""
