"""`parquet_images`: columns of pixels, image files in a column, Hugging Face's files, and damage."""

from __future__ import annotations

import io
import json
import os

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from zoo import ZooError
from zoo.builtin.datasets import parquet_images
from zoo.data.contract import check_contract

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 4, 4)).astype(np.uint8)
LABELS = np.arange(20) % 2


def encode(pixels, kind="PNG"):
    memory = io.BytesIO()
    Image.fromarray(pixels).save(memory, kind)
    return memory.getvalue()


def columns(numbers=range(20), labels=LABELS):
    numbers = list(numbers)
    frame = pd.DataFrame(PIXELS[numbers].reshape(-1, 16), columns=[f"p{n}" for n in range(16)])
    frame.insert(3, "label", np.asarray(labels)[numbers])
    return frame


def images(numbers=range(20), names=("cat", "dog")):
    """Return an Arrow table as Hugging Face's library writes it."""
    cells = [{"bytes": encode(PIXELS[number]), "path": f"{number}.png"} for number in numbers]
    features = {"image": {"_type": "Image"}, "label": {"names": list(names), "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    schema = pa.schema(
        [("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("label", pa.int64())],
        metadata,
    )
    return pa.table({"image": cells, "label": [int(LABELS[number]) for number in numbers]}, schema)


def refused(text, **parameters):
    with pytest.raises(ZooError) as error:
        parquet_images(**{"train": "train.parquet", **parameters})
    assert text in str(error.value)
    assert "\n" not in str(error.value)


def assert_complete(dataset, names):
    check_contract(dataset)
    assert list(dataset.class_names) == list(names)
    assert (len(dataset.train), len(dataset.test)) == (16, 4)
    seen = {
        image[..., 0].tobytes(): label
        for split in (dataset.train, dataset.test)
        for image, label in zip(split.images, split.labels, strict=True)
    }
    assert seen == {pixels.tobytes(): label for pixels, label in zip(PIXELS, LABELS, strict=True)}


def test_columns_of_pixels_are_read(in_tmp):
    columns().to_parquet("train.parquet")
    dataset = parquet_images(train="train.parquet")
    assert_complete(dataset, ["0", "1"])
    assert (dataset.source, dataset.warning) == ("train.parquet", "")


def test_index_of_a_frame_is_left_out(in_tmp):
    columns().sample(frac=1, random_state=0).to_parquet("train.parquet")
    dataset = parquet_images(train="train.parquet")
    assert_complete(dataset, ["0", "1"])
    assert "('__index_level_0__') is an index and was left out" in dataset.warning


@pytest.mark.parametrize("cells", [list(PIXELS.reshape(20, 16)), PIXELS.tolist()], ids=["flat", "nested"])
def test_column_of_lists_has_the_pixels(in_tmp, cells):
    pd.DataFrame({"label": LABELS, "pixels": cells}).to_parquet("train.parquet")
    assert_complete(parquet_images(train="train.parquet"), ["0", "1"])


def test_unit_pixels_need_scale(in_tmp):
    frame = columns()
    pixels = [name for name in frame if name != "label"]
    frame[pixels] /= 255
    frame.astype(dict.fromkeys(pixels, "float32")).to_parquet("train.parquet")
    refused("If 1 is white, set scale = 255.")
    refused("row 1, column 'p0': expected an integer from 0 to 255")
    assert_complete(parquet_images(train="train.parquet", scale=255), ["0", "1"])


def test_files_of_hugging_face_are_read(in_tmp):
    parquet.write_table(images(), "train.parquet")
    dataset = parquet_images(train="train.parquet", color_mode="grayscale")
    assert_complete(dataset, ["cat", "dog"])
    assert parquet_images(train="train.parquet").train.images.shape == (16, 4, 4, 3)
    assert parquet_images(train="train.parquet", image_size=8).train.images.shape == (16, 8, 8, 3)
    assert parquet_images(train="train.parquet", classes=[1, 0]).class_names == ["dog", "cat"]


def test_column_of_bytes_with_text_labels_is_read(in_tmp):
    frame = pd.DataFrame({"img": [encode(pixels, "TIFF") for pixels in PIXELS]})
    frame["target"], frame["person"] = np.where(LABELS, "dog", "cat"), "x"
    frame.to_parquet("train.parquet")
    dataset = parquet_images(train="train.parquet", color_mode="grayscale")
    assert_complete(dataset, ["cat", "dog"])
    assert dataset.test.columns["person"].tolist() == ["x"] * 4


def test_images_beside_the_file_are_read_by_their_paths(in_tmp):
    table = images()
    cells = [{**cell, "bytes": None} for cell in table.column("image").to_pylist()]
    field = table.schema.field(0)
    parquet.write_table(table.set_column(0, field, pa.array(cells, field.type)), "train.parquet")
    for number, pixels in enumerate(PIXELS):
        Image.fromarray(pixels).save(f"{number}.png")
    assert_complete(parquet_images(train="train.parquet", color_mode="grayscale"), ["cat", "dog"])


def test_folder_of_files_is_one_split(in_tmp):
    (in_tmp / "data").mkdir()
    columns(range(10)).to_parquet("data/train-00000-of-00002.parquet", index=False)
    columns(range(10, 20)).to_parquet("data/train-00001-of-00002.parquet", index=False)
    assert_complete(parquet_images(train="data"), ["0", "1"])
    columns(range(10)).drop(columns="p2").to_parquet("data/train-00001-of-00002.parquet", index=False)
    refused("train-00001-of-00002.parquet: expected the columns of", train="data")


@pytest.mark.parametrize("writer", [pa.ipc.new_stream, pa.ipc.new_file], ids=["stream", "file"])
def test_dataset_saved_to_disk_has_its_splits(in_tmp, writer):
    """Hugging Face's `save_to_disk` writes a folder of Arrow files for each split."""
    for split, numbers in (("train", range(12)), ("validation", range(12, 16)), ("test", range(16, 20))):
        folder = in_tmp / "saved" / split
        folder.mkdir(parents=True)
        table = images(numbers)
        with writer(str(folder / "data-00000-of-00001.arrow"), table.schema) as file:
            file.write_table(table)
        (folder / "state.json").write_text("{}")
    (in_tmp / "saved" / "dataset_dict.json").write_text('{"splits": ["train", "validation", "test"]}')
    dataset = parquet_images(train="saved")
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (12, 4, 4)
    assert list(dataset.class_names) == ["cat", "dog"]
    assert np.array_equal(dataset.test.images[..., 0], PIXELS[16:])
    assert np.array_equal(
        parquet_images(train="saved/train", test="saved/test").test.images, dataset.test.images
    )


def test_first_name_of_a_split_is_read(in_tmp):
    for split, numbers in (("train", range(12)), ("test", range(12, 16)), ("privatetest", range(16, 19))):
        (in_tmp / "saved" / split).mkdir(parents=True)
        parquet.write_table(images(numbers), f"saved/{split}/a.parquet")
    assert len(parquet_images(train="saved").test) == 4


def test_truncated_file_is_refused(in_tmp):
    parquet.write_table(images(), "train.parquet")
    content = (in_tmp / "train.parquet").read_bytes()
    for length in range(0, len(content), 97):
        (in_tmp / "train.parquet").write_bytes(content[:length])
        refused(f"{in_tmp}/train.parquet")
    (in_tmp / "train.parquet").write_text("label,p1\n0,1\n")
    refused("train.parquet is no Parquet or Arrow file, or is damaged (")


def test_damaged_image_is_counted_and_named(in_tmp):
    cells = [{"bytes": b"no image" if number == 7 else encode(PIXELS[number])} for number in range(20)]
    parquet.write_table(pa.table({"image": cells, "label": LABELS}), "train.parquet")
    refused(f"1 of 20 images in {in_tmp}/train.parquet cannot be read: image 8 (not an image).")


@pytest.mark.parametrize(
    ("change", "parameters", "text"),
    [
        (
            lambda frame: frame.rename(columns={"label": "digit"}),
            {},
            "expected a column label, class, target",
        ),
        (lambda frame: frame, {"label_column": "lable"}, "no column 'lable'. Did you mean 'label'?"),
        (lambda frame: frame.assign(note="x"), {}, "got text in 'note'. Set drop_columns = [\"note\"]"),
        (lambda frame: frame.drop(columns="p2"), {}, "15 pixels are not a square"),
        (lambda frame: frame[:0], {}, "expected rows with a label and pixels, got none."),
        (
            lambda frame: frame.assign(label=None),
            {},
            "row 1, column 'label': expected an integer or the name",
        ),
    ],
)
def test_other_tables_are_refused(in_tmp, change, parameters, text):
    change(columns()).to_parquet("train.parquet")
    refused(text, **parameters)
    (in_tmp / "empty").mkdir()
    refused("empty has no file that ends in .parquet", train="empty")


def test_named_pipe_in_a_folder_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "part-0.parquet")
    with pytest.raises(ZooError, match=r"part-0.parquet is a pipe, a socket or a device, not a file"):
        parquet_images(train=str(tmp_path))
