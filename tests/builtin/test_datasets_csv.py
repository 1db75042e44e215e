"""`csv_images`: sound files are read, and damage is named with line and column.

`test_datasets_csv_layouts.py` has the other layouts that users bring.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo import ZooError
from zoo.builtin.datasets import csv_images
from zoo.builtin.datasets._csv_file import csv_table
from zoo.data.contract import check_contract
from zoo.data.store import digest_of


def table(labels, side=3, seed=0):
    """Return rows of a label and side × side pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (len(labels), side * side))
    return np.column_stack([np.asarray(labels), pixels])


def write(path, rows, header=None, end="\n"):
    rows = [",".join(map(str, row)) for row in rows]
    pixels = rows[0].count(",") if rows else 9
    names = header or ",".join(["label", *(f"pixel{number + 1}" for number in range(pixels))])
    path.write_text("\n".join([names, *rows]) + end)
    return path


@pytest.fixture
def files(in_tmp):
    """Twelve training and six test images, labels 0, 1 and 4, in the working folder."""
    write(in_tmp / "train.csv", table([0, 1, 4] * 4))
    write(in_tmp / "test.csv", table([4, 1, 0] * 2, seed=1))
    return in_tmp


def refused(text, **parameters):
    with pytest.raises(ZooError) as error:
        csv_images(**{"train": "train.csv", **parameters})
    assert text in str(error.value)
    assert "\n" not in str(error.value)


def message():
    """Return the error or the warning, or ""."""
    try:
        return csv_images(train="train.csv", test="test.csv").warning
    except ZooError as error:
        return str(error)


def test_train_and_test_file(files):
    dataset = csv_images(train="train.csv", test="test.csv")
    check_contract(dataset)
    rows = table([0, 1, 4] * 4)
    assert np.array_equal(dataset.train.images.reshape(12, 9), rows[:, 1:])
    assert dataset.train.images.shape == (12, 3, 3, 1)
    assert dataset.train.labels.tolist() == [0, 1, 2] * 4
    assert dataset.test.labels.tolist() == [2, 1, 0] * 2
    assert list(dataset.class_names) == ["0", "1", "4"]
    assert dataset.source == "train.csv and test.csv"
    assert dataset.warning == ""


def test_digest_is_that_of_earlier_versions(files):
    """Otherwise studies of these files cannot be resumed."""
    both = csv_images(train="train.csv", test="test.csv")
    assert digest_of(both) == "62e3159a74b46533f671b3667efb24cf09d7dc866d2cc6be6c939e0a59f222ed"
    single = csv_images(train="train.csv")
    assert digest_of(single) == "89437397e1fc93c25a410edb982b20e528468d850b3fd7cbd8f55b7762110122"


def test_single_file_is_split_by_class(in_tmp):
    write(in_tmp / "train.csv", table([3, 8] * 50))
    dataset = csv_images(train="train.csv")
    check_contract(dataset)
    assert np.bincount(dataset.test.labels).tolist() == [10, 10]
    assert np.bincount(dataset.train.labels).tolist() == [40, 40]
    again = csv_images(train="train.csv")
    assert np.array_equal(again.test.images, dataset.test.images)


def test_chosen_labels_become_classes_in_order(files):
    dataset = csv_images(train="train.csv", test="test.csv", classes=[4, 0], class_names=["paper", "rock"])
    check_contract(dataset)
    assert dataset.train.labels.tolist() == [1, 0] * 4
    assert dataset.test.labels.tolist() == [0, 1] * 2
    assert list(dataset.class_names) == ["paper", "rock"]
    rows = table([0, 1, 4] * 4)
    assert np.array_equal(dataset.train.images.reshape(8, 9), rows[rows[:, 0] != 1, 1:])


@pytest.mark.parametrize(("size", "shape"), [(4, (4, 4)), ([2, 8], (2, 8)), ((16, 1), (16, 1))])
def test_image_size_sets_height_and_width(in_tmp, size, shape):
    write(in_tmp / "train.csv", table([0, 1] * 5, side=4))
    assert csv_images(train="train.csv", image_size=size).train.images.shape[1:] == (*shape, 1)


def test_class_in_one_file_only_is_a_class(files):
    write(files / "test.csv", table([0, 7]))
    dataset = csv_images(train="train.csv", test="test.csv")
    assert list(dataset.class_names) == ["0", "1", "4", "7"]
    assert dataset.test.labels.tolist() == [0, 3]


