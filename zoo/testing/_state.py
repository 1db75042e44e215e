"""What a function may not change: everything that outlives its call and that others see."""

from __future__ import annotations

import hashlib
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

State = dict[str, Any]


class _Portrait(Protocol):
    changes: list[str]
    random_states: Mapping[str, str]


Seen = TypeVar("Seen", bound=_Portrait)


@contextmanager
def watched() -> Iterator[list[str]]:
    """Everything as it was afterwards; the list then says what had been changed inside."""
    before = _snapshot()
    changes: list[str] = []
    try:
        yield changes
    finally:
        changes += _differences(before, _snapshot())
        if changes:
            _restore(before)


def changed_again(changes: list[str], act: Callable[[], object]) -> list[str]:
    """What `act` changes, if it made `changes` before; after that, everything is as it was.

    What a first import inside a function changes does not come again, and a plugin is to import there.
    """
    if not changes:
        return []
    with watched() as again, suppress(Exception, SystemExit):
        act()
    return again


@contextmanager
def random_numbers_kept() -> Iterator[None]:
    """Python's and NumPy's random numbers go on afterwards as if nothing had happened."""
    import numpy as np

    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def random_states() -> dict[str, str]:
    """A digest of the state of each global stream of random numbers."""
    import numpy as np

    state: Any = np.random.get_state()
    return {
        "Python's random": hashlib.sha256(repr(random.getstate()).encode()).hexdigest(),
        "numpy.random": hashlib.sha256(state[1].tobytes() + str(state[2:]).encode()).hexdigest(),
    }


def disturbance(portraits: Iterable[Seen]) -> tuple[Seen, str] | None:
    """The first that changed what others use, and what that was; each was taken after another seed."""
    before: dict[tuple[str, str], Seen] = {}
    for portrait in portraits:
        if portrait.changes:
            return portrait, portrait.changes[0]
        for stream, state in portrait.random_states.items():
            if before.setdefault((stream, state), portrait) is not portrait:
                return before[stream, state], f"{stream} was given a seed"
    return None


def _snapshot() -> State:
    import keras
    import numpy as np

    return {
        "the working folder": str(Path.cwd()),
        "os.environ": dict(os.environ),
        "sys.path": list(sys.path),
        "warnings.filters": list(warnings.filters),
        "numpy.geterr()": np.geterr(),
        "keras.config.floatx()": keras.config.floatx(),
        "keras.config.epsilon()": keras.config.epsilon(),
        "keras.config.image_data_format()": keras.config.image_data_format(),
        "keras.config.dtype_policy()": keras.config.dtype_policy().name,
    }


def _differences(before: State, after: State) -> list[str]:
    return [_told(name, before[name], after[name]) for name in before if before[name] != after[name]]


def _told(name: str, before: Any, after: Any) -> str:
    if isinstance(before, dict):
        keys = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
        values = [f"{key} from {before.get(key)!r} to {after.get(key)!r}" for key in keys[:3]]
        return f"{name} changed: {', '.join(values)}"
    if isinstance(before, list):
        added = [entry for entry in after if entry not in before]
        return f"{name} changed" + (f": {added[0]!r} came in" if added else "")
    return f"{name} changed from {before!r} to {after!r}"


def _restore(before: State) -> None:
    import keras
    import numpy as np

    os.chdir(before["the working folder"])
    for name in set(os.environ) - set(before["os.environ"]):
        del os.environ[name]
    os.environ.update(before["os.environ"])
    sys.path[:] = before["sys.path"]
    warnings.filters[:] = before["warnings.filters"]  # type: ignore[index]
    np.seterr(**before["numpy.geterr()"])
    keras.config.set_floatx(before["keras.config.floatx()"])
    keras.config.set_epsilon(before["keras.config.epsilon()"])
    keras.config.set_image_data_format(before["keras.config.image_data_format()"])
    keras.config.set_dtype_policy(before["keras.config.dtype_policy()"])
