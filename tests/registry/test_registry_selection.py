"""The selection of plugins: by ZOO_PLUGINS, by the required version of zoo, and by the plugins of a trial."""

from __future__ import annotations

import sys

import pytest

import zoo
from zoo.errors import PluginError
from zoo.registry import Registry, _isolation, plugin_versions

SOURCE = """
from zoo import hookimpl


@hookimpl
def register_augmentations(register):
    register({name})


def {name}():
    "Something."
"""


@pytest.fixture
def install(install_plugin, monkeypatch):
    """Install plugins for this process; remove their modules afterwards."""
    monkeypatch.delenv("ZOO_PLUGINS", raising=False)

    def install_here(distribution, version="1.0", **options):
        name = distribution.removeprefix("zoo-")
        monkeypatch.syspath_prepend(
            install_plugin(distribution, version, SOURCE.format(name=name), **options)
        )

    yield install_here
    for name in [name for name in sys.modules if name.startswith("zoo_")]:
        del sys.modules[name]


@pytest.fixture
def two(install):
    install("zoo-one", "1.0")
    install("zoo-two", "2.0")


def states(registry):
    return {one.distribution: one.state for one in registry.plugins if one.distribution != "keras-zoo"}


@pytest.mark.parametrize(
    ("selection", "loaded"),
    [
        ("", []),
        (",", []),
        ("zoo-one", ["zoo-one"]),
        (" zoo_Two ,", ["zoo-two"]),
        ("zoo-one,zoo-two", ["zoo-one", "zoo-two"]),
    ],
)
def test_selected_plugins_are_loaded(two, monkeypatch, selection, loaded):
    monkeypatch.setenv("ZOO_PLUGINS", selection)
    registry = Registry.load()
    expected = {name: "loaded" if name in loaded else "off" for name in ("zoo-one", "zoo-two")}
    assert states(registry) == expected
    assert registry.problems == []
    assert registry.get("augmentation", "affine").distribution == "keras-zoo"
    assert [name for name in ("one", "two") if name in registry.names("augmentation")] == [
        name.removeprefix("zoo-") for name in loaded
    ]


def test_without_selection_all_are_loaded(two):
    assert states(Registry.load()) == {"zoo-one": "loaded", "zoo-two": "loaded"}


@pytest.mark.parametrize(
    ("selection", "line"),
    [
        (
            "zoo-on",
            "ZOO_PLUGINS: no installed distribution with plugins is named 'zoo-on'. Did you mean 'zoo-one'?",
        ),
        (
            "zoo-one, two",
            "ZOO_PLUGINS: no installed distribution with plugins is named 'two'. Did you mean 'zoo-two'?",
        ),
        (
            "resnet",
            "ZOO_PLUGINS: no installed distribution with plugins is named 'resnet'. Available: "
            "zoo-one, zoo-two.",
        ),
    ],
)
def test_unknown_selection_is_an_error(two, monkeypatch, selection, line):
    monkeypatch.setenv("ZOO_PLUGINS", selection)
    with pytest.raises(PluginError) as refused:
        Registry.load()
    assert str(refused.value) == line


def test_unknown_selection_without_plugins_is_an_error(monkeypatch):
    monkeypatch.setenv("ZOO_PLUGINS", "typo")
    with pytest.raises(
        PluginError, match=r"no installed distribution with plugins is named 'typo'\. None available\.$"
    ):
        Registry.load([])


def test_error_names_plugin_that_is_off(two, monkeypatch):
    monkeypatch.setenv("ZOO_PLUGINS", "zoo-two")
    with pytest.raises(PluginError, match=r"named 'one'\. .* \(Left out: zoo-one 1\.0 by ZOO_PLUGINS\)$"):
        Registry.load().get("augmentation", "one")


def test_plugin_that_is_off_never_runs(two, monkeypatch):
    monkeypatch.setenv("ZOO_PLUGINS", "")
    monkeypatch.setattr(_isolation, "_Probe", lambda *_: pytest.fail("a plugin was probed"))
    Registry.load()
    assert "zoo_one" not in sys.modules


def test_damaged_metadata_of_plugin_that_is_off_is_ignored(two, monkeypatch, tmp_path):
    (tmp_path / "site" / "zoo_two-2.0.dist-info" / "entry_points.txt").write_bytes(b"[zoo]\nno equals sign\n")
    monkeypatch.setenv("ZOO_PLUGINS", "zoo-one")
    registry = Registry.load()
    assert (states(registry), registry.problems) == ({"zoo-one": "loaded", "zoo-two": "off"}, [])