@given(st.lists(st.integers(0, 255), min_size=2, max_size=40))
def test_every_label_and_pixel_is_read(tmp_path_factory, labels):
    path = write(tmp_path_factory.mktemp("csv") / "train.csv", table(labels, side=2))
    (frame,) = csv_table(path, True, None, None, None).chunks([])
    assert np.array_equal(frame.to_numpy(), table(labels, side=2))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,  # a BOM, as Excel writes it
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace(",", ", "),
        lambda text: text.replace("label", '"label"'),
        lambda text: text.replace("label", "Label"),
    ],
    ids=["BOM", "Windows", "spaces", "quotes", "capital"],
)
def test_variants_of_other_programs_are_read(files, change):
    before = csv_images(train="train.csv", test="test.csv")
    text = (files / "train.csv").read_text()
    (files / "train.csv").write_bytes(change(text).encode())
    after = csv_images(train="train.csv", test="test.csv")
    assert np.array_equal(after.train.images, before.train.images)
    assert after.warning == ""


class TestBadFiles:
    @pytest.mark.parametrize(
        ("cell", "quoted"),
        [
            ("x", "x"),
            ("", ""),
            ("256", "256"),
            ("-1", "-1"),
            ("0.5", "0.5"),
            ("2.5e0", "2.5e0"),
            ("True", "True"),
            ("inf", "inf"),
            ("0x10", "0x10"),
            ("nan", "nan"),
            ("9" * 5000, "9" * 40),
            ("\0", r"\x00"),
            ("\f", r"\x0c"),
            ("\x1b[31m", r"\x1b[31m"),
            ("٣", "٣"),
        ],
    )
    def test_cell_that_is_no_pixel_is_named(self, files, cell, quoted):
        rows = table([0, 1, 4] * 4).astype(object)
        rows[7, 5] = cell
        path = write(files / "train.csv", rows)
        refused(f"{path}: line 9, column 6 ('pixel5'): expected an integer from 0 to 255, got '{quoted}'.")

    def test_text_label_is_named(self, files):
        rows = table([0, 1]).astype(object)
        rows[1, 0] = "B"
        path = write(files / "train.csv", rows)
        refused(
            f"{path}: line 3, column 1 ('label'): expected an integer as in other rows, got 'B'. Correct it"
        )

    @pytest.mark.parametrize("values", [9, 11, 1])
    def test_row_of_another_length_is_named(self, files, values):
        text = (files / "test.csv").read_text().splitlines()
        text[3] = ",".join(["1"] * values)
        (files / "test.csv").write_text("\n".join(text) + "\n")
        refused(f"{files}/test.csv: line 4: expected 10 values, got {values}.", test="test.csv")

    def test_rows_longer_or_shorter_than_header_are_refused(self, files):
        path = write(files / "train.csv", table([0, 1], side=2), header="label," + ",".join("abcdefghi"))
        refused(f"{path}: line 2: expected 10 values, got 5.")

    def test_blank_line_is_named(self, files):
        text = (files / "train.csv").read_text().splitlines()
        text[5] = ""
        (files / "train.csv").write_text("\n".join(text) + "\n")
        refused(f"{files}/train.csv: line 6 is blank; expected an image. Remove the line.")

    def test_truncated_file_is_refused_or_warned_of(self, files):
        """A file cut at the end of a line cannot be distinguished from a whole one."""
        path = files / "train.csv"
        content = path.read_bytes()
        for length in range(len(content)):
            path.write_bytes(content[:length])
            text = message()
            assert str(path) in text if text else content[length - 1 : length] == b"\n"

    def test_missing_last_line_break_gives_a_warning(self, files):
        write(files / "train.csv", table([0, 1, 4] * 4), end="")
        dataset = csv_images(train="train.csv", test="test.csv")
        assert dataset.warning.startswith(
            f"{files}/train.csv has no line break after line 13: it may be truncated"
        )
        assert len(dataset.train) == 12

    @pytest.mark.parametrize(
        ("content", "text"),
        [
            ("", "is empty: expected a line for each image."),
            ("label,pixel1\n", "expected rows with a label and pixels, got none"),
            ("label,name\n", "expected rows with a label and pixels, got none"),
            ("0,1,2,3,4\n1,2,3,4,5\n", "got '0, 1, 2, 3, 4'. Set header = false if line 1 is an image"),
            ("a,31,2\nb,2,1\n", "got 'a, 31, 2'. Set header = false if line 1 is an image"),
            ("pixel1,label\n1,2\n", "expected at least two labels, got only 2"),
            ("label;pixel1\n1;2\n", "expected at least two labels, got only 1"),
            ("\x1b[2J\n1\n", r"expected a label and pixels, separated by ',', got '\x1b[2J'"),
            ("label\n1\n", "line 1: expected a label and pixels, separated by ',', got 'label'"),
            (
                "label,a,b\n0,1,2\n1,3,4\n",
                "2 pixels are not a square, neither in grey nor in color. Set image_shape = [height, width]",
            ),
        ],
    )
    def test_file_without_images_is_refused(self, files, content, text):
        (files / "train.csv").write_text(content)
        refused(text)
        refused(f"{files}/train.csv")

    def test_control_characters_of_a_column_name_are_escaped(self, files):
        (files / "train.csv").write_text("label,a\x1b[31m\n0,x\n")
        refused("column 2 ('a\\x1b[31m'): expected an integer from 0 to 255, got 'x'.")

    def test_binary_file_is_refused(self, files):
        (files / "train.csv").write_bytes(b"label,pixel1\n0,\xff\xfe\n")
        refused("line 2: expected UTF-8, got the byte 0xff. Set encoding to that of the file")
        (files / "train.csv").write_bytes(bytes(range(256)) * 10)
        refused("expected UTF-8, got the byte 0x80")

    def test_test_images_of_another_size_are_refused(self, files):
        write(files / "test.csv", table([0, 1], side=2))
        text = f"{files}/test.csv: expected images of 9 pixels as in {files}/train.csv, got 4."
        refused(text, test="test.csv")

    def test_single_label_is_refused(self, files):
        write(files / "train.csv", table([3, 3, 3]))
        refused(f"{files}/train.csv: expected at least two labels, got only 3.")

    def test_test_file_without_the_classes_is_refused(self, files):
        write(files / "test.csv", table([4, 4]))
        refused(
            f"{files}/test.csv has no image with one of the labels 0, 1.", test="test.csv", classes=[0, 1]
        )


