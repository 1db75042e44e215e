"""`zoo.train`: one configuration as a standalone run, with stand-ins for its process and MLflow."""

from __future__ import annotations

import os
import signal
from collections import deque
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
from shared_tools import RecordingDisplay
from tuning_examples import STUDY

import zoo
from zoo.errors import PluginError, StudyError
from zoo.events import EpochEnd, Finished, Progress, Started
from zoo.record import StudyDirectory
from zoo.registry import IN_MEMORY
from zoo.study import Objective
from zoo.trial import PluginConfig
from zoo.tuning import standalone_run
from zoo.tuning.interrupts import Interrupts
from zoo.tuning.opening import load_definition
from zoo.tuning.standalone_run import TrialFailed, train, with_installed_plugins, with_recorded_data

STARTED = Started(1.0)
EPOCH = EpochEnd(2.0, 1, {"val_accuracy": 0.5})
COMPLETE = Finished(3.0, "complete", "", {"best_val_accuracy": 0.5, "best_epoch": 1})
DIGEST = "a" * 64


class Stage(RecordingDisplay):
    """Executor, record in MLflow and display in one. A SIGINT comes at a `None`, or after the last event."""

    free_slots = 1
    can_prepare = False

    def __init__(self, folder, events):
        super().__init__()
        self.directory = StudyDirectory(folder, "example")
        self.events = deque(events)
        self.running = []
        self.configs, self.answers, self.tracked, self.results, self.validations = [], [], [], [], []
        self.is_complete = True
        self.status = "FAILED"

    def start(self, number, config, cache_dir, folder, num_left):
        assert folder.parent == self.directory.path / "standalone"
        self.configs.append((number, config))
        self.running = [number]

    def wait(self, timeout):
        if not timeout:
            return self.running if self.events else []
        if not self.events or self.events[0] is None:
            self.events = deque(event for event in self.events if event is not None)
            os.kill(os.getpid(), signal.SIGINT)
        return self.running

    def read(self, number):
        event = self.events.popleft()
        if isinstance(event, BaseException):
            raise event
        if isinstance(event, Finished):
            self.running = []
        return event

    def answer(self, number, should_continue):
        self.answers.append(should_continue)

    def stop_all(self):
        stopped, self.running = self.running, []
        return stopped

    def put(self, number, config, events, folder):
        self.tracked += [(number, event.name) for event in events]

    def begin(self, study, objectives, done, total):
        self.objectives = list(objectives)

    def finished(self, number, state, values, reason, best, done):
        self.results.append((number, state, values, reason))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def run(self):
        """The directory of the standalone run."""
        (run,) = self.directory.standalone_runs()
        return run


@pytest.fixture
def stage(define, registry, tmp_path, monkeypatch):
    """stage(STARTED, …) -> everything around `zoo.train`, whose process sends these events."""

    def make(*events):
        stage = Stage(tmp_path, events)

        def open_study(stack, definition, jobs, display, warnings):
            stage.problems += warnings
            stage.validations.append(definition.validation)
            dataset = SimpleNamespace(digest=DIGEST)
            verified = Future()
            verified.set_result(None)
            return SimpleNamespace(
                definition=definition,
                directory=stage.directory,
                executor=stage,
                dataset=dataset,
                display=stage,
                interrupts=Interrupts(),
                verified=verified,
            )

        def record(study, uid, *, standalone_name, command):
            stage.mlflow_name, stage.command = standalone_name, command
            return stage

        monkeypatch.setattr(standalone_run, "open_study", open_study)
        monkeypatch.setattr(standalone_run, "MLflowRecord", record)
        monkeypatch.setattr(standalone_run, "reconcile_standalone_runs", lambda *_: None)
        return stage

    monkeypatch.setattr(standalone_run.Registry, "load", lambda: registry)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "example.toml").write_text(STUDY)
    return make


@pytest.fixture
def config(define):
    return define().baseline(DIGEST, seed=7)


@contextmanager
def full_disk(monkeypatch):
    def full(self, event):
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("zoo.record.TrialDirectory.append", full)
        yield


