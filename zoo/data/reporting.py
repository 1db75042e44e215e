"""Telling how far something long has come, to whoever listens."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Item = TypeVar("Item")
Listener = Callable[[str, float | None], None]

_SECONDS_BETWEEN = 0.1
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


def progress(items: Iterable[Item], what: str, *, total: int | None = None) -> Iterator[Item]:
    """Every one of `items`, while whoever waits for the dataset is told how far they are.

    `zoo tune` shows it; where nobody listens, in a notebook or a test, nothing is shown.

    Args:
        what: what is being done, in a few words: `decoding images`.
        total: how many items there are, where they have no length of their own.
    """
    listener = _listener.get()
    if listener is None:
        yield from items
        return
    if total is None and isinstance(items, Sized):
        total = len(items)
    known = total is not None and total > 1  # of a single step no share can be told
    listener(what, 0.0 if known else None)
    told = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        if time.monotonic() - told >= _SECONDS_BETWEEN:
            told = time.monotonic()
            listener(what, min(done / total, 1.0) if total is not None and known else None)
    listener(what, 1.0)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """In here, `progress` calls `listener(what, share done, or None where nobody knows)`."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
