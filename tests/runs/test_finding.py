"""Finding a run: by study and number, the champion, or by its folder; and saying what is not there."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from zoo.errors import StudyError
from zoo.runs import all_runs, best_first, champion, find_run, model_of
from zoo.study import Objective
from zoo.tuning.record import StudyRecord


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


def test_of_several_objectives_the_best_is_that_of_the_search(in_study, monkeypatch):
    """Trials 1 and 7 are the most accurate, 7 is smaller; 0 is the smallest."""
    runs = all_runs("example")
    accurate, small = Objective("val_accuracy", "maximize"), Objective("parameters", "minimize")

    def with_parameters(run, number, parameters):
        finished = {**run.finished, "summary": {**run.finished["summary"], "parameters": parameters}}
        changed = replace(run, number=number)
        changed.__dict__["finished"] = finished
        return changed

    given = [with_parameters(*one) for one in [(runs[0], 0, 10), (runs[1], 1, 30), (runs[1], 7, 20)]]
    for objectives, order in {(accurate, small): [7, 0, 1], (small, accurate): [0, 7, 1]}.items():
        monkeypatch.setattr(StudyRecord, "objectives", lambda _, judged_by=objectives: list(judged_by))
        assert [run.number for run in best_first(given)] == order


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


def test_mlflow_knows_a_trial_by_the_study_it_belongs_to(in_study, in_tmp):
    record = shutil.copytree(in_study / "mlruns" / "zoo" / "example", in_tmp / "mlruns" / "zoo" / "example")
    assert find_run("example", 1, None).uid == "5f0c-1"
    (record / "trials").rename(record / "trials-5f0c")  # and the study was begun anew
    assert find_run(None, None, record / "trials-5f0c" / "001").uid is None
