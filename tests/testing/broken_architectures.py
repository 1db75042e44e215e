"""Architectures that each break the contract in one way, with the check that must fail."""

from __future__ import annotations

import os
import warnings
from typing import Annotated

import keras
import numpy as np
from keras import Input, Sequential, layers, ops

from zoo import Choice, Float, Int, InvalidParameters


def network(input_shape, num_classes, *between, activation="softmax"):
    """Return a sound network: convolution, the layers `between`, average, softmax."""
    return Sequential(
        [
            Input(input_shape),
            layers.Conv2D(4, 3, padding="same", activation="relu"),
            *between,
            layers.GlobalAveragePooling2D(),
            layers.Dense(num_classes, activation=activation),
        ]
    )


# --- the signature


def arguments_the_other_way_round(num_classes, input_shape):
    """A network."""
    return network(input_shape, num_classes)


def default_outside_its_range(input_shape, num_classes, *, dropout: Annotated[float, Float(0, 0.5)] = 0.9):
    """A network."""
    return network(input_shape, num_classes, layers.Dropout(dropout))


def keyword_without_annotation(input_shape, num_classes, *, dropout=0.2):
    """A network."""
    return network(input_shape, num_classes, layers.Dropout(dropout))


def parameter_called_name(input_shape, num_classes, *, name: Annotated[str, Choice("a", "b")] = "a"):
    """A network."""
    return network(input_shape, num_classes, layers.Dropout(0.1, name=name))


def without_docstring(input_shape, num_classes):
    return network(input_shape, num_classes)


# --- building


def raises_at_its_defaults(input_shape, num_classes, *, kind: Annotated[str, Choice("a", "b")] = "a"):
    """A network."""
    return {"b": network}[kind](input_shape, num_classes)


def impossible_at_its_defaults(input_shape, num_classes):
    """A network."""
    raise InvalidParameters("too small")


def exits(input_shape, num_classes):
    """A network."""
    raise SystemExit(3)


def gives_no_model(input_shape, num_classes):
    """A network."""
    return layers.Dense(num_classes)


def takes_no_images(input_shape, num_classes):
    """A network."""
    return Sequential([Input((5,)), layers.Dense(num_classes, activation="softmax")])


def raises_at_a_corner(input_shape, num_classes, *, width: Annotated[int, Int(1, 9)] = 4):
    """A network."""
    return network(input_shape, num_classes, layers.Dense({9: None}.get(width, width)))


def raises_where_two_ends_meet(
    input_shape,
    num_classes,
    *,
    width: Annotated[int, Int(1, 9)] = 4,
    depth: Annotated[int, Int(1, 9)] = 4,
    kernel: Annotated[int, Int(1, 9)] = 4,
):
    """A network."""
    if (width, depth) == (1, 9):
        raise IndexError("too deep for its width")
    return network(input_shape, num_classes)


def raises_for_small_images(input_shape, num_classes):
    """A network."""
    return network(input_shape, num_classes, layers.Conv2D(max(0, input_shape[0] - 8), 3))


