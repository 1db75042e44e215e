"""Preparation of a dataset, in this process and in a worker process."""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import zoo.data.prepare as data_prepare
from zoo import hookimpl
from zoo.data import Dataset, Split
from zoo.data.prepare import prepare, prepare_in_process
from zoo.data.store import digest_of, open_dataset
from zoo.errors import DataError, InvalidParameters, PluginError, ZooError
from zoo.process import WorkerProcess
from zoo.registry import Plugin, Registry
from zoo.trial import PluginConfig

FIFTH = {"fraction": 0.2, "seed": 0}

PLUGIN = '''
import os, signal, sys, threading, time, warnings
import numpy as np
from typing import Annotated
from zoo import Dataset, Int, Split, ZooError, hookimpl, progress


class OddError(ZooError):
    """An error that does not unpickle."""

    def __init__(self, one, other):
        super().__init__(f"{one} and {other}")


@hookimpl
def register_datasets(register):
    for function in (fine, odd, exits, killed, lingers, slow, killed_while, killed_after):
        register(function)


def fine(*, count: Annotated[int, Int(10, 100)] = 20):
    print("printed by the plugin")
    os.write(1, b"written by the plugin\\n")
    warnings.warn("warned by the plugin", DeprecationWarning)
    return Dataset(
        Split(np.zeros((count, 4, 5, 3), np.uint8), np.arange(count) % 2),
        class_names=["no", "yes"],
        source="made up",
        warning="not real",
    )


def odd():
    raise OddError("this", "that")


def exits():
    print("reading postgresql://me:secret@host/images", flush=True)
    os._exit(3)


def killed():
    os.kill(os.getpid(), signal.SIGKILL)


def lingers():
    threading.Thread(target=time.sleep, args=(600,)).start()
    return fine()


def slow():
    for _ in progress(range(4), "decoding 4 images"):
        pass
    return fine()


def killed_while():
    for _ in progress(["a.mat"], "reading a.mat"):
        killed()


def killed_after():
    list(progress(["a.mat"], "reading a.mat"))
    killed()
'''


def entry_for(function):
    """Return the component that the registry makes of a dataset function."""

    @hookimpl
    def register_datasets(register):
        register(function)

    registry = Registry()
    plugin = Plugin("test", "zoo-test", "1.5")
    registry.add(plugin, lambda: SimpleNamespace(register_datasets=register_datasets))
    return registry.get("dataset", function.__name__)


def random_images(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 4, 5, 3), np.uint8)


def pixels(count=20):
    return Dataset(
        Split(random_images(count), np.arange(count) % 2),
        test=Split(random_images(6, seed=1), np.arange(6) % 2),
        class_names=["no", "yes"],
        source="made up",
        warning="not real",
    )


def test_prepared_dataset_has_its_facts(tmp_path):
    def squares():
        return pixels()

    prepared = prepare(entry_for(squares), {}, FIFTH, tmp_path)
    assert prepared.digest == digest_of(pixels())
    assert prepared.class_names == ("no", "yes")
    assert prepared.image_shape == (4, 5, 3)
    assert dict(prepared.sizes) == {"train": 16, "validation": 4, "test": 6}
    assert (prepared.source, prepared.warning) == ("made up", "not real")
    assert len(open_dataset(tmp_path, prepared.digest).train) == 20


def test_identical_images_are_added_to_the_warning(tmp_path):
    def leaky():
        return replace(pixels(), test=Split(random_images(6), np.arange(6) % 2))

    prepared = prepare(entry_for(leaky), {}, FIFTH, tmp_path)
    assert prepared.warning.startswith("not real 6 of 6 test images have the same pixels as a train image")


def test_absent_class_is_added_to_the_warning(tmp_path):
    def lopsided():
        return replace(pixels(), test=Split(random_images(6, seed=1), np.zeros(6, int)))

    prepared = prepare(entry_for(lopsided), {}, FIFTH, tmp_path)
    assert prepared.warning == (
        "not real The test split (6 images) has no image of class 'yes' (10 in other splits)."
    )
    assert open_dataset(tmp_path, prepared.digest).warning == prepared.warning


def test_own_validation_split_is_counted(tmp_path):
    def squares():
        return Dataset(pixels().train, validation=pixels(8).train, class_names=["no", "yes"])

    prepared = prepare(entry_for(squares), {}, FIFTH, tmp_path)
    assert dict(prepared.sizes) == {"train": 20, "validation": 8}


def returns(value):
    def broken():
        return value

    return broken


def raises(error):
    def broken():
        raise error

    return broken


@pytest.mark.parametrize(
    ("function", "kind", "text"),
    [
        (
            returns(None),
            DataError,
            "the dataset 'broken' of zoo-test 1.5: expected a zoo.Dataset, got NoneType",
        ),
        (
            returns(Dataset(Split(np.zeros((2, 4, 4, 1)), np.arange(2)), class_names=["a", "b"])),
            DataError,
            "the dataset 'broken' of zoo-test 1.5: train images: expected uint8 (0 to 255), got float64 "
            'from 0.0 to 0.0. Use `(images * 255).astype("uint8")`.',
        ),
        (
            returns(
                Dataset(Split(np.zeros((3, 4, 4, 1), np.uint8), np.array([0, 0, 1])), class_names=["a", "b"])
            ),
            DataError,
            "cannot cut a validation split: expected at least 2 training images of each class, "
            "got 1 image of class 'b'. Add images.",
        ),
        (
            raises(ValueError("a\n  b")),
            DataError,
            "the dataset 'broken' of zoo-test 1.5 could not be read: ValueError: a b",
        ),
        (
            raises(SystemExit(2)),
            DataError,
            "the dataset 'broken' of zoo-test 1.5 could not be read: SystemExit: 2",
        ),
        (
            raises(DataError("no such folder")),
            DataError,
            "the dataset 'broken' of zoo-test 1.5: no such folder",
        ),
        (raises(ZooError("Set ZOO_DATA_DIR.")), ZooError, "Set ZOO_DATA_DIR."),
        (raises(InvalidParameters("no")), InvalidParameters, "no"),
    ],
)
def test_error_names_dataset_and_distribution(tmp_path, function, kind, text):
    with pytest.raises(ZooError) as error:
        prepare(entry_for(function), {}, FIFTH, tmp_path)
    assert type(error.value) is kind
    assert str(error.value) == text


