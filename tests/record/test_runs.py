"""Recorded runs: by study and number, the best, or by directory."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from zoo.errors import StudyError
from zoo.models.recorded import find_run, model_of
from zoo.record import StudyDirectory, best_run, load_runs, pick_runs, rank_runs, run_in
from zoo.study import Objective
from zoo.tuning.display import NoDisplay


def test_trials_are_loaded_in_order(in_study):
    runs = load_runs("example")
    assert [run.number for run in runs] == [0, 1, 2, 3]
    assert [run.is_complete for run in runs] == [True, True, False, False]
    assert [run.state for run in runs] == ["complete", "complete", "pruned", "running"]
    assert [len(run.epochs) for run in runs] == [2, 2, 1, 1]
    assert runs[1].title == "example, trial 1"


def test_best_run_is_the_best_complete_trial(in_study):
    runs = load_runs("example")
    assert [run.number for run in rank_runs(runs)] == [1, 0]
    assert find_run("example", None, None, NoDisplay()).number == 1
    assert find_run("example.toml", None, None, NoDisplay()).number == 1
    assert find_run("example", 0, None, NoDisplay()).number == 0


def test_first_of_equal_trials_is_best(in_study):
    runs = [replace(run, config=replace(run.config, direction="minimize")) for run in load_runs("example")]
    assert best_run(runs).number == 0
    twins = [runs[1], replace(runs[1], number=7)]
    assert best_run(twins).number == 1


def test_several_objectives_rank_like_the_study(in_study, monkeypatch):
    """Trials 1 and 7 are the most accurate, 7 is smaller; 0 is the smallest."""
    runs = load_runs("example")
    accurate, small = Objective("val_accuracy", "maximize"), Objective("parameters", "minimize")

    def with_parameters(run, number, parameters):
        event = replace(run.final_event, summary={**run.summary, "parameters": parameters})
        changed = replace(run, number=number)
        changed.__dict__["final_event"] = event
        return changed

    given_runs = [with_parameters(*one) for one in [(runs[0], 0, 10), (runs[1], 1, 30), (runs[1], 7, 20)]]
    for objectives, order in {(accurate, small): [7, 0, 1], (small, accurate): [0, 7, 1]}.items():
        monkeypatch.setattr(StudyDirectory, "objectives", lambda _, given=objectives: list(given))
        assert [run.number for run in rank_runs(given_runs)] == order


def test_no_complete_trial_is_an_error(in_study):
    with pytest.raises(StudyError, match="no trial of 'example' is complete yet"):
        best_run(load_runs("example")[2:])


def test_deleted_trials_are_named(in_study, monkeypatch):
    monkeypatch.setattr(StudyDirectory, "deleted_trials", lambda _: {0, 1})
    with pytest.raises(
        StudyError, match=r"no complete trial of 'example' is left; deleted: 0, 1\. `zoo delete"
    ):
        best_run(load_runs("example"))
    with pytest.raises(StudyError, match=r"^trial 0 of 'example' was deleted\. `zoo .* restores it\.$"):
        pick_runs([0], load_runs("example"))


@pytest.mark.parametrize(
    ("study", "trial", "run", "complaint"),
    [
        (
            "exampel",
            None,
            None,
            r"there is no trial of 'exampel' in .* Did you mean 'example'\?",
        ),
        ("example", 9, None, r"there is no trial 9 of 'example'\. Available: 0, 1, 2, 3\."),
        ("example", -1, None, r"there is no trial -1 of 'example'"),
        (None, None, None, r"expected a study, or the folder of a run with --run FOLDER, got neither\."),
        ("example", None, "somewhere", "--run already names a run"),
        (None, 3, "somewhere", "--run already names a run"),
        (None, None, "somewhere", r"--run: no run in somewhere\. Expected a folder with config\.json"),
    ],
)
def test_missing_run_is_an_error(in_study, study, trial, run, complaint):
    with pytest.raises(StudyError, match=complaint):
        find_run(study, trial, run, NoDisplay())


def test_folder_without_record_is_an_error(in_tmp):
    with pytest.raises(StudyError, match=r"Run `zoo tune example` first\.$"):
        find_run("example", None, None, NoDisplay())


@pytest.mark.parametrize(
    ("study", "hint"),
    [
        ("exampel", "Did you mean 'example'?"),
        ("other", "Run `zoo tune other` first. Available: example."),
        ("examples", "Run `zoo tune examples` first."),  # its file exists
    ],
)
def test_misspelled_study_is_not_to_be_run(in_study, monkeypatch, study, hint):
    monkeypatch.setattr("zoo.record.runs.known_studies", lambda: ["examples"])
    with pytest.raises(StudyError) as error:
        load_runs(study)
    assert str(error.value) == f"there is no trial of '{study}' in mlruns/zoo. {hint}"


def test_standalone_run_is_found_by_its_folder(in_study):
    (folder,) = (in_study / "mlruns" / "zoo" / "example" / "standalone").iterdir()
    for given in (folder, folder.relative_to(in_study)):
        run = find_run(None, None, given, NoDisplay())
        assert run.title == f"example, run {folder.name}"
        assert run.number is None
        assert run.cache_dir == in_study / "mlruns" / "zoo" / ".cache"
        with model_of(run) as model:
            assert model == folder / "model.keras"


def test_trial_is_found_by_its_folder(in_study, in_tmp):
    folder = in_study / "mlruns" / "zoo" / "example" / "trials" / "001"
    run = find_run(None, None, folder, NoDisplay())
    assert (run.study, run.name, run.number) == ("example", "trial 1", 1)
    assert run.cache_dir == in_study / "mlruns" / "zoo" / ".cache"


def test_uid_names_the_study_and_the_trial(in_study, in_tmp):
    record = shutil.copytree(in_study / "mlruns" / "zoo" / "example", in_tmp / "mlruns" / "zoo" / "example")
    assert find_run("example", 1, None, NoDisplay()).uid() == "5f0c-1"
    (record / "trials").rename(record / "trials-5f0c")  # and the study was started again from nothing
    assert find_run(None, None, record / "trials-5f0c" / "001", NoDisplay()).uid() is None


def test_copied_trial_keeps_its_uid_if_the_study_has_one(in_study, in_tmp):
    shutil.copytree(in_study / "mlruns" / "zoo" / "example" / "trials" / "001", in_tmp / "trials" / "001")
    assert run_in(in_tmp / "trials" / "001").uid() is None
    (in_tmp / "uid").write_text("5f0c\n")
    assert run_in(in_tmp / "trials" / "001").uid() == "5f0c-1"


def test_deleted_trial_is_left_out(in_study, in_tmp):
    shutil.copytree(in_study / "mlruns" / "zoo" / "example", in_tmp / "mlruns" / "zoo" / "example")
    directory = StudyDirectory(in_tmp, "example")
    directory.set_deleted_trials([1])
    assert [run.number for run in load_runs("example")] == [0, 2, 3]
    assert find_run("example", None, None, NoDisplay()).number == 0
    with pytest.raises(StudyError, match=r"trial 1 of 'example' was deleted\. `zoo delete example --trial 1"):
        find_run("example", 1, None, NoDisplay())
    directory.set_deleted_trials(range(4))
    with pytest.raises(StudyError, match="every trial of 'example' was deleted"):
        load_runs("example")
