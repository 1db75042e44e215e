"""`zoo.reads`: a dataset is read again if one of its files or its code has changed, and only then."""

from __future__ import annotations

import importlib
import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import zoo
from zoo import Dataset, Split
from zoo.data.prepare import prepare
from zoo.data.reporting import report_to
from zoo.data.sources import fingerprint
from zoo.data.store import open_dataset
from zoo.registry import Plugin, Registry

FIFTH = {"fraction": 0.2, "seed": 0}

PLUGIN = """
import numpy as np
from pathlib import Path
from zoo import Dataset, Split, hookimpl, reads


def files(*, folder, **_):
    return sorted(Path(folder).iterdir())


@hookimpl
def register_datasets(register):
    register(bright)


@reads(files)
def bright(*, folder: str, scale: int = 1):
    Path("calls").open("a").write("x")
    pixels = b"".join(path.read_bytes() for path in files(folder=folder))
    images = np.frombuffer(pixels, np.uint8).reshape(-1, 1, 1, 1) * np.uint8(scale)
    return Dataset(Split(images, np.arange(len(images)) % 2), class_names=["a", "b"], source=folder)
"""


@pytest.fixture
def bright(in_tmp, install_plugin, monkeypatch):
    """bright(**parameters) -> the prepared dataset, and how often the dataset function has been called."""
    site = install_plugin("zoo-bright", "1.0", PLUGIN)
    monkeypatch.syspath_prepend(site)
    (in_tmp / "photos").mkdir()
    for name in ("one", "two"):
        (in_tmp / "photos" / name).write_bytes(bytes(range(10)))

    def run(folder="photos", **parameters):
        sys.modules.pop("zoo_bright", None)
        entry = Registry.load().get("dataset", "bright")
        prepared = prepare(entry, {"folder": folder, **parameters}, FIFTH, in_tmp / "cache")
        calls = Path("calls")
        return prepared, len(calls.read_text()) if calls.exists() else 0

    run.site = site
    run.folder = in_tmp
    yield run
    sys.modules.pop("zoo_bright", None)


def test_unchanged_dataset_is_read_once(bright):
    first, _ = bright()
    again, calls = bright()
    assert calls == 1
    assert again == first
    assert dict(again.sizes) == {"train": 16, "validation": 4}


def rewrite(path):
    path.write_bytes(bytes(range(1, 11)))


def rewrite_and_set_back_the_clock(path):
    before = path.stat()
    rewrite(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES = {
    "content": lambda folder: rewrite(folder / "one"),
    "content with the old modification time": lambda folder: rewrite_and_set_back_the_clock(folder / "one"),
    "replaced file": lambda folder: (
        (folder / "new").write_bytes(bytes(range(1, 11))) and (folder / "new").replace(folder / "one")
    ),
    "added file": lambda folder: (folder / "three").write_bytes(b"12"),
    "removed file": lambda folder: (folder / "two").unlink(),
    "renamed file": lambda folder: (folder / "one").rename(folder / "zebra"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_file_is_read_again(bright, change):
    first, _ = bright()
    change(bright.folder / "photos")
    second, calls = bright()
    assert calls == 2
    if change is not CHANGES["renamed file"]:
        assert second.digest != first.digest
    assert bright() == (second, 2)


def test_parameters_version_and_code_are_compared(bright):
    first, _ = bright()
    scaled, calls = bright(scale=2)
    assert (calls, scaled.digest != first.digest) == (2, True)
    assert bright(scale=1)[1] == 2
    metadata = bright.site / "zoo_bright-1.0.dist-info/METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 1.0", "Version: 1.1"))
    assert bright()[1] == 3
    module = bright.site / "zoo_bright.py"
    module.write_text(module.read_text().replace("np.uint8(scale)", "np.uint8(2 * scale)"))
    recoded, calls = bright()
    assert (calls, recoded.digest) == (4, scaled.digest)


@pytest.fixture
def packed(in_tmp, monkeypatch):
    """A dataset in a package that has a sub-package: zoo_packed/{__init__,main,helper,deep/levels}.py."""
    package = in_tmp / "zoo_packed"
    (package / "deep").mkdir(parents=True)
    (package / "__init__.py").write_text("from .main import bright\n")
    (package / "helper.py").write_text("")
    (package / "deep/__init__.py").write_text("")
    (package / "deep/levels.py").write_text("LEVEL = 1\n")
    (package / "main.py").write_text(
        "import numpy as np\nfrom zoo import Dataset, Split, reads\nfrom .deep.levels import LEVEL\n"
        "@reads(lambda: [])\ndef bright():\n"
        "    images = np.full((10, 1, 1, 1), LEVEL, np.uint8)\n"
        "    return Dataset(Split(images, np.arange(10) % 2), class_names=['a', 'b'])\n"
    )
    monkeypatch.syspath_prepend(in_tmp)

    def load():
        for name in [name for name in sys.modules if name.startswith("zoo_packed")]:
            del sys.modules[name]
        importlib.invalidate_caches()
        return registered(importlib.import_module("zoo_packed").bright)

    load.package = package
    yield load
    load()


def test_changed_helper_module_changes_the_fingerprint(packed):
    before = fingerprint(packed(), {})
    assert fingerprint(packed(), {}) == before
    (packed.package / "helper.py").write_text("x = 2\n")
    assert fingerprint(packed(), {}) != before


def test_changed_sub_package_is_read_again(packed, in_tmp):
    first = prepare(packed(), {}, FIFTH, in_tmp / "cache")
    assert prepare(packed(), {}, FIFTH, in_tmp / "cache") == first
    (packed.package / "deep/levels.py").write_text("LEVEL = 200\n")
    second = prepare(packed(), {}, FIFTH, in_tmp / "cache")
    assert second.digest != first.digest
    assert open_dataset(in_tmp / "cache", second.digest).train.images.max() == 200


def test_relative_path_in_another_folder_is_another_file(bright, tmp_path_factory, monkeypatch):
    bright()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "photos").mkdir()
    (elsewhere / "photos/one").write_bytes(bytes(range(20)))
    monkeypatch.chdir(elsewhere)
    assert bright()[1] == 1  # `calls` lies in the working folder


