"""The digest of a plugin's code, by which zoo detects that the code has changed."""

from __future__ import annotations

import importlib
import sys
from types import SimpleNamespace

import pytest

from zoo import hookimpl
from zoo.registry import Component, Plugin, Registry, component_code_digest, distribution_digests
from zoo.space import Space

MODULES = ("__init__.py", "nets.py", "below/__init__.py", "below/readers.py")


def component(function=print, file="", distribution="zoo-x"):
    values = ("architecture", "net", function, Space([]), "", distribution, "1.0", "x")
    return Component(*values, file=str(file))


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "zoo_x"
    (folder / "below").mkdir(parents=True)
    for name in MODULES:
        (folder / name).write_text("def net(): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "zoo_x"]:
        del sys.modules[name]


@pytest.mark.parametrize("module", ["zoo_x", "zoo_x.nets", "zoo_x.below.readers"])
def test_component_digest_covers_all_subpackages(package, module):
    net = component(importlib.import_module(module).net)
    digests = [component_code_digest(net)]
    (package / "notes.txt").write_text("nothing")
    assert component_code_digest(net) == digests[0]
    for name in (*MODULES, "new.py"):
        (package / name).write_text("ANSWER = 43\n")
        digests.append(component_code_digest(net))
    assert len(set(digests)) == 6


def test_component_digest_covers_entry_point_package_too(package, tmp_path):
    net = component(file=package / "nets.py")
    before = component_code_digest(net)
    (package / "below" / "readers.py").write_text("")
    assert component_code_digest(net) != before


def test_module_outside_packages_has_digest_of_its_file(tmp_path):
    for name in ("one.py", "other.py"):
        (tmp_path / name).write_text("ANSWER = 42\n")
    net = component(file=tmp_path / "one.py")
    before = component_code_digest(net)
    (tmp_path / "other.py").write_text("")
    assert component_code_digest(net) == before
    (tmp_path / "one.py").write_text("")
    assert component_code_digest(net) != before


def test_component_without_source_file_has_digest():
    assert component_code_digest(component(print)) == component_code_digest(component(len))


def test_builtin_component_has_digest_of_its_folder():
    registry = Registry.load([])
    dataset, net = registry.get("dataset", "digits"), registry.get("architecture", "conv_net")
    assert component_code_digest(dataset) == component_code_digest(registry.get("dataset", "mnist"))
    assert component_code_digest(dataset) != component_code_digest(net)


def test_digest_is_independent_of_location(package, tmp_path):
    before = distribution_digests(component(file=package / "__init__.py"))
    package.rename(tmp_path / "elsewhere")
    assert distribution_digests(component(file=tmp_path / "elsewhere" / "__init__.py")) == before


def test_each_distribution_with_files_has_digest(package):
    found = distribution_digests(
        component(file=package / "nets.py"),
        component(file=package / "__init__.py", distribution="zoo-a"),
        component(distribution="keras-zoo"),
    )
    assert list(found) == ["zoo-a", "zoo-x"]


def test_builtin_components_have_no_distribution_digest(package):
    @hookimpl
    def register_augmentations(register):
        def mirror(): ...

        register(mirror)

    module = SimpleNamespace(
        register_augmentations=register_augmentations, __file__=str(package / "__init__.py")
    )
    registry = Registry.load([])
    registry.add(Plugin("x", "zoo-x", "1.0", "zoo_x"), lambda: module)
    assert registry.problems == []
    assert list(distribution_digests(*registry.components())) == ["zoo-x"]
