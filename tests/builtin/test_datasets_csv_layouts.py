"""`csv_images` reads the layouts that users bring; what it cannot know, it asks for by the parameter."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from zoo import ZooError
from zoo.builtin.datasets import csv_images

PIXELS = np.random.default_rng(0).integers(0, 256, (30, 9))
LABELS = np.arange(30) % 3
NAMES = [f"p{number}" for number in range(9)]


def lines(rows, header=None, separator=","):
    return "".join(separator.join(map(str, row)) + "\n" for row in [*([header] if header else []), *rows])


@pytest.fixture
def write(in_tmp):
    """Write the content into `train.csv`; return a function that reads it and one that returns the error."""

    def read(content, **parameters):
        data = content if isinstance(content, bytes) else content.encode()
        (in_tmp / "train.csv").write_bytes(data)
        return csv_images(train="train.csv", **parameters)

    return read


@pytest.fixture
def refused(write):
    def message(content, **parameters):
        with pytest.raises(ZooError) as error:
            write(content, **parameters)
        assert "\n" not in str(error.value)
        return str(error.value)

    return message


ROWS = np.column_stack([LABELS, PIXELS])
PLAIN = lines(ROWS, ["label", *NAMES])


@pytest.mark.parametrize(
    ("content", "parameters"),
    [
        (lines(ROWS, ["label", *NAMES], ";"), {}),
        (lines(ROWS, ["label", *NAMES], "\t"), {}),
        ("sep=;\n" + lines(ROWS, ["label", *NAMES], ";"), {}),
        (lines(ROWS, ["label", *NAMES], "|"), {}),
        (lines(ROWS, ["label", *NAMES], " "), {}),
        (lines(ROWS, ["label", *NAMES], ":"), {"separator": ":"}),
        (lines(ROWS, ["Class", *NAMES]), {}),
        (lines(ROWS, ["target", *NAMES]), {}),
        (lines(ROWS, ["y", *NAMES]), {}),
        (lines(ROWS, ["digit", *NAMES]), {"label_column": "Digit"}),
        (lines(ROWS, ["digit", *NAMES]), {"label_column": 0}),
        (lines(np.roll(ROWS, -1, axis=1), [*NAMES, "label"]), {}),
        (lines(np.roll(ROWS, -1, axis=1), [*NAMES, "digit"]), {"label_column": -1}),
        (lines(np.insert(PIXELS, 3, LABELS, axis=1), [*NAMES[:3], "label", *NAMES[3:]]), {}),
        (lines(ROWS), {"header": False}),
        (lines(np.roll(ROWS, -1, axis=1)), {"header": False, "label_column": -1}),
        (lines(ROWS, range(10)), {"label_column": 0}),
        (lines([[f'"{cell}"' for cell in row] for row in ROWS], ['"label"', *NAMES]), {}),
        (lines([[f" {cell} " for cell in row] for row in ROWS], ["label", *NAMES]), {}),
        (lines([[f"{row[0]}.0", *row[1:]] for row in ROWS], ["label", *NAMES]), {}),
        (lines([[f"{cell}.0" for cell in row] for row in ROWS], ["label", *NAMES]), {}),
        (lines([[row[0], *row[1:] / 255] for row in ROWS], ["label", *NAMES]), {"scale": 255}),
        (lines(ROWS, ["label", *NAMES]).encode("utf-16"), {"encoding": "utf-16"}),
        (("\ufeff" + PLAIN).encode(), {"encoding": "utf-8"}),
        (gzip.compress(PLAIN.encode(), mtime=0), {}),
        (lines([[row[0], " ".join(map(str, row[1:]))] for row in ROWS], ["label", "pixels"]), {}),
        (lines([[row[0], f'"{row[1:].tolist()}"'] for row in ROWS], ["label", "pixels"]), {}),
        ("\n\r\n" + PLAIN, {}),
    ],
)  # fmt: skip
def test_layout_gives_the_images_of_the_plain_file(write, content, parameters):
    plain = write(PLAIN)
    dataset = write(content, **parameters)
    assert np.array_equal(dataset.train.images, plain.train.images)
    assert np.array_equal(dataset.train.labels, plain.train.labels)
    assert list(dataset.class_names) == ["0", "1", "2"]
    assert dataset.warning == ""


def test_decimal_commas_are_read(write):
    rows = [[row[0], *(f"{cell / 255:.6f}".replace(".", ",") for cell in row[1:])] for row in ROWS]
    dataset = write(lines(rows, ["label", *NAMES], ";"), scale=255)
    assert np.array_equal(dataset.train.images, write(PLAIN).train.images)


def test_text_labels_become_classes_in_natural_order(write):
    names = ["class 10", "class 2", "other"]
    rows = [[f'"{names[row[0]]}"', *row[1:]] for row in ROWS]
    dataset = write(lines(rows, ["label", *NAMES]))
    assert list(dataset.class_names) == ["class 2", "class 10", "other"]
    plain = write(PLAIN)
    assert np.bincount(dataset.train.labels).tolist() == np.bincount(plain.train.labels).tolist()
    assert write(lines(rows, ["label", *NAMES]), classes=["other", "class 2"]).class_names == [
        "other",
        "class 2",
    ]


@pytest.mark.parametrize("name", ["NA", "nan", "None", "null"])
def test_class_may_be_named_like_a_missing_value(write, name):
    rows = [[(name, "cat", "dog")[row[0]], *row[1:]] for row in ROWS]
    assert name in write(lines(rows, ["label", *NAMES])).class_names


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "index", "ID", "row"])
def test_index_column_is_left_out_with_a_note(write, name):
    rows = np.column_stack([np.arange(30), ROWS])
    dataset = write(lines(rows, [name, "label", *NAMES]))
    assert np.array_equal(dataset.train.images, write(PLAIN).train.images)
    assert dataset.warning.endswith(f"train.csv: column 1 ('{name}') is an index and was left out.")


def test_dropped_column_is_kept_beside_the_images(write):
    rows = [[row[0], f"p0{row[0]}{row[1]}", *row[1:]] for row in ROWS]
    dataset = write(lines(rows, ["label", "person", *NAMES]), drop_columns=["person"])
    plain = write(PLAIN)
    assert np.array_equal(dataset.test.images, plain.test.images)
    expected = [
        f"p0{label}{image.flat[0]}" for label, image in zip(plain.test.labels, plain.test.images, strict=True)
    ]
    assert dataset.test.columns["person"].tolist() == expected


def test_column_of_splits_of_fer2013_decides_the_splits(write):
    usage = ["Training"] * 18 + ["PublicTest"] * 6 + ["PrivateTest"] * 6
    rows = [[row[0], " ".join(map(str, row[1:])), part] for row, part in zip(ROWS, usage, strict=True)]
    content = lines(rows, ["emotion", "pixels", "Usage"])
    dataset = write(content, label_column="emotion", drop_columns=["Usage"])
    assert np.array_equal(dataset.train.images.reshape(18, 9), PIXELS[:18])
    assert np.array_equal(dataset.validation.images.reshape(6, 9), PIXELS[18:24])
    assert np.array_equal(dataset.test.images.reshape(6, 9), PIXELS[24:])
    assert dataset.test.names[0] == "row 25 of train.csv"
    assert dataset.warning.endswith("train.csv: the column 'Usage' decides the splits.")


def test_pixel_columns_are_sorted_by_their_numbers(write):
    order = [0, 1, 10, 11, 12, 13, 14, 15, 2, 3, 4, 5, 6, 7, 8, 9]
    pixels = np.arange(30 * 16).reshape(30, 16) % 256
    header = ["label", *(f"pixel{number}" for number in order)]
    dataset = write(lines(np.column_stack([LABELS, pixels[:, order]]), header))
    images = {tuple(image.flat) for image in dataset.train.images}
    assert images <= set(map(tuple, pixels.tolist()))
    assert "sorted by the numbers in their names: 'pixel0', 'pixel1', 'pixel2'" in dataset.warning


def test_test_file_may_have_another_order_of_columns(in_tmp, write):
    names = list("abcdefghi")
    order = np.random.default_rng(1).permutation(9)
    (in_tmp / "test.csv").write_text(
        lines(np.column_stack([PIXELS[:, order], LABELS]), [*(names[n] for n in order), "label"])
    )
    dataset = write(lines(ROWS, ["label", *names]), test="test.csv")
    assert np.array_equal(dataset.test.images, dataset.train.images)


@pytest.mark.parametrize(
    ("count", "parameters", "shape"),
    [
        (784, {}, (28, 28, 1)),
        (1024, {}, (32, 32, 1)),
        (3072, {}, (32, 32, 3)),
        (48, {"image_shape": [4, 12]}, (4, 12, 1)),
        (48, {"image_shape": [2, 8, 3]}, (2, 8, 3)),
        (48, {"image_size": [2, 8]}, (2, 8, 3)),
        (3136, {"image_shape": [28, 28, 4]}, (28, 28, 4)),
        (3136, {"image_size": 56}, (56, 56, 1)),
        (3136, {"image_size": 28}, (28, 28, 4)),
    ],
)
def test_shape_follows_from_pixels_and_parameters(write, count, parameters, shape):
    rows = np.random.default_rng(0).integers(0, 256, (8, count + 1))
    rows[:, 0] = np.arange(8) % 2
    content = lines(rows, ["label", *(f"p{number}" for number in range(count))])
    assert write(content, **parameters).train.images.shape[1:] == shape


def photographs(count=12, side=16):
    """Return smooth color images, `(n, side, side, 3)`."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side] / side
    phases, speeds = random.uniform(0, 6, (count, 3)), random.uniform(2, 6, (count, 3))
    waves = np.sin(speeds[:, None, None] * (x + 2 * y)[..., None] + phases[:, None, None])
    return (waves * 100 + 128).astype(np.uint8)


