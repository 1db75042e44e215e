"""The decoder of image files. tests/builtin/test_datasets_folder.py has its formats and damaged files."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
from PIL import Image

import zoo
from zoo.data import images
from zoo.data.images import color_mode_of, read_header


@pytest.fixture
def file(tmp_path):
    """A file with 4 × 6 pixels (height × width), each of another color."""
    pixels = np.arange(72, dtype=np.uint8).reshape(4, 6, 3) * 3
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_pixels_have_three_axes(file):
    pixels = zoo.read_image(file)
    assert (pixels.shape, pixels.dtype) == ((4, 6, 3), np.uint8)
    assert np.array_equal(pixels, np.asarray(Image.open(file)))
    assert zoo.read_image(str(file), "grayscale").shape == (4, 6, 1)
    assert zoo.read_image(file, "grayscale", (5, 7)).shape == (5, 7, 1)


def test_photograph_is_rotated_by_its_orientation(file, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by a quarter
    Image.open(file).save(tmp_path / "b.png", exif=exif)
    expected = np.rot90(zoo.read_image(file), -1)
    assert np.array_equal(zoo.read_image(tmp_path / "b.png"), expected)


def test_header_has_the_size_after_rotation(file, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by a quarter
    Image.open(file).save(tmp_path / "b.png", exif=exif)
    header = read_header(tmp_path / "b.png")
    assert (header.height, header.width, header.is_deep) == (6, 4, False)
    Image.fromarray(np.zeros((4, 5), np.uint16)).save(tmp_path / "deep.png")
    assert read_header(tmp_path / "deep.png").is_deep
    (tmp_path / "no.png").write_text("no")
    with pytest.raises(zoo.ImageError, match=r"no\.png cannot be read \(not an image\)"):
        read_header(tmp_path / "no.png")


def test_size_of_a_decoded_photograph_is_that_of_its_header(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (80, 120, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by a quarter
    path = tmp_path / "a.jpg"
    Image.fromarray(pixels).save(path, exif=exif)
    options = {"background": "white", "bit_depth": 16}
    scaled, size = images.read_image_and_size(path, "rgb", (8, 8), **options)  # decoded at a fraction
    assert (scaled.shape, size) == ((8, 8, 3), (120, 80))
    header = read_header(path)
    assert (header.height, header.width) == size


@pytest.mark.parametrize(
    ("size", "decoded"),
    [((41, 10), (120, 80)), ((21, 10), (60, 40)), ((20, 10), (30, 20)), ((10, 8), (15, 10))],
)
def test_large_photograph_is_decoded_at_a_fraction(tmp_path, monkeypatch, size, decoded):
    rows, columns = np.mgrid[:80, :120]
    Image.fromarray(np.uint8(rows + columns)).save(tmp_path / "a.jpg", quality=95)
    sizes, resize = [], Image.Image.resize
    monkeypatch.setattr(
        Image.Image, "resize", lambda image, *options: sizes.append(image.size) or resize(image, *options)
    )
    pixels = zoo.read_image(tmp_path / "a.jpg", size=size)
    whole = Image.open(tmp_path / "a.jpg").convert("RGB").resize(size[::-1], Image.Resampling.BILINEAR)
    assert sizes == [decoded, (120, 80)]
    assert np.abs(pixels.astype(int) - np.asarray(whole)).mean() < 1


def test_sizes_of_decoded_files_are_not_read_again(file, monkeypatch):
    decoder = zoo.ImageDecoder(image_size=2)
    decoder.decode(file.parent, [file], ["a.png"])
    monkeypatch.setattr("zoo.data.decoding.read_header", None)
    sizes = decoder.original_sizes([file])
    assert {name: column.tolist() for name, column in sizes.items()} == {
        "original_height": [4],
        "original_width": [6],
    }


def test_error_has_file_and_reason(tmp_path):
    (tmp_path / "a.jpg").write_text("no image")
    with pytest.raises(zoo.ImageError) as refused:
        zoo.read_image(tmp_path / "a.jpg")
    assert str(refused.value) == f"{tmp_path}/a.jpg cannot be read (not an image)"
    received = pickle.loads(pickle.dumps(refused.value))
    assert received.reason == "not an image"


@pytest.mark.parametrize("name", ["pipe", "pipe.png"])
def test_named_pipe_is_refused(tmp_path, name):
    os.mkfifo(tmp_path / name)
    assert not zoo.is_image(tmp_path / name)
    with pytest.raises(zoo.ImageError, match=r"\(not a regular file\)"):
        zoo.read_image(tmp_path / name)


def test_suffixes_are_lower_case():
    assert ".jpg" in zoo.IMAGE_SUFFIXES
    assert all(suffix == suffix.lower() for suffix in zoo.IMAGE_SUFFIXES)


@pytest.mark.parametrize(("channels", "mode"), [(1, "grayscale"), (3, "rgb"), (4, "")])
def test_channels_have_a_color_mode(channels, mode):
    assert color_mode_of(channels) == mode


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA"])
@pytest.mark.parametrize("color_mode", ["rgb", "grayscale"])
def test_transparent_image_is_the_same_in_bands(mode, color_mode):
    stream = np.random.default_rng(0)
    image = Image.fromarray(stream.integers(0, 256, (600, 20, 4), dtype=np.uint8)).convert(mode)
    if mode == "P":
        image.info["transparency"] = 3
    expected = image.convert("RGBA")
    background = Image.new("RGBA", expected.size, "#4060a0")
    expected = Image.alpha_composite(background, expected).convert("RGB" if color_mode == "rgb" else "L")
    pixels = zoo.read_image(image, color_mode, background="#4060a0")
    assert np.array_equal(pixels, np.asarray(expected).reshape(600, 20, -1))


def test_large_images_are_decoded_one_at_a_time(file, monkeypatch):
    used = []

    class Lock:
        def __enter__(self):
            used.append("large")

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(images, "_large_image", Lock())
    zoo.read_image(file)
    assert used == []
    monkeypatch.setattr(images, "_LARGE", 20)  # the file has 24 pixels
    zoo.read_image(file)
    assert used == ["large"]


def test_header_of_a_large_png_is_read_without_its_pixels(file, tmp_path, monkeypatch):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(file).save(tmp_path / "b.png", exif=exif)
    monkeypatch.setattr(images, "_LARGE", 20)
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", lambda image: pytest.fail("decoded"))
    header = read_header(tmp_path / "b.png")
    assert (header.height, header.width) == (6, 4)
