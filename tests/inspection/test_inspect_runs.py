"""Finding a run: by study and number, the champion, or by its folder; and saying what is not there."""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from zoo.data.store import Prepared, open_dataset
from zoo.errors import StudyError, ZooError
from zoo.inspection import _runs
from zoo.inspection._runs import (
    all_runs,
    best_first,
    champion,
    find_run,
    model_of,
    tell_versions,
    validation_data,
)
from zoo.trial import Chosen
from zoo.tuning.display import NoDisplay

TRIAL_1 = "mlruns/zoo/example/trials/001"
VALIDATION = {"fraction": 0.1, "seed": 0}


class Listener(NoDisplay):
    def __init__(self):
        self.phases, self.problems = [], []

    def phase(self, text):
        self.phases.append(text)

    def problem(self, text):
        self.problems.append(text)


def test_all_trials_in_order(in_study):
    runs = all_runs("example")
    assert [run.number for run in runs] == [0, 1, 2, 3]
    assert [run.is_complete for run in runs] == [True, True, False, False]
    assert [run.finished.get("state") for run in runs] == ["complete", "complete", "pruned", None]
    assert [len(run.epochs) for run in runs] == [2, 2, 1, 1]
    assert runs[1].title == "example, trial 1"


def test_the_champion_is_the_best_complete_trial(in_study):
    runs = all_runs("example")
    assert [run.number for run in best_first(runs)] == [1, 0]
    assert find_run("example", None, None).number == 1
    assert find_run("example.toml", None, None).number == 1
    assert find_run("example", 0, None).number == 0


def test_a_lower_loss_is_better_and_of_equals_the_first(in_study):
    runs = [replace(run, config=replace(run.config, direction="minimize")) for run in all_runs("example")]
    assert champion(runs).number == 0
    twins = [runs[1], replace(runs[1], number=7)]
    assert champion(twins).number == 1


def test_no_complete_trial(in_study):
    with pytest.raises(StudyError, match="No trial of 'example' is complete yet"):
        champion(all_runs("example")[2:])


@pytest.mark.parametrize(
    ("study", "trial", "run", "complaint"),
    [
        (
            "exampel",
            None,
            None,
            r"no trials of a study named 'exampel' in .* Did you mean 'example'\?",
        ),
        ("example", 9, None, r"There is no trial 9 of 'example'\. There is: 0, 1, 2, 3\."),
        ("example", -1, None, r"There is no trial -1 of 'example'"),
        (None, None, None, "Name a study, --study STUDY, or the folder of a run, --run FOLDER"),
        ("example", None, "somewhere", "--run names a run by itself"),
        (None, 3, "somewhere", "--run names a run by itself"),
        (None, None, "somewhere", "--run: somewhere holds no run; expected a folder with config.json"),
    ],
)
def test_what_is_not_there(in_study, study, trial, run, complaint):
    with pytest.raises(StudyError, match=complaint):
        find_run(study, trial, run)


def test_a_folder_without_any_record(in_tmp):
    with pytest.raises(StudyError, match=r"`zoo tune --study example` makes some\.$"):
        find_run("example", None, None)


def test_a_training_outside_the_search(in_study):
    (folder,) = (in_study / "mlruns" / "zoo" / "example" / "training").iterdir()
    for given in (folder, folder.relative_to(in_study)):
        run = find_run(None, None, given)
        assert run.title == f"example, training {folder.name}"
        assert run.number is None
        assert run.cache == in_study / "mlruns" / "zoo" / ".cache"
        with model_of(run) as model:
            assert model == folder / "model.keras"


def test_a_trial_by_its_folder(in_study, in_tmp):
    folder = in_study / "mlruns" / "zoo" / "example" / "trials" / "001"
    run = find_run(None, None, folder)
    assert (run.study, run.name, run.number) == ("example", "trial 1", 1)
    assert run.cache == in_study / "mlruns" / "zoo" / ".cache"


