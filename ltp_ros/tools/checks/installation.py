# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the Python packages are there, can be imported, and go together."""
import json
import re
import subprocess
import sys
from importlib import metadata
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ltp_ros.tools.checks.finding import Finding, Level, first_line

# Of pyproject.toml; a robot's workspace does not read that
MINIMUM = {'numpy': '1.21', 'cv2': '4.5.4', 'torch': '2.0', 'timm': '1.0.21',
           'safetensors': '0.4', 'onnx': '1.14', 'onnxruntime': '1.16', 'openvino': '2024.4'}
NEEDED = ('numpy', 'cv2', 'torch', 'timm', 'safetensors')
OPTIONAL = ('torchvision', 'onnx', 'onnxruntime', 'openvino', 'rclpy', 'cv_bridge', 'ltp_ros.msg')
# Several distributions that bring one package overwrite each other's files
DISTRIBUTIONS = {
    'cv2': ('opencv-python', 'opencv-python-headless', 'opencv-contrib-python',
            'opencv-contrib-python-headless'),
    'onnxruntime': ('onnxruntime', 'onnxruntime-gpu')}
IMPORT_TIMEOUT_S = 120.0
_NUMPY_1 = re.compile(r'_ARRAY_API|numpy\.core\.multiarray|compiled using NumPy 1')
# In a process of its own: what is broken may end it
_IMPORT = """
import importlib, json, sys
sys.path[:] = json.loads(sys.argv[1])  # else the working folder comes first
sys.modules['openvino_telemetry'] = None  # see backends/openvino.py
for name in sys.argv[2:]:
    print('ltp_doctor', json.dumps([name]), flush=True)
    try:
        module = importlib.import_module(name)
        found = {'version': str(getattr(module, '__version__', ''))}
        if name == 'torch':
            found['cuda'] = module.version.cuda or ''
            found['gpus'] = [module.cuda.get_device_name(index)
                             for index in range(module.cuda.device_count())]
        elif name == 'onnxruntime':
            found['providers'] = module.get_available_providers()
    except ModuleNotFoundError as error:
        found = {'error': '' if error.name == name else str(error)}
    except BaseException as error:
        found = {'error': type(error).__name__ + ': ' + str(error)}
    print('ltp_doctor', json.dumps([name, found]), flush=True)
"""


class Package(NamedTuple):
    """What came of importing a package."""

    version: str = ''  # as the package says
    error: str = ''  # why it cannot be imported
    missing: bool = False
    cuda: str = ''  # that torch was built for
    gpus: Tuple[str, ...] = ()  # that torch sees
    providers: Tuple[str, ...] = ()  # of ONNX Runtime


def import_packages(names: Sequence[str] = (*NEEDED, *OPTIONAL)) -> Dict[str, Package]:
    """Import packages in a child process, and in another one those behind one that ends it."""
    found: Dict[str, Package] = {}
    while len(found) < len(names):
        left = [name for name in names if name not in found]
        try:
            result = subprocess.run([sys.executable, '-c', _IMPORT, json.dumps(sys.path), *left],
                                    text=True,
                                    capture_output=True, check=False,
                                    timeout=IMPORT_TIMEOUT_S * len(left))
            lines, end = result.stdout, f'the import ended with exit code {result.returncode}'
            end += f': {first_line(result.stderr)}' if result.stderr else ''
        except subprocess.TimeoutExpired as error:
            lines, end = (error.stdout or b'').decode(), 'the import did not end'
        begun = left[0]
        for line in lines.splitlines():
            if not line.startswith('ltp_doctor '):  # said by a package
                continue
            begun, *rest = json.loads(line.split(' ', 1)[1])
            if rest:
                found[begun] = _package(**rest[0])
        if begun not in found:
            found[begun] = Package(error=end)
    return found


def _package(version: str = '', error: Optional[str] = None, cuda: str = '',
             gpus: Sequence[str] = (), providers: Sequence[str] = ()) -> Package:
    return Package(version, error or '', error == '', cuda, tuple(gpus), tuple(providers))


def installed_distributions() -> Dict[str, str]:
    """Return the versions of the distributions that bring a package of ours, by name."""
    found = {}
    for name in sorted({*MINIMUM, 'torchvision'} - set(DISTRIBUTIONS)
                       | {name for names in DISTRIBUTIONS.values() for name in names}):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def judge_packages(packages: Mapping[str, Package],
                   distributions: Mapping[str, str]) -> List[Finding]:
    """Return what is wrong with the packages, or one finding that they are sound.

    Args:
        packages: by the name that is imported.
        distributions: versions by the name that pip knows.
    """
    findings = [finding for name, package in packages.items()
                for finding in _import_faults(name, package, packages)]
    findings += _shared_folders(distributions, packages) + _mixed(packages, distributions)
    findings += _pairs(packages)
    if not findings:
        listed = ', '.join(f'{name} {package.version}' for name, package in packages.items()
                           if package.version)
        findings = [Finding('packages', Level.OK, f'they go together: {listed}')]
    return findings


