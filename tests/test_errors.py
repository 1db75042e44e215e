"""Helpers for error messages."""

from __future__ import annotations

import pickle

import pytest

from zoo.errors import (
    DataError,
    ZooError,
    count_text,
    did_you_mean,
    listed,
    one_line,
    portable,
    shape_text,
)
from zoo.redaction import redact


@pytest.mark.parametrize(
    ("name", "available", "text"),
    [
        ("learning-rate", ["epochs", "learning_rate"], "Did you mean 'learning_rate'?"),
        ("Trials", ["seed", "trials"], "Did you mean 'trials'?"),
        ("hi", ["low", "high"], "Did you mean 'high'?"),
        ("mnist_cnn-2", ["mnist_cnn"], "Did you mean 'mnist_cnn'?"),
        ("mnist_cnn", ["digits_cnn", "mnist_first"], "Available: digits_cnn, mnist_first."),
        ("a", ["ab", "b"], "Available: ab, b."),
        ("xyzzy", ["b", "a"], "Available: a, b."),
        ("xyzzy", [], "None available."),
    ],
)
def test_did_you_mean_suggests_or_lists(name, available, text):
    assert did_you_mean(name, available) == text


def test_one_line_survives_a_broken_str():
    class Broken:
        def __str__(self):
            raise RuntimeError("no")

    assert one_line("two\n  lines") == "two lines"
    assert one_line(Broken()) == "(no text: RuntimeError)"


def test_portable_error_of_a_plugin_unpickles_without_it():
    class OwnError(ZooError):
        """Defined by a plugin."""

    own = DataError("x")
    assert portable(own) is own
    again = pickle.loads(pickle.dumps(portable(OwnError("text", fix={"scale": 255}), DataError)))
    assert (type(again), str(again), again.fix) == (DataError, "text", {"scale": 255})


def test_portable_takes_an_error_with_its_own_init():
    class OwnError(ZooError):
        def __init__(self, path):
            self.path = path

    assert portable(OwnError("a.png")).fix == {}


def test_redact_keeps_user_and_host():
    assert redact("at postgresql://me:secret@host/db") == "at postgresql://me:***@host/db"
    assert redact("http://localhost:5000") == "http://localhost:5000"


def test_redact_knows_the_address_that_a_caller_has():
    text = "failed to resolve host 'ry4711@127.0.0.1'"
    assert redact(text) == text
    hidden = redact(text, "postgresql://me:Can@ry4711@127.0.0.1:5432/db")
    assert hidden == "failed to resolve host '***@127.0.0.1'"


@pytest.mark.parametrize(
    ("url", "redacted"),
    [
        ("mysql://me:p@ss@host/db", "mysql://me:***@host/db"),
        ("mysql://me:@p:/@ss@host", "mysql://me:***@host"),
        ("mysql://me@server:p@ss@host", "mysql://me@server:***@host"),
        ("a://me:p@ss@one,b://you:secret@two", "a://me:***@one,b://you:***@two"),
    ],
)
def test_redact_hides_all_of_a_password_with_at(url, redacted):
    assert redact(f"at {url} by me@home") == f"at {redacted} by me@home"


@pytest.mark.parametrize(
    ("count", "text"), [(0, ""), (1, "0"), (2, "0, 1"), (3, "0, 1 and 1 more"), (2002, "0, 1 and 2,000 more")]
)
def test_long_list_is_shortened(count, text):
    assert listed([str(number) for number in range(count)], 2) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 images"), (1, "1 image"), (2, "2 images"), (12345, "12,345 images")]
)
def test_number_has_its_noun(number, text):
    assert count_text(number, "image") == text


def test_shape_is_shown_with_crosses():
    assert shape_text((28, 28, 3)) == "28×28×3"
