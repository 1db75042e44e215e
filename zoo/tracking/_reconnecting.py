"""A connection to MLflow that is opened again if the server was away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from zoo.tracking._connection import connect
from zoo.tracking._store import Store, StoreAway


class StoreConnection:
    """The MLflow store of a study, opened in a thread.

    Args:
        retry_s: seconds until `result` tries again to reach a server that was away.
    """

    def __init__(self, open_store: Callable[[], Store] = connect, retry_s: float = 10.0) -> None:
        self._open_store = open_store
        self._retry_s = retry_s
        self._future: Future[Store] = Future()
        self._retry_at = 0.0
        self._lock = threading.Lock()  # held during another attempt
        threading.Thread(target=self._attempt, args=[self._future], daemon=True).start()

    def result(self) -> Store:
        """Wait for the store; raise StoreAway if the server does not answer; other errors stay unchanged."""
        with self._lock:
            if self.is_away and time.monotonic() >= self._retry_at:
                self._future = Future()
                self._attempt(self._future)
            return self._future.result()

    def retry_now(self) -> None:
        """Let the next `result` try again at once, because the study ends."""
        self._retry_at = 0.0

    @property
    def is_away(self) -> bool:
        """True if the server did not answer at the last attempt."""
        return self._future.done() and isinstance(self._future.exception(), StoreAway)

    def _attempt(self, future: Future[Store]) -> None:
        try:
            future.set_result(self._open_store())
        except BaseException as error:
            self._retry_at = time.monotonic() + self._retry_s
            future.set_exception(error)
