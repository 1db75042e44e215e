"""Progress of long steps, for the process that waits for the dataset."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Item = TypeVar("Item")
Listener = Callable[[str, float | None], None]

REPORT_INTERVAL_S = 0.1
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


def progress(items: Iterable[Item], what: str, *, total: int | None = None) -> Iterator[Item]:
    """Yield `items` unchanged and report the progress, which `zoo tune` shows as a bar.

    Nothing is reported outside `report_to`, for example in a notebook or a test.

    Args:
        what: short description of the step, such as `decoding images`.
        total: number of items, if `len(items)` does not work.
    """
    listener = _listener.get()
    if listener is None:
        yield from items
        return
    if total is None and isinstance(items, Sized):
        total = len(items)
    total = total if total is not None and total > 1 else None  # a single step has no fraction
    listener(what, 0.0 if total else None)
    reported = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        if time.monotonic() - reported >= REPORT_INTERVAL_S:
            reported = time.monotonic()
            listener(what, min(done / total, 1.0) if total else None)
    listener(what, 1.0)


def notice(text: str) -> None:
    """Report a line, such as that the disk is full. Outside `report_to`, do nothing."""
    if (listener := _listener.get()) is not None:
        listener(text, None)


@contextmanager
def report_to(listener: Listener) -> Iterator[None]:
    """Make `progress` call `listener(what, fraction)` in this block.

    The fraction is from 0 to 1, or None if the number of items is unknown.
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
