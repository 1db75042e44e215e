"""`zoo predict`: the classes of image files, as a table, JSON lines and CSV."""

from __future__ import annotations

import csv
import io
import json
import os

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import zoo
from zoo.cli import predict_command
from zoo.data.store import open_dataset
from zoo.errors import ModelError, ZooError
from zoo.record import run_in

TRIAL = "mlruns/zoo/example/trials/001"


@pytest.fixture
def photos(in_study, tmp_path, monkeypatch):
    """Five images of the test split as files."""
    monkeypatch.setattr("zoo.cli.common.load_keras", lambda: None)
    run = run_in(in_study / TRIAL)
    for number, image in enumerate(
        np.asarray(open_dataset(run.cache_dir, run.config.digest).test.images[:5])
    ):
        Image.fromarray(image[..., 0]).save(tmp_path / f"{number}.png")
    return tmp_path


@pytest.fixture
def expected(photos):
    return zoo.Classifier(TRIAL).predict(sorted(photos.glob("*.png")), top=2)


def run(*arguments, stdin=""):
    line = [TRIAL, *map(str, arguments)]
    return CliRunner().invoke(
        predict_command.command, line, input=stdin, catch_exceptions=False, standalone_mode=False
    )


def test_table_has_a_row_for_each_image(photos, expected):
    done = run(photos, "--top", 2)
    header, *rows = [line.split() for line in done.stdout.splitlines()]
    assert header == ["image", "class", "probability", "class_2", "probability_2"]
    assert rows == [
        [row.image, row["class"], f"{row.probability:.4f}", row.class_2, f"{row.probability_2:.4f}"]
        for _, row in expected.iterrows()
    ]
    assert (done.stderr, done.return_value) == ("predicting 5 images …\n", 0)


def test_json_has_a_line_for_each_image(photos, expected):
    done = run(photos / "0.png", photos / "3.png", "--json", "--top", 2, "--quiet")
    documents = [json.loads(line) for line in done.stdout.splitlines()]
    assert [document["image"] for document in documents] == [str(photos / "0.png"), str(photos / "3.png")]
    assert [one["class"] for one in documents[1]["classes"]] == [expected["class"][3], expected["class_2"][3]]
    assert documents[1]["classes"][0]["probability"] == pytest.approx(expected["probability"][3], rel=1e-5)
    assert done.stderr == ""


def test_paths_of_any_bytes_are_whole(photos):
    name = os.fsdecode(b"caf\xe9\n\x1b[1m.png")
    (photos / "0.png").rename(photos / name)
    (line,) = run(photos / name, "--json", "--quiet").stdout.splitlines()
    assert json.loads(line)["image"] == str(photos / name)
    _, row = run(photos / "1.png", photos / name, "--quiet").stdout.splitlines()[1:]
    assert "\\n\\x1b[1m.png  " in row


def test_csv_has_a_header(photos, expected):
    done = run("-", "--csv", stdin=f"{photos}/1.png\n{photos}/2.png\n")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert list(rows[0]) == ["image", "class", "probability"]
    assert [row["class"] for row in rows] == list(expected["class"][1:3])


def test_top_above_number_of_classes_gives_all(photos):
    (row,) = csv.reader(run(photos / "0.png", "--csv", "--top", 99).stdout.splitlines()[1:])
    assert len(row) == 21


def test_closed_standard_input_is_an_empty_list(photos, monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    assert list(predict_command._lines_of_stdin()) == []


@pytest.mark.parametrize("form", ["--json", "--csv", "--quiet"])
def test_broken_image_is_skipped_with_status_1(photos, form):
    (photos / "2.png").write_bytes(b"no image")
    done = run(photos, photos / "missing.png", photos / "*.bmp", form, "--batch-size", 2)
    assert done.return_value == 1
    assert len(done.stdout.splitlines()) == 4 + (form != "--json")
    assert [line for line in done.stderr.splitlines() if line.startswith("skipped")] == [
        f"skipped {photos}/*.bmp: no file matches this pattern",
        f"skipped {photos}/2.png: not an image",
        f"skipped {photos}/missing.png: No such file or directory",
    ]


def test_all_images_broken_print_no_rows(photos):
    (photos / "x.jpg").write_bytes(b"no image")
    done = run(photos / "x.jpg")
    assert (done.stdout, done.return_value) == ("", 1)


def test_folder_without_images_is_an_error(photos):
    (photos / "empty").mkdir()
    with pytest.raises(ZooError, match=r"^no images: .*/empty: this folder has no images\.$"):
        run(photos / "empty")


def test_empty_list_is_an_error(photos):
    with pytest.raises(ZooError, match=r"^no images: the list on standard input is empty\.$"):
        run("-")


def test_unknown_model_is_an_error(photos):
    with pytest.raises(ModelError, match=r"^there is no model some/where\. Expected a study"):
        CliRunner().invoke(
            predict_command.command,
            ["some/where", str(photos)],
            catch_exceptions=False,
            standalone_mode=False,
        )


def test_two_formats_are_refused(photos):
    import click

    with pytest.raises(click.UsageError, match="got --json and --csv; use one of the two"):
        run(photos, "--json", "--csv")


def test_other_version_of_a_plugin_is_a_warning(photos, monkeypatch):
    monkeypatch.setattr("zoo.training.saved.other_versions", lambda path, name="": iter(["another version"]))
    done = run(photos / "0.png")
    assert done.stderr.splitlines()[0] == "warning: another version"
