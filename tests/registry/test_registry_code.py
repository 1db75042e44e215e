"""The digest by which a study knows the code of the plugins it uses."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from zoo import hookimpl
from zoo.registry import Component, Plugin, Registry, distribution_digests
from zoo.space import Space


def entry(file, distribution="zoo-x"):
    facts = ("architecture", "net", print, Space([]), "", distribution, "1.0", "x")
    return Component(*facts, file=str(file))


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "zoo_x"
    (folder / "below").mkdir(parents=True)
    for name in ("__init__.py", "nets.py", "below/__init__.py"):
        (folder / name).write_text("ANSWER = 42\n")
    return folder


def test_every_python_file_of_a_package_counts_and_nothing_else(package):
    seen = [distribution_digests(entry(package / "__init__.py"))]
    (package / "notes.txt").write_text("nothing")
    assert distribution_digests(entry(package / "__init__.py")) == seen[0]
    for name in ("__init__.py", "nets.py", "below/__init__.py", "new.py"):
        (package / name).write_text("ANSWER = 43\n")
        seen.append(distribution_digests(entry(package / "__init__.py")))
    assert len({one["zoo-x"] for one in seen}) == 5


def test_of_a_module_its_own_file_counts(package):
    before = distribution_digests(entry(package / "nets.py"))
    (package / "__init__.py").write_text("")
    assert distribution_digests(entry(package / "nets.py")) == before
    (package / "nets.py").write_text("")
    assert distribution_digests(entry(package / "nets.py")) != before


def test_where_it_is_installed_does_not_count(package, tmp_path):
    before = distribution_digests(entry(package / "__init__.py"))
    package.rename(tmp_path / "elsewhere")
    assert distribution_digests(entry(tmp_path / "elsewhere" / "__init__.py")) == before


def test_every_distribution_has_one_and_what_has_no_file_none(package):
    found = distribution_digests(
        entry(package / "nets.py"), entry(package / "__init__.py", "zoo-a"), entry("", "keras-zoo")
    )
    assert list(found) == ["zoo-a", "zoo-x"]


def test_it_is_known_of_plugins_and_not_of_zoos_own(package):
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
    assert list(distribution_digests(*registry.entries())) == ["zoo-x"]
