"""Garbage collection in the process that supervises trials.

A collection of everything that Optuna, MLflow and matplotlib have imported takes 0.2 s, in which each trial
waits for the answer to its epoch.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collections_after_imports() -> Iterator[None]:
    """Collect no garbage in the block until `imports_are_over`; then only what is made from there on."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        (gc.enable if was_enabled else gc.disable)()


def imports_are_over() -> None:
    """Leave everything that exists now out of later collections, and allow these again; once in a block."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