# --- the version of zoo that a plugin requires


@pytest.mark.parametrize(
    "requirement",
    [
        "keras-zoo",
        "keras-zoo>=0.0.1",
        "Keras_Zoo (>=0.0.1)",
        f"keras-zoo[gpu]=={zoo.__version__}",
        'keras-zoo>=99; python_version < "3"',
        'keras-zoo>=99; extra == "new"',
        "keras-zoo-extras>=99",
        "keras>=3",
        "keras-zoo is wanted",
    ],
)
def test_plugin_with_met_requirement_is_loaded(install, requirement):
    install("zoo-one", requires=["numpy>=1", requirement])
    assert Registry.load().problems == []


@pytest.mark.parametrize(
    ("requirement", "specifier"),
    [
        ("keras-zoo>=99", ">=99"),
        ("keras_zoo (<0.0.1)", "<0.0.1"),
        ('Keras.Zoo ~= 99.1 ; python_version > "3"', "~=99.1"),
        ("keras-zoo[gpu]>=99", ">=99"),
    ],
)
def test_plugin_with_unmet_requirement_is_left_out(install, requirement, specifier, monkeypatch):
    monkeypatch.setattr(_isolation, "_Probe", lambda *_: pytest.fail("a plugin was probed"))
    install("zoo-one", requires=["numpy>=1", requirement])
    assert Registry.load().problems == [
        f"Plugin 'one' of zoo-one 1.0 requires keras-zoo {specifier}, but this is {zoo.__version__}; "
        "run `pip install --upgrade keras-zoo zoo-one`."
    ]


# --- Registry.load_only, in a worker process


@pytest.fixture
def without_probe(monkeypatch):
    monkeypatch.setattr(_isolation, "_Probe", lambda *_: pytest.fail("a plugin was probed"))


def test_load_only_loads_the_named_plugins(two, without_probe):
    registry = Registry.load_only({"keras-zoo:datasets": zoo.__version__, "zoo-two:two": "2.0"})
    assert states(registry) == {"zoo-two": "loaded"}
    assert set(registry.names("augmentation")) == {*Registry.load_only({}).names("augmentation"), "two"}
    assert "zoo_one" not in sys.modules


def test_load_only_loads_no_other_plugin_of_distribution(install, without_probe, tmp_path):
    install("zoo-one", entry_point="good = zoo_one\nbad = zoo_bad")
    (tmp_path / "site" / "zoo_bad.py").write_text("import os; os._exit(1)")
    assert states(Registry.load_only({"zoo-one:good": "1.0"})) == {"zoo-one": "loaded"}


def test_load_only_takes_plugin_versions(two):
    registry = Registry.load()
    used = registry.get("augmentation", "one"), registry.get("augmentation", "affine")
    expected = {"keras-zoo:augmentations": zoo.__version__, "zoo-one:one": "1.0"}
    assert plugin_versions(*used) == expected
    assert Registry.load_only(expected).get("augmentation", "one").origin == "zoo-one 1.0"


def test_load_only_ignores_zoo_plugins(two, without_probe, monkeypatch):
    monkeypatch.setenv("ZOO_PLUGINS", "zoo-one")
    assert states(Registry.load_only({"zoo-two:two": "2.0"})) == {"zoo-two": "loaded"}


@pytest.mark.parametrize(
    ("plugin", "version", "line"),
    [
        (
            "zoo-two:two",
            "1.9",
            "zoo-two 1.9 was installed when the command started, but now its version is 2.0. "
            "Run `pip install zoo-two==1.9`, or start the command again.",
        ),
        (
            "zoo-three:three",
            "3.0",
            "zoo-three 3.0 was installed when the command started, but now it is not installed. "
            "Run `pip install zoo-three==3.0`, or start the command again.",
        ),
        (
            "zoo-three:three",
            "of unknown version",
            "zoo-three of unknown version was installed when the command started, but now it is not "
            "installed. Run `pip install zoo-three`, or start the command again.",
        ),
    ],
)
def test_load_only_refuses_a_changed_plugin(two, plugin, version, line):
    with pytest.raises(PluginError) as refused:
        Registry.load_only({plugin: version})
    assert str(refused.value) == line
