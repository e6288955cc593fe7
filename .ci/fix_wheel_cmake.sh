#!/usr/bin/env bash
# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
#
# Usage: fix_wheel_cmake.sh ENVIRONMENT
# The ROS wheels' CMake files name the include directories of the machine that built them
# (/opt/python/cpXY-cpXY/...). Point them at this environment. A real ROS needs none of it.
set -euo pipefail
environment=$1
read -r python_include numpy_include < <("$environment/bin/python" -c '
import sysconfig, numpy
print(sysconfig.get_path("include"), numpy.get_include())')
build_box='/opt/python/cp[0-9]+-cp[0-9]+'
grep -rlE "$build_box" "$environment"/share/*/cmake | xargs -r sed -i -E \
  -e "s#$build_box/include/python[0-9.]+#$python_include#g" \
  -e "s#$build_box/lib/python[0-9.]+/site-packages/numpy/_?core/include#$numpy_include#g"
