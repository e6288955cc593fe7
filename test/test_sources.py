# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What docs/security.md says of the sources: no code from data, no shell, no network but one."""
import ast
import functools
import re
import sys
from pathlib import Path

import pytest
from test_imports import SOURCES

PYPROJECT = Path(__file__).parents[1] / 'pyproject.toml'

# Modules that make code of data, or have a safer sibling
FORBIDDEN_MODULES = (
    'pickle', '_pickle', 'cPickle', 'marshal', 'shelve', 'dill', 'cloudpickle', 'joblib', 'runpy',
    'code', 'codeop', 'ctypes', 'xmlrpc', 'telnetlib', 'ftplib', 'smtplib', 'http', 'requests',
    'httpx', 'aiohttp', 'urllib3', 'pty', 'commands', 'torch.hub', 'torch.package',
    'multiprocessing.managers')
FORBIDDEN_CALLS = (
    'eval', 'exec', 'compile', '__import__', 'os.system', 'os.popen', 'os.fork', 'tempfile.mktemp',
    'os.exec', 'os.spawn', 'os.posix_spawn', 'yaml.load', 'yaml.load_all', 'yaml.unsafe_load',
    'yaml.full_load', 'yaml.unsafe_load_all', 'yaml.full_load_all', 'torch.jit.load',
    'subprocess.getoutput', 'subprocess.getstatusoutput', 'pandas.read_pickle',
    'asyncio.create_subprocess_shell')
GIVES_MEMORY_BACK = 'tools/benchmarks/soak_node.py'  # by glibc's malloc_trim, in a benchmark
# Their argument that has to be this constant
GUARDED_CALLS = {'torch.load': ('weights_only', True), 'numpy.load': ('allow_pickle', False)}
# What starts programs: nvpmodel and nvidia-smi, git, Python on modules of this package
WITH_PROCESSES = {
    'machine.py', 'tools/checks/machine.py', 'tools/checks/installation.py',
    'tools/support/provenance.py', 'tools/support/processes.py',
    'tools/support/replay_processes.py',  # of this package, which it sends pickles over pipes
    'tools/benchmarks/deadline_runner.py', 'research/benchmarks/gpu/tuner.py',
    'research/benchmarks/gpu/node.py', 'research/benchmarks/gpu/tests.py',
    'research/benchmarks/gpu/runner.py', 'research/benchmarks/fuzzing.py'}


class Names(ast.NodeVisitor):
    """The dotted names that a source imports and calls."""

    def __init__(self, source):
        self.imported, self.calls = {}, []
        tree = ast.parse(source)
        for node in ast.walk(tree):  # an import may stand below its use
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self.imported[alias.asname or alias.name.split('.')[0]] = (
                        alias.name if alias.asname else alias.name.split('.')[0])
                    self.imported.setdefault(alias.name, alias.name)
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    self.imported[alias.asname or alias.name] = f'{node.module}.{alias.name}'
        self.visit(tree)

    def visit_Call(self, node):  # noqa: N802  ast's
        self.calls.append((self.name_of(node.func), node))
        self.generic_visit(node)

    def name_of(self, node):
        if isinstance(node, ast.Name):
            return self.imported.get(node.id, node.id)
        return f'{self.name_of(node.value)}.{node.attr}' if isinstance(node, ast.Attribute) else ''

    def modules(self, names):
        return {name for name in self.imported.values()
                if any(f'{name}.'.startswith(f'{module}.') for module in names)}


def argument(call, name):
    found = [keyword.value for keyword in call.keywords if keyword.arg == name]
    return found[0].value if found and isinstance(found[0], ast.Constant) else None


@functools.lru_cache(maxsize=None)
def names_of(name):
    return Names(SOURCES[name].read_text(encoding='utf-8'))


