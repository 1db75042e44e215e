"""`zoo.init`: the study of real files passes every check; bad input is refused in one line."""

from __future__ import annotations

import errno
import itertools
import os
import re
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from drafting_tools import class_folders, pixel_table, save
from PIL import Image
from shared_tools import RecordingDisplay

from zoo.data.prepare import prepare
from zoo.drafting import drafted_study, init, is_data
from zoo.drafting._draft import default_target
from zoo.drafting._name_groups import find_name_groups
from zoo.errors import StudyError, ZooError
from zoo.registry import Registry
from zoo.study import check_files, load_study

pytestmark = pytest.mark.usefixtures("in_process", "two_cores")

PIXELS = np.random.default_rng(0).integers(0, 256, (60, 64))
LABELS = [number % 3 for number in range(60)]


def draft(path, *overrides, **options):
    """Return the dataset of the study that is written for `path`, after every check of `zoo check`."""
    study = init(path, overrides=overrides, display=RecordingDisplay(), force=True, **options)
    definition = load_study(str(study.path), Registry.load())
    check_files(definition)
    prepared = prepare(
        definition.dataset_component, definition.dataset.parameters, {}, study.path.parent / "c"
    )
    return tomllib.loads(study.text)["dataset"], prepared, study


def refused(path, *overrides, **options):
    with pytest.raises(ZooError) as error:
        init(path, overrides=overrides, display=RecordingDisplay(), **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_folder_of_photographs(in_tmp):
    class_folders("photos", shape=(40, 30, 3))
    save("photos/cat/large.png", (60, 90, 3))
    dataset, prepared, study = draft("photos/")
    assert dataset == {"name": "image_folder", "path": "photos", "image_size": 32, "color_mode": "rgb"}
    assert prepared.image_shape == (32, 32, 3)
    assert study.path.name == "photos.toml"
    rows = dict(study.seen)
    assert rows["classes"] == "2: cat, dog"
    assert rows["images"] == "17 train, 4 test"
    assert rows["size"] == "40×30 to 60×90, median 40×30; read at 32×32"


def test_grey_images_of_one_size_are_kept(in_tmp):
    class_folders("scans", ("ill", "well"), shape=(12, 12))
    dataset, prepared, _ = draft("scans")
    assert dataset == {"name": "image_folder", "path": "scans", "color_mode": "grayscale"}
    assert prepared.image_shape == (12, 12, 1)


def test_dark_images_of_twelve_bits_get_their_depth(in_tmp):
    for name in ("a", "b"):
        for number in range(5):
            save(f"scans/{name}/{number}.png")
            deep = np.random.default_rng(number).integers(0, 4096, (8, 8)).astype(np.uint16)
            Image.fromarray(deep).save(f"scans/{name}/{number}.png")
    dataset, prepared, _ = draft("scans")
    assert dataset["bit_depth"] == 12
    assert "brighter" not in prepared.warning


def test_folder_in_a_folder_is_found(in_tmp):
    class_folders("photos/photos")
    dataset, _, study = draft("photos/")
    assert dataset["path"] == "photos/photos"
    assert drafted_study("photos") == study.path


def test_names_that_begin_alike_may_be_groups(in_tmp):
    for name in ("ill", "well"):
        for person, view in itertools.product(range(8), range(3)):
            save(f"people/{name}/{name}{person}_view{view}.png")
    _, _, study = draft("people")
    expression = "([^/]+)_[^/_]+$"
    assert re.match(r"(ill|well)\d_view\d, \1\d_view\d … begin alike: ", dict(study.seen)["names"])
    assert dict(study.seen)["names"].endswith(f"--set group='{expression}'")
    dataset, _, study = draft("people", f"group={expression}")
    assert dataset["group"] == tomllib.loads(study.text)["validation"]["group"] == expression
    cut = {path.name for path in Path("mlruns/zoo/.cache").glob("*/folds-*")}
    assert len(cut) == 2
    assert any(re.fullmatch(r"folds-5-0-[0-9a-f]{16}\.npy", name) for name in cut)  # of the groups
    assert "names" not in dict(study.seen)
    assert "share" not in study.warning
    with pytest.raises(ZooError, match="it matches none of the 48 names"):
        draft("people", "group=(q+)_")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([f"a/img_{number:04}.jpg" for number in range(50)], None),
        ([f"a/{number}.jpg" for number in range(50)], None),
        ([f"a/p-{number // 5}-{number}.jpg" for number in range(50)], "p-0-0, p-0-1"),
        ([f"a/p{number // 5}_{number}.jpg" for number in range(49)] + ["a/x.jpg"], None),
    ],
)
def test_groups_of_names_are_many_and_of_several_images(names, expected):
    found = find_name_groups(names, 2)
    assert (found and found[1]) == expected