class TestResults:
    def test_baseline_is_trained_and_never_pruned(self, stage, define):
        here = stage(STARTED, Progress(1, 0.5), EPOCH, COMPLETE)
        result = train("example.toml", command="zoo train example.toml")
        assert (result.study, result.objective, result.trial) == ("example", "val_accuracy", None)
        assert (result.summary, result.epochs) == (COMPLETE.summary, [EPOCH.metrics])
        definition = define()
        assert here.configs == [(0, definition.baseline(DIGEST, definition.seed_of(0)))]
        assert here.run().events() == [STARTED, EPOCH, COMPLETE]
        assert result.folder == here.run().path
        assert here.tracked == [(0, "started"), (0, "epoch_end"), (0, "finished")]
        assert here.answers == [True]
        assert here.results == [(0, "complete", {"val_accuracy": 0.5}, "")]
        assert here.objectives == [Objective("val_accuracy", "maximize")]
        assert (here.status, here.command) == ("FINISHED", "zoo train example.toml")

    def test_folds_of_every_epoch_are_returned(self, stage):
        stage(STARTED, replace(EPOCH, fold=1), replace(EPOCH, fold=2), COMPLETE)
        assert train("example.toml").folds == [1, 2]

    @pytest.mark.parametrize("is_complete", [True, False])
    def test_run_json_tells_whether_mlflow_has_everything(self, stage, is_complete):
        here = stage(STARTED, EPOCH, COMPLETE)
        here.is_complete = is_complete
        train("example.toml")
        run = here.run().mlflow_run()
        assert (run.name, run.number, run.is_complete) == ("standalone-baseline", 0, is_complete)
        assert here.mlflow_name == run.name

    def test_overrides_and_a_trial_are_refused(self, stage):
        stage()
        with pytest.raises(StudyError, match="Remove --set or --trial"):
            train("example.toml", trial=0, overrides=["training.epochs=1"])


class TestFailures:
    @pytest.mark.parametrize("state", ["failed", "pruned"])
    def test_other_final_state_is_an_error_that_names_the_log(self, stage, state):
        here = stage(STARTED, Finished(3.0, state, "it fell"))
        with pytest.raises(TrialFailed) as failed:
            train("example.toml")
        assert failed.value.exit_status == 1
        assert "it fell" in str(failed.value)
        assert str(here.run().output_path) in str(failed.value)
        assert here.tracked[-1] == (0, "finished")
        assert here.status == "FAILED"

    def test_ctrl_c_leaves_a_complete_record(self, stage):
        here = stage(STARTED, EPOCH)
        with pytest.raises(TrialFailed, match="stopped") as stopped:
            train("example.toml")
        assert stopped.value.exit_status == 130
        assert str(here.run().path) in str(stopped.value)
        assert here.running == []
        assert here.run().final_event().reason == "interrupted"
        assert here.tracked[-1] == (0, "finished")

    @pytest.mark.parametrize("is_same", [True, False])
    def test_interrupted_run_with_the_same_configuration_continues(self, stage, is_same):
        here = stage(STARTED, EPOCH)
        with pytest.raises(TrialFailed, match="stopped"):
            train("example.toml", overrides=[] if is_same else ["training.epochs=9"])
        earlier = here.run().path.rename(here.run().path.with_name("earlier"))
        (earlier / "checkpoints").mkdir()
        (earlier / "checkpoints" / "1-1.ckpt").touch()
        stage(STARTED, EPOCH, COMPLETE)
        folder = train("example.toml").folder
        assert (folder / "run.json").exists()
        assert (earlier / "checkpoints").exists() != is_same

    def test_final_state_that_arrived_before_ctrl_c_is_kept(self, stage):
        here = stage(STARTED, None, EPOCH, COMPLETE)
        assert train("example.toml").summary == COMPLETE.summary
        assert here.run().events() == [STARTED, EPOCH, COMPLETE]

    @pytest.mark.parametrize("error", [OSError("no space left on device"), KeyboardInterrupt()])
    def test_mlflow_gets_the_end_after_any_exception(self, stage, error):
        here = stage(STARTED, error)
        with pytest.raises(type(error)):
            train("example.toml")
        assert here.running == []
        assert here.run().final_event().reason == "interrupted: the study was stopped"
        assert here.tracked[-1] == (0, "finished")

    def test_mlflow_gets_the_end_although_the_disk_is_full(self, stage, monkeypatch):
        here = stage(STARTED, EPOCH)
        with full_disk(monkeypatch), pytest.raises(OSError, match="no space left"):
            train("example.toml")
        assert here.tracked[-1] == (0, "finished")


