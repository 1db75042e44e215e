"""Augmentation policies that each break the contract in one way, with the check that must fail."""

from __future__ import annotations

from typing import Annotated

import keras
import numpy as np
from keras import layers, ops

from zoo import Choice, Float, Int


class Noise(layers.Layer):
    """A sound layer: it makes pixels darker at random in training."""

    def __init__(self, amount=0.5, **options):
        super().__init__(**options)
        self.amount = amount
        self.numbers = keras.random.SeedGenerator()

    def call(self, images, training=False):
        return self.change(images) if training else images

    def change(self, images):
        return images * keras.random.uniform(ops.shape(images), 1 - self.amount, 1, seed=self.numbers)

    def get_config(self):
        return {**super().get_config(), "amount": self.amount}


def positional_amount(amount):
    """A policy."""
    return [Noise(amount)]


def without_docstring():
    return [Noise()]


def a_layer_not_in_a_list():
    """A policy."""
    return Noise()


def raises():
    """A policy."""
    raise OSError("no weights")


def raises_at_a_corner(*, amount: Annotated[int, Int(1, 9)] = 4):
    """A policy."""
    return [Noise(1 / (9 - amount))]


class OnlySquares(Noise):
    def change(self, images):
        return super().change(images + ops.transpose(images, (0, 2, 1, 3))) / 2


def takes_no_oblong_images():
    """A policy."""
    return [OnlySquares()]


class Half(Noise):
    def change(self, images):
        return super().change(images)[:, ::2]


def changes_the_shape():
    """A policy."""
    return [Half()]


def changes_the_shape_at_one_option(*, crop: Annotated[str, Choice("no", "yes")] = "no"):
    """A policy."""
    return [Half() if crop == "yes" else Noise()]


class Transposed(Noise):
    def change(self, images):
        return ops.transpose(super().change(images), (0, 2, 1, 3))


def height_and_width_change_places():
    """A policy."""
    return [Transposed()]


class OnlyGrey(Noise):
    def change(self, images):
        return super().change(images) * ops.ones((1, 1, 1, 1)) @ ops.ones((1, 1))


def takes_no_colors():
    """A policy."""
    return [OnlyGrey()]


class Coarse(Noise):
    def change(self, images):
        return ops.cast(super().change(images), "float16")


def changes_the_dtype():
    """A policy."""
    return [Coarse(autocast=False)]


class Bright(Noise):
    def change(self, images):
        return super().change(images) * 255


def leaves_the_range():
    """A policy."""
    return [Bright()]


def leaves_the_range_at_its_strongest(*, factor: Annotated[float, Float(0, 1)] = 0.5):
    """A policy."""
    return [layers.RandomContrast(factor, value_range=(0, 1)) if factor < 1 else Bright()]


class NotANumber(Noise):
    def change(self, images):
        return super().change(images) + np.float32("nan")


def not_finite():
    """A policy."""
    return [NotANumber()]


class Stretched(Noise):
    def change(self, images):
        images = super().change(images)
        darkest = ops.min(images, axis=(1, 2, 3), keepdims=True)
        return (images - darkest) / (ops.max(images, axis=(1, 2, 3), keepdims=True) - darkest)


def not_finite_where_an_image_is_black():
    """A policy."""
    return [Stretched()]


class Always(Noise):
    def call(self, images, training=False):
        return self.change(images)


def acts_outside_training():
    """A policy."""
    return [Always()]


class Negative(Noise):
    def change(self, images):
        return 1 - images


def the_same_at_every_call():
    """A policy."""
    return [Negative()]


class NumPyNoise(Noise):
    def change(self, images):
        return images * np.random.uniform(0.5, 1)


def the_same_once_compiled():
    """A policy."""
    return [NumPyNoise()]


class Unseeded(Noise):
    def __init__(self, amount=0.5, **options):
        super().__init__(amount, **options)
        self.numbers = keras.random.SeedGenerator(int(np.random.default_rng().integers(2**31)))


def random_numbers_of_its_own():
    """A policy."""
    return [Unseeded()]


def mixes_images():
    """A policy."""
    return [layers.MixUp()]


def pastes_parts_of_other_images():
    """A policy."""
    return [layers.CutMix()]


class Centred(Noise):
    def change(self, images):
        return (super().change(images) + ops.mean(images)) / 2


def looks_at_the_whole_batch():
    """A policy."""
    return [Centred()]


class FirstOnceCompiled(Noise):
    def change(self, images):
        known = images.shape[0] is not None
        return super().change(images if known else ops.zeros_like(images) + images[:1])


def every_image_the_first_once_compiled():
    """A policy."""
    return [FirstOnceCompiled()]


def sets_the_seeds():
    """A policy."""
    keras.utils.set_random_seed(1)
    return [Noise()]


class WithoutConfiguration(Noise):
    def __init__(self, amount, name=None):
        super().__init__(amount, name=name)

    def get_config(self):
        return {"name": self.name}


def cannot_be_made_again():
    """A policy."""
    return [WithoutConfiguration(0.5)]


class Forgetful(Noise):
    def __init__(self, amount=0.1, **options):
        super().__init__(min(amount * 2, 1.0), **options)


def comes_back_as_another():
    """A policy."""
    return [Forgetful()]


class LooksAtPixels(Noise):
    def call(self, images, training=False):
        return self.change(images) if training and float(ops.max(images)) > 0 else images

    def compute_output_spec(self, images, training=False):
        return keras.KerasTensor(images.shape, dtype=images.dtype)


def cannot_be_compiled():
    """A policy."""
    return [LooksAtPixels()]


class Erased(Noise):
    def change(self, images):
        return keras.random.uniform(ops.shape(images), seed=self.numbers)


def nothing_left():
    """A policy."""
    return [Erased()]


def eights():
    """scikit-learn's digits, for a probe."""
    from zoo.builtin.datasets import digits

    return digits()


def only_under_tensorflow():
    """A policy."""
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError("expected TensorFlow")
    return [Noise()]


OBLONG = {"input_shape": (12, 8, 1)}

# function, check that must fail, options
BROKEN = [
    (positional_amount, "signature", {}),
    (without_docstring, "docstring", {}),
    (a_layer_not_in_a_list, "defaults", {}),
    (raises, "defaults", {}),
    (raises_at_a_corner, "search_space", {}),
    (takes_no_oblong_images, "applies", OBLONG),
    (takes_no_oblong_images, "applies", {}),
    (takes_no_colors, "applies", {}),
    (changes_the_shape, "shape", {}),
    (height_and_width_change_places, "shape", {}),
    (changes_the_shape_at_one_option, "shape", {}),
    (changes_the_dtype, "dtype", {}),
    (leaves_the_range, "value_range", {}),
    (leaves_the_range_at_its_strongest, "value_range", {}),
    (not_finite, "value_range", {}),
    (not_finite_where_an_image_is_black, "value_range", {}),
    (acts_outside_training, "inference", {}),
    (the_same_at_every_call, "random", {}),
    (the_same_once_compiled, "random", {}),
    (random_numbers_of_its_own, "repeatable", {}),
    (mixes_images, "independent", {}),
    (pastes_parts_of_other_images, "independent", {}),
    (looks_at_the_whole_batch, "independent", {}),
    (every_image_the_first_once_compiled, "independent", {}),
    (sets_the_seeds, "global_state", {}),
    (cannot_be_made_again, "serialisable", {}),
    (comes_back_as_another, "serialisable", {}),
    (cannot_be_compiled, "training_step", {}),
    (nothing_left, "labels", {"probe": eights}),
    (only_under_tensorflow, "backends", {}),
]
