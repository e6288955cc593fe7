# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Builds vision_msgs where it is not installed: the wheels of ROS lack it.

The fields of the messages that this package speaks, as vision_msgs 4 (Humble and later) has them.
"""
import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILDER = HERE.parents[1] / 'build_messages.py'
NAME = 'vision_msgs'
# Run in a process of its own, since setuptools changes the one that it runs in
BUILD = f'''
import importlib.util, sys
from pathlib import Path
from setuptools import Extension, setup

spec = importlib.util.spec_from_file_location('build_messages', {str(BUILDER)!r})
builder = importlib.util.module_from_spec(spec)
spec.loader.exec_module(builder)
builder.PACKAGE, builder.ROOT, builder.KINDS = {NAME!r}, Path({str(HERE)!r}), ('msg',)
setup(name={NAME!r}, packages=[],
      ext_modules=[Extension('{NAME}.{NAME}_s__rosidl_typesupport_c', sources=[])],
      cmdclass={{'build_ext': builder.BuildMessages}},
      script_args=['-q', 'build_ext', '--build-lib', sys.argv[1], '--build-temp', sys.argv[2]])
'''


def missing():
    """Return whether there is ROS without vision_msgs."""
    return importlib.util.find_spec('rclpy') is not None and (
        importlib.util.find_spec(NAME) is None)


def provide(folder):
    """Make vision_msgs importable here and in the processes that are started from now on.

    Args:
        folder: where it is kept, once it is built.
    """
    content = [path.read_bytes() for path in [BUILDER, *sorted((HERE / 'msg').iterdir())]]
    built = Path(folder) / hashlib.sha256(
        sys.version.encode() + b''.join(content)).hexdigest()[:16]
    if not built.is_dir():
        made = built.with_name(f'{built.name}.{os.getpid()}')
        done = subprocess.run(
            [sys.executable, '-c', BUILD, str(made / 'lib'), str(made / 'temp')],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=str(folder))
        if done.returncode:
            raise RuntimeError(f'vision_msgs cannot be built: {done.stdout[-2000:]}')
        (made / 'lib').rename(built)
    sys.path.insert(0, str(built))
    os.environ['PYTHONPATH'] = os.pathsep.join(
        filter(None, [str(built), os.environ.get('PYTHONPATH')]))
