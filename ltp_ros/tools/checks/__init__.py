# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What `ltp_doctor` looks at; in each module judgement is pure, and apart from gathering."""
