"""A backbone: a model whose class is registered with Keras."""

import keras


@keras.saving.register_keras_serializable(package="shelf-layers")
class Backbone(keras.Model):
    """Flattens an image, and a dense layer."""

    def __init__(self, image_shape, units, **options):
        pixels = keras.Input(image_shape)
        features = keras.layers.Dense(units, activation="relu")(keras.layers.Flatten()(pixels))
        super().__init__(pixels, features, **options)
        self._config = {"image_shape": tuple(image_shape), "units": units}

    def get_config(self):
        return {"name": self.name, **self._config}

    @classmethod
    def from_config(cls, config):
        return cls(**config)