def takes_only_even_sizes(input_shape, num_classes):
    """A network."""
    height, width, _ = input_shape
    return network(input_shape, num_classes, layers.Reshape((height // 2, width // 2, 16)))


def takes_only_grey_images(input_shape, num_classes):
    """A network."""
    if input_shape[2] != 1:
        raise InvalidParameters("grey images only")
    return network(input_shape, num_classes)


# --- outputs


def compiled(input_shape, num_classes):
    """A network."""
    model = network(input_shape, num_classes)
    model.compile("sgd", "mse")
    return model


def logits(input_shape, num_classes):
    """A network."""
    return network(input_shape, num_classes, activation=None)


def one_sigmoid_for_each_class(input_shape, num_classes):
    """A network."""
    return network(input_shape, num_classes, activation="sigmoid")


def logits_at_one_option(input_shape, num_classes, *, head: Annotated[str, Choice("a", "b", "c")] = "a"):
    """A network."""
    return network(input_shape, num_classes, activation=None if head == "b" else "softmax")


def too_many_outputs(input_shape, num_classes):
    """A network."""
    return network(input_shape, num_classes + 20)


def two_outputs(input_shape, num_classes):
    """A network."""
    images = Input(input_shape)
    features = layers.Flatten()(images)
    heads = [layers.Dense(num_classes, activation="softmax")(features) for _ in range(2)]
    return keras.Model(images, heads)


def one_sigmoid_for_two_classes(input_shape, num_classes):
    """A network."""
    if num_classes == 2:
        return network(input_shape, 1, activation="sigmoid")
    return network(input_shape, num_classes)


def always_ten_classes(input_shape, num_classes):
    """A network."""
    return network(input_shape, 10)


def more_weights_than_allowed(input_shape, num_classes, *, width: Annotated[int, Int(1, 60)] = 4):
    """A network."""
    return network(input_shape, num_classes, layers.Dense(width))


def more_weights_than_any_memory_holds(
    input_shape, num_classes, *, width: Annotated[int, Int(1, 10**12)] = 4
):
    """A network."""
    return network(input_shape, num_classes, layers.Dense(width))


def more_weights_than_allowed_by_default(input_shape, num_classes, *, width: Annotated[int, Int(1, 9)] = 9):
    """A network."""
    return network(input_shape, num_classes, layers.Dense(width))


# --- seeds and global state


def starts_from_random_numbers_of_its_own(input_shape, num_classes):
    """A network."""
    kernel = np.random.default_rng().normal(size=(4, 4)).astype("float32")
    dense = layers.Dense(4, kernel_initializer=lambda shape, dtype=None: ops.convert_to_tensor(kernel))
    model = network(input_shape, num_classes, dense)
    dense.kernel_initializer = keras.initializers.GlorotUniform()  # so that it can be saved
    return model


def sets_the_seeds(input_shape, num_classes):
    """A network."""
    keras.utils.set_random_seed(42)
    return network(input_shape, num_classes)


def sets_numpys_seed(input_shape, num_classes, *, width: Annotated[int, Int(1, 4)] = 4):
    """A network."""
    if width == 4:
        np.random.seed(0)
    return network(input_shape, num_classes, layers.Dense(width))


def changes_the_environment(input_shape, num_classes):
    """A network."""
    os.environ["OMP_NUM_THREADS"] = "1" if os.environ.get("OMP_NUM_THREADS") != "1" else "2"
    return network(input_shape, num_classes)


def switches_to_half_precision(input_shape, num_classes):
    """A network."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    return network(input_shape, num_classes)


def switches_to_half_precision_at_one_option(
    input_shape, num_classes, *, precision: Annotated[str, Choice("full", "half")] = "full"
):
    """A network."""
    if precision == "half":
        keras.config.set_floatx("float16")
    return network(input_shape, num_classes)


def silences_warnings(input_shape, num_classes):
    """A network."""
    warnings.simplefilter("ignore")
    return network(input_shape, num_classes)


def moves_to_another_folder(input_shape, num_classes):
    """A network."""
    os.chdir(os.sep)
    return network(input_shape, num_classes)


# --- training


def a_branch_that_is_dead(input_shape, num_classes):
    """A network."""
    images = Input(input_shape)
    features = layers.Flatten()(images)
    dead = layers.Rescaling(0.0)(layers.Dense(3, name="dead")(features))
    joined = layers.Concatenate()([layers.Dense(3)(features), dead])
    return keras.Model(images, layers.Dense(num_classes, activation="softmax")(joined))


def nothing_to_train(input_shape, num_classes):
    """A network."""
    model = network(input_shape, num_classes)
    model.trainable = False
    return model


@keras.saving.register_keras_serializable(package="broken")
class Root(layers.Layer):
    """Its gradient is infinite at the start."""

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(), initializer="zeros")

    def call(self, images):
        return images + ops.sqrt(self.scale)


def becomes_nan(input_shape, num_classes):
    """A network."""
    return network(input_shape, num_classes, Root())


@keras.saving.register_keras_serializable(package="broken")
class Sorted(layers.Layer):
    """Reads values, which a compiled step does not have."""

    def call(self, images):
        return images if float(ops.max(images)) >= 0 else -images

    def compute_output_spec(self, images):
        return keras.KerasTensor(images.shape, dtype=images.dtype)


def cannot_be_compiled(input_shape, num_classes):
    """A network."""
    return network(input_shape, num_classes, Sorted())


# --- saving


def a_lambda(input_shape, num_classes):
    """A network."""
    return network(input_shape, num_classes, layers.Lambda(lambda images: images * 2))


@keras.saving.register_keras_serializable(package="broken")
class Twice(layers.Layer):
    """A sound layer, but not Keras's."""

    def call(self, images):
        return images * 2


def a_layer_of_its_own(input_shape, num_classes):
    """A network."""
    return network(input_shape, num_classes, Twice())


def a_layer_of_its_own_at_one_option(
    input_shape, num_classes, *, factor: Annotated[str, Choice("one", "two")] = "one"
):
    """A network."""
    return network(input_shape, num_classes, *([Twice()] if factor == "two" else []))


class Unregistered(layers.Layer):
    """Loading a model does not find it by its name."""

    def call(self, images):
        return images * 2


def an_unregistered_layer(input_shape, num_classes):
    """A network."""
    return network(input_shape, num_classes, Unregistered())


@keras.saving.register_keras_serializable(package="broken")
class Forgetful(layers.Layer):
    """Its configuration lacks the factor, which has a default."""

    def __init__(self, factor=1.0, **options):
        super().__init__(**options)
        self.factor = factor

    def call(self, images):
        return images * self.factor

    def get_config(self):
        return {"name": self.name}


def a_layer_that_forgets(input_shape, num_classes):
    """A network."""
    return network(input_shape, num_classes, Forgetful(7.0))


@keras.saving.register_keras_serializable(package="broken")
class Numbered(layers.Layer):
    """Its configuration lacks the factor, which its constructor needs."""

    def __init__(self, factor, **options):
        super().__init__(**options)
        self.factor = factor

    def call(self, images):
        return images * self.factor

    def get_config(self):
        return {"name": self.name}


def a_layer_without_its_number(input_shape, num_classes):
    """A network."""
    return network(input_shape, num_classes, Numbered(7.0))


def only_small_and_few(input_shape, num_classes):
    """A network, for some images and some classes."""
    if input_shape[:2] != (28, 28) or num_classes > 2:
        raise InvalidParameters("not made for that")
    return network(input_shape, num_classes)


# --- backends


def only_under_tensorflow(input_shape, num_classes):
    """A network."""
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError("expected TensorFlow")
    return network(input_shape, num_classes)


OWN = {"needs_plugin_to_load": True}

# function, check that must fail, options
BROKEN = [
    (arguments_the_other_way_round, "signature", {}),
    (default_outside_its_range, "signature", {}),
    (keyword_without_annotation, "signature", {}),
    (parameter_called_name, "signature", {}),
    (without_docstring, "docstring", {}),
    (raises_at_its_defaults, "defaults", {}),
    (impossible_at_its_defaults, "defaults", {}),
    (exits, "defaults", {}),
    (gives_no_model, "defaults", {}),
    (takes_no_images, "defaults", {}),
    (raises_at_a_corner, "search_space", {}),
    (raises_where_two_ends_meet, "search_space", {"samples": 40, "seconds": 600}),
    (raises_for_small_images, "small_images", {}),
    (takes_only_even_sizes, "image_sizes", {}),
    (takes_only_grey_images, "image_sizes", {}),
    (compiled, "uncompiled", {}),
    (logits, "probabilities", {}),
    (one_sigmoid_for_each_class, "probabilities", {}),
    (logits_at_one_option, "probabilities", {}),
    (too_many_outputs, "output_shape", {}),
    (two_outputs, "output_shape", {}),
    (one_sigmoid_for_two_classes, "class_numbers", {}),
    (always_ten_classes, "class_numbers", {}),
    (starts_from_random_numbers_of_its_own, "repeatable", {}),
    (sets_the_seeds, "global_state", {}),
    (sets_numpys_seed, "global_state", {}),
    (changes_the_environment, "global_state", {}),
    (switches_to_half_precision, "global_state", {}),
    (switches_to_half_precision_at_one_option, "global_state", {}),
    (silences_warnings, "global_state", {}),
    (moves_to_another_folder, "global_state", {}),
    (a_branch_that_is_dead, "gradients", {}),
    (nothing_to_train, "training_step", {}),
    (becomes_nan, "training_step", OWN),
    (cannot_be_compiled, "training_step", OWN),
    (a_lambda, "saving", {}),
    (a_lambda, "saving", OWN),
    (a_layer_of_its_own, "saving", {}),
    (a_layer_of_its_own_at_one_option, "saving", {}),
    (an_unregistered_layer, "saving", OWN),
    (a_layer_that_forgets, "saving", OWN),
    (a_layer_without_its_number, "saving", OWN),
    (more_weights_than_allowed, "parameter_count", {"max_parameters": 700}),
    (more_weights_than_any_memory_holds, "parameter_count", {}),
    (more_weights_than_allowed_by_default, "parameter_count", {"max_parameters": 100}),
    (only_under_tensorflow, "backends", {}),
]
