import math

import keras
import numpy as np
import pytest
from keras import ops
from PIL import Image, ImageEnhance, ImageOps

from zoo.builtin.augmentations import _randaugment
from zoo.builtin.augmentations._layers import affine_maps, resample
from zoo.builtin.augmentations._randaugment import OPERATIONS, RandAugment

LEVEL = 1 / 255


@pytest.fixture(scope="module")
def photos():
    """Return uint8 images with dark and bright parts, without black and white."""
    small = np.random.default_rng(0).integers(20, 230, (4, 6, 6, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(one).resize((15, 12), Image.BILINEAR)) for one in small])


def recolor(photos, name, magnitude=9, sign=1.0):
    """Apply one operation to every image; values 0 to 255."""
    layer = RandAugment(magnitude=magnitude, solarize=True)
    operations = ops.full((len(photos),), OPERATIONS.index(name), dtype="int32")
    signed = ops.full((len(photos),), sign * magnitude / 30, dtype="float32")
    changed = layer._recolor(ops.convert_to_tensor(photos.astype("float32") / 255), operations, signed)
    return ops.convert_to_numpy(changed) * 255


def with_pil(photos, function):
    return np.stack([np.asarray(function(Image.fromarray(photo))) for photo in photos]).astype(float)


class TestColors:
    """The operations of Pillow, which the paper refers to."""

    @pytest.mark.parametrize("sign", [1.0, -1.0])
    @pytest.mark.parametrize("magnitude", [5, 9, 30])
    @pytest.mark.parametrize(
        ("name", "enhancer"),
        [
            ("brightness", ImageEnhance.Brightness),
            ("contrast", ImageEnhance.Contrast),
            ("color", ImageEnhance.Color),
            ("sharpness", ImageEnhance.Sharpness),
        ],
    )
    def test_enhancements_equal_those_of_pillow(self, photos, name, enhancer, magnitude, sign):
        factor = 1 + sign * 0.9 * magnitude / 30
        expected = with_pil(photos, lambda photo: enhancer(photo).enhance(factor))
        changed = recolor(photos, name, magnitude, sign)
        inside = (slice(None), slice(1, -1), slice(1, -1))  # Pillow leaves the edge as it is
        assert np.abs(changed[inside] - expected[inside]).max() < 1.6  # Pillow rounds on its way
        assert np.abs(changed - photos).max() > 4

    @pytest.mark.parametrize("magnitude", [0, 9, 15, 30])
    def test_posterize_equals_that_of_pillow(self, photos, magnitude):
        bits = 8 - round(4 * magnitude / 30)
        expected = with_pil(photos, lambda photo: ImageOps.posterize(photo, bits))
        assert np.allclose(recolor(photos, "posterize", magnitude), expected, atol=1e-3)

    @pytest.mark.parametrize("magnitude", [0, 9, 20, 30])
    def test_solarize_equals_that_of_pillow(self, photos, magnitude):
        threshold = 255 * (1 - magnitude / 30) + 1e-3
        expected = with_pil(photos, lambda photo: ImageOps.solarize(photo, threshold))
        assert np.allclose(recolor(photos, "solarize", magnitude), expected, atol=1e-3)

    def test_automatic_contrast_equals_that_of_pillow(self, photos):
        expected = with_pil(photos, ImageOps.autocontrast)
        assert np.abs(recolor(photos, "auto_contrast") - expected).max() < 1.1

    def test_equalisation_equals_that_of_pillow(self, photos):
        # Large: Pillow counts in steps of whole pixels, 1/255 of all.
        large = photos.repeat(20, axis=1).repeat(20, axis=2)
        changed = recolor(large, "equalize")
        assert np.abs(changed - with_pil(large, ImageOps.equalize)).max() < 2
        assert np.allclose(recolor(photos, "equalize"), changed[:, ::20, ::20], atol=1e-3)
        assert (changed.min(axis=(1, 2)) == 0).all()
        assert np.allclose(changed.max(axis=(1, 2)), 255)

    @pytest.mark.parametrize("name", ["auto_contrast", "equalize", "contrast", "sharpness", "color"])
    def test_image_of_one_value_is_unchanged(self, name):
        plain = np.full((2, 8, 8, 1), 90, np.uint8)
        assert np.allclose(recolor(plain, name), 90, atol=1e-3)

    @pytest.mark.parametrize(
        "name", ["identity", *(name for name in OPERATIONS if name.startswith(("rot", "she", "tra")))]
    )
    def test_geometric_operations_keep_the_values(self, photos, name):
        assert np.allclose(recolor(photos, name, 30), photos, atol=1e-3)

    def test_color_keeps_images_of_one_channel(self, photos):
        assert np.allclose(recolor(photos[..., :1], "color", 30), photos[..., :1], atol=1e-3)

    def test_each_image_has_its_own_operation(self, photos):
        names = ("identity", "brightness", "equalize", "posterize")
        operations = ops.array([OPERATIONS.index(name) for name in names], dtype="int32")
        signed = ops.full((4,), 0.5, dtype="float32")
        layer = RandAugment(magnitude=15)
        images = photos.astype("float32") / 255
        mixed = ops.convert_to_numpy(layer._recolor(ops.convert_to_tensor(images), operations, signed)) * 255
        for position, name in enumerate(names):
            alone = recolor(photos[position : position + 1], name, 15)
            assert np.allclose(mixed[position : position + 1], alone, atol=0.02)


