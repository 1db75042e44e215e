"""Which dataset reads a path, and with which parameters."""

from __future__ import annotations

import gzip
import os
import zlib

import numpy as np
import pytest
from drafting_tools import class_folders, pixel_table, save

from zoo.drafting._sources import find_source
from zoo.errors import ZooError

PIXELS = np.arange(60 * 9).reshape(60, 9) % 256
LABELS = [number % 3 for number in range(60)]


def refused(path):
    with pytest.raises(ZooError) as error:
        find_source(path)
    assert "\n" not in str(error.value)
    return str(error.value)


def listing(path, form="{}.png", header=("path", "label"), count=10):
    rows = [(form.format(number), ("cat", "dog")[number % 2]) for number in range(count)]
    lines = [",".join(row) for row in [*([header] if header else []), *rows]]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def test_folder_of_class_folders_is_an_image_folder(in_tmp):
    class_folders("photos")
    source = find_source("photos/")
    assert (source.dataset, source.parameters) == ("image_folder", {"path": "photos"})


def test_path_in_the_data_folder_is_found(in_tmp, monkeypatch):
    class_folders("data/photos")
    monkeypatch.setenv("ZOO_DATA_DIR", str(in_tmp / "data"))
    assert find_source("photos").parameters == {"path": "photos"}


def test_table_of_pixels_gets_its_test_file(in_tmp):
    pixel_table("digits_train.csv", LABELS, PIXELS)
    pixel_table("digits_test.csv", LABELS, PIXELS)
    source = find_source("digits_train.csv")
    assert source.dataset == "csv_images"
    assert source.parameters == {"train": "digits_train.csv", "test": "digits_test.csv"}
    assert source.notes == ("digits_test.csv beside it is the test split",)


def test_test_file_without_labels_is_not_used(in_tmp):
    pixel_table("train.csv", LABELS, PIXELS)
    (in_tmp / "test.csv").write_text("p0,p1\n1,2\n")
    source = find_source("train.csv")
    assert source.parameters == {"train": "train.csv"}
    assert source.notes == ("test.csv beside it has other columns and is not used",)


@pytest.mark.parametrize(
    ("folder", "form", "found"),
    [
        ("", "{}.png", {}),
        ("images", "{}.png", {"folder": "data/images"}),
        ("images", "{}", {"folder": "data/images", "suffix": ".png"}),
        ("images", "images/{}.png", {}),
    ],
)
def test_listed_images_are_found_beside_the_table(in_tmp, folder, form, found):
    for number in range(10):
        save(in_tmp / "data" / folder / f"{number}.png")
    listing(in_tmp / "data" / "train.csv", form, ("id", "breed"))
    expected = {"train": "data/train.csv", "image_column": "id", "label_column": "breed", **found}
    for path in ("data/train.csv", "data"):
        source = find_source(path)
        assert (source.dataset, source.parameters) == ("labelled_files", expected)


def test_list_without_header_is_read_by_position(in_tmp):
    class_folders("photos", names=("",))
    listing(in_tmp / "photos" / "labels.csv", header=None)
    assert find_source("photos").parameters == {
        "train": "photos/labels.csv",
        "image_column": 0,
        "header": False,
    }


def test_labels_of_pixels_are_no_names_of_images(in_tmp):
    class_folders("images", names=("",))
    pixel_table("train.csv", LABELS, PIXELS)
    assert find_source("train.csv").dataset == "csv_images"


def test_list_without_labels_does_not_hide_class_folders(in_tmp):
    class_folders("photos")
    listing(in_tmp / "photos" / "sizes.csv", "cat/{}.png", ("path", "kind"))
    (in_tmp / "photos" / "sizes.csv").write_text("path,height,width\ncat/0.png,8,8\n")
    assert find_source("photos").dataset == "image_folder"


def test_missing_listed_image_is_left_to_the_dataset(in_tmp):
    listing(in_tmp / "train.csv")
    assert find_source("train.csv").dataset == "labelled_files"


