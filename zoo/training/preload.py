"""Imported once by the fork server, so that every trial starts with Keras and its backend loaded.

Nothing may run here: no tensor, no device query. What is merely imported survives a fork; a
backend that has started its threads does not.
"""

import os
import signal

from zoo.training import backend

# Ctrl-C in a terminal reaches every process of the group; only the supervisor answers it.
signal.signal(signal.SIGINT, signal.SIG_IGN)
backend.quiet()

# Backends greet on stderr from native code, past every logging level.
_stderr = os.dup(2)
_nowhere = os.open(os.devnull, os.O_WRONLY)
os.dup2(_nowhere, 2)
try:
    import keras  # noqa: F401

    import zoo.training.job  # noqa: F401
finally:
    os.dup2(_stderr, 2)
    os.close(_stderr)
    os.close(_nowhere)
