"""Imported once by the fork server, so that every trial starts with Keras and its backend loaded.

Nothing may run here: no tensor, no device query. What is merely imported survives a fork; a
backend that has started its threads does not.
"""

import gc
import signal
from importlib import import_module

from zoo.builtin import MODULES as BUILTIN_MODULES
from zoo.training import backend

# Ctrl-C in a terminal reaches every process of the group; only the supervisor answers it.
signal.signal(signal.SIGINT, signal.SIG_IGN)

with backend.muted():
    import keras  # noqa: F401

    import zoo.training.job  # noqa: F401

for module in BUILTIN_MODULES:
    import_module(module)

# What is imported stays; the garbage collector of a trial need not look through it time and again.
gc.collect()
gc.freeze()
