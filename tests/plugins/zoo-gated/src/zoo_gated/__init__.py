"""A network whose training waits at a gate, so that a test can kill it there."""

from zoo import hookimpl


@hookimpl
def register_architectures(register):
    register(gated)


def gated(input_shape, num_classes):
    """A small network that trains only as many epochs as the file named by `GATE_FILE` allows."""
    from keras import Input, Sequential, layers

    from zoo_gated.layers import Gate

    output = layers.Dense(num_classes, activation="softmax")
    return Sequential(
        [Input(input_shape), layers.Flatten(), Gate(), layers.Dense(8, activation="relu"), output]
    )
