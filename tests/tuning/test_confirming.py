"""Training finalists again: seeds, rank, resuming; the supervisor and MLflow are replaced."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from shared_tools import RecordingDisplay
from tuning_examples import DIGEST, STUDY

from zoo import Dataset, Split, tracking
from zoo.errors import PluginError, StudyError
from zoo.events import Finished
from zoo.record import StudyDirectory
from zoo.study import Objective
from zoo.tracking import ModelVersion
from zoo.tuning import confirming
from zoo.tuning.confirming import Finalist, confirm, fresh_seed, rank_finalists
from zoo.tuning.interrupts import Interrupts

MAXIMIZE = Objective("val_accuracy", "maximize")


def complete(value):
    return Finished(9.0, "complete", "", {"best_val_accuracy": value, "best_epoch": 1})


class Stage:
    """The supervisor and the record in MLflow in one; `values` has the results by trial."""

    def __init__(self, values):
        self.values = values
        self.trained, self.records = [], []
        self.interrupts = Interrupts()
        self.stop_after = math.inf
        self.is_complete = True
        self.champion = None

    def record(self, study, uid, *, repeat, command):
        self.records.append((repeat, command))
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def supervisor(self, study, source, record, directory_of):
        def run():
            while source.done() < source.total() and len(self.trained) < self.stop_after:
                trial = source.ask()
                directory = directory_of(trial.number)
                directory.create(trial.config.as_json())
                self.trained.append((trial.number, trial.config.seed))
                event = complete(self.values[trial.number].pop(0))
                directory.append(event)
                source.tell(trial.number, event)
            if len(self.trained) >= self.stop_after:
                self.interrupts.signum = 2

        return SimpleNamespace(run=run)


@pytest.fixture
def stage(registry, define, tmp_path, monkeypatch):
    """stage({1: [0.8, 0.9]}) -> a study in which trials 1, 2, 0 are complete, best first."""
    directory = StudyDirectory(tmp_path, "example")
    directory.create()
    directory.assign("5f0c", [MAXIMIZE])
    for number, value in enumerate((0.5, 0.9, 0.7)):
        directory.trial(number).create(define().baseline(DIGEST, seed=number).as_json())
        directory.trial(number).append(complete(value))

    def make(values):
        stage = Stage(values)

        def open_study(stack, definition, jobs, display, warnings):
            stage.definition, stage.warnings = definition, warnings
            return SimpleNamespace(
                definition=definition,
                directory=directory,
                dataset=SimpleNamespace(digest=stage.digest),
                display=display,
                interrupts=stage.interrupts,
                store=SimpleNamespace(is_away=False, result=lambda: "a store"),
            )

        stage.digest = DIGEST
        monkeypatch.setattr(confirming, "open_study", open_study)
        monkeypatch.setattr(confirming, "MLflowRecord", stage.record)
        monkeypatch.setattr(confirming, "Supervisor", stage.supervisor)
        monkeypatch.setattr(tracking, "champion", lambda store, name: stage.champion)
        return stage

    monkeypatch.setattr(confirming, "reconcile_standalone_runs", lambda study: None)
    monkeypatch.setattr(confirming, "refresh_deleted", lambda *_: None)
    monkeypatch.setattr(confirming.Registry, "load", lambda: registry)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "example.toml").write_text(STUDY)
    return make


def test_longest_trial_starts_first(stage, tmp_path):
    here = stage({1: [0.8] * 2, 2: [0.7] * 2, 0: [0.6] * 2})
    directory = StudyDirectory(tmp_path, "example")
    for number, seconds in enumerate((5.0, 1.0, 9.0)):
        directory.trial(number).event_log.path.unlink()
        event = complete((0.5, 0.9, 0.7)[number])
        directory.trial(number).append(replace(event, summary={**event.summary, "train_seconds": seconds}))
    result = run(top=3)
    assert [number for number, _ in here.trained] == [2, 0, 1] * 2
    assert [one.trial for one in result.finalists] == [1, 2, 0]


def run(**options):
    return confirm("example.toml", **{"top": 2, "seeds": 2, "display": RecordingDisplay(), **options})


def test_finalists_are_ranked_by_their_means(stage):
    here = stage({1: [0.6, 0.8], 2: [0.8, 0.9]})
    result = run(command="zoo confirm")
    assert [(one.trial, one.searched, list(one.values)) for one in result.finalists] == [
        (2, 0.7, [0.8, 0.9]),
        (1, 0.9, [0.6, 0.8]),
    ]
    assert (result.order_changed, result.searched_order) == (True, [1, 2])
    assert here.records == [(1, "zoo confirm"), (2, "zoo confirm")]
    assert len({seed for _, seed in here.trained} | {1, 2}) == 6  # four fresh seeds


def test_champion_is_named_if_it_is_a_finalist(stage):
    here = stage({1: [0.6, 0.8], 2: [0.8, 0.9]})
    here.champion = ModelVersion("example", 1, "models:/m-1", tags={"zoo.uid": "5f0c-2"})
    assert run().champion == 2
    here.champion = ModelVersion("example", 1, "models:/m-1", tags={"zoo.uid": "another study-2"})
    assert run().champion is None


def test_study_is_found_by_its_record(stage, tmp_path):
    stage({1: [0.6, 0.8], 2: [0.8, 0.9]})
    (tmp_path / "example.toml").rename(tmp_path / "mlruns/zoo/example/study.toml")
    assert confirm("example", top=2, seeds=2, display=RecordingDisplay()).study == "example"


def test_parallel_runs_disturb_the_latency(stage, tmp_path):
    here = stage({1: [0.6, 0.8], 2: [0.8, 0.9]})
    (tmp_path / "example.toml").write_text('objective = ["val_accuracy", "latency_ms"]\n' + STUDY)
    run(jobs=2)
    assert any("latency_ms is measured while other trials train" in warning for warning in here.warnings)


def test_search_order_is_that_of_the_confirmed_objective(stage, tmp_path):
    stage({1: [0.9, 0.9], 2: [0.7, 0.7]})
    directory = StudyDirectory(tmp_path, "example")
    directory.assign("5f0c", [Objective("parameters", "minimize"), MAXIMIZE])
    for number, value, parameters in ((1, 0.9, 200), (2, 0.7, 100)):
        summary = {**complete(value).summary, "parameters": parameters}
        directory.trial(number).create(directory.trial(number).config())
        directory.trial(number).append(Finished(9.0, "complete", "", summary))
    result = run()
    assert (result.searched_order, result.order_changed) == ([1, 2], False)


def test_complete_runs_are_not_trained_again(stage):
    stage({1: [0.6, 0.8], 2: [0.8, 0.9]}).stop_after = 3
    stopped = run()
    assert stopped.interrupted == 130
    again = stage({1: [], 2: [0.9]})
    result = run()
    assert [number for number, _ in again.trained] == [2]
    assert (result.interrupted, [one.mean for one in result.finalists]) == (None, pytest.approx([0.85, 0.7]))
    more = stage({1: [0.7], 2: [0.7]})
    run(seeds=3)
    assert more.records == [(3, "zoo.confirm")]


def test_runs_with_other_plugins_are_trained_again(stage, monkeypatch):
    stage({1: [0.6, 0.8], 2: [0.8, 0.9]})
    run()

    def changed(trial, config, registry, files):
        return replace(config, plugins={"zoo-other": "2"}), [
            f"trial {trial} was trained with another version"
        ]

    monkeypatch.setattr(confirming, "with_installed_plugins", changed)
    again = stage({1: [0.6, 0.8], 2: [0.8, 0.9]})
    run()
    assert len(again.trained) == 4


def test_data_in_memory_is_passed_on(stage):
    data = Dataset(Split(np.zeros((2, 2, 2, 1), np.uint8), np.arange(2)), class_names=("a", "b"))
    made = stage({1: [0.8, 0.9], 2: [0.6, 0.7]})
    run(dataset=data)
    assert made.definition.in_memory is data


def test_other_data_is_refused(stage):
    stage({}).digest = "e" * 64
    with pytest.raises(StudyError, match=r"trained on other data \(dddddddddddd…, now eeeeeeeeeeee…\)"):
        run()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top": 0}, "--top: expected an integer >= 1, got 0"),
        ({"seeds": 1}, "--seeds: expected an integer >= 2, got 1"),
        ({"jobs": 0}, "--jobs: expected auto or an integer >= 1, got 0"),
    ],
)
def test_too_small_numbers_are_refused(stage, options, message):
    stage({})
    with pytest.raises(StudyError, match=message):
        run(**options)


def test_equal_means_are_ranked_by_spread():
    wide, narrow, none = Finalist(1, 0.9, [0.6, 0.8]), Finalist(2, 0.8, [0.7, 0.7]), Finalist(3, 0.8, [])
    assert [one.trial for one in rank_finalists([none, wide, narrow], MAXIMIZE)] == [2, 1, 3]
    assert (wide.mean, wide.std) == pytest.approx((0.7, 0.1414), abs=1e-4)
    assert math.isnan(none.mean)
    assert math.isnan(none.std)


def test_smaller_losses_are_better():
    losses = [Finalist(1, 0.1, [0.3, 0.3]), Finalist(2, 0.2, [0.2, 0.25])]
    assert [one.trial for one in rank_finalists(losses, Objective("val_loss", "minimize"))] == [2, 1]


def test_fresh_seeds_are_always_the_same(define):
    config = define().baseline(DIGEST, seed=3)
    seeds = [fresh_seed(config, repeat).seed for repeat in range(1, 6)]
    assert len({*seeds, config.seed}) == 6
    assert seeds == [fresh_seed(config, repeat).seed for repeat in range(1, 6)]
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_plugin_files_are_in_use():
    with pytest.raises(PluginError, match="there is no plugin file"):
        confirm("example.toml", plugins=["none.py"])
