"""The libraries that the distributions of plugins require."""

from __future__ import annotations

import pytest

from zoo.registry import library_requirements


@pytest.fixture
def install(install_plugin, tmp_path, monkeypatch):
    """install(requires) installs a plugin; library(name, module, requires) installs a library beside it."""
    site = tmp_path / "site"
    monkeypatch.syspath_prepend(site)

    def library(name, module, requires=()):
        info = site / f"{name.replace('-', '_')}-1.5.dist-info"
        info.mkdir(parents=True)
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n"
        metadata += "".join(f"Requires-Dist: {line}\n" for line in requires)
        (info / "METADATA").write_text(metadata, encoding="utf-8")
        (info / "top_level.txt").write_text(f"{module}\n", encoding="utf-8")

    def plugin(*requires):
        install_plugin("zoo-shelved", "0.4", "", requires=["keras-zoo>=0.1", *requires])

    return plugin, library


def shelf_modules():
    return {name: line for name, line in library_requirements().items() if name.startswith("shelf")}


def test_library_of_a_plugin_has_its_version(install):
    plugin, library = install
    plugin("Shelf.Layers>=1")
    library("shelf-layers", "shelf_layers")
    assert shelf_modules() == {"shelf_layers": "shelf-layers==1.5"}


def test_library_of_a_library_counts(install):
    plugin, library = install
    plugin("shelf-layers")
    library("shelf-layers", "shelf_layers", ["shelf-parts[fast]", "shelf-layers"])  # also a cycle
    library("shelf-parts", "shelf_parts", ["shelf-speed; extra == 'fast'", "shelf-slow; extra == 'slow'"])
    library("shelf-speed", "shelf_speed")
    library("shelf-slow", "shelf_slow")
    assert set(shelf_modules()) == {"shelf_layers", "shelf_parts", "shelf_speed"}


def test_requirement_for_another_system_does_not_count(install):
    plugin, library = install
    plugin("shelf-layers; sys_platform == 'never'", "not a requirement", "shelf-absent")
    library("shelf-layers", "shelf_layers")
    assert shelf_modules() == {}


def test_requirements_of_zoo_do_not_count(install):
    plugin, _ = install
    plugin()
    assert "mlflow" not in library_requirements()


def test_other_installed_library_does_not_count(install):
    plugin, library = install
    plugin()
    library("shelf-layers", "shelf_layers")
    assert shelf_modules() == {}