def _import_faults(name: str, package: Package,
                   packages: Mapping[str, Package]) -> List[Finding]:
    check, needed = f'package {name}', name in NEEDED
    if package.missing:
        if name == 'ltp_ros.msg' and packages.get('rclpy') == Package():
            package = Package(error='they are not built')
        elif needed:
            return [Finding(check, Level.ERROR, f'{name} is not installed',
                            f"pip install '{_pip_name(name)}>={MINIMUM[name]}'")]
    if package.error:
        level = Level.WARN if name == 'cv_bridge' else Level.ERROR
        numpy = packages.get('numpy', Package()).version
        if _NUMPY_1.search(package.error):
            remedy = (f'it was built for NumPy 1 and {numpy or "another"} is installed: pip '
                      f"install 'numpy<2', or install a {name} that was built for NumPy 2")
        elif name == 'ltp_ros.msg':
            remedy = 'build the workspace and source its setup.bash, or pip install . again'
        elif name == 'rclpy':
            remedy = ('source the setup.bash of ROS in this shell, with the Python that ROS was '
                      f'built for (this is {sys.version_info[0]}.{sys.version_info[1]})')
        else:
            remedy = f'install {name} anew: pip install --force-reinstall {_pip_name(name)}'
        if name == 'cv_bridge':
            remedy += '. This package does not use it; camera drivers in Python may'
        return [Finding(check, level, f'{name} cannot be imported: {first_line(package.error)}',
                        remedy)]
    if name in MINIMUM and package.version and _numbers(package.version) < _numbers(MINIMUM[name]):
        return [Finding(check, Level.ERROR if needed else Level.WARN,
                        f'{name} {package.version} is too old; {MINIMUM[name]} or newer is needed',
                        f"pip install '{_pip_name(name)}>={MINIMUM[name]}'")]
    return []


def _shared_folders(distributions: Mapping[str, str],
                    packages: Mapping[str, Package]) -> List[Finding]:
    findings = []
    for name, rivals in DISTRIBUTIONS.items():
        here = [f'{rival} {distributions[rival]}' for rival in rivals if rival in distributions]
        versions = {distributions[rival] for rival in rivals if rival in distributions}
        # Those of ONNX Runtime differ in what they can do, those of OpenCV in their windows alone
        if len(versions if name == 'cv2' else here) > 1:
            keep = rivals[1] if name == 'cv2' or packages.get('torch', Package()).gpus else (
                rivals[0])
            findings.append(Finding(
                f'package {name}', Level.WARN,
                f'{" and ".join(here)} are both installed, and overwrite each other\'s files',
                'pip uninstall -y ' + ' '.join(
                    rival for rival in rivals if rival in distributions)
                + f' && pip install {keep}'))
    return findings


def _mixed(packages: Mapping[str, Package],
           distributions: Mapping[str, str]) -> List[Finding]:
    """Return the packages that are not the ones that pip thinks are there."""
    findings = []
    for name, package in packages.items():
        versions = [distributions[rival] for rival in DISTRIBUTIONS.get(name, (name,))
                    if rival in distributions]
        if package.version and versions and _numbers(package.version)[:3] not in [
                _numbers(version)[:3] for version in versions]:
            findings.append(Finding(
                f'package {name}', Level.WARN,
                f'{name} says that it is {package.version}, pip that it is '
                f'{" and ".join(versions)}: two installations are mixed',
                f'pip uninstall {_pip_name(name)} until pip finds none, then install it once; '
                'look into PYTHONPATH and ~/.local too'))
    return findings


def _pairs(packages: Mapping[str, Package]) -> List[Finding]:
    torch, vision = (packages.get(name, Package()).version for name in ('torch', 'torchvision'))
    findings = []
    # torchvision 0.15 came with torch 2.0, and every one since with the next
    major, minor = (*_numbers(torch), 0, 0)[:2]
    if major == 2 and vision and _numbers(vision)[:2] != (0, minor + 15):
        findings.append(Finding(
            'package torchvision', Level.WARN,
            f'torchvision {vision} was not built for torch {torch}',
            f"pip install 'torchvision==0.{minor + 15}.*'; on a Jetson install both from its "
            'JetPack'))
    onnx, runtime = (packages.get(name, Package(missing=True))
                     for name in ('onnx', 'onnxruntime'))
    if onnx.missing != runtime.missing:
        there, lacking = ('onnxruntime', 'onnx') if onnx.missing else ('onnx', 'onnxruntime')
        findings.append(Finding(
            f'package {lacking}', Level.WARN,
            f'{there} is installed without {lacking}, so that the backend onnx is not available',
            f"pip install '{lacking}>={MINIMUM[lacking]}'"))
    return findings


def _pip_name(name: str) -> str:
    return 'opencv-python-headless' if name == 'cv2' else name


def _numbers(version: str) -> Tuple[int, ...]:
    """Return (2, 1, 0) for '2.1.0a0+cu118'."""
    release = re.match(r'\d+(?:\.\d+)*', version)
    return tuple(map(int, release.group().split('.'))) if release else ()
