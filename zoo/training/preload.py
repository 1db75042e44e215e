"""Imports of the fork server, made once so that every trial starts with Keras and its backend loaded.

Only imports are allowed here. A backend starts threads when it makes a tensor or queries a device, and
threads do not survive a fork.
"""

import gc
import signal
from importlib import import_module

from zoo.garbage import imports_are_over
from zoo.process import exiting_with_parent

# Ctrl-C in a terminal reaches every process of its group; only the supervisor must handle it.
signal.signal(signal.SIGINT, signal.SIG_IGN)
gc.disable()  # the imports leave almost no garbage, and the search for garbage takes a quarter of their time

with exiting_with_parent():
    from zoo.builtin import MODULES as BUILTIN_MODULES
    from zoo.training import backend

    with backend.discard_stderr():
        with backend.without_optional_packages():
            import_module("keras")
        for module in ("loop", "losses", "job", "saved"):
            import_module(f"zoo.training.{module}")

    for module in BUILTIN_MODULES:
        import_module(module)

# The imported objects stay until the end, so the garbage collector of a trial can ignore them.
imports_are_over()
