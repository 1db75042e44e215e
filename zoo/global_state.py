"""Global state of the process that a plugin must not change: environment, seeds, signal handlers, settings.

A function that a plugin registers may draw random numbers, but must not set a seed: the study sets it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

State = Mapping[str, Any]  # name of a setting -> its value

_KERAS_SETTINGS = ("floatx", "epsilon", "image_data_format", "dtype_policy")


class Change(NamedTuple):
    """A setting that a plugin changed."""

    setting: str  # "the environment variable PATH"
    before: Any
    after: Any

    def __str__(self) -> str:
        if isinstance(self.before, list):
            added = [entry for entry in self.after if entry not in self.before]
            return f"{self.setting} changed" + (f": {added[0]!r} was added" if added else "")
        return f"{self.setting} changed from {self.before!r} to {self.after!r}"


def snapshot() -> State:
    """Return the value of every setting."""
    return {setting.name: setting.get() for setting in _SETTINGS}


def changes(before: State, after: State) -> list[Change]:
    """Return the differences between two snapshots; a setting with parts has a change for each part."""
    found: list[Change] = []
    for name, old in before.items():
        new = after[name]
        if isinstance(old, dict):
            found += [Change(name.format(key), old.get(key), new.get(key)) for key in {**old, **new}]
        else:
            found.append(Change(name, old, new))
    return [change for change in found if change.before != change.after]


@contextmanager
def changes_undone() -> Iterator[list[Change]]:
    """Restore global state after the block; then the list contains the changes of the block."""
    before = snapshot()
    found: list[Change] = []
    try:
        yield found
    finally:
        after = snapshot()
        found += changes(before, after)
        for setting in _SETTINGS:
            if before[setting.name] != after[setting.name]:
                setting.set(before[setting.name])


def random_states() -> dict[str, str]:
    """Return a digest of the state of each global stream of random numbers."""
    state: Any = np.random.get_state()
    return {
        "Python's random numbers": hashlib.sha256(repr(random.getstate()).encode()).hexdigest(),
        "NumPy's random numbers": hashlib.sha256(state[1].tobytes() + str(state[2:]).encode()).hexdigest(),
    }


@contextmanager
def random_states_restored() -> Iterator[None]:
    """Restore Python's and NumPy's random numbers after the block."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


class _Setting(NamedTuple):
    name: str  # has {} for the key if the value is a dict
    get: Callable[[], Any]
    set: Callable[[Any], object]


def _set_environment(before: Mapping[str, str]) -> None:
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)


def _set_items(target: Any, items: list[Any]) -> None:
    target[:] = items


def _set_root_logger(before: list[Any]) -> None:
    logging.root.setLevel(before[0])
    logging.root.handlers[:] = before[1:]


def _set_signal_handlers(before: Mapping[str, Any]) -> None:
    for name, handler in before.items():
        with suppress(OSError, ValueError, TypeError):  # SIGKILL has no handler, and C code may have set one
            signal.signal(signal.Signals[name], handler)


def _keras_settings() -> dict[str, Any]:
    # Keras is not imported here: the supervisor has no Keras. Only code that imported Keras can change these.
    config = getattr(sys.modules.get("keras"), "config", None)
    values = {name: getattr(config, name)() for name in _KERAS_SETTINGS} if config else {}
    return {name: getattr(value, "name", value) for name, value in values.items()}


def _set_keras_settings(before: Mapping[str, Any]) -> None:
    for name, value in before.items():
        getattr(sys.modules["keras"].config, f"set_{name}")(value)


_SETTINGS = (
    _Setting("the environment variable {}", lambda: dict(os.environ), _set_environment),
    _Setting("the working folder", lambda: str(Path.cwd()), os.chdir),
    _Setting("sys.path", lambda: list(sys.path), lambda old: _set_items(sys.path, old)),
    _Setting(
        "warnings.filters", lambda: list(warnings.filters), lambda old: _set_items(warnings.filters, old)
    ),
    _Setting("the root logger", lambda: [logging.root.level, *logging.root.handlers], _set_root_logger),
    _Setting(
        "the handler of {}",
        lambda: {number.name: signal.getsignal(number) for number in signal.Signals},
        _set_signal_handlers,
    ),
    _Setting("numpy.geterr()['{}']", lambda: dict(np.geterr()), lambda old: np.seterr(**old)),
    _Setting("keras.config.{}()", _keras_settings, _set_keras_settings),
)