def movements(*steps, height=20, width=30):
    """Return the map of one image for steps (name, share of the largest)."""
    operations = ops.array([[OPERATIONS.index(name)] for name, _ in steps], dtype="int32")
    signed = ops.array([[share] for _, share in steps], dtype="float32")
    images = ops.zeros((1, height, width, 1))
    return ops.convert_to_numpy(_randaugment._maps(images, operations, signed))[0]


def reference(height=20, width=30, **changes):
    values = {"rotation": 0.0, "shear": 0.0, "zoom_x": 1.0, "zoom_y": 1.0, "shift_x": 0.0, "shift_y": 0.0}
    batches = {name: ops.array([value], dtype="float32") for name, value in (values | changes).items()}
    return ops.convert_to_numpy(affine_maps(height, width, **batches))[0]


class TestMovements:
    @pytest.mark.parametrize(
        ("name", "share", "as_affine"),
        [
            ("rotate", 1.0, {"rotation": math.radians(30)}),
            ("rotate", -0.3, {"rotation": math.radians(-9)}),
            ("shear_x", 0.5, {"shear": math.atan(0.15)}),
            ("translate_x", 0.3, {"shift_x": 0.3 * 150 / 331}),
            ("translate_y", -1.0, {"shift_y": -150 / 331}),
            ("brightness", 1.0, {}),
        ],
    )
    def test_single_step_equals_the_affine_map(self, name, share, as_affine):
        assert np.allclose(movements((name, share)), reference(**as_affine), atol=1e-5)

    def test_shear_along_the_vertical_axis(self):
        image = np.zeros((1, 9, 9, 1), np.float32)
        image[0, 4] = 1  # a level stroke
        maps = movements(("shear_y", 1.0), height=9, width=9)[None]
        sheared = ops.convert_to_numpy(resample(image, maps, "nearest"))[0, :, :, 0]
        heights = (sheared * np.arange(9)[:, None]).sum(axis=0) / sheared.sum(axis=0)
        assert np.allclose(heights, 4 + 0.3 * (np.arange(9) - 4), atol=1e-4)  # right end down

    def test_steps_are_combined_in_order(self):
        """A point goes through one step and then the next; the map inverts both."""
        a0, a1, a2, b0, b1, b2, _, _ = movements(("rotate", 1.0), ("translate_x", 0.5), ("shear_x", 1.0))
        centre = np.array([29 / 2, 19 / 2])
        cos, sin = math.cos(math.radians(30)), math.sin(math.radians(30))
        point = np.array([4.0, 7.0])
        seen = np.array([[cos, sin], [-sin, cos]]) @ (point - centre)
        seen = seen + np.array([0.5 * 150 / 331 * 30, 0])
        seen = np.array([[1, 0.3], [0, 1]]) @ seen + centre
        back = [a0 * seen[0] + a1 * seen[1] + a2, b0 * seen[0] + b1 * seen[1] + b2]
        assert np.allclose(back, point, atol=1e-4)


class TestDraws:
    def drawn(self, monkeypatch, **settings):
        """Return the operations and signed shares of 3000 images, `(steps, 3000)`."""
        seen = []

        def record(images, operations, signed):
            seen.extend((ops.convert_to_numpy(operations), ops.convert_to_numpy(signed)))
            return ops.tile(ops.array([[1.0, 0, 0, 0, 1, 0, 0, 0]]), (len(images), 1))

        monkeypatch.setattr(_randaugment, "_maps", record)
        RandAugment(**settings, seed=0)(np.zeros((3000, 2, 2, 1), np.float32), training=True)
        return seen

    @pytest.mark.parametrize(("solarize", "count"), [(False, 13), (True, 14)])
    def test_each_image_draws_from_all_operations(self, monkeypatch, solarize, count):
        operations, signed = self.drawn(monkeypatch, operations=3, magnitude=12, solarize=solarize)
        assert operations.shape == signed.shape == (3, 3000)
        shares = np.bincount(operations.ravel(), minlength=14) / operations.size
        assert np.allclose(shares[:count], 1 / count, atol=4 * math.sqrt(1 / count / 9000))
        assert len(shares) == 14
        assert (shares[13] > 0) == solarize
        assert np.allclose(np.abs(signed), 0.4)
        assert abs((signed > 0).mean() - 0.5) < 4 * 0.5 / math.sqrt(9000)
        for one in range(3):
            for other in range(one):
                assert 0 < (operations[one] == operations[other]).mean() < 0.15

    def test_copies_of_an_image_become_different(self):
        image = np.random.default_rng(0).random((1, 12, 12, 3), dtype=np.float32)
        changed = RandAugment(seed=2)(np.repeat(image, 40, axis=0), training=True)
        assert len({one.tobytes() for one in ops.convert_to_numpy(changed)}) > 30

    def test_magnitude_0_neither_moves_nor_blends(self, photos):
        for name in set(OPERATIONS) - {"auto_contrast", "equalize"}:
            assert np.allclose(recolor(photos, name, 0), photos, atol=1e-3)
            assert np.allclose(movements((name, 0.0)), reference())

    def test_saved_layer_is_loaded(self, tmp_path):
        layer = RandAugment(3, 14, solarize=True, fill="reflect", seed=4)
        keras.Sequential([keras.Input((8, 8, 3)), layer]).save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras").layers[0]
        assert isinstance(loaded, RandAugment)
        assert loaded.get_config() == layer.get_config()
