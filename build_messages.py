# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Build msg/, srv/, action/ without a ROS installation: setup.py's ``build_ext`` command.

The rosidl generators come from the package index ([build-system] in pyproject.toml). Where ROS is
installed, colcon and CMakeLists.txt do the same work and this file is not used.

What it adds to the package ``ltp_ros``::

    msg/*.py, srv/*.py, action/*.py         the message, service and action classes
    libltp_ros__rosidl_generator_c.so       their C structs
    libltp_ros__rosidl_typesupport_*.so     how the middleware reads and writes them
    ltp_ros_s__rosidl_typesupport_c.*.so    the extension module that ties these to Python
"""
import os
import shutil
import sysconfig
from contextlib import contextmanager
from pathlib import Path

from setuptools import Extension
from setuptools.command.build_ext import build_ext

PACKAGE = 'ltp_ros'
ROOT = Path(__file__).resolve().parent
KINDS = ('msg', 'srv', 'action')
# Interface packages that these refer to, directly or not; each after those it refers to itself.
# Every service refers to service_msgs, every action to the two after it.
DEPENDENCIES = ['builtin_interfaces', 'std_msgs', 'geometry_msgs', 'sensor_msgs', 'service_msgs',
                'unique_identifier_msgs', 'action_msgs']
# rmw_fastrtps needs both: the first (de)serialises, the second describes the type to discovery.
TYPESUPPORTS = ['rosidl_typesupport_fastrtps_c', 'rosidl_typesupport_introspection_c']
# Opened by name at run time, so each is a library of its own; in link order.
OWN_LIBRARIES = ['rosidl_generator_c'] + TYPESUPPORTS
MESSAGE_EXTENSION = Extension(f'{PACKAGE}.{PACKAGE}_s__rosidl_typesupport_c', sources=[])


class BuildMessages(build_ext):
    """Generate the message sources, then compile them into one extension and its libraries."""

    def run(self):
        # An editable install builds into the source tree; setuptools resets `inplace` in run().
        self.package_dir = (ROOT if self.inplace else Path(self.build_lib).resolve()) / PACKAGE
        self.generated = Path(self.build_temp).resolve() / 'rosidl'
        self.prefix = wheel_prefix()
        shutil.rmtree(self.generated, ignore_errors=True)
        self.sources = generate_sources(self.generated, self.prefix)
        for kind in KINDS:
            shutil.copytree(self.generated / 'rosidl_generator_py' / PACKAGE / kind,
                            self.package_dir / kind, dirs_exist_ok=True,
                            ignore=shutil.ignore_patterns('*.c'))
        super().run()

    def build_extension(self, ext):
        require_compilers(self.compiler)
        linked = []
        for name in OWN_LIBRARIES:
            file_name = f'lib{PACKAGE}__{name}.so'
            self._link([name], self.package_dir / file_name, linked, f'-Wl,-soname,{file_name}')
            linked.append(f'{PACKAGE}__{name}')
        self._link(['rosidl_typesupport_c', 'rosidl_generator_py'],
                   Path(self.get_ext_fullpath(ext.name)), linked)

    def _link(self, generators, path, libraries, *flags):
        """Compile what `generators` wrote and link it at `path`, against our own `libraries`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.compiler.link_shared_object(
            [obj for name in generators for obj in self._compile(self.sources[name])], str(path),
            libraries=libraries + wheel_libraries(),
            library_dirs=[str(self.package_dir), str(self.prefix / 'lib')],
            # What is opened by name must be loaded already: keep libraries that no symbol asks
            # for, and find them beside this file or in the environment's lib/.
            extra_preargs=['-Wl,--no-as-needed', '-Wl,-rpath,$ORIGIN:$ORIGIN/../../..', *flags],
            target_lang='c++')

    def _compile(self, sources):
        objects = []
        for suffix, standard in (('.c', '-std=gnu11'), ('.cpp', '-std=gnu++17')):
            objects += self.compiler.compile(
                [source for source in sources if source.endswith(suffix)],
                output_dir=self.build_temp,
                include_dirs=include_dirs(self.generated, self.prefix),
                extra_postargs=[standard, '-O2', '-g0', '-fPIC'])
        return objects


def generate_sources(out, prefix):
    """Run the rosidl generators on msg/*.msg, srv/*.srv and action/*.action.

    Args:
        out: directory to fill; each generator writes into ``out/<generator>/ltp_ros``.
        prefix: environment that holds the ROS wheels.

    Returns:
        ``{generator: [path of a C or C++ source, ...]}``.
    """
    # Imported here: setuptools also runs setup.py to ask what to install before building.
    # The generators' own command line is of no use: the wheels register its plugins twice, and
    # it refuses duplicates.
    from rosidl_adapter.action import convert_action_to_idl
    from rosidl_adapter.msg import convert_msg_to_idl
    from rosidl_adapter.srv import convert_srv_to_idl
    from rosidl_generator_c.cli import GenerateC
    from rosidl_generator_py.cli import GeneratePython
    from rosidl_generator_type_description.cli import HashTypeDescription
    from rosidl_typesupport_c.cli import GenerateCTypesupport
    from rosidl_typesupport_fastrtps_c.cli import GenerateFastRTPSCTypesupport
    from rosidl_typesupport_introspection_c.cli import GenerateIntrospectionCTypesupport

    idl_root = out / 'idl' / PACKAGE
    idl_files = []
    for kind, convert in zip(KINDS, (convert_msg_to_idl, convert_srv_to_idl,
                                     convert_action_to_idl)):
        for interface in sorted((ROOT / kind).glob(f'*.{kind}')):
            convert(ROOT, PACKAGE, interface.relative_to(ROOT), idl_root / kind)
            idl_files.append(f'{idl_root}:{kind}/{interface.stem}.idl')
    inputs = (PACKAGE, idl_files, [str(prefix / 'share' / name) for name in DEPENDENCIES])
    generators = {
        'rosidl_generator_c': GenerateC('c'),
        'rosidl_typesupport_fastrtps_c': GenerateFastRTPSCTypesupport('fastrtps_c'),
        'rosidl_typesupport_introspection_c': GenerateIntrospectionCTypesupport('introspection_c'),
        'rosidl_typesupport_c': GenerateCTypesupport(
            'c', typesupport_implementations=TYPESUPPORTS),
        'rosidl_generator_py': GeneratePython(
            'py', typesupport_implementations=['rosidl_typesupport_c']),
    }
    sources = {}
    with ament_index_at(prefix):
        hashes = HashTypeDescription('type_description').generate_type_hashes(
            *inputs, output_path=out / 'hashes' / PACKAGE)
        for name, generator in generators.items():
            # Only the C structs carry the type hash.
            options = {'type_description_files': hashes} if name == 'rosidl_generator_c' else {}
            paths = generator.generate(*inputs, output_path=out / name / PACKAGE, **options)
            sources[name] = sorted(str(p) for p in paths if Path(p).suffix in ('.c', '.cpp'))
    return sources


def wheel_prefix():
    """Return the environment that holds the ROS wheels: its share/, include/ and lib/."""
    import rosidl_generator_c
    # <prefix>/lib/pythonX.Y/site-packages/rosidl_generator_c/__init__.py
    return Path(rosidl_generator_c.__file__).resolve().parents[4]


@contextmanager
def ament_index_at(prefix):
    """Let the generators find their templates in `prefix`, whatever ROS the shell has sourced."""
    before = os.environ.get('AMENT_PREFIX_PATH')
    os.environ['AMENT_PREFIX_PATH'] = str(prefix)
    try:
        yield
    finally:
        del os.environ['AMENT_PREFIX_PATH']
        if before is not None:
            os.environ['AMENT_PREFIX_PATH'] = before


def include_dirs(generated, prefix):
    """Return the header directories: the generated ones, numpy's and the ROS packages'."""
    import numpy
    own = [generated / name for name in OWN_LIBRARIES + ['rosidl_generator_py']]
    # ROS packages have theirs one level down (include/std_msgs/std_msgs/msg/header.h), Fast CDR
    # has not (include/fastcdr/Cdr.h).
    include = prefix / 'include'
    installed = [include] + sorted(path for path in include.iterdir() if path.is_dir())
    return [str(path) for path in own + [numpy.get_include()] + installed]


def wheel_libraries():
    """Return the names of the ROS libraries that the messages are linked against."""
    kinds = ['rosidl_generator_py', 'rosidl_typesupport_c'] + OWN_LIBRARIES
    return [f'{package}__{kind}' for package in DEPENDENCIES for kind in kinds] + [
        'rosidl_runtime_c', 'rosidl_typesupport_c', 'rosidl_typesupport_fastrtps_cpp', 'fastcdr',
        'rcutils'] + TYPESUPPORTS


def require_compilers(compiler):
    """Stop with a sentence where a compiler or Python's headers are missing."""
    python_header = Path(sysconfig.get_path('include'), 'Python.h')
    missing = [tool for tool in (compiler.compiler_so[0], compiler.compiler_cxx[0])
               if shutil.which(tool) is None]
    missing += [] if python_header.is_file() else [str(python_header)]
    if missing:
        raise SystemExit(
            'ltp_ros compiles its ROS messages when it is installed; missing for that: '
            f'{", ".join(missing)}. Install a C++ compiler and the Python headers (Debian and '
            'Ubuntu: apt install build-essential python3-dev), or name yours in CC and CXX.')
