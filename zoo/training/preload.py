"""Imported once by the fork server, so that every trial starts with Keras and its backend loaded.

Nothing may run here: no tensor, no device query. What is merely imported survives a fork; a
backend that has started its threads does not.
"""

import atexit
import os
import signal

from zoo.training import backend

# Ctrl-C in a terminal reaches every process of the group; only the supervisor answers it.
signal.signal(signal.SIGINT, signal.SIG_IGN)

with backend.muted():
    import keras  # noqa: F401

    import zoo.training.job  # noqa: F401

# The server is gone as soon as the supervisor is; to free all this object by object takes seconds,
# in which whoever reads the supervisor's output waits. Its children do not come by here.
atexit.register(os._exit, 0)
