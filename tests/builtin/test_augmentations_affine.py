import math

import keras
import numpy as np
import pytest
from keras import ops
from scipy import ndimage

from zoo.builtin.augmentations._layers import RandomAffine, affine_maps, resample


@pytest.fixture
def images():
    return np.random.default_rng(0).random((6, 14, 20, 2), dtype=np.float32)


def maps(shape, **changes):
    """Return the same map for every image of a batch of `shape`."""
    zoom = changes.pop("zoom", 1.0)
    values = {"rotation": 0.0, "shear": 0.0, "zoom_x": zoom, "zoom_y": zoom, "shift_x": 0.0, "shift_y": 0.0}
    values |= changes
    batches = {name: ops.full((shape[0],), value, dtype="float32") for name, value in values.items()}
    return affine_maps(shape[1], shape[2], **batches)


def move(images, *, fill="nearest", **changes):
    return ops.convert_to_numpy(resample(images, maps(images.shape, **changes), fill))


def augment(layer, images, training=True):
    return ops.convert_to_numpy(layer(images, training=training))


class TestMaps:
    """The maps lead from output to input, as Keras expects."""

    @pytest.mark.parametrize("size", [8, 9])
    @pytest.mark.parametrize("turns", [1, 2, -1])
    def test_quarter_turns_are_exact(self, size, turns):
        images = np.random.default_rng(0).random((2, size, size, 3), dtype=np.float32)
        turned = move(images, rotation=turns * math.pi / 2)
        assert np.allclose(turned, np.rot90(images, turns, axes=(1, 2)), atol=1e-5)

    def test_half_turn_of_a_wide_image(self, images):
        assert np.allclose(move(images, rotation=math.pi), images[:, ::-1, ::-1], atol=1e-5)

    def test_shifts_go_right_and_down(self, images):
        moved = move(images, shift_x=2 / 20, shift_y=1 / 14)  # 2 pixels to the right, 1 down
        assert np.allclose(moved[:, 1:, 2:], images[:, :-1, :-2], atol=1e-5)
        assert np.allclose(moved[:, 0], moved[:, 1], atol=1e-5)  # filled with the nearest

    def test_zoom_about_the_centre(self):
        image = np.zeros((1, 9, 9, 1), np.float32)
        image[0, 4, 4] = image[0, 4, 6] = 1
        zoomed = move(image, zoom=2.0)[0, :, :, 0]
        assert zoomed[4, 4] == pytest.approx(1)
        assert zoomed[4, 8] == pytest.approx(1)  # twice as far out

    def test_negative_zoom_mirrors(self, images):
        assert np.array_equal(move(images, zoom_x=-1.0), images[:, :, ::-1])
        assert np.array_equal(move(images, zoom_y=-1.0), images[:, ::-1])

    def test_zoom_along_one_axis(self):
        image = np.zeros((1, 9, 9, 1), np.float32)
        image[0, 3:6, 3:6] = 1
        wide = move(image, zoom_x=3.0, fill="constant")[0, :, :, 0]
        assert np.allclose(wide[3:6, 1:8], 1, atol=1e-5)
        assert np.ptp(np.nonzero(wide)[0]) == 2

    def test_shear_leans_the_lower_part_to_the_right(self):
        image = np.zeros((1, 9, 9, 1), np.float32)
        image[0, :, 4] = 1  # a vertical stroke
        sheared = move(image, shear=math.pi / 4)[0, :, :, 0]
        assert np.allclose(sheared, np.eye(9), atol=1e-5)

    def test_rotated_square_stays_square_in_a_wide_image(self):
        image = np.zeros((1, 21, 41, 1), np.float32)
        image[0, 6:15, 16:25] = 1  # about the centre (10, 20)
        turned = move(image, rotation=math.pi / 4)[0, :, :, 0]
        rows, columns = np.nonzero(turned > 0.5)
        assert np.ptp(rows) == np.ptp(columns)

    @pytest.mark.parametrize(
        ("fill", "theirs"), [("nearest",) * 2, ("reflect",) * 2, ("constant", "grid-constant")]
    )
    def test_result_equals_that_of_scipy(self, images, fill, theirs):
        changes = {"rotation": 0.5, "shear": 0.2, "zoom": 1.2, "shift_x": 0.1, "shift_y": -0.07}
        a0, a1, a2, b0, b1, b2, _, _ = ops.convert_to_numpy(maps(images.shape, **changes))[0].astype(float)
        expected = np.empty_like(images)
        for index in np.ndindex(len(images), images.shape[-1]):
            image, channel = index
            expected[image, :, :, channel] = ndimage.affine_transform(
                images[image, :, :, channel], [[b1, b0], [a1, a0]], offset=[b2, a2], order=1, mode=theirs
            )
        assert np.allclose(move(images, fill=fill, **changes), expected, atol=1e-5)

    def test_order_of_the_transformations(self):
        """Zoom, shear, rotate, shift: the map is the inverse of the product of their matrices."""
        rotation, lean, zoom, height, width = 0.3, math.tan(0.2), 1.3, 14, 20
        cos, sin = math.cos(rotation), math.sin(rotation)
        # y points down, so a turn that looks counter-clockwise has its minus below
        forward = np.array([[cos, sin], [-sin, cos]]) @ [[1, lean], [0, 1]] @ (np.eye(2) * zoom)
        centre, moved = np.array([width - 1, height - 1]) / 2, np.array([0.1 * width, -0.2 * height])
        row = ops.convert_to_numpy(
            maps((1, height, width, 1), rotation=rotation, shear=0.2, zoom=zoom, shift_x=0.1, shift_y=-0.2)
        )[0]
        point = np.array([3.0, 11.0])
        seen = forward @ (point - centre) + centre + moved
        back = [row[0] * seen[0] + row[1] * seen[1] + row[2], row[3] * seen[0] + row[4] * seen[1] + row[5]]
        assert np.allclose(back, point, atol=1e-4)


