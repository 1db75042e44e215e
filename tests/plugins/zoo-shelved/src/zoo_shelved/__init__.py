"""An architecture around a backbone of a library that the distribution requires."""

from typing import Annotated

from zoo import Int, hookimpl


@hookimpl
def register_architectures(register):
    register(shelved)


def shelved(input_shape, num_classes, *, units: Annotated[int, Int(4, 32)] = 16):
    """A backbone of shelf-layers, and a dense layer."""
    import keras
    from shelf_layers import Backbone

    image = keras.Input(input_shape)
    features = Backbone(input_shape, units)(image)
    return keras.Model(image, keras.layers.Dense(num_classes, activation="softmax")(features))