@pytest.mark.parametrize(
    ("write", "found"),
    [
        (lambda: pixel_table("a.csv", LABELS, PIXELS), {}),
        (lambda: pixel_table("a.csv", LABELS, PIXELS, separator=";"), {}),
        (lambda: pixel_table("a.csv", LABELS, PIXELS, header=False), {"header": False}),
        (lambda: pixel_table("a.csv", LABELS, PIXELS / 255), {"scale": 255.0}),
        (lambda: pixel_table("a.csv", LABELS, PIXELS % 2), {"scale": 255.0}),
        (lambda: pixel_table("a.csv", LABELS, PIXELS % 17), {"scale": 15.9375}),
        (lambda: pd.DataFrame({"kind": LABELS, **{f"p{n}": PIXELS[:, n] for n in range(64)}})
         .to_csv("a.csv", index=False), {"label_column": "kind"}),
        (lambda: pd.DataFrame({"label": LABELS, "who": "x", **{f"p{n}": PIXELS[:, n] / 255
                                                              for n in range(64)}})
         .to_csv("a.csv", index=False, encoding="utf-16"),
         {"encoding": "utf-16", "drop_columns": ["who"], "scale": 255.0}),
    ],
)  # fmt: skip
def test_table_is_read_with_the_parameters_that_it_needs(in_tmp, write, found):
    write()
    dataset, prepared, study = draft("a.csv")
    assert dataset == {"name": "csv_images", "train": "a.csv", **found}
    assert prepared.image_shape == (8, 8, 1)
    for name, value in found.items():
        assert f"{name} = {'false' if value is False else ''}" in dict(study.seen)["dataset"]


def test_warning_has_no_advice_that_the_study_follows(in_tmp):
    pixels = np.random.default_rng(0).integers(0, 256, (100, 64))
    pixel_table("a.csv", [int(number < 9) for number in range(100)], pixels)
    _, prepared, study = draft("a.csv")
    assert "The training classes are imbalanced" in prepared.warning
    assert 'objective = "val_balanced_accuracy"' in study.text
    assert 'class_weight = "balanced"' in study.text
    assert "imbalanced" not in study.warning


def test_arrays_of_other_names_and_range_are_read(in_tmp):
    np.savez("a.npz", pictures=PIXELS.reshape(60, 8, 8) / 255, kinds=LABELS)
    dataset, _, _ = draft("a.npz")
    assert dataset == {
        "name": "array_images",
        "path": "a.npz",
        "images": "pictures",
        "labels": "kinds",
        "scale": 255.0,
    }


def test_listed_images_and_embedded_images(in_tmp):
    lines = [f"{save(in_tmp / 'images' / f'{n}.png', (20 + n % 2, 20, 3)).name},{n % 2}" for n in range(20)]
    (in_tmp / "train.csv").write_text("\n".join(["id,breed", *lines]) + "\n")
    dataset, _, _ = draft("train.csv")
    assert dataset["label_column"] == "breed"
    assert dataset["folder"] == "images"
    cells = [{"bytes": (in_tmp / "images" / f"{n}.png").read_bytes(), "path": None} for n in range(20)]
    pd.DataFrame({"image": cells, "label": [0, 1] * 10}).to_parquet("cells.parquet")
    assert draft("cells.parquet")[0]["image_size"] == 20


def test_ambiguous_table_is_refused_with_the_option(in_tmp):
    wide = np.random.default_rng(0).integers(0, 256, (20, 28 * 28 * 4))
    pixel_table("a.csv", LABELS[:20], wide)
    message = refused("a.csv")
    assert "may be 56×56×1 or 28×28×4" in message
    assert message.endswith("To set it here: `zoo init a.csv --set 'image_shape=[28,28,4]'`.")
    dataset, prepared, _ = draft("a.csv", "image_shape=[28,28,4]")
    assert dataset["image_shape"] == [28, 28, 4]
    assert prepared.image_shape == (28, 28, 4)


def test_setting_of_the_user_is_never_changed(in_tmp):
    class_folders("photos", shape=(40, 30, 3))
    dataset, _, _ = draft("photos", "dataset.image_size=24", "color_mode=grayscale")
    assert (dataset["image_size"], dataset["color_mode"]) == (24, "grayscale")
    pixel_table("a.csv", LABELS, PIXELS, header=False)
    assert "Set header = false" in refused("a.csv", "header=true")
    assert "--set: the dataset 'csv_images': " in refused("a.csv", "headers=true")


