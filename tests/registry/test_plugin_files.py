"""Plugin files: Python files that register components without a package."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import pytest

import zoo
from zoo.errors import PluginError
from zoo.registry import (
    Registry,
    import_file,
    imported_digest,
    plugin_file,
    plugin_versions,
    registered_by,
    using_plugins,
)

NET = '''
from typing import Annotated

import keras
from keras import layers

import zoo

@keras.saving.register_keras_serializable(package="tiny")
class Gain(layers.Layer):
    """A layer."""

@zoo.architecture
def tiny_net(
    input_shape, num_classes, *, units: Annotated[int, zoo.Int(2, 8)] = 4
) -> "keras.Model | None":
    """A small network."""
    return keras.Sequential([keras.Input(input_shape), layers.Flatten(), Gain(), layers.Dense(num_classes)])
'''
FLIP = '''
import zoo

@zoo.augmentation
def tiny_flip():
    """Flip."""

@zoo.hookimpl
def register_augmentations(register):
    register(tiny_flip)
    register(tiny_crop)

def tiny_crop():
    """Crop."""

@zoo.dataset
def tiny_data(*, count: int = 3):
    """Data."""
'''


@pytest.fixture
def write(in_tmp):
    """write(name, text) writes a file in the working folder, and returns its path."""

    def write_file(name: str, text: str | bytes) -> Path:
        path = in_tmp / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write_file


@pytest.fixture
def without_modules():
    """Modules that a test imports are removed from `sys.modules` after it."""
    before = set(sys.modules)
    yield
    for name in {name for name in sys.modules if name.startswith(("tiny", "marked"))} - before:
        del sys.modules[name]


def load(*paths):
    with using_plugins(paths):
        return Registry.load(entry_points=[])


def test_marked_functions_are_registered_without_hooks(write):
    write("tiny_net.py", NET)
    write("tiny_flip.py", FLIP)
    registry = load("tiny_net.py", "tiny_flip.py")

    network = registry.get("architecture", "tiny_net")
    assert network.origin == f"tiny_net.py {plugin_file('tiny_net.py').digest[:12]}"
    assert list(network.space) == ["units"]
    assert network.description == "A small network."
    assert registry.get("dataset", "tiny_data").space["count"].default == 3
    # A function that a hook registers, too, is registered once.
    components = [one for one in registry.components() if one.distribution == "tiny_flip.py"]
    assert [(one.name, registered_by(one)) for one in components] == [
        ("tiny_data", "@zoo.dataset"),
        ("tiny_flip", "@zoo.augmentation"),
        ("tiny_crop", "register_augmentations"),
    ]
    assert "tiny_net" not in sys.modules
    assert load().names("architecture") == Registry.load(entry_points=[]).names("architecture")


def test_signatures_are_read_without_keras(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", types.ModuleType("keras"))  # `keras.layers` does not exist
    write("tiny_net.py", NET)
    assert load("tiny_net.py").get("architecture", "tiny_net").file.endswith("tiny_net.py")


def test_module_name_does_not_depend_on_folder(write, without_modules):
    keras = pytest.importorskip("keras")
    for folder in ("one", "two/three"):
        path = write(f"{folder}/tiny_net.py", NET)
        module = import_file(plugin_file(path))
        assert module.Gain.__module__ == "tiny_net"
        assert keras.saving.get_registered_object("tiny>Gain") is module.Gain
        assert imported_digest("tiny_net") == plugin_file(path).digest
    assert Path(module.__file__).parent.name == "one"  # the same content is imported once

    write("one/tiny_net.py", f"{NET}\nNEW = True\n")
    assert import_file(plugin_file("one/tiny_net.py")).NEW


def test_failed_import_leaves_no_module(write, without_modules):
    file = plugin_file(write("tiny_broken.py", "raise ValueError('no')"))
    with pytest.raises(ValueError, match="no"):
        import_file(file)
    assert "tiny_broken" not in sys.modules


def test_other_module_of_same_name_is_not_replaced(write, without_modules, monkeypatch):
    monkeypatch.setitem(sys.modules, "tiny_net", types.ModuleType("tiny_net"))
    with pytest.raises(PluginError, match="the module 'tiny_net' is already imported from None, with other"):
        import_file(plugin_file(write("tiny_net.py", "")))


def test_worker_loads_only_named_files(write, without_modules):
    path = write("tiny_flip.py", FLIP)
    versions = plugin_versions(load(path).get("augmentation", "tiny_flip"))
    assert versions == {"tiny_flip.py:tiny_flip": plugin_file(path).version}
    with using_plugins([path], has_keras=True):
        registry = Registry.load_only(versions)
    assert registry.get("augmentation", "tiny_flip").function() is None
    with pytest.raises(
        PluginError, match=r"the plugin file tiny_flip\.py with version .* is missing; add `--"
    ):
        Registry.load_only(versions)


MISTAKES = {
    "syntax.py": ("x = 1\ndef f(:\n", "syntax.py:2: SyntaxError: invalid syntax."),
    "binary.py": (b"x = 1\n\xff\x00", "binary.py:2: not Python: expected text in UTF-8."),
    "json.py": (
        "",
        "the plugin file json.py has the name of the module 'json', which is a part of Python; re",
    ),
    "numpy.py": ("", "the plugin file numpy.py has the name of the module 'numpy', which is in /"),
    "my-net.py": (
        "",
        "expected a plugin file with a name of ASCII letters, digits and _, got my-net.py; ren",
    ),
    "class.py": (
        "",
        "expected a plugin file with a name of ASCII letters, digits and _, got class.py; rename",
    ),
    "model.keras": (b"PK", "expected a plugin file, NAME.py, got model.keras."),
    "work.ipynb": (
        "{}",
        "expected a plugin file, NAME.py, got work.ipynb; write it to a file, with `%%write",
    ),
    "parts.py": (
        "def f():\n    from beside import g",
        "parts.py:2: a plugin file cannot import a module of its own folder, but it imports 'beside'; move",
    ),
    "twice.py": (
        "import zoo\n@zoo.metric(direction='minimize')\ndef f(a): 0\n\n@zoo.metric\ndef f(a): 1\n",
        "twice.py:6: the function f is also defined in line 3; rename one of them.",
    ),
    "relative.py": (
        "from .beside import g",
        "relative.py:1: a plugin file cannot import a module of its own folder, but it imports a relative "
        "module;",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_file_that_cannot_be_plugin_is_refused(write, name):
    write("beside.py", "")
    text, message = MISTAKES[name]
    write(name, text)
    with pytest.raises(PluginError) as caught:
        plugin_file(name)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder_are_refused(write):
    write("my_net.py", "")
    with pytest.raises(
        PluginError, match=r"there is no plugin file my_nett\.py\. Did you mean 'my_net\.py'\?"
    ):
        plugin_file("my_nett.py")
    with pytest.raises(PluginError, match=r"expected a plugin file, NAME\.py, got the folder \."):
        plugin_file(".")


def in_notebook():
    """A function of a notebook: its module is `__main__`."""


in_notebook.__module__ = "__main__"


@pytest.mark.parametrize(
    ("plugin", "message"),
    [
        (in_notebook, r"function in_notebook of a notebook .* `%%writefile my_net\.py` in the first line of"),
        (
            types.ModuleType("__main__"),
            "the code of the module __main__ cannot be sent to worker processes; ",
        ),
        (
            types.ModuleType("typed_in"),
            "the code of the module typed_in cannot be sent to worker processes; ",
        ),
        (json, "expected a module of one file, got json, which belongs to a package; `zoo plugins new`"),
        (
            json.dumps,
            "expected the path of a plugin file or a module, got the function dumps; pass the module",
        ),
        (3, "expected the path of a plugin file or a module, got 3"),
    ],
)
def test_python_object_without_file_is_refused(plugin, message):
    with pytest.raises(PluginError, match=message):
        plugin_file(plugin)


def test_imported_module_is_accepted(write, without_modules, monkeypatch):
    path = write("tiny_flip.py", FLIP)
    monkeypatch.syspath_prepend(path.parent)
    import tiny_flip

    assert plugin_file(tiny_flip).path == path
    assert load(tiny_flip).get("augmentation", "tiny_flip")
    with using_plugins([tiny_flip], has_keras=True):
        registry = Registry.load(entry_points=[])
    assert registry.get("augmentation", "tiny_flip").function is tiny_flip.tiny_flip


def test_different_files_of_same_name_are_refused(write):
    paths = [write("one/tiny.py", FLIP), write("two/tiny.py", f"{FLIP}#")]
    with pytest.raises(
        PluginError, match=r"different names, got .*one/tiny\.py and .*two/tiny\.py; rename one"
    ):
        load(*paths)
    with pytest.raises(PluginError, match="different names"):
        load(paths[0]).with_files([plugin_file(paths[1])])
    same = load(paths[0], write("three/tiny.py", FLIP))
    assert [file.path for file in same.files] == paths[:1]


MARKED = "import zoo\n@zoo.architecture\ndef {name}(input_shape, num_classes):\n    '''A network.'''\n"
HARMFUL = {
    "imports.py": ("import nothing_like_it", "could not be loaded: ModuleNotFoundError: No module named"),
    "empty.py": (
        "",
        ": expected at least one component, but it registers none. Write @zoo.dataset, @zoo.archit",
    ),
    "prints.py": (f"print('hello')\n{MARKED}", "prints when it is loaded: 'hello'; remove the output"),
    "exits.py": ("import os\nos._exit(3)", "ended the process that loaded it: exited with status 3"),
    "seeds.py": (
        f"import random\nrandom.seed(1)\n{MARKED}",
        "changes global state when it is loaded: Python's",
    ),
    "keras_seeds.py": (
        "import keras\nkeras.utils.set_random_seed(1)",
        ": keras_seeds.py:2 changes global state when it is loaded: keras.utils.set_random_seed; move this",
    ),
    "computes.py": (
        "import keras\nif keras.backend.backend() == 'jax':\n    pass",
        ": computes.py:2 computes with keras.backend.backend(…) when it is loaded, and zoo ",
    ),
    "built_in.py": (
        MARKED.replace("{name}", "conv_net"),
        ": @zoo.architecture registered 'conv_net', but zoo",
    ),
    "again.py": (MARKED.replace("{name}", "imports"), ""),
    "twice.py": (
        MARKED.replace("{name}", "imports"),
        ": @zoo.architecture registered 'imports', but again.py",
    ),
    "signature.py": ("import zoo\n@zoo.dataset\ndef data(x):\n    pass", ": @zoo.dataset: data"),
}


def test_each_harmful_file_has_one_line(write):
    for name, (text, _) in HARMFUL.items():
        write(name, text.replace("{name}", name.removesuffix(".py")))
    with pytest.raises(PluginError) as caught:
        load(*HARMFUL)
    lines = dict(
        zip([name for name in HARMFUL if name != "again.py"], str(caught.value).splitlines(), strict=True)
    )
    for name, line in lines.items():
        expected = HARMFUL[name][1]
        start = f"the plugin file {name}"
        assert line.startswith(f"{start}{expected}" if expected.startswith(":") else f"{start} {expected}"), (
            line
        )


def test_mark_refuses_what_is_no_function():
    with pytest.raises(
        PluginError, match=r"expected @zoo\.dataset above a function, without arguments, got 3"
    ):
        zoo.dataset(3)


def test_marked_metric_has_its_direction(write):
    write(
        "tiny_metrics.py",
        "import zoo\n@zoo.metric\ndef tiny_score(y_true, probabilities):\n    'A score.'\n"
        "@zoo.metric(direction='minimize')\ndef tiny_cost(y_true, probabilities):\n    'A cost.'\n",
    )
    registry = load("tiny_metrics.py")
    assert registry.get("metric", "tiny_score").direction == "maximize"
    assert registry.get("metric", "tiny_cost").direction == "minimize"
    write(
        "tiny_wrong.py",
        "import zoo\n@zoo.metric(direction='up')\ndef up(y_true, probabilities):\n    'Up.'\n",
    )
    with pytest.raises(PluginError, match=r"@zoo\.metric: up: expected direction='maximize' or 'minimize'"):
        load("tiny_wrong.py")


def test_probe_loads_the_source_that_was_read(in_tmp):
    path = in_tmp / "tiny_flip.py"
    path.write_text(FLIP)
    file = plugin_file(path)
    path.write_text("raise SystemExit(3)\n")
    with using_plugins([file]):
        assert "tiny_flip" in Registry.load(entry_points=[]).names("augmentation")
