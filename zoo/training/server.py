"""The process with Keras loaded, from which trials are forked."""

from zoo.process import ForkServer


def fork_server() -> ForkServer:
    """The one of this process; `start` begins to load Keras, which takes seconds, beside everything else."""
    return ForkServer(["zoo.training.preload"])
