"""A look at a dataset: classes, identical and constant images, and labels that are probably wrong."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from zoo import Dataset, Split, inspection
from zoo.data.prepare import prepare, prepare_in_memory
from zoo.data.store import open_dataset
from zoo.data.validation import fold_of_images
from zoo.errors import DataError, StudyError
from zoo.inspection import _opening
from zoo.record import StudyDirectory, read_predictions
from zoo.registry import Registry
from zoo.tuning.display import NoDisplay

QUIET = {"display": NoDisplay()}


def images(*values):
    """Return 4×4 images; an image with the value v has the pixels v … v, v + 1."""
    pixels = np.repeat(np.array(values, np.uint8), 16).reshape(-1, 4, 4, 1).copy()
    pixels[:, 3, 3, 0] += 1
    return pixels


@pytest.fixture
def flawed():
    """Return a dataset with every flaw.

    Images 0 and 1 have two labels, 2 and the test image 0 are in two splits, 3 and 4 repeat, 5 is constant.
    """
    pixels = images(1, 1, 2, 3, 3, 9)
    pixels[5] = 200
    names = np.array(["cat/a", "dog/a", "cat/b", "dog/b", "dog/c", "cat/c"], object)
    train = Split(pixels, np.array([0, 1, 0, 1, 1, 0]), names=names)
    return Dataset(
        train, test=Split(images(2, 7), np.array([0, 1])), class_names=("cat", "dog"), source="pets"
    )


def test_identical_images_are_listed_the_worst_first(flawed):
    table = inspection.duplicates(flawed, **QUIET)
    assert list(table) == ["kind", "set", "digest", "split", "image", "name", "label"]
    rows = table.drop(columns="digest").itertuples(index=False, name=None)
    assert list(rows) == [
        ("two labels", 1, "train", 0, "cat/a", "cat"),
        ("two labels", 1, "train", 1, "dog/a", "dog"),
        ("two splits", 2, "train", 2, "cat/b", "cat"),
        ("two splits", 2, "test", 0, "image 0 of test", "cat"),
        ("repeated", 3, "train", 3, "dog/b", "dog"),
        ("repeated", 3, "train", 4, "dog/c", "dog"),
    ]
    assert table["digest"].nunique() == 3


def test_different_images_give_an_empty_table(flawed):
    table = inspection.duplicates(replace(flawed, train=Split(images(4, 5), np.array([0, 1]))), **QUIET)
    assert table.empty
    assert "digest" in table


def test_dataset_in_memory_is_drawn_and_counted(flawed, tmp_path, read_figure):
    report = inspection.data(flawed, output=tmp_path / "d.png", **QUIET)
    read_figure(report)
    assert report._repr_png_().startswith(b"\x89PNG")
    assert report.classes.to_dict() == {"train": {"cat": 3, "dog": 3}, "test": {"cat": 1, "dog": 1}}
    assert report.findings["kind"].tolist() == [
        *["two labels"] * 2,
        *["two splits"] * 2,
        *["repeated"] * 2,
        "constant",
    ]
    assert report.findings.iloc[6][["split", "image", "name", "label"]].tolist() == [
        "train",
        5,
        "cat/c",
        "cat",
    ]


def test_dataset_in_memory_takes_no_parameters(flawed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(inspection.data(flawed, **QUIET).path) == "data-in-memory.png"
    with pytest.raises(StudyError, match=r"data in memory has no parameters, got overrides \['count=9'\]"):
        inspection.duplicates(flawed, overrides=["count=9"], **QUIET)


def test_arrays_that_violate_the_contract_are_named(flawed):
    floats = replace(flawed, train=replace(flawed.train, images=flawed.train.images / 255))
    with pytest.raises(DataError, match=r"^the dataset in memory: train images: expected uint8 \(0 to 255\)"):
        inspection.data(floats, **QUIET)


def test_study_on_arrays_is_inspected_from_the_cache(flawed, in_tmp, recorded_study):
    directory = StudyDirectory(in_tmp, "mine")
    digest = prepare_in_memory(flawed, {}, directory.cache_dir).digest
    config = json.loads((recorded_study / "mlruns/zoo/example/trials/001/config.json").read_text())
    data = {"dataset": {"name": "in memory", "parameters": {}}, "digest": digest}
    directory.trial(2).create({**config, **data})
    damaged = directory.trial(1).path
    damaged.mkdir()
    (damaged / "config.json").write_text("{")
    assert len(inspection.duplicates(study="mine", **QUIET)) == 6


def test_dataset_and_study_exclude_each_other(flawed):
    with pytest.raises(StudyError, match="expected a dataset or --study STUDY, got both"):
        inspection.duplicates(flawed, study="example", **QUIET)
    with pytest.raises(StudyError, match="got neither"):
        inspection.data(**QUIET)


# A study


@pytest.fixture
def example(in_study, monkeypatch):
    """The recorded study, whose dataset is prepared in this process."""
    registry = Registry.load([])

    def prepare_here(config, validation, cache, display):
        return prepare(registry.get("dataset", config.name), config.parameters, validation, cache)

    monkeypatch.setattr(_opening, "prepare", prepare_here)
    (in_study / "studies").mkdir(exist_ok=True)
    study_path = in_study / "studies" / "example.toml"
    study_path.write_text(
        'dataset = "digits"\narchitecture = "conv_net"\n[validation]\nfraction = 0.2\n[search]\ntrials = 1\n'
    )
    yield in_study
    study_path.unlink()


def test_named_dataset_is_not_divided_for_validation(example, tmp_path):
    report = inspection.data("digits", output=tmp_path / "d.png", **QUIET)
    assert report.classes.sum().to_dict() == {"train": 1438, "test": 359}
    assert report.findings.empty


def test_suspicious_labels_are_those_of_validation_images(example, tmp_path, read_figure):
    report = inspection.data(study="example", output=tmp_path / "d.png", **QUIET)
    read_figure(report)
    assert report.classes.sum().to_dict() == {"train": 1150, "validation": 288, "test": 359}
    found = report.findings[report.findings["kind"] == "suspicious label"]
    assert len(found)  # a network of two epochs is often wrong
    trial = StudyDirectory(example, "example").trial(1)
    labels, probabilities = read_predictions(trial.predictions_path)
    cache, config = example / "mlruns/zoo/.cache", trial.config()
    opened = open_dataset(cache, config["digest"])
    fold = fold_of_images(cache, config["digest"], opened, config["validation"])
    rows = {int(position): row for row, position in enumerate(np.flatnonzero(fold == 1))}
    for one in found.itertuples():
        row = rows[one.image]
        assert (one.split, one.label) == ("validation", str(labels[row]))
        assert one.probability == pytest.approx(probabilities[row, labels[row]])
        assert one.probable != one.label
        assert probabilities[row, int(one.probable)] > one.probability


def test_study_without_a_complete_trial_has_no_suspicious_label(example, tmp_path):
    (example / "studies" / "unborn.toml").write_text('dataset = "digits"\narchitecture = "conv_net"\n')
    report = inspection.data(study="unborn", output=tmp_path / "d.png", **QUIET)
    (example / "studies" / "unborn.toml").unlink()
    assert report.findings.empty


def test_other_data_than_the_trials_are_reported(example, tmp_path, capsys):
    report = inspection.data(
        study="example", overrides=["validation.seed=3"], output=tmp_path / "d.png", **QUIET
    )
    assert len(report.findings)  # the recorded split decides, not the one of today
