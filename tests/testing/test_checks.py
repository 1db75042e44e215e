from typing import Annotated

import numpy as np
import pytest

from zoo import Choice, Dataset, Float, Int, InvalidParameters, Split, ZooError
from zoo.builtin.architectures import conv_net
from zoo.builtin.augmentations import affine, none
from zoo.builtin.datasets import digits
from zoo.space import read_space
from zoo.testing import CheckFailed, check_architecture, check_augmentation, check_dataset
from zoo.testing._points import RandomSuggester, sampled_points


def test_a_failure_is_an_assertion_and_an_error_of_zoo():
    assert issubclass(CheckFailed, AssertionError)
    assert issubclass(CheckFailed, ZooError)


class TestArchitecture:
    def test_the_built_in_one(self):
        check_architecture(conv_net, samples=3)
        check_architecture(conv_net, input_shape=(8, 8, 3), num_classes=3, samples=5, seed=1)

    def fails(self, function, message, **options):
        with pytest.raises(CheckFailed, match=message):
            check_architecture(function, input_shape=(8, 8, 1), **options)

    def test_signature(self):
        def net(num_classes, input_shape): ...

        self.fails(
            net, r"net: its signature: .* expected the signature net\(input_shape, num_classes, \*, …\)"
        )

    def test_default_outside_its_range(self):
        def net(input_shape, num_classes, *, dropout: Annotated[float, Float(0, 0.5)] = 0.9): ...

        self.fails(net, "net: its signature: .*'dropout': its default is outside its own range")

    def test_no_model(self):
        def net(input_shape, num_classes, *, width: Annotated[int, Int(1, 4)] = 2):
            return width

        self.fails(net, r"net\(width=2\): the model: expected a keras.Model, but got int")

    def test_raising_at_a_sampled_point_only(self):
        def net(input_shape, num_classes, *, width: Annotated[int, Int(1, 4)] = 2):
            return {2: dense}[width](input_shape, num_classes)

        self.fails(net, r"net\(width=[134]\): building the model: KeyError: [134]")

    def test_compiled(self):
        def net(input_shape, num_classes):
            model = dense(input_shape, num_classes)
            model.compile("sgd", "mse")
            return model

        self.fails(net, r"net\(\): the model: expected an uncompiled model")

    def test_number_of_outputs(self):
        def net(input_shape, num_classes):
            return dense(input_shape, num_classes + 20)

        self.fails(net, "expected an output of shape .*10.* got .*30")

    def test_no_softmax(self):
        def net(input_shape, num_classes):
            return dense(input_shape, num_classes, activation="sigmoid")

        self.fails(net, "each row sums to 1")

    def test_impossible_points(self):
        def net(input_shape, num_classes, *, width: Annotated[int, Int(1, 4)] = 2):
            if width != 2:
                raise InvalidParameters(f"{width} is too wide")
            return dense(input_shape, num_classes)

        check_architecture(net, input_shape=(8, 8, 1))

    def test_impossible_defaults(self):
        def net(input_shape, num_classes):
            raise InvalidParameters("too small")

        self.fails(
            net, r"net\(\): the defaults have to be possible for images of \(8, 8, 1\), but: too small"
        )

    def test_the_same_points_every_time(self):
        tried = []

        def net(input_shape, num_classes, *, rate: Annotated[float, Float(1e-4, 1, log=True)] = 0.1):
            tried.append(rate)
            return dense(input_shape, num_classes)

        for _ in range(2):
            check_architecture(net, input_shape=(8, 8, 1), samples=3, seed=4)
        assert tried[:4] == tried[4:]
        assert len(set(tried)) == 4


