"""The model and the dataset of a recorded run."""

from __future__ import annotations

import json
import shutil
import zipfile
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from shared_tools import RecordingDisplay

from zoo.data.store import PreparedDataset
from zoo.errors import StudyError, ZooError
from zoo.models import recorded
from zoo.models.recorded import call_on_model, dataset_of, find_run, model_of, prepare, validation_data
from zoo.record import TrialDirectory
from zoo.trial import PluginConfig
from zoo.tuning.display import NoDisplay

TRIAL_1 = "mlruns/zoo/example/trials/001"
VALIDATION = {"fraction": 0.1, "seed": 0}


def test_copied_run_prepares_its_dataset_again(in_study, in_tmp):
    shutil.copytree(in_study / "mlruns" / "zoo" / "example" / "trials" / "001", in_tmp / "copy")
    run, listener = find_run(None, None, "copy", NoDisplay()), RecordingDisplay()
    assert run.cache_dir == in_tmp / "mlruns" / "zoo" / ".cache"
    split, names = validation_data(run, listener)
    assert listener.phases == ["preparing the dataset …"]
    assert names == tuple("0123456789")
    with np.load(run.directory.predictions_path) as arrays:
        np.testing.assert_array_equal(split.labels, arrays["labels"])
    listener.phases.clear()
    validation_data(run, listener)
    assert listener.phases == []


def test_dataset_without_its_groups_is_prepared_again(in_study, monkeypatch):
    run, listener = find_run("example", 1, None, NoDisplay()), RecordingDisplay()
    dataset_of(run, listener)
    assert listener.phases == []
    grouped = replace(run.config, validation={**VALIDATION, "group": "(p)", "group_digest": "0" * 64})
    asked = []

    def prepare(dataset, validation, cache_dir, display):
        asked.append(validation["group_digest"])
        return PreparedDataset(run.config.digest, (), (), {}, "", "")

    monkeypatch.setattr(recorded, "prepare", prepare)
    dataset_of(replace(run, config=grouped), listener)
    assert asked == ["0" * 64]


def test_damaged_log_is_reported(in_study, in_tmp):
    shutil.copytree(in_study / "mlruns" / "zoo" / "example", in_tmp / "mlruns" / "zoo" / "example")
    (in_tmp / TRIAL_1 / "events.jsonl").write_bytes(b"\x9c\x01\x02")
    listener = RecordingDisplay()
    assert find_run("example", None, None, listener).number == 0
    assert listener.problems[0] == (
        f"trial 1 of 'example' is set aside: line 1 of {in_tmp / TRIAL_1}/events.jsonl is damaged, and the "
        "trial's final state is lost. Restore a backup, or run `zoo delete example --trial 1`."
    )


def test_changed_data_are_an_error(in_study, in_tmp):
    folder = shutil.copytree(in_study / "mlruns" / "zoo" / "example" / "trials" / "001", in_tmp / "copy")
    config = TrialDirectory(folder).config()
    (folder / "config.json").write_text(json.dumps({**config, "digest": "0" * 64}))
    with pytest.raises(StudyError, match=r"run copy of '.*' was trained on other data \(0{12}…, now"):
        validation_data(find_run(None, None, "copy", NoDisplay()), NoDisplay())


@pytest.mark.parametrize(("trial", "state"), [(2, "was pruned"), (3, "is not finished")])
def test_incomplete_trial_has_no_model(in_study, trial, state):
    with (
        pytest.raises(StudyError, match=f"^trial {trial} of 'example' {state}, so it has no model"),
        model_of(find_run("example", trial, None, NoDisplay())),
    ):
        pass


def test_model_is_fetched_from_mlflow(in_study, monkeypatch):
    """By the run's uid; the copy is removed afterwards."""
    from zoo import tracking

    asked = []

    def fetch(store, study, uid, folder):
        asked.append((store, study, uid))
        (folder / "model.keras").write_bytes(b"a model")
        return folder / "model.keras"

    monkeypatch.setattr(tracking, "connect", lambda create: "a store")
    monkeypatch.setattr(tracking, "fetch_model", fetch)
    with model_of(find_run("example", 0, None, NoDisplay())) as model:
        assert model.read_bytes() == b"a model"
    assert asked == [("a store", "example", "5f0c-0")]
    assert not model.exists()


def test_other_version_of_a_plugin_is_warned_of(in_study, in_tmp, monkeypatch):
    with zipfile.ZipFile(in_tmp / "model.keras", "w") as archive:
        archive.writestr("zoo.json", json.dumps({"modules": {"pluggy": "pluggy==0.0.1"}}))
    listener = RecordingDisplay()
    run = find_run(None, None, in_study / TRIAL_1, NoDisplay())
    monkeypatch.setattr(recorded, "model_of", lambda run: nullcontext(in_tmp / "model.keras"))
    monkeypatch.setattr(recorded, "call_in_worker", lambda function, *arguments, log_path: "a result")
    assert call_on_model(len, run, listener) == "a result"
    (problem,) = listener.problems
    assert problem.startswith("the model of trial 1 of 'example' was saved with pluggy 0.0.1, but ")


def test_standalone_run_without_model_is_an_error(in_study, in_tmp):
    shutil.copytree(in_study / "mlruns" / "zoo" / "example" / "trials" / "001", in_tmp / "copy")
    (in_tmp / "copy" / "model.keras").unlink()
    with (
        pytest.raises(StudyError, match=r"has no model any more: expected .*model\.keras"),
        model_of(find_run(None, None, "copy", NoDisplay())),
    ):
        pass


def test_unwritable_cache_is_an_error(in_tmp):
    (in_tmp / "file").write_text("in the way")
    with pytest.raises(ZooError, match=r"cannot write to .*file \(.* set ZOO_CACHE_DIR to one"):
        prepare(PluginConfig("digits"), VALIDATION, in_tmp / "file", NoDisplay())


def test_warning_of_a_dataset_is_shown(in_tmp, monkeypatch):
    def prepared(*_):
        return PreparedDataset("d" * 64, ("a", "b"), (8, 8, 1), {"train": 9}, "digits", "only some of them")

    monkeypatch.setattr(recorded, "prepare_in_process", prepared)
    listener = RecordingDisplay()
    prepare(PluginConfig("digits"), VALIDATION, in_tmp / "cache", listener)
    assert listener.problems == ["only some of them"]
