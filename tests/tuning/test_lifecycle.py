"""Deleting, restoring and renaming studies, with a real MLflow store and a real Optuna storage."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import optuna
import pytest
from click.testing import CliRunner
from tuning_examples import STUDY

from zoo.cli import compare_command
from zoo.data.store import PreparedDataset
from zoo.errors import StudyError, ZooError
from zoo.events import Finished
from zoo.record import StudyDirectory, load_runs
from zoo.study import parse_study
from zoo.tracking import StudyFacts, StudyTracker, TrackingError, compare, connect
from zoo.tuning.lifecycle import (
    delete_study,
    delete_trials,
    refresh_deleted,
    rename_study,
    restore_study_run,
    restore_trials,
)
from zoo.tuning.search import OptunaSearch
from zoo.tuning.storage import default_storage

VALUES = (0.5, 0.9, 0.7)


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory):
    """An MLflow database without runs; making its tables takes seconds."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    connect(f"sqlite:///{path}")
    return path


@pytest.fixture
def study(recorded, tmp_path, monkeypatch):
    """A copy of the study `example` in the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copytree(recorded, tmp_path, dirs_exist_ok=True)
    with closing(sqlite3.connect("mlflow.db")) as database, database:  # it has paths of the artifacts
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            database.execute(
                f"UPDATE {table} SET {column} = replace({column}, ?, ?)", [str(recorded), str(tmp_path)]
            )
    return StudyDirectory(tmp_path, "example")


@pytest.fixture(scope="module")
def recorded(registry, tmp_path_factory, empty_store, empty_optuna):
    """A folder with the study `example`, which has three complete trials; trial 1 is the best."""
    folder = tmp_path_factory.mktemp("recorded")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        shutil.copyfile(empty_store, folder / "mlflow.db")
        (folder / "mlruns").mkdir()
        shutil.copyfile(empty_optuna, folder / "mlruns" / "optuna.db")
        _record(parse_study(STUDY, registry, "example", "example.toml"), StudyDirectory(folder, "example"))
    return folder


def _record(definition, directory):
    directory.create()
    manifest = {"dataset": {"digest": "d" * 64}}
    search = OptunaSearch(definition, manifest, directory)
    facts = StudyFacts(
        name="example",
        uid=search.uid(),
        objectives=definition.objectives,
        dataset=PreparedDataset("d" * 64, tuple("0123456789"), (8, 8, 1), {}, "", ""),
    )
    tracker = StudyTracker(connect(), facts)
    for value in VALUES:
        trial = search.ask()
        event = Finished(2.0, "complete", "", {"best_val_accuracy": value, "best_epoch": 1})
        directory.trial(trial.number).create(trial.config.as_json())
        directory.trial(trial.number).append(event)
        search.tell(trial.number, event)
        tracker.record(trial.number, trial.config.as_json(), [event], directory.trial(trial.number).path)


def reopened(define, directory):
    """The Optuna study, as the next `zoo tune` opens it."""
    manifest = {"dataset": {"digest": "d" * 64}}
    return OptunaSearch(define(name=directory.study), manifest, directory)


def trials_everywhere(define, directory):
    """The trials that MLflow's table, the local record and Optuna have, each best first or by number."""
    table = compare(directory.study)
    assert table["trial"].iloc[0] == reopened(define, directory).best()[0]
    numbers = sorted(table["trial"])
    assert numbers == [run.number for run in load_runs(directory.study)]
    assert numbers == sorted(reopened(define, directory).values())
    return list(table["trial"])


class TestTrials:
    def test_deleted_trial_is_excluded_everywhere(self, study, define):
        assert delete_trials("example", [1]) == "trial 1 of 'example' was deleted"
        assert trials_everywhere(define, study) == [2, 0]

    def test_restored_trial_is_included_everywhere(self, study, define):
        delete_trials("example", [1, 2])
        assert trials_everywhere(define, study) == [0]
        assert restore_trials("example", [1, 2]) == "trials 1, 2 of 'example' were restored"
        assert trials_everywhere(define, study) == [1, 2, 0]

    def test_unknown_trial_is_refused(self, study):
        with pytest.raises(StudyError, match=r"there is no trial 7 of 'example'\. Available: 0, 1, 2\."):
            delete_trials("example", [0, 7])
        assert study.deleted_trials() == set()

    def test_running_study_is_refused(self, study):
        with study.locked(), pytest.raises(StudyError, match="is being run by process"):
            delete_trials("example", [0])

    def test_number_given_twice_counts_once(self, study):
        assert delete_trials("example", [1, 1]) == "trial 1 of 'example' was deleted"


