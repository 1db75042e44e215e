"""Garbage collection during and after the import of large libraries.

In the process that supervises trials, a collection of all objects that Optuna, MLflow and matplotlib have
imported takes 0.2 s. Meanwhile, each trial would wait for the answer to its epoch.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collections_after_imports() -> Iterator[None]:
    """Collect no garbage until `imports_are_over` is called in the block; then only new objects."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        (gc.enable if was_enabled else gc.disable)()


def imports_are_over() -> None:
    """Switch collections on again, but ignore all objects that exist now. Do nothing if they are on."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