def test_color_images_stored_by_channel_are_read(write):
    images = photographs()
    header = ["label", *(f"p{number}" for number in range(768))]
    interleaved = lines(np.column_stack([np.arange(12) % 2, images.reshape(12, -1)]), header)
    by_channel = images.transpose(0, 3, 1, 2).reshape(12, -1)
    planar = lines(np.column_stack([np.arange(12) % 2, by_channel]), header)
    expected = write(interleaved)
    assert expected.warning == ""
    assert "seem to be stored channel by channel" in write(planar).warning
    dataset = write(planar, channels_first=True)
    assert dataset.warning == ""
    assert np.array_equal(dataset.train.images, expected.train.images)


def test_small_images_with_four_channels_give_a_warning(write):
    images = np.concatenate([photographs(), np.full((12, 16, 16, 1), 255)], axis=-1)
    header = ["label", *(f"p{number}" for number in range(1024))]
    content = lines(np.column_stack([np.arange(12) % 2, images.reshape(12, -1)]), header)
    assert write(content).warning.endswith(
        "are read as 32×32 in grey, but seem to have four channels. If `zoo inspect samples` shows them "
        "wrongly, set image_shape = [16, 16, 4]."
    )
    assert write(content, image_shape=[16, 16, 4]).warning == write(content, image_size=32).warning == ""


