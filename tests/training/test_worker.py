"""The process with Keras: answers come back, and errors as one line."""

from __future__ import annotations

import os

import pytest

from zoo.errors import InvalidParameters, ZooError
from zoo.training.worker import call_in_worker


class Stranger(ZooError):
    """A plugin's own kind of error, which this process might not be able to import."""

    def __init__(self, one, other):
        super().__init__(f"{one} and {other}")


def add(one, other):
    print("adding")
    return {"sum": one + other, "keras": "keras" in __import__("sys").modules}


def refuse(kind):
    if kind == "zoo":
        raise InvalidParameters("impossible together")
    if kind == "stranger":
        raise Stranger("this", "that")
    if kind == "nothing":
        return
    if kind == "other":
        raise KeyError("weights\nof two lines")
    os._exit(7)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "record" / "output.log"


def test_the_answer_comes_back_and_what_was_printed_is_in_the_log(log):
    assert call_in_worker(add, 1, 2, log_path=log) == {"sum": 3, "keras": True}
    assert log.read_text() == "adding\n"


def test_no_answer_is_an_answer(log):
    assert call_in_worker(refuse, "nothing", log_path=log) is None


@pytest.mark.parametrize(
    ("kind", "said"),
    [("zoo", "impossible together"), ("stranger", "this and that"), ("other", "KeyError: 'weights")],
)
def test_an_error_is_one_line(log, kind, said):
    with pytest.raises(ZooError) as raised:
        call_in_worker(refuse, kind, log_path=log)
    assert str(raised.value).startswith(said)
    assert len(str(raised.value).splitlines()) == 1
    if kind == "other":
        assert str(log) in str(raised.value)
        assert "Traceback" in log.read_text()


def test_a_death_is_told(log):
    with pytest.raises(ZooError, match=r"died: exited with status 7; its output is in .*output\.log"):
        call_in_worker(refuse, "death", log_path=log)


def test_a_backend_that_is_not_there(log, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflwo")
    with pytest.raises(ZooError, match="Did you mean 'tensorflow'"):
        call_in_worker(add, 1, 2, log_path=log)
