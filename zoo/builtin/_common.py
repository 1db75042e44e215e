"""Helpers of the built-in datasets and architectures."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


def reason_of(error: Exception) -> str:
    """Return the text of `error` in one line, or its type if it has no text."""
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def socket_timeout(seconds: float) -> Iterator[None]:
    """Make sockets raise an error after `seconds` without data, since Keras's downloads have no timeout."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