class TestRepeatedTrial:
    def test_same_plugins_give_the_same_configuration(self, config, registry):
        assert with_installed_plugins(3, config, registry) == (config, [])

    def test_changed_version_is_reported(self, config, registry):
        before = replace(config, plugins=dict.fromkeys(config.plugins, "0.0.9"))
        again, changes = with_installed_plugins(3, before, registry)
        assert again == config
        assert changes == [f"trial 3 was trained with keras-zoo 0.0.9, now with keras-zoo {zoo.__version__}"]

    def test_record_without_versions_reports_nothing(self, config, registry):
        before = replace(config, plugins={})
        assert with_installed_plugins(3, before, registry) == (config, [])

    def test_missing_plugin_is_an_error(self, config, registry):
        missing = replace(config, architecture=PluginConfig("res_net"))
        with pytest.raises(PluginError, match=r"^there is no architecture named 'res_net'\. "):
            with_installed_plugins(3, missing, registry)

    def test_recorded_split_is_used(self, stage, config, tmp_path):
        """Not that of today's study file: the figures belong to the recorded one."""
        here = stage(STARTED, EPOCH, COMPLETE, STARTED, EPOCH, COMPLETE)
        study = tmp_path / "example.toml"
        study.write_text(STUDY + "[validation]\nseed = 7\n")
        here.directory.trial(3).create(config.as_json())
        train(str(study), trial=3)
        assert here.configs == [(3, config)]
        assert here.mlflow_name == "standalone-003"
        assert here.validations == [{"fraction": 0.1, "seed": 0}]

    def test_other_data_are_refused(self, stage, config):
        here = stage()
        here.directory.trial(3).create({**config.as_json(), "digest": "b" * 64})
        with pytest.raises(StudyError, match=r"other data \(bbbbbbbbbbbb…, now aaaaaaaaaaaa…\)"):
            train("example.toml", trial=3)

    def test_unknown_or_deleted_trial_is_refused(self, stage, config):
        here = stage()
        with pytest.raises(StudyError, match=r"^there is no trial of 'example' in "):
            train("example.toml", trial=9)
        for number in (3, 4):
            here.directory.trial(number).create(config.as_json())
        here.directory.set_deleted_trials([4])
        with pytest.raises(StudyError, match=r"^trial 4 of 'example' was deleted\. `zoo delete example"):
            train("example.toml", trial=4)
        with pytest.raises(StudyError, match=r"^there is no trial 9 of 'example'\. Available: 3\."):
            train("example.toml", trial=9)


def test_dataset_of_the_trial_is_used_unless_one_is_passed(define, registry):
    definition = define()
    config = replace(
        definition.baseline(DIGEST, 0),
        dataset=PluginConfig(IN_MEMORY),
        validation={"fraction": 0.5, "seed": 7},
    )
    recorded = with_recorded_data(definition, config, registry)
    assert (recorded.dataset.name, recorded.dataset_component.name) == (IN_MEMORY, IN_MEMORY)
    assert recorded.validation == config.validation
    passed = replace(definition, in_memory=object())
    assert with_recorded_data(passed, config, registry) == replace(passed, validation=config.validation)


def test_study_on_arrays_needs_no_dataset_in_its_file(in_tmp, registry):
    (in_tmp / "mine.toml").write_text('architecture = "conv_net"\n', encoding="utf-8")
    with pytest.raises(StudyError, match="dataset: it is missing"):
        load_definition("mine.toml", registry, (), None)
    directory = StudyDirectory(in_tmp, "mine")
    directory.trial(0).create({"dataset": {"name": IN_MEMORY}, "digest": DIGEST})
    assert load_definition("mine.toml", registry, (), None).dataset.name == IN_MEMORY