class TestTrialsDeletedInMLflow:
    @pytest.fixture
    def best_run(self, study):
        """The id of the best trial's run, which is deleted in MLflow."""
        run_id = compare("example")["run_id"].iloc[0]
        connect().client.delete_run(run_id)
        return run_id

    def test_deleted_trials_are_excluded_and_reported_once(self, study, define, best_run):
        reports = []
        refresh_deleted("example", reports.append)
        (report,) = reports
        assert report.startswith("trial 1 of 'example' was deleted in MLflow and will be excluded; ")
        refresh_deleted("example", reports.append)
        assert len(reports) == 1
        assert trials_everywhere(define, study) == [2, 0]

    def test_trials_restored_in_mlflow_return(self, study, define, best_run):
        refresh_deleted("example", lambda text: None)
        connect().client.restore_run(best_run)
        refresh_deleted("example", lambda text: None)
        assert trials_everywhere(define, study) == [1, 2, 0]

    def test_zoo_delete_restores_deleted_trials(self, study, define, best_run):
        refresh_deleted("example", lambda text: None)
        restore_trials("example", [1])
        assert trials_everywhere(define, study) == [1, 2, 0]

    def test_unreachable_mlflow_is_reported(self, study, monkeypatch):
        reports = []
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        refresh_deleted("example", reports.append)
        (report,) = reports
        assert report.endswith("Trials that were deleted in MLflow since the last command are not excluded.")


class TestStudyRunDeletedInMLflow:
    @pytest.fixture
    def run_id(self, study):
        """The id of the study's run, which is deleted in MLflow."""
        store = connect()
        run = store.find_active_run("example", study.uid())
        store.client.delete_run(run.info.run_id)
        return run.info.run_id

    def test_its_trials_stay(self, study, define, run_id):
        assert trials_everywhere(define, study) == [1, 2, 0]
        delete_trials("example", [1])
        assert trials_everywhere(define, study) == [2, 0]

    def test_it_is_reported_once(self, study, run_id):
        reports = []
        for _ in range(2):
            refresh_deleted("example", reports.append)
        assert reports == [
            "the study's run is deleted in MLflow, its trials are not; "
            "`zoo delete example --restore` restores it, which `zoo tune` requires"
        ]

    def test_restored_run_has_the_new_name(self, study, run_id):
        rename_study("example", "other")
        assert restore_study_run("other") == "the run of the study 'other' was restored"
        run = connect().client.get_run(run_id)
        assert (run.info.lifecycle_stage, run.info.run_name, run.data.tags["zoo.study"]) == (
            *("active", "other", "other"),
        )
        with pytest.raises(StudyError, match="the run of the study 'other' is not deleted in MLflow"):
            restore_study_run("other")

    def test_report_follows_a_second_deletion(self, study, run_id):
        reports = []
        for _ in range(2):
            refresh_deleted("example", reports.append)
            restore_study_run("example")
            refresh_deleted("example", reports.append)
            connect().client.delete_run(run_id)
        assert len(reports) == 2


def test_deleted_experiment_is_named(study):
    store = connect()
    store.client.delete_experiment(store.experiment_id("example"))
    with pytest.raises(TrackingError, match=r"the MLflow experiment 'example' is deleted\. Restore it with"):
        compare("example")


def test_every_trial_deleted_is_said(study, define):
    delete_trials("example", [0, 1, 2])
    search = reopened(define, study)
    assert (search.best(), search.deleted_complete()) == (None, [0, 1, 2])
    line = (
        "every trial of 'example' was deleted. `zoo delete example --trial 2 --restore` restores one of them."
    )
    with pytest.raises(StudyError, match=f"^{line}$"):
        CliRunner().invoke(
            compare_command.command, ["example"], catch_exceptions=False, standalone_mode=False
        )


def test_pruned_trials_follow_the_complete_ones(study, define):
    results = [("failed", {}), ("pruned", 0.2), ("pruned", 0.99), ("complete", 0.1)]
    for number, (state, value) in enumerate(results, 3):
        trial = study.trial(number)
        trial.create(define().baseline("d" * 64, 0).as_json())
        summary = {"best_val_accuracy": value, "best_epoch": 1} if value else {}
        trial.append(Finished(2.0, state, "", summary))
    assert list(compare("example")["trial"]) == [1, 2, 0, 6, 5, 4, 3]


