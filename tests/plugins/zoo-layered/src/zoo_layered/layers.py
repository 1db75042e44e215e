"""The layers. Only the functions that use them import this module, because it imports Keras."""

import keras


@keras.saving.register_keras_serializable(package="zoo-layered")
class Gain(keras.layers.Layer):
    """Multiplies each feature by a trainable number."""

    def build(self, shape):
        self.gain = self.add_weight(shape=shape[1:], initializer="ones", name="gain")

    def call(self, inputs):  # (batch, features)
        return inputs * self.gain


@keras.saving.register_keras_serializable(package="zoo-layered")
def bent(inputs):
    """An activation with half the slope below zero."""
    return keras.ops.maximum(inputs, inputs / 2)


class Forgotten(keras.layers.Layer):
    """Not registered."""

    def call(self, inputs):
        return inputs


class Dim(keras.layers.Layer):
    """Makes images up to a tenth darker, in training."""

    def call(self, images, training=False):  # (batch, height, width, channels)
        return images * keras.random.uniform((), 0.9, 1.0) if training else images