class TestAugmentation:
    @pytest.mark.parametrize("policy", [none, affine])
    def test_the_built_in_ones(self, policy):
        check_augmentation(policy)
        check_augmentation(policy, input_shape=(12, 8, 3), samples=2, seed=1)

    def fails(self, function, message):
        with pytest.raises(CheckFailed, match=message):
            check_augmentation(function, input_shape=(8, 8, 1))

    def test_signature(self):
        def policy(strength=1): ...

        self.fails(policy, "policy: its signature: .*positional parameters are .strength.")

    def test_no_list(self):
        def policy():
            from keras import layers

            return layers.RandomBrightness(0.1)

        self.fails(policy, r"policy\(\): its layers: expected a list of Keras layers")

    def test_raising(self):
        def policy():
            raise OSError("no weights")

        self.fails(policy, r"policy\(\): making the layers: OSError: no weights")

    def test_shape(self):
        def policy():
            return [only_training(lambda images: images[:, :4])]

        self.fails(policy, r"expected images of shape \(8, 8, 8, 1\), but got \(8, 4, 8, 1\)")

    def test_keras_errors_become_one_plain_line(self):
        def policy():
            return [only_training(lambda images: images @ images[0, :3])]

        with pytest.raises(CheckFailed, match=r"policy\(\): its layers: ") as told:
            check_augmentation(policy, input_shape=(8, 8, 1))
        assert str(told.value).isprintable()

    def test_dtype(self):
        def policy():
            from keras.ops import cast

            return [only_training(lambda images: cast(images, "float16"))]

        self.fails(policy, "expected float32 as it went in, but got float16")

    def test_range(self):
        def policy(*, size: Annotated[str, Choice("big")] = "big"):
            return [only_training(lambda images: images * 255)]

        self.fails(policy, r"policy\(size='big'\): its layers: expected values in 0 to 1, but they go from")

    def test_not_finite(self):
        def policy():
            return [only_training(lambda images: images * np.float32("nan"))]

        self.fails(policy, "expected values in 0 to 1, but they go from nan to nan")

    def test_changes_outside_training(self):
        def policy():
            from keras import layers

            return [layers.Rescaling(0.5)]

        self.fails(policy, "expected the images unchanged outside training")

    def test_not_random(self):
        def policy():
            return [only_training(lambda images: 1 - images)]

        self.fails(policy, "expected other images at each call in training")


class TestDataset:
    def test_the_built_in_one(self):
        check_dataset(digits)

    def fails(self, dataset, message):
        def fake():
            return dataset

        with pytest.raises(CheckFailed, match=message):
            check_dataset(fake)

    def test_no_dataset(self):
        self.fails(([], []), r"fake\(\): the dataset: expected a zoo.Dataset, but got tuple")

    def test_contract(self):
        images = np.zeros((4, 8, 8, 1), np.uint8)
        self.fails(
            Dataset(Split(images, np.array([0, 1, 2, 24])), class_names=tuple("abcdefghij")),
            "train labels: expected 0 to 9 for 10 class names, but they go from 0 to 24",
        )

    def test_raising(self):
        def fake(*, path: str):
            raise FileNotFoundError(path)

        with pytest.raises(
            CheckFailed, match=r"fake\(path='/nowhere'\): loading the data: FileNotFoundError"
        ):
            check_dataset(fake, path="/nowhere")
        with pytest.raises(CheckFailed, match="fake: its parameters: 'path' has no default"):
            check_dataset(fake)
        with pytest.raises(CheckFailed, match=r"there is no parameter 'pth'\. Did you mean 'path'"):
            check_dataset(fake, pth="/nowhere")


def test_sampled_points_are_inside_the_space():
    def function(
        *,
        whole: Annotated[int, Int(2, 11, step=3)] = 5,
        log: Annotated[int, Int(1, 1000, log=True)] = 10,
        grid: Annotated[float, Float(0, 1, step=0.25)] = 0.5,
        rate: Annotated[float, Float(1e-5, 1, log=True)] = 1e-3,
        kind: Annotated[str, Choice("a", "b")] = "a",
    ): ...

    space = read_space(function)
    points = list(sampled_points(space, 200, seed=0))
    for point in points:
        assert space.check(point) == point
    assert {point["whole"] for point in points} == {2, 5, 8, 11}
    assert {point["grid"] for point in points} == {0, 0.25, 0.5, 0.75, 1}
    assert {point["kind"] for point in points} == {"a", "b"}
    assert sum(point["log"] < 32 for point in points) > 60  # half of it, in logarithms
    assert points == list(sampled_points(space, 200, seed=0))
    assert points != list(sampled_points(space, 200, seed=1))
    assert RandomSuggester(0).suggest_int("one", 3, 3, log=True) == 3


def dense(input_shape, num_classes, activation="softmax"):
    from keras import Input, Sequential, layers

    return Sequential(
        [Input(input_shape), layers.Flatten(), layers.Dense(num_classes, activation=activation)]
    )


def only_training(change):
    """A layer that applies `change` while training."""
    import keras

    class OnlyTraining(keras.layers.Layer):
        def call(self, images, training=False):
            return change(images) if training else images

    return OnlyTraining()