def test_rejected_and_interrupted_trials_are_named(study, define):
    rejected = Finished(2.0, "pruned", "too large", {"parameters": 9.0})
    ends = [rejected, Finished(2.0, "failed", "the study was stopped", is_interrupted=True)]
    for number, event in enumerate(ends, 3):
        trial = study.trial(number)
        trial.create(define().baseline("d" * 64, 0).as_json())
        trial.append(event)
    states = compare("example").set_index("trial")["state"]
    assert (states[3], states[4]) == ("rejected", "interrupted")


def test_trial_that_mlflow_lacks_is_in_the_table(study, define):
    """As after an outage of MLflow: the local record has it, so every command counts it."""
    trial = study.trial(3)
    trial.create(define().baseline("d" * 64, 0).as_json())
    trial.append(Finished(2.0, "complete", "", {"best_val_accuracy": 0.95, "best_epoch": 1}))
    trial.model_path.touch()
    best = compare("example").iloc[0]
    assert (best["trial"], best["run_id"], best["model"]) == (3, "", str(trial.model_path))
    assert (best["best_val_accuracy"], best["training.optimizer"]) == (0.95, "adam")


class TestStudy:
    def test_deleted_study_is_gone(self, study):
        assert delete_study("example") == "study 'example' deleted"
        assert not study.path.exists()
        assert optuna.get_all_study_names(default_storage(study.path.parents[2])) == []
        with pytest.raises(TrackingError):
            compare("example")
        with pytest.raises(StudyError, match="no study 'example' is recorded"):
            delete_study("example")

    def test_unusable_optuna_storage_changes_nothing(self, study):
        for change in (lambda: delete_study("example"), lambda: rename_study("example", "other")):
            (study.path / "storage").write_text("postgresql://me:***@nowhere.invalid/optuna\n")
            with pytest.raises(ZooError, match="cannot open the Optuna storage"):
                change()
            assert sorted(compare("example")["trial"]) == [0, 1, 2]
            assert study.path.exists()
        assert delete_study("example", default_storage(study.path.parents[2])).endswith("deleted")

    def test_name_of_a_deleted_study_is_free(self, study, define):
        uid = study.uid()
        delete_study("example")
        directory = StudyDirectory(study.path.parents[2], "example")
        directory.create()
        assert reopened(define, directory).uid() != uid
        connect().open_experiment("example")

    def test_renamed_study_keeps_its_trials(self, study, define):
        assert rename_study("example", "other") == "study 'example' renamed to 'other'"
        renamed = StudyDirectory(study.path.parents[2], "other")
        assert trials_everywhere(define, renamed) == [1, 2, 0]
        assert optuna.get_all_study_names(default_storage(study.path.parents[2])) == ["other"]
        assert not study.path.exists()
        with pytest.raises(
            StudyError, match=r"no study 'example' is recorded in mlruns/zoo\. Available: other\."
        ):
            delete_study("example")

    def test_taken_name_is_refused(self, study, tmp_path):
        StudyDirectory(tmp_path, "other").create()
        with pytest.raises(StudyError, match="there is a study 'other'"):
            rename_study("example", "other")
        assert study.path.exists()

    def test_name_taken_in_optuna_is_refused(self, study, tmp_path):
        optuna.create_study(study_name="other", storage=default_storage(tmp_path))
        with pytest.raises(StudyError, match="there is a study 'other' in Optuna's storage already"):
            rename_study("example", "other")
        assert len(compare("example")) == 3

    @pytest.mark.parametrize("name", ["", "a/b", "../other", "my study"])
    def test_invalid_name_is_refused(self, study, name):
        with pytest.raises(StudyError, match=f"a study's name consists of .* got '{name}'"):
            rename_study("example", name)
        assert len(compare("example")) == 3

    @pytest.mark.parametrize("path", ["..", ".", "../../other", "{cwd}/other", ".cache", "a" * 300])
    def test_path_instead_of_a_name_is_refused(self, study, tmp_path, path):
        (tmp_path / "other").mkdir()
        (study.path.parent / ".cache").mkdir(exist_ok=True)
        path = path.format(cwd=tmp_path)
        for change in (lambda: delete_study(path), lambda: rename_study(path, "new")):
            with pytest.raises(StudyError, match="is recorded in mlruns/zoo"):
                change()
        assert study.path.exists()
        assert (tmp_path / "other").exists()
        assert (study.path.parent / ".cache").exists()

    def test_unknown_study_is_refused(self, study):
        with pytest.raises(StudyError, match="Did you mean 'example'"):
            rename_study("exampel", "other")