def faults(names):
    """Return what a source does that none may do."""
    found = [f'imports {name}' for name in sorted(names.modules(FORBIDDEN_MODULES))]
    for name, call in names.calls:
        if name in FORBIDDEN_CALLS or name.startswith(('os.exec', 'os.spawn')):
            found.append(f'calls {name}')
        keyword, value = GUARDED_CALLS.get(name, ('', None))
        if keyword and argument(call, keyword) is not value:
            found.append(f'calls {name} without {keyword}={value}')
        if argument(call, 'shell') or argument(call, 'trust_remote_code'):
            found.append(f'calls {name} with a shell or remote code')
        if name.startswith('subprocess.') and call.args and isinstance(call.args[0], (
                ast.Constant, ast.JoinedStr)):
            found.append(f'calls {name} with a line, not with words')
    return found


@pytest.mark.parametrize('source', [
    'import pickle', 'from pickle import loads as read', 'import numpy as np\nnp.load(path)',
    'import numpy as np\nnp.load(path, allow_pickle=True)', 'from torch import load\nload(path)',
    'import torch as t\nt.load(path, weights_only=flag)', 'eval(text)', 'exec(text)',
    'import os\nos.system(line)', 'from os import popen\npopen(line)',
    'import yaml\nyaml.load(text, yaml.Loader)', 'from yaml import unsafe_load as f\nf(text)',
    'import subprocess\nsubprocess.run(line, shell=True)', 'import os\nos.execvp(line, [])',
    'import subprocess as s\ns.run("rm -r x")', 'import subprocess as s\ns.run(f"rm {x}")',
    'import torch.hub', 'from urllib import request\nimport http.client'])
def test_the_judge_of_the_sources_sees_each_fault(source):
    assert faults(Names(source))


@pytest.mark.parametrize('name', SOURCES)
def test_no_source_makes_code_of_data_or_gives_a_line_to_a_shell(name):
    allowed = ['imports ctypes'] if name == GIVES_MEMORY_BACK else []
    assert faults(names_of(name)) == allowed


# What comes with ROS, or is used where it happens to be installed
NOT_OF_PIP = {'rclpy', 'action_msgs', 'ament_index_python', 'bondpy', 'builtin_interfaces',
              'cv_bridge', 'diagnostic_msgs', 'lifecycle_msgs', 'pynvml', 'rcl_interfaces',
              'rosgraph_msgs', 'rosidl_adapter', 'sensor_msgs', 'std_msgs', 'vision_msgs',
              'torchvision'}
DISTRIBUTIONS = {'cv2': 'opencv-python-headless', 'yaml': 'pyyaml', 'PIL': 'pillow'}


@pytest.mark.skipif(sys.version_info < (3, 10) or not PYPROJECT.is_file(),
                    reason='the declarations are those of pip, which needs 3.10')
def test_what_is_imported_is_declared_and_ends_below_the_next_major_version():
    declared = dict(re.findall(r'^ *(?:\w+ = \[)?"([\w-]+)>=[\d.]+(,<\d[\d.]*)?"', re.sub(
        '", "', '",\n"', PYPROJECT.read_text(encoding='utf-8')), re.MULTILINE))
    imported = {dotted.split('.')[0] for name in SOURCES
                for dotted in names_of(name).imported.values()}
    imported -= {*sys.stdlib_module_names, *NOT_OF_PIP, 'ltp_ros', 'None'}
    bounds = {name: declared.get(DISTRIBUTIONS.get(name, name)) for name in imported}
    assert {name for name, bound in bounds.items() if not bound} == {'rich'}  # it breaks nothing


def modules_in(names):
    return {name for name in SOURCES if names_of(name).modules(names)}


def test_processes_are_started_by_named_sources_alone():
    assert modules_in(['subprocess', 'multiprocessing', 'asyncio']) == WITH_PROCESSES


def test_the_node_starts_no_process_but_the_one_that_asks_a_jetson_for_its_power_mode():
    rooms = ('ros', 'frames', 'backends', 'model', 'tuner', 'reduction', 'node.py')
    assert {name for name in WITH_PROCESSES if name.split('/')[0] in rooms} == set()


def test_the_network_is_reached_by_the_fetching_of_models_and_for_a_named_cluster_alone():
    assert modules_in(['socket', 'urllib.request', 'huggingface_hub', 'ssl', 'socketserver',
                       'ray']) == {
        'model/hub.py', 'tools/checks/examination.py',  # which names the folder of its cache
        'tools/support/replay_ray.py'}  # ltp_replay --ray ADDRESS
