"""Networks with layers of the plugin: one that can be loaded again, two that cannot."""

from typing import Annotated

from zoo import Choice, Int, hookimpl


@hookimpl
def register_architectures(register):
    register(gained)
    register(unregistered)


@hookimpl
def register_augmentations(register):
    register(dimmed)


def gained(input_shape, num_classes, *, units: Annotated[int, Int(4, 32)] = 16):
    """A dense layer with the activation `bent`, and a gain for each output."""
    from keras import Input, Sequential, layers

    from zoo_layered.layers import Gain, bent

    hidden = [layers.Flatten(), layers.Dense(units, activation=bent), Gain()]
    return Sequential([Input(input_shape), *hidden, layers.Dense(num_classes, activation="softmax")])


def unregistered(input_shape, num_classes, *, where: Annotated[str, Choice("module", "function")] = "module"):
    """A network whose layer is not registered with Keras, or cannot be imported."""
    import keras

    from zoo_layered.layers import Forgotten

    class Hidden(keras.layers.Layer):
        def call(self, inputs):
            return inputs

    keras.saving.register_keras_serializable(package="zoo-layered")(Hidden)
    layer = Forgotten() if where == "module" else Hidden()
    dense = keras.layers.Dense(num_classes, activation="softmax")
    return keras.Sequential([keras.Input(input_shape), keras.layers.Flatten(), layer, dense])


def dimmed():
    """Make images somewhat darker; its layer is not registered, and does not have to be."""
    from zoo_layered.layers import Dim

    return [Dim()]