@pytest.mark.parametrize(
    ("files", "path", "text"),
    [
        (["a/cat/1.png", "a/cat/2.png"], "a", "at least two class folders with images, got only cat."),
        (["a/cat/1.png", "a/dog/"], "a", "a/dog contains no images."),
        (["a/cat/1.txt", "a/dog/1.txt"], "a", "contains no images."),
        (["a/cat/1.png", "a/dog/2.png"], "a", "cannot cut a test split|[Tt]oo few|at least"),
    ],
)  # fmt: skip
def test_folder_without_enough_is_refused(in_tmp, files, path, text):
    for file in files:
        if file.endswith("/"):
            (in_tmp / file).mkdir(parents=True)
        elif file.endswith(".png"):
            save(file)
        else:
            (in_tmp / file).parent.mkdir(parents=True, exist_ok=True)
            (in_tmp / file).write_text("x")
    message = refused(path)
    assert any(one in message for one in text.split("|"))
    assert list(in_tmp.glob("*.toml")) == []


def test_study_file_is_replaced_by_force_only(in_tmp):
    class_folders("photos")
    first = draft("photos")[2].path
    first.write_text("# mine\n" + first.read_text())
    assert "photos.toml exists; add --force to replace it" in refused("photos")
    assert first.read_text().startswith("# mine")
    assert draft("photos", output="other.toml")[2].path.name == "other.toml"
    assert not draft("photos")[2].path.read_text().startswith("# mine")


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ("photos.txt", "--output photos.txt: expected the path of a study file, which ends with .toml."),
        ("no/photos.toml", "--output no/photos.toml: cannot be written (No such file or directory)"),
        ("my photos.toml", "a study's name consists of"),
        ("photos", "--output photos: expected the path of a study file"),
    ],
)
def test_impossible_output_is_refused_first(in_tmp, output, text):
    class_folders("photos")
    assert text in refused("photos", output=output)


def test_folder_without_permission_is_refused_first(in_tmp, monkeypatch):
    class_folders("photos")
    (in_tmp / "closed").mkdir()

    def refuse(path):  # root may write everywhere
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "touch", refuse)
    assert "--output closed/a.toml: cannot be written (Permission denied)" in refused(
        "photos", output="closed/a.toml"
    )


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("photos/", "photos.toml"),
        ("data/train.csv", "train.toml"),
        ("digits.csv.gz", "digits.toml"),
        ("v1.5 photos", "v1_5_photos.toml"),
        ("Meine Fotos (2)", "Meine_Fotos_2.toml"),
        ("Café", "Cafe.toml"),
        ("قطة", "images.toml"),
        ("a.npz", "a.toml"),
    ],
)
def test_study_is_named_like_the_data(in_tmp, path, name):
    assert default_target(path).name == name


def test_study_of_the_working_folder_has_its_name(in_tmp, monkeypatch):
    class_folders("photos")
    monkeypatch.chdir("photos")
    assert default_target(".").name == default_target("../photos").name == "photos.toml"


def test_written_study_is_used_again(in_tmp, monkeypatch):
    class_folders("data/others")
    monkeypatch.setenv("ZOO_DATA_DIR", str(in_tmp / "data"))
    path = draft("others")[2].path
    assert drafted_study("others") == drafted_study("data/others") == path
    np.savez("a.npz", images=PIXELS.reshape(60, 8, 8).astype(np.uint8), labels=LABELS)
    assert drafted_study("a.npz") is None
    path = draft("a.npz")[2].path
    assert drafted_study("a.npz") == path
    class_folders("photos")
    assert drafted_study("photos/") is None
    path = draft("photos")[2].path
    assert drafted_study("photos/") == drafted_study(str(in_tmp / "photos")) == path
    path.write_text('[dataset]\nname = "image_folder"\npath = "others"\n')
    with pytest.raises(StudyError, match="exists, but is not a study of photos; write another one with"):
        drafted_study("photos")
    path.write_text("dataset = ")
    with pytest.raises(StudyError, match="cannot be read"):
        drafted_study("photos")


def test_name_of_a_study_is_no_data(in_tmp):
    class_folders("digits_cnn")
    class_folders("photos")
    assert not is_data("digits_cnn")  # a shipped study
    assert is_data("digits_cnn/")
    assert is_data("photos")
    assert not is_data("photos.toml")
    assert not is_data("nothing")
    assert is_data("nothing/")
    assert is_data("nothing.csv")
    with pytest.raises(ZooError, match="there is no file or folder nothing/ in "):
        drafted_study("nothing/") or init("nothing/")
