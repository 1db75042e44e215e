"""`image_folder`: every format, every layout, and damaged images."""

from __future__ import annotations

import errno
import io
import os
import socket
import struct
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

import zoo
from zoo import ZooError
from zoo.builtin.datasets import image_folder
from zoo.data import decoding
from zoo.data.contract import check_contract
from zoo.data.store import digest_of


def make_image(seed=0, size=(6, 8), mode="RGB"):
    """Random pixels, height × width."""
    shape = size if mode == "L" else (*size, 3)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8))


def save(path, image=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    (make_image() if image is None else image).save(path, **options)
    return path


def fill(root, splits=("train", "validation", "test"), classes=("cat", "dog"), images=3):
    """Write PNG files, each with other pixels."""
    seed = 0
    for split in splits:
        for name in classes:
            for number in range(images):
                seed += 1
                save(root / split / name / f"{number}.png", make_image(seed))


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, data=b""):
    """Return a PNG that announces this size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.fixture
def root(in_tmp, monkeypatch):
    monkeypatch.delenv("ZOO_DATA_DIR", raising=False)
    return in_tmp / "pets"


def refused(text, **parameters):
    with pytest.raises(ZooError) as error:
        image_folder(**{"path": "pets", **parameters})
    assert text in str(error.value)
    assert "\n" not in str(error.value)


class TestLayouts:
    def test_folder_per_split(self, root):
        fill(root)
        dataset = image_folder(path="pets")
        check_contract(dataset)
        assert dataset.class_names == ["cat", "dog"]
        assert dataset.train.images.shape == (6, 6, 8, 3)
        assert dataset.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
        assert (len(dataset.validation), len(dataset.test)) == (6, 6)
        assert (dataset.source, dataset.warning) == ("pets", "")
        for split in ("train", "validation", "test"):
            for number, image in enumerate(getattr(dataset, split).images):
                file = root / split / ["cat", "dog"][number // 3] / f"{number % 3}.png"
                assert np.array_equal(image, np.asarray(Image.open(file)))

    def test_digest_is_that_of_earlier_versions(self, root):
        """Otherwise studies of such folders cannot be resumed."""
        fill(root)
        whole = digest_of(image_folder(path="pets"))
        assert whole == "009cb0178eebab69415810aed33024c3e276cd61dd19320b8522ccbd6b35c0b1"
        cut = digest_of(image_folder(path="pets/train", color_mode="grayscale"))
        assert cut == "3f813142a778505f06cceb81282ec8f7df48697b156f303f1d929653b74ac453"

    @pytest.mark.parametrize("names", [("train",), ("Train", "VAL"), ("train", "valid", "test")])
    def test_validation_and_test_are_optional(self, root, names):
        fill(root, names)
        dataset = image_folder(path="pets")
        assert (dataset.validation is None) == (len(names) == 1)
        assert (dataset.test is None) == ("test" not in names)

    def test_folder_without_splits_is_cut_by_seed(self, root):
        fill(root.parent, ["pets"], images=20)
        dataset = image_folder(path="pets")
        check_contract(dataset)
        assert np.bincount(dataset.train.labels).tolist() == [16, 16]
        assert np.bincount(dataset.test.labels).tolist() == [4, 4]
        same = image_folder(path="pets")
        other = image_folder(path="pets", seed=7)
        assert np.array_equal(same.test.images, dataset.test.images)
        assert not np.array_equal(other.test.images, dataset.test.images)
        everything = {image.tobytes() for split in (dataset.train, dataset.test) for image in split.images}
        assert len(everything) == 40
        assert len(image_folder(path="pets", test_fraction=0.5).test) == 20
        assert image_folder(path="pets", test_fraction=0.0).test is None

    def test_each_class_keeps_a_training_image(self, root):
        fill(root.parent, ["pets"], images=2)
        save(root / "owl/0.png")
        dataset = image_folder(path="pets", test_fraction=0.9)
        assert np.bincount(dataset.train.labels).tolist() == [1, 1, 1]
        assert np.bincount(dataset.test.labels, minlength=3).tolist() == [1, 1, 0]

    @pytest.mark.parametrize("names", [("train",), ("test",), ("Train", "test", "val", "valid")])
    def test_class_can_be_named_like_a_split(self, root, names):
        classes = sorted(["car", "plane", *names])
        fill(root.parent, ["pets"], classes, images=5)
        dataset = image_folder(path="pets")
        assert dataset.class_names == classes
        assert (len(dataset.train), len(dataset.test)) == (4 * len(classes), len(classes))
        assert dataset.warning == ""

    @pytest.mark.parametrize(
        "names",
        [
            ("training_set", "test_set"),
            ("Training", "testing"),
            ("train-images", "dev", "test images"),
            ("trainset", "VALIDATION", "testset"),
            ("seg_train", "seg_test"),
            ("Train data 2019", "pets.val", "pets-test"),
            ("train2017", "val2017", "test2017"),
            ("train ", "test "),
        ],
    )
    def test_splits_have_any_of_their_usual_names(self, root, names):
        fill(root, names)
        dataset = image_folder(path="pets")
        assert dataset.class_names == ["cat", "dog"]
        assert len(dataset.train) == len(dataset.test) == 6
        assert (dataset.validation is None) == (len(names) == 2)
        assert dataset.train.names[0] == f"{names[0]}/cat/0.png"

    def test_folders_with_the_same_folders_are_no_classes(self, root):
        fill(root, ["first", "second"])
        refused(
            f"{root}: the folders first, second contain the same folders (cat, dog), so they are no classes. "
            "Rename them to train, validation and test if they are splits"
        )
        save(root / "first/1.png")
        assert image_folder(path="pets").class_names == ["first", "second"]

    def test_classes_may_have_split_words_in_their_names(self, root):
        classes = ["bullet_train", "steam_train", "test_tube"]
        fill(root.parent, ["pets"], classes, images=5)
        assert image_folder(path="pets").class_names == classes
        fill(root / "bullet_train", ["old", "new"], ["x"])
        assert image_folder(path="pets").class_names == classes

    def test_folder_in_a_folder_is_suggested(self, root):
        fill(root / "pets", ["train", "test"])
        refused(f'class folders with images, got only pets. Did you mean path = "{root}/pets"?')

    @pytest.mark.parametrize("name", ["__MACOSX", "$RECYCLE.BIN", "System Volume Information", "@eaDir"])
    def test_folders_of_operating_systems_are_skipped(self, root, name):
        fill(root.parent, ["pets"])
        save(root / name / "0.png")
        dataset = image_folder(path="pets")
        assert (dataset.class_names, dataset.warning) == (["cat", "dog"], "")

    def test_unused_folder_beside_splits_is_counted(self, root):
        fill(root, ["train", "holdout"])
        dataset = image_folder(path="pets")
        assert dataset.test is None
        assert dataset.warning == (
            f"{root}/holdout (6 files) has the class folders of train, but no name of a split, so it is not "
            "used. If it is a split, rename it to validation or test."
        )

    def test_splits_within_classes_are_refused(self, root):
        fill(root, ["cat", "dog"], ["test", "train"])
        refused(
            f"{root}: the class folders cat, dog contain the splits (test, train); expected the splits "
            "outside, such as train/cat instead of cat/train. Move the folders."
        )

    def test_split_without_class_folders_is_refused(self, root):
        fill(root, ["train"])
        save(root / "test/1.png")
        refused(f"{root}/test has files, but no class folders as the training split has.")

    def test_both_unicode_forms_are_the_same_class(self, root):
        fill(root, ["train"], ["caf\u00e9", "th\u00e9"])
        fill(root, ["test"], ["cafe\u0301", "the\u0301"])
        dataset = image_folder(path="pets")
        assert dataset.class_names == ["caf\u00e9", "th\u00e9"]
        assert dataset.test.labels.tolist() == [0, 0, 0, 1, 1, 1]

    def test_classes_are_in_natural_order(self, root):
        fill(root.parent, ["pets"], ["10", "2", "1"], images=5)
        dataset = image_folder(path="pets")
        assert dataset.class_names == ["1", "2", "10"]
        for name, label in zip(dataset.train.names, dataset.train.labels, strict=True):
            assert name.startswith(f"{dataset.class_names[label]}/")

    def test_nested_folders_belong_to_their_class(self, root):
        fill(root, ["train"])
        save(root / "train/cat/more/deep/1.png")
        save(root / "train/cat/.hidden/1.png")
        dataset = image_folder(path="pets")
        assert dataset.train.labels.tolist() == [0] * 4 + [1] * 3
        assert dataset.warning == ""

    def test_linked_folders_belong_to_their_class(self, root):
        fill(root, ["train"])
        save(root.parent / "elsewhere/deep/1.png")
        for name, target in (("more", root.parent / "elsewhere"), ("up", ".."), ("self", "."), ("top", root)):
            (root / "train/cat" / name).symlink_to(target)
        (root / "train/cat/more/deep/again").symlink_to("..")
        dataset = image_folder(path="pets")
        assert dataset.train.labels.tolist() == [0] * 4 + [1] * 3
        assert dataset.warning == ""

    def test_files_outside_class_folders_are_reported(self, root):
        fill(root, ["train"])
        for name in ("labels.csv", ".hidden", "train/README", "train/cat/notes.txt"):
            (root / name).touch()
        listed = "/pets: labels.csv, train/README, train/cat/notes.txt. Only "
        assert listed in image_folder(path="pets").warning
        assert "/train: README, cat/notes.txt. Only " in image_folder(path="pets/train").warning

    def test_other_files_in_class_folders_are_reported(self, root):
        fill(root, ["train"])
        for name in ("train/cat/notes.txt", "train/.DS_Store", "train/cat/Thumbs.db", "train/cat/._0.png"):
            (root / name).touch()
        save(root / "train/loose.png")
        save(root / "other/cat/1.png")
        dataset = image_folder(path="pets")
        assert len(dataset.train) == 6
        assert dataset.warning == (
            f"Ignored in {root}: other, train/loose.png, train/cat/notes.txt. "
            "Only images in class folders are used."
        )

    @pytest.mark.parametrize(
        ("files", "text"),
        [
            ([], "pets/: expected at least two class folders with images, got none."),
            (
                ["train/1.png", "test/1.png"],
                "train: expected at least two class folders with images, got none. "
                "If train is a class, rename it.",
            ),
            (["train/cat/1.png"], "at least two class folders with images, got only cat."),
            (["1.png", "2.png"], "Or list the images with their labels in a CSV file, for labelled_files."),
            (["1.txt"], "Put the images of each class into a folder of its own, such as pets/cats."),
            (["train/cat/1.png", "train/dog/"], "train/dog contains no images."),
            (["train/cat/1.png", "train/dog/1.txt"], "train/dog contains no images."),
            (["cat/1.png", "dog/.1.png"], "dog contains no images."),
            (["train/cat/1.png", "train/dog/1.png", "test/cat/"], "test contains no images."),
            (["test/cat/1.png", "test/dog/1.png"], "but no folder train. Add or rename one."),
            (
                ["train/cat/1.png", "train/dog/1.png", "test/cow/1.png"],
                "test/cow: train has no such class. Available: cat, dog. Rename it.",
            ),
            (
                ["train/cat/1.png", "train/dog/1.png", "val/cat/1.png", "valid/cat/1.png"],
                "has more than one folder for validation: val, valid. Rename or remove one.",
            ),
        ],
    )  # fmt: skip
    def test_other_structures_are_refused(self, root, files, text):
        root.mkdir()
        for name in files:
            if name.endswith(".png"):
                save(root / name)
            else:
                path = root / name
                (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
                if not name.endswith("/"):
                    path.touch()
        refused(text.replace("pets/:", f"{root}:").replace("pets/cats", f"{root}/cats"))
        refused(str(root))

    def test_file_and_missing_folder_are_refused(self, root):
        root.write_text("")
        refused(f"{root} is a file; expected the folder that contains the class folders.")
        refused(f"no such file or folder in {root.parent}", path="pest")
        refused("Did you mean 'pets'?", path="pest")
        refused(f'path = "{"a" * 300}": cannot be read (File name too long).', path="a" * 300)


class TestFormats:
    @pytest.mark.parametrize("suffix", ["png", "bmp", "gif", "jpg", "jpeg", "JPG", "jfif"])
    @pytest.mark.parametrize("mode", ["rgb", "grayscale"])
    def test_pixels_equal_those_of_pillow(self, root, suffix, mode):
        fill(root, ["train"], images=1)
        file = save(root / f"train/cat/x.{suffix}", make_image(9))
        (image,) = [
            image
            for image, name in zip(
                image_folder(path="pets", color_mode=mode).train.images, "0x0", strict=True
            )
            if name == "x"
        ]
        expected = np.asarray(Image.open(file).convert("RGB" if mode == "rgb" else "L"))
        assert np.array_equal(image if mode == "rgb" else image[..., 0], expected)

    def test_content_decides_the_format(self, root):
        fill(root, ["train"], images=1)
        expected = np.asarray(Image.open(root / "train/cat/0.png"))
        (root / "train/cat/0.png").rename(root / "train/cat/0.jpg")
        assert np.array_equal(image_folder(path="pets").train.images[0], expected)

    def decoded(self, root, image, suffix="png", **parameters):
        """Return the pixels that one image becomes."""
        fill(root, ["train"], images=1)
        save(root / f"train/cat/0.{suffix}", image)
        if suffix != "png":
            (root / "train/cat/0.png").unlink()
        return image_folder(path="pets", **parameters).train.images[0]

    def test_sixteen_bits_become_eight(self, root):
        deep = np.arange(48, dtype=np.uint16).reshape(6, 8) * 1365
        pixels = self.decoded(root, Image.fromarray(deep), color_mode="grayscale")
        assert np.array_equal(pixels[..., 0], deep // 256)

    def test_black_and_white_becomes_0_and_255(self, root):
        pixels = self.decoded(root, make_image(mode="L").convert("1"))
        assert set(np.unique(pixels)) == {0, 255}

    def test_palette_becomes_rgb(self, root):
        image = make_image(3).quantize(8)
        assert np.array_equal(self.decoded(root, image), np.asarray(image.convert("RGB")))

    @pytest.mark.parametrize("suffix", ["tif", "webp", "png", "ppm", "jp2", "tga"])
    def test_other_formats_are_read(self, root, suffix):
        image = make_image(3)
        options = {"lossless": True} if suffix == "webp" else {}
        fill(root, ["train"], images=1)
        save(root / f"train/dog/x.{suffix}", image, **options)
        assert np.array_equal(image_folder(path="pets").train.images[-1], np.asarray(image))

    @pytest.mark.parametrize("name", ["x", "x.jpg", "x.dat"])
    def test_content_decides_whether_a_file_is_an_image(self, root, name):
        image = make_image(3)
        fill(root, ["train"], images=1)
        save(root / f"train/dog/{name}", image, format="TIFF")
        dataset = image_folder(path="pets")
        assert np.array_equal(dataset.train.images[-1], np.asarray(image))
        assert dataset.warning == ""

    @pytest.mark.parametrize(("background", "expected"), [("white", 255), ("black", 0), ("#808080", 128)])
    @pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "L"])
    def test_transparent_pixels_show_the_background(self, root, mode, background, expected):
        black = Image.new("RGBA", (8, 6))
        black.paste((0, 0, 0, 255), (0, 0, 4, 6))
        if mode in ("RGBA", "LA"):
            image, options = black.convert(mode), {}
        else:  # one color is transparent
            image = Image.new(mode, (8, 6), 0 if mode != "RGB" else (0, 0, 0))
            image.paste(1 if mode != "RGB" else (1, 1, 1), (4, 0, 8, 6))
            options = {"transparency": 1 if mode != "RGB" else (1, 1, 1)}
            if mode == "P":
                image.putpalette([0, 0, 0, 9, 9, 9])
        fill(root, ["train"], images=1)
        save(root / "train/cat/0.png", image, **options)
        pixels = image_folder(path="pets", background=background).train.images[0]
        assert (pixels[:, :4] == 0).all()
        assert (pixels[:, 4:] == expected).all()

    def test_opaque_images_with_alpha_are_unchanged(self, root):
        image = make_image(3)
        image.putalpha(255)
        assert np.array_equal(self.decoded(root, image, background="red"), np.asarray(image.convert("RGB")))

    def test_unused_bits_give_a_warning_with_the_parameter(self, root):
        random = np.random.default_rng(0)
        for number in range(6):
            deep = random.integers(0, 4096, (6, 8)).astype(np.uint16)
            save(root / f"train/{'cat' if number % 2 else 'dog'}/{number}.png", Image.fromarray(deep))
        warning = image_folder(path="pets").warning
        assert "is brighter than 15 of 255. If they have 12 bits per pixel, set bit_depth = 12." in warning
        dataset = image_folder(path="pets", bit_depth=12, color_mode="grayscale")
        assert dataset.warning == ""
        assert np.array_equal(dataset.train.images[2, ..., 0], deep // 16)
        refused("(pixels from ", bit_depth=9)

    @pytest.mark.parametrize(("color_type", "channels"), [(2, 3), (6, 4)])
    def test_unused_bits_of_colors_are_read(self, root, color_type, channels):
        deep = np.random.default_rng(0).integers(0, 4096, (6, 6, 8, channels)).astype(np.uint16)
        deep[..., 3:] = 65535
        header = struct.pack(">IIBBBBB", 8, 6, 16, color_type, 0, 0, 0)
        for number, image in enumerate(deep):
            file = root / "train" / ("cat" if number < 3 else "dog") / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            rows = zlib.compress(b"".join(b"\0" + row.astype(">u2").tobytes() for row in image))
            chunks = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
            file.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
        assert "If they have 12 bits per pixel, set bit_depth = 12." in image_folder(path="pets").warning
        dataset = image_folder(path="pets", bit_depth=12)
        assert np.array_equal(dataset.train.images, deep[..., :3] // 16)
        assert dataset.warning == ""
        refused("expected 0 to 1023", bit_depth=10)

    def test_unused_bits_of_grey_with_alpha_are_refused(self, root):
        rows = b"".join(b"\0" + np.full((8, 2), 4000, ">u2").tobytes() for _ in range(6))
        header = struct.pack(">IIBBBBB", 8, 6, 16, 4, 0, 0, 0)
        content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows))
        fill(root, ["train"], images=1)
        (root / "train/cat/0.png").write_bytes(content + chunk(b"IEND", b""))
        refused("12 of 16 bits in grey with alpha; save it with 8 bits", bit_depth=12)

    def test_dark_images_of_one_class_are_counted(self, root):
        fill(root, ["train"])
        for number in range(3):
            save(root / f"train/cat/{number}.png", Image.fromarray(np.full((6, 8), number, np.uint8)))
        assert image_folder(path="pets").warning == (
            f"2 of 6 images in {root} have no pixel brighter than 2 of 255, such as train/cat/1.png. If they "
            "have another range, save them with values from 0 to 255."
        )

    @pytest.mark.parametrize(("high", "factor"), [(1, 255), (255, 1)])
    def test_floating_point_images_are_read(self, root, high, factor):
        values = np.linspace(0, high, 48, dtype=np.float32).reshape(6, 8)
        pixels = self.decoded(root, Image.fromarray(values), suffix="tif", color_mode="grayscale")
        assert np.array_equal(pixels[..., 0], np.rint(values * factor))

    def test_other_floating_point_images_are_refused(self, root):
        fill(root, ["train"], images=1)
        save(root / "train/cat/0.tif", Image.fromarray(np.full((6, 8), 300, np.float32)))
        refused("train/cat/0.tif (pixels from 300.0 to 300.0, expected 0 to 255)")

    def test_unknown_background_is_refused(self, root):
        fill(root)
        refused("background = 'whit': expected a color, such as black or #c0c0c0.", background="whit")

    @pytest.mark.parametrize("mode", ["rgb", "grayscale"])
    def test_lab_becomes_rgb_or_grey(self, root, mode):
        spaces = [ImageCms.createProfile(name) for name in ("sRGB", "LAB")]
        transform = ImageCms.buildTransform(*spaces, "RGB", "LAB")
        image = ImageCms.applyTransform(Image.new("RGB", (8, 6), "white"), transform)
        assert self.decoded(root, image, suffix="tif", color_mode=mode).min() > 240

    def test_cmyk_becomes_rgb(self, root):
        image = Image.new("CMYK", (8, 6), (0, 255, 255, 0))  # red
        pixels = self.decoded(root, image, suffix="jpg")
        assert pixels[..., 0].min() > 240
        assert pixels[..., 1:].max() < 15

    def test_first_frame_of_a_gif_is_used(self, root):
        first, second = make_image(1, mode="L"), make_image(2, mode="L")
        fill(root, ["train"], images=1)
        (root / "train/cat/0.png").unlink()
        save(root / "train/cat/0.gif", first, save_all=True, append_images=[second])
        pixels = image_folder(path="pets").train.images[0]
        assert np.array_equal(pixels[..., 0], np.asarray(first))

    @pytest.mark.parametrize("suffix", ["jpg", "png"])
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_orientation_is_applied(self, root, orientation, suffix):
        """An image with a bright upper left quarter, stored as a rotated camera stores it."""
        upright = np.zeros((16, 16), np.uint8)
        upright[:8, :8], upright[:8, 8:] = 250, 120
        laid = {
            1: upright,
            2: upright[:, ::-1],
            3: upright[::-1, ::-1],
            4: upright[::-1],
            5: upright.T,
            6: np.rot90(upright),
            7: upright[::-1, ::-1].T,
            8: np.rot90(upright, -1),
        }[orientation]
        exif = Image.Exif()
        exif[0x0112] = orientation
        fill(root, ["train"], images=1)
        (root / "train/cat/0.png").unlink()
        image = Image.fromarray(np.ascontiguousarray(laid))
        save(root / f"train/cat/0.{suffix}", image, exif=exif, quality=95)
        pixels = image_folder(path="pets", image_size=16, color_mode="grayscale").train.images[0, ..., 0]
        assert np.abs(pixels.astype(int) - upright).max() < 10

    @pytest.mark.parametrize(("size", "shape"), [(5, (5, 5)), ([4, 12], (4, 12))])
    def test_image_size_scales_images(self, root, size, shape):
        fill(root)
        save(root / "train/cat/0.png", Image.new("RGB", (50, 20), (10, 20, 30)))
        dataset = image_folder(path="pets", image_size=size)
        check_contract(dataset)
        assert dataset.test.images.shape == (6, *shape, 3)
        assert (dataset.train.images[0] == (10, 20, 30)).all()

    def test_large_jpeg_is_scaled_like_a_whole_decode(self, root):
        """JPEG is decoded at a fraction of its size, which hardly changes the result."""
        x, y = np.meshgrid(np.linspace(0, 255, 640), np.linspace(0, 255, 480))
        large = Image.fromarray(np.stack([x, y, 255 - x], axis=2).astype(np.uint8))
        pixels = self.decoded(root, large, suffix="jpg", image_size=40)
        expected = np.asarray(large.resize((40, 40), Image.Resampling.BILINEAR))
        assert np.abs(pixels.astype(int) - expected).max() < 6


class TestBadImages:
    @pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp"])
    def test_truncated_image_is_named_or_whole(self, root, suffix):
        fill(root, ["train"], images=1)
        file = save(root / f"train/dog/x.{suffix}", make_image(5, size=(5, 5)))
        content = file.read_bytes()
        whole = zoo.read_image(file)
        for length in range(0, len(content), 1 if len(content) < 300 else 7):
            file.write_bytes(content[:length])
            text = message(size=5)
            if text:
                assert text.startswith(f"1 of 3 images in {root} cannot be read: train/dog/x.{suffix} (")
            else:  # nothing of the pixels is missing
                assert length > 0.9 * len(content)
                assert np.array_equal(zoo.read_image(file), whole)

    def test_flipped_bit_in_a_png_is_named_or_harmless(self, root, seed):
        """PNG is the only one of the four formats with checksums."""
        fill(root, ["train"], images=1)
        file = root / "train/cat/0.png"
        content, before = file.read_bytes(), zoo.read_image(file)
        chance = np.random.default_rng(seed)
        for position in chance.integers(0, len(content), 150):
            flipped = bytearray(content)
            flipped[position] ^= 1 << int(chance.integers(8))
            file.write_bytes(flipped)
            text = message(size=6)
            assert "train/cat/0.png" in text if text else np.array_equal(zoo.read_image(file), before)

    def test_damaged_images_are_counted_and_five_named(self, root):
        fill(root, images=4)
        for number in range(4):
            (root / f"train/cat/{number}.png").write_bytes(b"no image at all")
            (root / f"test/dog/{number}.png").write_bytes(b"")
        refused(
            f"8 of 24 images in {root} cannot be read: "
            + "".join(f"train/cat/{number}.png (not an image), " for number in range(4))
            + "test/dog/0.png (not an image) and 3 more. Replace or remove them.",
            image_size=8,
        )

    @pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
    @pytest.mark.parametrize("size", [(20_000, 20_000), (10_000, 10_000), (60_000, 60_000)])
    def test_decompression_bomb_is_named_and_not_decoded(self, root, size, monkeypatch):
        fill(root, ["train"])
        (root / "train/cat/1.png").write_bytes(png(*size, zlib.compress(bytes(1000))))
        decoded = []
        load = Image.Image.load
        monkeypatch.setattr(Image.Image, "load", lambda self: decoded.append(self.size) or load(self))
        refused("train/cat/1.png (more than 89,478,485 pixels, a possible decompression bomb)", image_size=8)
        assert size not in decoded

    def test_broken_link_is_named(self, root):
        fill(root, ["train"])
        (root / "train/cat/x.jpg").symlink_to("/nowhere.jpg")
        refused("train/cat/x.jpg (No such file or directory)", image_size=8)

    @pytest.mark.parametrize("name", ["self", "self.png"])
    def test_link_to_itself_is_named(self, root, name):
        fill(root)
        (root / "train" / "cat" / name).symlink_to(name)
        if name == "self":
            assert "train/cat/self" in image_folder(path="pets").warning
        else:
            refused("self.png (Too many levels of symbolic links)", path="pets")

    def test_pipe_and_socket_are_named_and_not_read(self, root):
        fill(root)
        os.mkfifo(root / "train" / "cat" / "pipe.png")
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str((root / "test" / "dog" / "socket.png").relative_to(Path.cwd())))
        dataset = image_folder(path="pets")
        assert (len(dataset.train), len(dataset.test)) == (6, 6)
        assert (
            "Not read: train/cat/pipe.png, test/dog/socket.png (pipes, sockets or devices)."
            in dataset.warning
        )

    def test_damaged_first_image_is_named(self, root):
        fill(root, ["train"])
        (root / "train/cat/0.png").write_bytes(b"")
        refused(f"{root}/train/cat/0.png cannot be read (not an image).")

    def test_images_of_different_sizes_need_image_size(self, root):
        fill(root)
        save(root / "test/dog/1.png", make_image(size=(8, 6)))
        refused(
            f"{root}/train/cat/0.png has 6×8 pixels (height × width), {root}/test/dog/1.png has 8×6. "
            "Set image_size to a number, or to [height, width], to scale all images to one size."
        )
        assert image_folder(path="pets", image_size=6).train.images.shape == (6, 6, 6, 3)

    @pytest.mark.parametrize("size", [0, -3, 5000, [4], [4, 4, 4], [4, True]])
    def test_impossible_image_sizes_are_refused(self, root, size):
        fill(root)
        refused(
            "expected one number for a square, or [height, width], from 1 to 4096 pixels.", image_size=size
        )


def message(size):
    """Return the error or the warning, or ""."""
    try:
        return image_folder(path="pets", image_size=size).warning
    except ZooError as error:
        return str(error)


class TestMemory:
    def test_images_are_in_unnamed_temporary_files(self, root, tmp_path_factory, monkeypatch):
        scratch = tmp_path_factory.mktemp("scratch")
        monkeypatch.setattr(tempfile, "tempdir", str(scratch))
        fill(root)
        dataset = image_folder(path="pets")
        assert all(isinstance(split.images, np.memmap) for split in (dataset.train, dataset.test))
        assert list(scratch.iterdir()) == []

    def test_full_disk_is_an_error_before_decoding(self, root, monkeypatch):
        def full(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "posix_fallocate", full)
        monkeypatch.setattr(decoding, "read_image_and_size", None)
        fill(root)
        refused("no space for 18 images of 300×300×3 (0.0 GB) in ", image_size=300)
        refused("No space left on device. Set TMPDIR to a folder with more space", image_size=300)


def test_number_of_threads_does_not_change_pixels(root, monkeypatch):
    fill(root, images=10)
    monkeypatch.setattr(decoding, "ThreadPoolExecutor", lambda: ThreadPoolExecutor(1))
    one = image_folder(path="pets", image_size=7)
    monkeypatch.setattr(decoding, "ThreadPoolExecutor", lambda: ThreadPoolExecutor(8))
    many = image_folder(path="pets", image_size=7)
    for split in ("train", "validation", "test"):
        assert np.array_equal(getattr(one, split).images, getattr(many, split).images)


def test_gif_with_an_oversized_frame_is_refused(root):
    """A frame larger than its image does not evade the limit."""
    fill(root, ["train"])
    memory = io.BytesIO()
    make_image(mode="L").save(memory, "GIF")
    content = bytearray(memory.getvalue())
    frame = content.index(b",\0\0\0\0")
    content[frame + 5 : frame + 9] = struct.pack("<HH", 65_535, 65_535)
    (root / "train/cat/0.gif").write_bytes(content)
    refused("train/cat/0.gif (more than 89,478,485 pixels", image_size=8)
