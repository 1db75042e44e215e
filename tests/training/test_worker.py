"""Calls in a worker process with Keras: results, errors as one line, deaths."""

from __future__ import annotations

import errno
import gc
import os
import sys
from multiprocessing import forkserver

import pytest

from zoo.disk_space import DiskFull
from zoo.errors import InvalidParameters, ZooError
from zoo.training.worker import call_in_worker


class PluginsOwnError(ZooError):
    """An error class of a plugin, which another process may be unable to import."""

    def __init__(self, one, other):
        super().__init__(f"{one} and {other}")


def add(one, other):
    print("adding")
    return {"sum": one + other, "keras": "keras" in __import__("sys").modules}


def refuse(kind):
    if kind == "zoo":
        raise InvalidParameters("impossible together")
    if kind == "plugin":
        raise PluginsOwnError("this", "that")
    if kind == "nothing":
        return
    if kind == "full":
        raise OSError(errno.ENOSPC, "No space left on device", "/disk/predictions.npz")
    if kind == "other":
        raise KeyError("weights\nof two lines")
    os._exit(7)


def describe_imports():
    """Return what Keras has imported besides what trials need, and whether these modules can be imported."""
    loaded = [name for name in ("IPython", "matplotlib", "pandas", "sklearn") if name in sys.modules]
    import pandas as pd
    import sklearn.metrics

    return loaded, int(pd.Series([1, 2]).sum()), sklearn.metrics.accuracy_score([0, 1], [0, 1])


def is_collecting():
    return gc.isenabled(), gc.get_freeze_count() > 100_000


@pytest.fixture(scope="module", autouse=True)
def new_fork_server():
    """A process has one fork server; an earlier test may have started it without Keras."""
    forkserver._forkserver._stop()


@pytest.fixture
def log(tmp_path):
    return tmp_path / "record" / "output.log"


def test_result_is_returned_and_output_is_logged(log):
    assert call_in_worker(add, 1, 2, log_path=log) == {"sum": 3, "keras": True}
    assert log.read_text() == "adding\n"


def test_keras_is_loaded_without_packages_that_no_trial_needs(log):
    assert call_in_worker(describe_imports, log_path=log) == ([], 3, 1.0)


def test_garbage_of_the_trial_alone_is_collected(log):
    assert call_in_worker(is_collecting, log_path=log) == (True, True)


def test_none_is_a_result(log):
    assert call_in_worker(refuse, "nothing", log_path=log) is None


@pytest.mark.parametrize(
    ("kind", "message"),
    [("zoo", "impossible together"), ("plugin", "this and that"), ("other", "KeyError: 'weights")],
)
def test_error_is_one_line(log, kind, message):
    with pytest.raises(ZooError) as raised:
        call_in_worker(refuse, kind, log_path=log)
    assert str(raised.value).startswith(message)
    assert len(str(raised.value).splitlines()) == 1
    if kind == "other":
        assert str(log) in str(raised.value)
        assert "Traceback" in log.read_text()


def test_full_disk_is_recognized(log):
    with pytest.raises(DiskFull, match=r"the disk is full: /disk/predictions\.npz cannot be written"):
        call_in_worker(refuse, "full", log_path=log)


def test_death_of_the_process_is_reported(log):
    with pytest.raises(ZooError, match=r"died: exited with status 7; its output is in .*output\.log"):
        call_in_worker(refuse, "death", log_path=log)


def test_unknown_backend_is_rejected(log, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflwo")
    with pytest.raises(ZooError, match="Did you mean 'tensorflow'"):
        call_in_worker(add, 1, 2, log_path=log)