def test_a_run_that_was_copied_elsewhere_prepares_its_dataset_anew(in_study, in_tmp):
    shutil.copytree(in_study / "mlruns" / "zoo" / "example" / "trials" / "001", in_tmp / "copy")
    run, listener = find_run(None, None, "copy"), Listener()
    assert run.cache == in_tmp / "mlruns" / "zoo" / ".cache"
    split, names = validation_data(run, listener)
    assert listener.phases == ["preparing the dataset …"]
    assert names == tuple("0123456789")
    with np.load(run.folder / "predictions.npz") as recorded:
        np.testing.assert_array_equal(split.labels, recorded["labels"])
    listener.phases.clear()
    validation_data(run, listener)
    assert listener.phases == []


def test_data_that_are_not_what_they_were(in_study, in_tmp):
    folder = shutil.copytree(in_study / "mlruns" / "zoo" / "example" / "trials" / "001", in_tmp / "copy")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "digest": "0" * 64}))
    with pytest.raises(StudyError, match=r"Training copy of '.*' was trained on other data \(0{12}…, now"):
        validation_data(find_run(None, None, "copy"), NoDisplay())


@pytest.mark.parametrize(("trial", "state"), [(2, "was pruned"), (3, "is not finished")])
def test_a_trial_without_a_model(in_study, trial, state):
    with (
        pytest.raises(StudyError, match=f"^Trial {trial} of 'example' {state}, so it has no model"),
        model_of(find_run("example", trial, None)),
    ):
        pass


def test_a_model_that_is_only_in_mlflow(in_study, monkeypatch):
    """Asked for by the run's unique name, and gone again afterwards."""
    from zoo import tracking

    asked = []

    def fetch(store, study, uid, folder):
        asked.append((store, study, uid))
        (folder / "model.keras").write_bytes(b"a model")
        return folder / "model.keras"

    monkeypatch.setattr(tracking, "connect", lambda create: "a store")
    monkeypatch.setattr(tracking, "fetch_model", fetch)
    with model_of(find_run("example", 0, None)) as model:
        assert model.read_bytes() == b"a model"
    assert asked == [("a store", "example", "5f0c-0")]
    assert not model.exists()


def test_another_version_of_the_models_plugin_is_warned_of(in_study, in_tmp):
    with zipfile.ZipFile(in_tmp / "model.keras", "w") as archive:
        archive.writestr("zoo.json", json.dumps({"modules": {"pluggy": "pluggy==0.0.1"}}))
    listener = Listener()
    tell_versions(in_tmp / "model.keras", find_run(None, None, in_study / TRIAL_1), listener)
    (problem,) = listener.problems
    assert problem.startswith("The model of trial 1 of 'example' was saved with pluggy 0.0.1, but ")


def test_a_training_whose_model_was_removed(in_study, in_tmp):
    shutil.copytree(in_study / "mlruns" / "zoo" / "example" / "trials" / "001", in_tmp / "copy")
    (in_tmp / "copy" / "model.keras").unlink()
    with (
        pytest.raises(StudyError, match=r"has no model any more: expected .*model\.keras"),
        model_of(find_run(None, None, "copy")),
    ):
        pass


def test_an_image_that_is_not_there(in_study):
    run = find_run("example", 1, None)
    images = open_dataset(run.cache, run.config.digest).train.images
    assert _runs.image_of(images, 5, "the training split").shape == (8, 8, 1)
    for number in (-1, len(images)):
        with pytest.raises(
            ZooError, match=rf"no image {number} in the training split; expected 0 … {len(images) - 1}"
        ):
            _runs.image_of(images, number, "the training split")


def test_a_cache_that_cannot_be_written(in_tmp):
    (in_tmp / "file").write_text("in the way")
    with pytest.raises(ZooError, match=r"file cannot be written .* set ZOO_CACHE_DIR to one"):
        _runs.prepare(Chosen("digits"), VALIDATION, in_tmp / "file", NoDisplay())


def test_the_warning_of_a_dataset_is_told(in_tmp, monkeypatch):
    def finish(child, dataset, listener):
        return Prepared("d" * 64, ("a", "b"), (8, 8, 1), {"train": 9}, "digits", "only some of them")

    monkeypatch.setattr(_runs, "finish_preparing", finish)
    listener = Listener()
    _runs.prepare(Chosen("digits"), VALIDATION, in_tmp / "cache", listener)
    assert listener.problems == ["only some of them"]