@pytest.mark.parametrize("side", [28, 32, 64])
def test_ambiguous_number_of_pixels_is_refused_with_the_shapes(refused, side):
    rows = np.zeros((6, side * side * 4 + 1), int)
    message = refused(lines(rows, ["label", *(f"p{number}" for number in range(side * side * 4))]))
    assert f"may be {2 * side}×{2 * side}×1 or {side}×{side}×4 (height × width × channels)" in message
    assert f"image_shape = [{side}, {side}, 4]" in message


@pytest.mark.parametrize(
    ("content", "parameters", "text"),
    [
        (lines(ROWS), {}, "Set header = false if line 1 is an image"),
        (PLAIN, {"header": False}, "line 1, column 2: expected an integer from 0 to 255, got 'p0'"),
        (lines(ROWS, ["lable", *NAMES]), {}, "expected a column label, class, target or y, got 'lable'"),
        (PLAIN, {"label_column": "lable"}, "label_column: there is no column 'lable'. Did you mean 'label'?"),
        (PLAIN, {"label_column": 10}, "label_column = 10: expected a position from -10 to 9."),
        (PLAIN, {"drop_columns": ["x"]}, "drop_columns: there is no column 'x'"),
        (PLAIN, {"scale": 0.0}, "scale = 0.0: expected a number above 0"),
        (PLAIN, {"separator": ";;"}, "separator = ';;': expected one character"),
        (PLAIN, {"separator": ";"}, "expected a label and pixels, separated by ';', got 'label,p0"),
        (PLAIN, {"encoding": "klingon"}, "encoding: unknown encoding: klingon."),
        (PLAIN, {"image_shape": 3}, "image_shape = 3: expected [height, width] or"),
        (PLAIN, {"image_shape": [2, 2]}, "image_shape = [2, 2] does not fit images of 9 pixels."),
        (PLAIN.encode("utf-16"), {}, 'is not UTF-8, but UTF-16. Set encoding = "utf-16".'),
        (PLAIN.encode("utf-16-le"), {}, 'is not UTF-8, but UTF-16-LE. Set encoding = "utf-16-le".'),
        (b"PK\x03\x04" + bytes(99), {}, "train.csv is a ZIP archive or an Excel file; expected CSV."),
        (b"PAR1" + bytes(99), {}, "is a Parquet file; expected CSV. Use the dataset parquet_images."),
        (gzip.compress(PLAIN.encode(), mtime=0)[:100], {}, "train.csv is damaged ("),
        (
            lines([["café", *PIXELS[0]], ["thé", *PIXELS[1]]], ["label", *NAMES]).encode("cp1252"),
            {},
            "line 2: expected UTF-8, got the byte 0xe9. Set encoding to that of the file: "
            'with encoding = "cp1252", the line has \'café,',
        ),
        (
            lines([[row[0], *row[1:] / 255] for row in ROWS], ["label", *NAMES]),
            {},
            "If 1 is white, set scale = 255.",
        ),
        (
            lines([[row[0], *row[1:] * 16] for row in ROWS], ["label", *NAMES]),
            {},
            "If 4095 is white, set scale = 0.0622711.",
        ),
        (
            lines([["x", *row] for row in ROWS], ["person", "label", *NAMES]),
            {},
            "got text in 'person'. Set drop_columns = [\"person\"] to leave it out",
        ),
        (
            lines([[row[0], *row[1:], 900 + row[1]] for row in ROWS], ["label", *NAMES, "weight"]),
            {},
            "'. If this column has no pixels, set drop_columns = [\"weight\"].",
        ),
        (lines([[0.5, *row[1:]] for row in ROWS], ["label", *NAMES]), {}, "line 2, column 1 ('label'): exp"),
        (lines([["", *row[1:]] for row in ROWS], ["label", *NAMES]), {}, "line 2, column 1 ('label'): exp"),
        (PLAIN + '1,"2,3\n', {}, "line 32: unexpected end of data."),
        (PLAIN + "1,2,3\n", {}, "line 32: expected 10 values, got 3."),
        ("sep=,\n" + PLAIN + "1,2,3,4,5,6,7,8,9,x\n", {}, "line 33, column 10 ('p8'): expected an integer"),
        (lines([[*row, 1] for row in ROWS], ["label", *NAMES]), {}, "line 2: expected 10 values, got 11."),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_the_parameter(refused, content, parameters, text):
    assert text in refused(content, **parameters)


def test_short_row_before_a_dropped_column_is_named(refused):
    content = lines([[*row, "x"] for row in ROWS], ["label", *NAMES, "note"]) + lines(ROWS[:1])
    assert "line 32: expected 11 values, got 10." in refused(content, drop_columns=["note"])


def test_line_number_counts_line_breaks_in_quotes(refused):
    rows = [[row[0], *row[1:], '"two\nlines"'] for row in ROWS]
    rows[3][4] = "x"
    message = refused(lines(rows, ["label", *NAMES, "note"]), drop_columns=["note"])
    assert "line 8, column 5 ('p3'): expected an integer from 0 to 255, got 'x'." in message


def test_damage_in_a_later_chunk_has_its_line(write, refused, monkeypatch):
    monkeypatch.setattr("zoo.builtin.datasets._csv_file.CELLS_PER_CHUNK", 40)
    assert len(write(PLAIN).train) == 24
    assert "line 32, column 3 ('p1'): expected an integer from 0 to 255, got 'x'." in refused(
        PLAIN + "1,2,x,4,5,6,7,8,9,10\n"
    )
    assert "line 32: expected 10 values, got 2." in refused(PLAIN + "1,2\n")


def test_classes_with_one_image_each_are_named(refused):
    content = lines([[f"c{n}", *row[1:]] for n, row in enumerate(ROWS[:5])], ["label", *NAMES])
    message = refused(content)
    assert "expected at least 3 images of a class, but the largest, 'c0', has 1 image." in message
