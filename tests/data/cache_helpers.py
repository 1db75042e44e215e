"""Small datasets, and processes killed while they write, for the tests of the cache."""

from __future__ import annotations

import os
import signal
import sys

import numpy as np

import zoo.files
from zoo.data import Dataset, Split, store, validation

TRACED = (store.__file__, validation.__file__, zoo.files.__file__)


def small_dataset(images=6, source="made up"):
    """Return three classes, two splits, a few hundred bytes."""
    stream = np.random.RandomState(images)

    def split(count):
        pixels = stream.randint(0, 256, (count, 3, 2, 1)).astype(np.uint8)
        return Split(pixels, np.arange(count) % 3)

    return Dataset(
        split(images), test=split(3), class_names=("ant", "bee", "cat"), source=source, warning="not real"
    )


def labelled(labels, names=None):
    """Return a dataset of one-pixel images with these labels."""
    labels = np.asarray(labels)
    names = names or [f"class {label}" for label in range(int(labels.max()) + 1)]
    return Dataset(Split(np.zeros((len(labels), 1, 1, 1), np.uint8), labels), class_names=names)


def same(one, other):
    """Return whether two datasets hold the same arrays."""
    return list(one.class_names) == list(other.class_names) and all(
        (a is None) == (b is None)
        and (a is None or (np.array_equal(a.images, b.images) and np.array_equal(a.labels, b.labels)))
        for a, b in ((getattr(one, name), getattr(other, name)) for name in store.SPLITS)
    )


def leftovers(cache):
    return [path.name for path in cache.rglob(".*.tmp")]


def in_a_fork(action):
    """Run `action` in a fork of this process and return its exit code."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def dying_at_line(number, action):
    """Return a function that runs `action` and is killed at the `number`th line of the traced modules."""
    lines = 0

    def trace(frame, event, argument):
        nonlocal lines
        if frame.f_code.co_filename not in TRACED:
            return None
        if event == "line":
            lines += 1
            if lines == number:
                die()
        return trace

    def run():
        sys.settrace(trace)
        action()

    return run
