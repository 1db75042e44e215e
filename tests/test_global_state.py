"""Snapshots of global state: every change is found, named and undone."""

from __future__ import annotations

import logging
import os
import random
import signal
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest

from zoo.global_state import changes_undone, random_states, random_states_restored, snapshot

CHANGES = {
    "the environment variable ZOO_X changed from None to '1'": lambda: os.environ.update(ZOO_X="1"),
    f"the environment variable HOME changed from {os.environ.get('HOME')!r} to None": lambda: os.environ.pop(
        "HOME"
    ),
    f"the working folder changed from {str(Path.cwd())!r} to '/'": lambda: os.chdir("/"),
    "sys.path changed: '/nowhere' was added": lambda: sys.path.append("/nowhere"),
    "warnings.filters changed: ('ignore', None, <class 'ImportWarning'>, None, 3) was added": lambda: (
        warnings.simplefilter("ignore", ImportWarning, lineno=3)
    ),
    "the root logger changed: 7 was added": lambda: logging.getLogger().setLevel(7),
    "the handler of SIGUSR1 changed from": lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN),
    "numpy.geterr()['divide'] changed from 'warn' to 'raise'": lambda: np.seterr(divide="raise"),
    "keras.config.floatx() changed from 'float32' to 'float16'": lambda: keras.config.set_floatx("float16"),
    "keras.config.dtype_policy() changed from 'float32' to 'mixed_bfloat16'": lambda: (
        keras.config.set_dtype_policy("mixed_bfloat16")
    ),
}


@pytest.mark.parametrize(("text", "change"), CHANGES.items(), ids=CHANGES)
def test_change_is_described_and_undone(text, change):
    before = snapshot()
    with changes_undone() as found:
        change()
        assert snapshot() != before
    assert snapshot() == before
    assert [str(one)[: len(text)] for one in found] == [text]


def test_no_change_is_found_without_one():
    with changes_undone() as found:
        random.random()
        np.random.random()
    assert found == []


def test_changes_are_undone_after_an_exception():
    before = snapshot()
    try:
        with changes_undone():
            os.environ["ZOO_X"] = "1"
            raise KeyError
    except KeyError:
        pass
    assert snapshot() == before


def test_random_states_differ_after_drawing_and_are_restored():
    before = random_states()
    with random_states_restored():
        random.random()
        assert random_states()["Python's random numbers"] != before["Python's random numbers"]
        assert random_states()["NumPy's random numbers"] == before["NumPy's random numbers"]
        np.random.random()
        assert random_states()["NumPy's random numbers"] != before["NumPy's random numbers"]
    assert random_states() == before