def test_damaged_cache_is_written_again(bright):
    first, _ = bright()
    folder = bright.folder / "cache" / first.digest
    for number, harm in enumerate(
        [
            lambda: (folder / "train-images.npy").write_bytes(b""),
            lambda: (folder / "dataset.json").unlink(),
            lambda: next(folder.glob("read-*.json")).write_text("{"),
            lambda: next(folder.glob("read-*.json")).write_text("[]"),
            lambda: next(folder.glob("read-*.json")).unlink(),
        ],
        start=2,
    ):
        harm()
        assert bright() == (first, number)
        assert bright() == (first, number)


def test_file_changed_while_read_is_read_again(in_tmp):
    path = in_tmp / "pixels"
    path.write_bytes(bytes(10))
    calls = []

    @zoo.reads(lambda: [path])
    def moving():
        pixels = path.read_bytes()
        calls.append(len(pixels))
        if len(calls) == 1:
            path.write_bytes(bytes(12))
        images = np.frombuffer(pixels, np.uint8).reshape(-1, 1, 1, 1)
        return Dataset(Split(images, np.arange(len(images)) % 2), class_names=["a", "b"])

    for _ in range(3):
        prepare(registered(moving), {}, FIFTH, in_tmp / "cache")
    assert calls == [10, 12]


def test_equal_arrays_keep_their_own_sources(in_tmp):
    """Datasets with the same arrays share a folder of the cache."""

    def component(name):
        @zoo.reads(lambda: [])
        def function():
            images = np.arange(60, dtype=np.uint8).reshape(10, 3, 2, 1)
            warning = f"{name} is not real"
            return Dataset(Split(images, np.arange(10) % 2), None, None, ["a", "b"], name, warning)

        function.__name__ = name
        return registered(function)

    for _ in range(2):
        for name in ("one", "two"):
            prepared = prepare(component(name), {}, FIFTH, in_tmp / "cache")
            assert (prepared.source, prepared.warning) == (name, f"{name} is not real")


def test_missing_file_is_reported_by_the_dataset(in_tmp):
    @zoo.reads(lambda: ["nowhere"])
    def lost():
        raise zoo.ZooError("there is no file nowhere.")

    entry = registered(lost)
    assert fingerprint(entry, {}) == fingerprint(entry, {})
    with pytest.raises(zoo.ZooError, match=r"^there is no file nowhere\.$"):
        prepare(entry, {}, FIFTH, in_tmp / "cache")


def test_error_in_files_function_names_the_dataset(in_tmp):
    @zoo.reads(lambda: 1 / 0)
    def broken(): ...

    with pytest.raises(zoo.ZooError, match=r"'broken' of zoo-test 1\.5 could not be read: ZeroDivisionError"):
        prepare(registered(broken), {}, FIFTH, in_tmp / "cache")


def test_dataset_without_reads_has_no_fingerprint():
    def silent(): ...

    assert fingerprint(registered(silent), {}) is None


def test_dataset_that_depends_on_a_server_has_no_fingerprint():
    @zoo.reads(lambda: None)
    def remote(): ...

    assert fingerprint(registered(remote), {}) is None


def test_reads_returns_the_same_function():
    def function(*, path: str): ...

    assert zoo.reads(lambda *, path: [path])(function) is function


def test_documented_dataset_is_cached(in_tmp):
    page = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")
    (block,) = [one for one in re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S) if "@reads" in one]
    names = {}
    exec(block, names)
    for name in ("good1", "good2", "poor1", "poor2"):
        (in_tmp / f"{name}.raw").write_bytes(bytes(64 * 64))
    entry = registered(names["scans"])
    steps = []
    with report_to(lambda what, fraction: steps.append(what)):
        first = prepare(entry, {"folder": str(in_tmp)}, FIFTH, in_tmp / "cache")
    assert dict(first.sizes) == {"train": 2, "validation": 2}
    assert steps[0] == "reading scans"
    with report_to(lambda what, fraction: steps.clear()):
        assert prepare(entry, {"folder": str(in_tmp)}, FIFTH, in_tmp / "cache") == first
    assert steps


def registered(function):
    """Return the component that the registry makes of a dataset function."""
    registry = Registry()
    plugin = Plugin("test", "zoo-test", "1.5")

    class Module:
        @staticmethod
        @zoo.hookimpl
        def register_datasets(register):
            register(function)

    registry.add(plugin, Module)
    assert not registry.problems
    return replace(registry.get("dataset", function.__name__), function=function)