def test_unwritable_cache_is_named(tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(
        DataError, match=r"'broken' of zoo-test 1\.5 could not be written into .*cache: .*cache"
    ):
        prepare(entry_for(returns(pixels())), {}, FIFTH, tmp_path / "cache")


# In a worker process


@pytest.fixture
def prepared(tmp_path, install_plugin, monkeypatch):
    """Return a function that prepares a dataset of PLUGIN as `zoo tune` does, with the log `prepare.log`."""
    monkeypatch.syspath_prepend(install_plugin("zoo-made", "0.7", PLUGIN))

    def run(name, listener=None, **parameters):
        log = tmp_path / "prepare.log"
        return prepare_in_process(PluginConfig(name, parameters), FIFTH, tmp_path / "cache", log, listener)

    yield run
    sys.modules.pop("zoo_made", None)


def test_output_of_the_plugin_goes_to_the_log(prepared, tmp_path, capfd):
    result = prepared("fine", count=50)
    assert dict(result.sizes) == {"train": 40, "validation": 10}
    assert len(open_dataset(tmp_path / "cache", result.digest).train) == 50
    assert capfd.readouterr() == ("", "")
    log = (tmp_path / "prepare.log").read_text()
    for text in ("printed by the plugin", "written by the plugin", "warned by the plugin"):
        assert text in log


def test_error_of_the_worker_is_raised_here(prepared, tmp_path, capfd):
    with pytest.raises(DataError, match=r"^this and that$"):
        prepared("odd")
    with pytest.raises(PluginError, match=r"there is no dataset named 'fin'\. Did you mean 'fine'\?"):
        prepared("fin")
    assert capfd.readouterr() == ("", "")
    assert "OddError" in (tmp_path / "prepare.log").read_text()


@pytest.mark.parametrize(
    ("name", "how"), [("exits", "exited with status 3"), ("killed", "killed by signal 9 (SIGKILL)")]
)
def test_death_of_the_worker_is_reported(prepared, tmp_path, name, how):
    with pytest.raises(DataError) as error:
        prepared(name)
    assert str(error.value) == (
        f"the process that prepares the dataset '{name}' died: {how}. "
        f"Its output is in {tmp_path / 'prepare.log'}."
    )


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("killed_while", "killed by signal 9 (SIGKILL), while reading a.mat"),
        ("killed_after", "killed by signal 9 (SIGKILL)"),
    ],
)
def test_step_is_named_when_the_worker_dies(prepared, tmp_path, name, how):
    with pytest.raises(DataError) as error:
        prepared(name)
    assert str(error.value) == (
        f"the process that prepares the dataset '{name}' died: {how}. "
        f"Its output is in {tmp_path / 'prepare.log'}."
    )


def test_log_of_dead_worker_has_no_password(prepared, tmp_path):
    with pytest.raises(DataError):
        prepared("exits")
    assert "reading postgresql://me:***@host/images" in (tmp_path / "prepare.log").read_text()


def test_unexpected_error_is_reported_with_its_reason(tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError("not\ntoday")

    sent = []
    connection = SimpleNamespace(send=sent.append)
    monkeypatch.setattr(data_prepare, "enter_worker", lambda *_: None)
    monkeypatch.setattr(data_prepare, "prepare", broken)
    with warnings.catch_warnings():
        arguments = (PluginConfig("digits"), FIFTH, tmp_path, tmp_path / "a.log", None, ())
        data_prepare._prepare_and_send(connection, *arguments)
    (error,) = sent
    assert type(error) is DataError
    assert str(error) == (
        "the dataset 'digits' could not be prepared: RuntimeError: not today. "
        f"Its output is in {tmp_path / 'a.log'}."
    )


def test_progress_of_the_worker_reaches_the_listener(prepared):
    reports = []
    prepared("slow", lambda what, fraction: reports.append((what, fraction)))
    steps = list(dict.fromkeys(what for what, _ in reports))
    assert steps == [
        "decoding 4 images",
        "comparing images",
        "computing the digest of the dataset",
        "writing the dataset into the cache",
    ]
    decoded = [fraction for what, fraction in reports if what == "decoding 4 images"]
    assert (decoded[0], decoded[-1]) == (0.0, 1.0)  # others come in between if the machine is slow


def test_running_thread_does_not_block_the_result(prepared, monkeypatch):
    finish = WorkerProcess.finish
    monkeypatch.setattr(WorkerProcess, "finish", lambda self: finish(self, timeout=0.2))
    assert dict(prepared("lingers").sizes) == {"train": 16, "validation": 4}


def test_interrupt_kills_the_worker(prepared, monkeypatch):
    def interrupt(what, fraction):
        raise KeyboardInterrupt

    workers, kill = [], WorkerProcess.kill
    monkeypatch.setattr(WorkerProcess, "kill", lambda self: workers.append(self) or kill(self))
    with pytest.raises(KeyboardInterrupt):
        prepared("lingers", interrupt)
    workers[0].process.join(30)
    assert workers[0].process.exitcode is not None


def test_preparation_warns_of_nothing(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prepare(entry_for(returns(pixels())), {}, FIFTH, tmp_path)