@pytest.mark.parametrize(
    ("files", "parameters"),
    [
        (["a/train/data-0.arrow", "a/test/data-0.arrow"], {"train": "a"}),
        (["a/data-0.arrow", "a/data-1.arrow"], {"train": "a"}),
        (["a/data/train-0.parquet", "a/data/test-0.parquet"],
         {"train": "a/data/train-0.parquet", "test": "a/data/test-0.parquet"}),
        (["a/train.parquet", "a/validation.parquet"],
         {"train": "a/train.parquet", "validation": "a/validation.parquet"}),
    ],
)  # fmt: skip
def test_folder_of_parquet_files_is_read_by_split(in_tmp, files, parameters):
    for file in files:
        (in_tmp / file).parent.mkdir(parents=True, exist_ok=True)
        (in_tmp / file).write_bytes(b"PAR1")
    source = find_source("a")
    assert (source.dataset, source.parameters) == ("parquet_images", parameters)


def test_parquet_file_gets_its_other_splits(in_tmp):
    for name in ("train", "val", "test"):
        (in_tmp / f"{name}.parquet").write_bytes(b"PAR1")
    expected = {"train": "train.parquet", "validation": "val.parquet", "test": "test.parquet"}
    assert find_source("train.parquet").parameters == expected


def test_arrays_are_read_from_their_folder(in_tmp):
    for path, expected in (("a.npz", "a.npz"), ("arrays/x.npy", "arrays"), ("arrays", "arrays")):
        (in_tmp / "arrays").mkdir(exist_ok=True)
        for file in ("a.npz", "arrays/x.npy"):
            (in_tmp / file).touch()
        source = find_source(path)
        assert (source.dataset, source.parameters) == ("array_images", {"path": expected})


@pytest.mark.parametrize(
    ("files", "path", "text"),
    [
        ([], "photos", "there is no file or folder photos in "),
        (["empty/"], "empty", "empty is empty; expected a folder of images for each class."),
        (["empty/.hidden"], "empty", "empty is empty; expected a folder of images for each class."),
        (["a/1.png", "a/2.png"], "a", "a has images directly in it (2), so the classes are unknown"),
        (["a/1.xyz"], "a", "a has files, but no images in folders, so the classes are unknown"),
        (["a.toml"], "a.toml", "a.toml is a study file; expected images. `zoo check` checks a study file"),
        (["a.jpg"], "a.jpg", "a.jpg is one image; give its folder"),
        (["a.zip"], "a.zip", "a.zip is an archive; unpack it, and give the folder."),
        (["a.tar.gz"], "a.tar.gz", "a.tar.gz is an archive; unpack it"),
        (["a.xlsx"], "a.xlsx", "a.xlsx is a spreadsheet; save it as CSV"),
        (["a.xyz"], "a.xyz", "a.xyz has the unknown suffix '.xyz'; expected a folder with"),
        (["a"], "a", "a has no suffix; expected a folder with"),
        (["a/x.csv", "a/y.csv"], "a", "a has several tables: x.csv, y.csv. Give one of them, such as a/x"),
        (["a/train-0.parquet", "a/train-1.parquet", "a/test-0.parquet"], "a", "files of several splits"),
        ([], "", 'the path is "": expected the path of a file or folder.'),
        ([], "x" * 300, "cannot be read: File name too long"),
    ],
)  # fmt: skip
def test_other_path_is_refused_with_the_reason(in_tmp, files, path, text):
    for file in files:
        if file.endswith("/"):
            (in_tmp / file).mkdir()
        else:
            (in_tmp / file).parent.mkdir(exist_ok=True)
            (in_tmp / file).touch()
    assert text in refused(path)


def test_named_pipe_is_refused(in_tmp):
    os.mkfifo("pipe")
    assert "pipe is neither a file nor a folder" in refused("pipe")


def test_damaged_gz_file_does_not_stop_the_search(in_tmp):
    content = bytearray(gzip.compress(b"label,pixel1\n" * 9))
    content[10:12] = b"\xff\xff"  # no type of a block
    (in_tmp / "digits.csv.gz").write_bytes(content)
    with pytest.raises(zlib.error):
        gzip.decompress(content)
    assert find_source("digits.csv.gz").dataset == "csv_images"


def test_named_pipe_among_the_files_is_not_opened(in_tmp):
    class_folders("pets")
    for name in ("labels.csv", "x.npy"):
        os.mkfifo(in_tmp / "pets" / name)
    assert find_source("pets").dataset == "image_folder"
