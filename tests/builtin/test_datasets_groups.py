"""The parameter `group` of datasets that cut their test split, and the sizes of files before scaling."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.errors import ZooError
from zoo.registry import Registry

PEOPLE, VIEWS = 12, 3


def load(name, **parameters):
    component = Registry.load([]).get("dataset", name)
    return component.function(**component.space.check(parameters))


def people_of(split, pattern="person"):
    return {str(value) for value in split.columns[pattern]}


@pytest.fixture
def folder(tmp_path):
    """A folder with two classes: six people each, three views of a person; one file is larger and rotated."""
    from PIL import Image

    for person in range(PEOPLE):
        for view in range(VIEWS):
            path = tmp_path / "photos" / ("ill", "well")[person % 2] / f"p{person:02d}_{view}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((6, 8), 10 * person + view, np.uint8)).save(path)
    turned = Image.fromarray(np.zeros((20, 30), np.uint8))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "photos" / "ill" / "p00_0.png", exif=exif)
    return tmp_path / "photos"


@pytest.fixture
def table(folder):
    """A CSV file with a row for each image: its path, label, person and four pixels."""
    rows = [
        f"{path.relative_to(folder)},{path.parent.name},{path.name[:3]}"
        for path in sorted(folder.rglob("*.png"))
    ]
    (folder / "images.csv").write_text("\n".join(["path,label,person", *rows, ""]))
    pixels = [f"{row.partition(',')[2]},{n},{n + 1},{n + 2},{n + 3}" for n, row in enumerate(rows)]
    (folder / "pixels.csv").write_text("\n".join(["label,person,p0,p1,p2,p3", *pixels, ""]))
    return folder


def test_folder_keeps_groups_out_of_its_test_split(folder):
    parameters = {"path": str(folder), "image_size": 4, "color_mode": "grayscale"}
    divided = load("image_folder", **parameters)
    dataset = load("image_folder", group=r"(p\d+)_", **parameters)
    people = [{name[-9:-6] for name in split.names} for split in (dataset.train, dataset.test)]
    assert people[0].isdisjoint(people[1])
    assert set(dataset.test.labels) == {0, 1}
    assert len(dataset.test) == 6
    assert {name[-9:-6] for name in divided.test.names} & {name[-9:-6] for name in divided.train.names}
    with pytest.raises(ZooError, match=r'^group = "\(q\)": it matches none of the 36 names'):
        load("image_folder", group="(q)", **parameters)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("labelled_files", {"train": "images.csv", "image_size": 4, "group": "person"}),
        ("labelled_files", {"train": "images.csv", "image_size": 4, "group": r"(p\d+)_"}),
        ("csv_images", {"train": "pixels.csv", "group": "person"}),
    ],
)
def test_table_keeps_groups_out_of_its_test_split(table, name, parameters, monkeypatch):
    monkeypatch.chdir(table)
    dataset = load(name, **parameters)
    assert people_of(dataset.train).isdisjoint(people_of(dataset.test))
    assert len(people_of(dataset.train) | people_of(dataset.test)) == PEOPLE
    assert set(dataset.test.labels) == set(dataset.train.labels) == {0, 1}


def test_missing_group_column_is_refused(table, monkeypatch):
    monkeypatch.chdir(table)
    with pytest.raises(
        ZooError, match=r"pixels\.csv: group: there is no column 'persn'\. Did you mean 'person'\?"
    ):
        load("csv_images", train="pixels.csv", group="persn")


def test_parquet_keeps_groups_out_of_its_test_split(table, tmp_path):
    pd = pytest.importorskip("pandas")
    pd.read_csv(table / "pixels.csv").to_parquet(tmp_path / "pixels.parquet")
    dataset = load("parquet_images", train=str(tmp_path / "pixels.parquet"), group="person")
    assert people_of(dataset.train).isdisjoint(people_of(dataset.test))
    assert dataset.train.images.shape[1:] == (2, 2, 1)


def test_sizes_before_scaling_are_columns(table, monkeypatch):
    monkeypatch.chdir(table)
    parameters = {"image_size": 4, "color_mode": "grayscale"}
    for dataset in (
        load("image_folder", path=".", **parameters),
        load("labelled_files", train="images.csv", **parameters),
    ):
        sizes = [
            size
            for split in dataset.splits().values()
            for size in zip(split.columns["original_height"], split.columns["original_width"], strict=True)
        ]
        assert sorted(set(sizes)) == [(6, 8), (30, 20)]
        assert len(sizes) == PEOPLE * VIEWS
