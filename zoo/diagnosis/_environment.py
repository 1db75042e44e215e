"""The installation: versions, the backend and its device, plugins."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement

from zoo.diagnosis._finding import Finding
from zoo.errors import ZooError, count_text
from zoo.files import STATE_DIR
from zoo.registry import Registry
from zoo.training import backend
from zoo.training.worker import call_in_worker

_DISTRIBUTION = "keras-zoo"


def check_versions() -> Iterator[Finding]:
    """Yield the version of Python, and of each distribution that zoo requires."""
    yield Finding("python", True, platform.python_version())
    yield Finding("zoo", True, metadata.version(_DISTRIBUTION))
    for text in metadata.requires(_DISTRIBUTION) or []:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate():
            yield _check_requirement(requirement)


def _check_requirement(requirement: Requirement) -> Finding:
    fix = f"pip install '{requirement.name}{requirement.specifier}'"
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return Finding(requirement.name, False, "not installed", fix)
    if requirement.specifier.contains(version, prereleases=True):
        return Finding(requirement.name, True, version)
    return Finding(requirement.name, False, f"{version}, expected {requirement.specifier}", fix)


def check_device() -> Iterator[Finding]:
    """Yield the backend and its device as in a worker process; this process does not import Keras."""
    gpus = backend.visible_gpus()
    try:
        name, version, device = call_in_worker(backend.facts, log_path=STATE_DIR / "doctor.log")
    except ZooError as error:
        yield Finding("backend", False, str(error))
        return
    yield Finding("backend", True, f"{name} {version}")
    if gpus and device == "cpu":
        text = f"{count_text(len(gpus), 'GPU')} of NVIDIA, but {name} uses the CPU"
        fix = "pip install 'keras-zoo[gpu]'" if name == "tensorflow" else f"install {name} for CUDA"
        yield Finding("device", False, text, fix)
    else:
        yield Finding("device", True, f"{device} ({count_text(backend.available_cores(), 'core')})")


def check_plugins() -> Iterator[Finding]:
    """Yield a finding for each installed plugin, and for each name that is registered twice."""
    registry = Registry.load()
    for problem in registry.problems:
        yield Finding("plugins", False, problem)
    for plugin in registry.plugins:
        if plugin.state == "loaded":
            number = len(plugin.components)
            yield Finding(f"plugin {plugin.name}", True, f"{plugin.origin}, {number} registered")