class TestRandomAffine:
    LAYER = {"rotation": 20.0, "shift": 0.1, "shear": 10.0, "zoom": 0.2}  # noqa: RUF012

    def test_images_are_unchanged_outside_training(self, images):
        layer = RandomAffine(**self.LAYER)
        assert np.array_equal(augment(layer, images, training=False), images)
        assert np.array_equal(ops.convert_to_numpy(layer(images)), images)

    def test_zero_ranges_are_the_identity(self, images):
        assert np.array_equal(augment(RandomAffine(), images), images)
        assert np.array_equal(move(images), images)

    @pytest.mark.parametrize("name", ["rotation", "shift", "shear", "zoom"])
    def test_each_range_alone_moves_images_differently(self, name):
        images = np.repeat(np.random.default_rng(0).random((1, 12, 12, 1), dtype=np.float32), 6, axis=0)
        moved = augment(RandomAffine(**{name: self.LAYER[name]}, seed=1), images)
        assert len({image.tobytes() for image in moved}) == 6

    def test_draws_stay_in_their_ranges(self, monkeypatch):
        drawn = {}

        def record(height, width, **values):
            drawn.update({name: ops.convert_to_numpy(value) for name, value in values.items()})
            return affine_maps(height, width, **values)

        monkeypatch.setattr("zoo.builtin.augmentations._layers.affine_maps", record)
        augment(RandomAffine(**self.LAYER, seed=1), np.zeros((2000, 4, 4, 1), np.float32))
        limits = {
            "rotation": (-math.radians(20), math.radians(20)),
            "shear": (-math.radians(10), math.radians(10)),
            "zoom_x": (0.8, 1.2),
            "zoom_y": (0.8, 1.2),
            "shift_x": (-0.1, 0.1),
            "shift_y": (-0.1, 0.1),
        }
        assert drawn.keys() == limits.keys()
        assert np.array_equal(drawn["zoom_x"], drawn["zoom_y"])
        for name, (low, high) in limits.items():
            assert low - 1e-6 <= drawn[name].min() < low + 0.02 * (high - low)
            assert high - 0.02 * (high - low) < drawn[name].max() <= high + 1e-6

    @pytest.mark.parametrize("flip", ["horizontal", "vertical", "both"])
    def test_flip_alone_is_exact(self, flip, images):
        image = images[:1]
        seen = {"horizontal": image[:, :, ::-1], "vertical": image[:, ::-1], "both": image[:, ::-1, ::-1]}
        expected = {image.tobytes(), seen[flip].tobytes()}
        if flip == "both":  # each with a coin of its own
            expected = {one.tobytes() for one in (image, *seen.values())}
        flipped = augment(RandomAffine(flip=flip, seed=3), np.repeat(image, 64, axis=0))
        assert {one.tobytes() for one in flipped} == expected

    def test_half_of_the_images_are_flipped(self):
        images = np.zeros((4000, 1, 2, 1), np.float32)
        images[:, :, 1] = 1
        flipped = augment(RandomAffine(flip="horizontal", seed=0), images)
        assert abs(flipped[:, 0, 0, 0].mean() - 0.5) < 4 * 0.5 / math.sqrt(4000)

    def test_flip_comes_first(self, monkeypatch, images):
        """Flipping and moving an image equals moving the flipped image."""
        monkeypatch.setattr(RandomAffine, "_sign", lambda self, batch: -ops.ones((batch,)))
        both = augment(RandomAffine(**self.LAYER, flip="horizontal", seed=1), images)
        moved = augment(RandomAffine(**self.LAYER, seed=1), images[:, :, ::-1].copy())
        assert np.allclose(both, moved, atol=1e-5)

    def test_seed_repeats_the_sequence(self, images):
        one, same, other = (RandomAffine(**self.LAYER, seed=seed) for seed in (1, 1, 2))
        first, second = augment(one, images), augment(one, images)
        assert not np.array_equal(first, second)
        assert np.array_equal(augment(same, images), first)
        assert np.array_equal(augment(same, images), second)
        assert not np.array_equal(augment(other, images), first)

    def test_keras_seed_is_the_default(self, images):
        moved = []
        for _ in range(2):
            keras.utils.set_random_seed(7)
            moved.append(augment(RandomAffine(**self.LAYER), images))
        assert np.array_equal(*moved)

    @pytest.mark.parametrize("fill", ["nearest", "constant", "reflect"])
    def test_range_is_kept(self, fill):
        layer = RandomAffine(**self.LAYER, fill=fill, seed=0)
        moved = augment(layer, np.ones((64, 28, 28, 1), np.float32))
        assert moved.max() == 1.0
        assert moved.min() == (0.0 if fill == "constant" else pytest.approx(1))

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
    def test_shape_and_dtype_are_kept(self, dtype, images):
        layer = RandomAffine(**self.LAYER)
        moved = layer(ops.cast(images, dtype), training=True)
        assert keras.backend.standardize_dtype(moved.dtype) == dtype
        assert tuple(moved.shape) == images.shape
        symbolic = layer(keras.Input((None, None, 2), dtype=dtype))
        assert symbolic.shape == (None, None, None, 2)
        assert symbolic.dtype == dtype

    def test_saved_layer_is_loaded(self, images, tmp_path):
        model = keras.Sequential(
            [keras.Input((14, 20, 2)), RandomAffine(**self.LAYER, flip="both", fill="reflect", seed=5)]
        )
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras").layers[0]
        assert isinstance(loaded, RandomAffine)
        assert loaded.get_config() == model.layers[0].get_config()
        assert np.array_equal(augment(loaded, images), augment(model.layers[0], images))

    def test_layer_draws_new_numbers_in_fit(self, images):
        layer = RandomAffine(**self.LAYER, seed=0)
        model = keras.Sequential(
            [keras.Input((14, 20, 2)), layer, keras.layers.Flatten(), keras.layers.Dense(2)]
        )
        model.compile("sgd", "mse")
        state = ops.convert_to_numpy(layer.seed_generator.state)
        model.fit(images, np.zeros((6, 2)), batch_size=4, epochs=1, verbose=0)  # the last batch is smaller
        assert not np.array_equal(ops.convert_to_numpy(layer.seed_generator.state), state)
        assert not layer.trainable_weights
