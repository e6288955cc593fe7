# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Names of models that are not timm's; without torch, for programs that only pass them on."""
DEMO = 'demo'  # the model inside this package
HUB_PREFIXES = ('hf_hub:', 'hf-hub:')
LOCAL_PREFIX = 'local-dir:'
TIMM_PREFIXES = (*HUB_PREFIXES, LOCAL_PREFIX)  # of models that timm does not list