class TestBadParameters:
    @pytest.mark.parametrize(
        ("parameters", "text"),
        [
            ({"classes": [0, 2]}, "train.csv has no label 2. Available: 0, 1, 4."),
            ({"classes": [0, "1"]}, "train.csv has no label '1'. Available: 0, 1, 4."),
            ({"classes": [0, True]}, "has no label True"),
            ({"classes": [0, 0]}, "classes = [0, 0]: expected each label once."),
            ({"classes": [0]}, "classes = [0]: expected at least two labels, got only 0."),
            ({"classes": []}, "classes = []: expected at least two labels, got none."),
            (
                {"class_names": ["a", "b"]},
                "class_names: expected 3 names, one for each of the labels 0, 1, 4; got 2.",
            ),
            ({"image_size": 28}, "train.csv: image_size = 28×28 does not fit images of 9 pixels."),
            ({"image_size": [1, 2, 3]}, "image_size = [1, 2, 3]: expected one number for a square, or"),
            ({"image_size": 0}, "image_size = 0: expected"),
            ({"image_size": [3, "3"]}, "image_size = [3, '3']: expected"),
            ({"image_size": True}, "image_size = True: expected"),
        ],
    )
    def test_unfitting_parameters_are_refused(self, files, parameters, text):
        refused(text, **parameters)


class TestWhereFilesAreLookedFor:
    def test_working_folder_before_data_folder(self, files, tmp_path_factory, monkeypatch):
        folder = tmp_path_factory.mktemp("data")
        monkeypatch.setenv("ZOO_DATA_DIR", str(folder))
        write(folder / "train.csv", table([8, 9] * 4))
        (folder / "deep").mkdir()
        write(folder / "deep/more.csv", table([6, 7] * 4))
        assert list(csv_images(train="train.csv").class_names) == ["0", "1", "4"]
        assert list(csv_images(train="deep/more.csv").class_names) == ["6", "7"]
        assert list(csv_images(train=str(folder / "train.csv")).class_names) == ["8", "9"]

    def test_missing_file_with_the_likely_spelling(self, files, tmp_path_factory, monkeypatch):
        monkeypatch.delenv("ZOO_DATA_DIR", raising=False)
        refused(
            f'train = "trian.csv": no such file or folder in {files}; ZOO_DATA_DIR is not set. '
            "Did you mean 'train.csv'?",
            train="trian.csv",
        )
        refused('test = "xyzzy": no such', test="xyzzy")
        refused("Correct the path, or set ZOO_DATA_DIR to its folder.", test="xyzzy")
        folder = tmp_path_factory.mktemp("data")
        (folder / "signs").mkdir()
        (folder / "signs/digits.csv").touch()
        monkeypatch.setenv("ZOO_DATA_DIR", str(folder))
        refused(f"in {files} or in {folder}. Did you mean 'signs/digits.csv'?", train="sings/digit.csv")
        refused(f"Did you mean '{folder}/signs/digits.csv'?", train=f"{folder}/signs/digit.csv")
        refused(
            f'no such file or folder. Did you mean "{folder}'.replace('"', "'"),
            train=f"{folder}/sign",
        )

    @pytest.mark.parametrize("path", ["", "  "])
    def test_empty_path_is_refused(self, files, path):
        refused("expected the path of a file or folder", train=path)

    def test_folder_in_place_of_a_file_is_refused(self, files):
        (files / "inside").mkdir()
        refused(
            f"{files}/inside cannot be read: Is a directory. Correct the path, or its permissions.",
            train="inside",
        )
        refused("no such file or folder", train="train.csv/inside")

    def test_named_pipe_is_refused(self, files):
        os.mkfifo(files / "pipe.csv")
        refused('train = "pipe.csv": neither a file nor a folder, but a pipe or a device', train="pipe.csv")
