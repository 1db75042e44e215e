"""Layers that do not fit their input.

A test fails if Keras or TensorFlow change a text that zoo recognises.
"""

from __future__ import annotations

import pytest

from zoo.training.shapes import empty_layer, shape_problem

SHAPE = (4, 4, 1)
LEFT = "; the layers before it leave nothing of the images"

# A layer that does not fit 4×4 pixels, by its class name.
MISFITS = {
    "Conv2D": lambda keras: keras.layers.Conv2D(2, 5),
    "SeparableConv2D": lambda keras: keras.layers.SeparableConv2D(2, 5),
    "DepthwiseConv2D": lambda keras: keras.layers.DepthwiseConv2D(5, strides=2),
    "MaxPooling2D": lambda keras: keras.layers.MaxPooling2D(5),
    "AveragePooling2D": lambda keras: keras.layers.AveragePooling2D(6),
    "Cropping2D": lambda keras: keras.layers.Cropping2D(3),
}
# A mistake in a plugin, whatever the size of the images.
MISTAKES = {
    "wrong rank": lambda keras: keras.layers.Conv1D(2, 3),
    "no units": lambda keras: keras.layers.Dense(0),
    "no filters": lambda keras: keras.layers.Conv2D(0, 3),
    "reshape": lambda keras: keras.layers.Reshape((3, 3)),
    "unequal branches": lambda keras: lambda x: keras.layers.Concatenate()([x, keras.layers.Conv2D(2, 3)(x)]),
}


def functional(keras, make):
    images = keras.Input(SHAPE)
    return keras.Model(images, keras.layers.Dense(3)(keras.layers.Flatten()(make(keras)(images))))


def sequential(keras, make):
    layers = [make(keras), keras.layers.Flatten(), keras.layers.Dense(3)]
    return keras.Sequential([keras.Input(SHAPE), *layers])


def subclassed(keras, make):
    class Network(keras.Model):
        def __init__(self):
            super().__init__()
            self.first = make(keras)
            self.flatten, self.dense = keras.layers.Flatten(), keras.layers.Dense(3)

        def call(self, images):
            return self.dense(self.flatten(self.first(images)))

    return Network()


FORMS = pytest.mark.parametrize("form", [functional, sequential, subclassed])


@FORMS
@pytest.mark.parametrize("name", MISFITS)
def test_layer_larger_than_its_input_is_named(keras, form, name):
    problem = shape_problem(lambda: form(keras, MISFITS[name]), SHAPE)
    assert problem.startswith("the layer '")
    assert f"' ({name}) does not fit the size of its input: " in problem
    assert "\n" not in problem
    assert "{{node" not in problem


def test_layer_inside_a_layer_is_named(keras):
    class Block(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.pool = keras.layers.MaxPooling2D(5, name="halve")

        def call(self, images):
            return self.pool(images)

    for form in (functional, sequential, subclassed):
        problem = shape_problem(lambda form=form: form(keras, lambda keras: Block()), SHAPE)
        assert problem.startswith("the layer 'halve' (MaxPooling2D) does not fit"), form


@pytest.mark.parametrize("form", [functional, subclassed])
@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_of_a_plugin_is_no_shape_problem(keras, form, name):
    with pytest.raises(ValueError):
        form(keras, MISTAKES[name])(keras.Input(SHAPE))
    assert shape_problem(lambda: form(keras, MISTAKES[name]), SHAPE) == ""


def test_layer_that_fits_is_no_problem(keras):
    for form in (functional, sequential, subclassed):
        assert (
            shape_problem(lambda form=form: form(keras, lambda keras: keras.layers.Conv2D(2, 4)), SHAPE) == ""
        )


def test_images_without_pixels_are_found(keras):
    network = functional(keras, lambda keras: lambda images: images[:, 4:, 4:])
    assert empty_layer(network).endswith("(Flatten) has an empty input, (None, 0, 0, 1)" + LEFT)
    images = keras.Input((0,))
    outputs = keras.layers.Dense(3, name="last")(images)
    assert empty_layer(keras.Model(images, outputs)) == "the layer 'last' (Dense) has an empty input" + LEFT


def test_layer_that_leaves_nothing_is_named(keras):
    """As JAX does with a pooling that is larger than its input: without an error."""

    class Shrinking(keras.layers.Layer):
        def call(self, images):
            return images[:, 4:, 4:]

    class Network(keras.Model):
        def __init__(self):
            super().__init__()
            self.parts = [
                Shrinking(name="shrink"),
                keras.layers.GlobalAveragePooling2D(),
                keras.layers.Dense(3),
            ]

        def call(self, images):
            for part in self.parts:
                images = part(images)
            return images

    problem = shape_problem(Network, SHAPE)
    assert problem == "the layer 'shrink' (Shrinking) leaves nothing of its input, (4, 4, 1)"
    assert shape_problem(Network, (9, 9, 1)) == ""


def test_plugin_without_a_model_is_no_shape_problem(keras):
    assert shape_problem(lambda: "no network", SHAPE) == ""
    assert shape_problem(exit, SHAPE) == ""


def test_traceback_filtering_is_restored(keras):
    assert keras.config.is_traceback_filtering_enabled()
    shape_problem(lambda: functional(keras, MISFITS["Conv2D"]), SHAPE)
    assert keras.config.is_traceback_filtering_enabled()
