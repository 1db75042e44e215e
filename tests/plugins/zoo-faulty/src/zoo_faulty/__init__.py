"""An architecture with every fault that an architecture can have; `how` selects one."""

import ctypes
import os
import signal
import sys
from typing import Annotated

from zoo import Choice, Int, InvalidParameters, hookimpl

WAYS = (
    "fine",
    "raises",
    "exits",
    "vanishes",
    "segfaults",
    "killed",
    "out of memory",
    "impossible",
    "nan",
    "compiled",
    "too wide",
    "no softmax",
    "nan at once",
    "other images",
    "no model",
    "huge",
    "too deep",
)


@hookimpl
def register_architectures(register):
    register(faulty)


def faulty(
    input_shape,
    num_classes,
    *,
    how: Annotated[str, Choice(*WAYS)] = "fine",
    units: Annotated[int, Int(1, 64)] = 16,
):
    """One dense layer, or a fault."""
    if how == "raises":
        raise RuntimeError("the author divided\nby zero")
    if how == "exits":
        sys.exit(3)
    if how == "vanishes":
        os._exit(3)
    if how == "segfaults":
        ctypes.string_at(0)
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "out of memory":
        raise MemoryError("9 TB asked for")
    if how == "impossible":
        raise InvalidParameters(f"{units} units do not fit")
    if how == "no model":
        return {"units": units}
    if how == "too deep":
        from keras import Input, Sequential, layers

        return Sequential(
            [Input(input_shape), *(layers.MaxPooling2D(name=f"pool_{n}") for n in range(units))]
        )
    return _network(input_shape, num_classes, how, units)


def _network(input_shape, num_classes, how, units):
    from keras import Input, Sequential, layers

    if how == "other images":
        input_shape = (3, 3, 1)
    if how == "huge":  # gigabytes of weights for any image
        units = 10**8
    network = Sequential(
        [
            Input(input_shape),
            layers.Flatten(),
            # The penalty is part of the training loss only.
            layers.Dense(
                units, activation="relu", kernel_regularizer=_not_a_number if how == "nan" else None
            ),
            layers.Dense(
                num_classes + 1 if how == "too wide" else num_classes,
                activation=None if how == "no softmax" else "softmax",
                bias_initializer=_all_nan if how == "nan at once" else "zeros",
            ),
        ]
    )
    if how == "compiled":
        network.compile("sgd", "mse")
    return network


def _not_a_number(weights):
    return weights[0, 0] * float("nan")


def _all_nan(shape, dtype=None):
    from keras import ops

    return ops.full(shape, float("nan"), dtype=dtype)
