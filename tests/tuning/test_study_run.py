"""`zoo.tune`: what it refuses and warns of before it starts, and its result."""

from __future__ import annotations

import errno
from dataclasses import make_dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from shared_tools import RecordingDisplay
from tuning_examples import STUDY

from zoo.errors import StudyError, ZooError
from zoo.record import StudyDirectory
from zoo.tracking import StoreAway
from zoo.tuning import executors, opening, study_run
from zoo.tuning.interrupts import Interrupts
from zoo.tuning.study_run import tune


class Opened(Exception):
    """Stops `tune` where the study would be opened."""


@pytest.fixture
def warnings_of(registry, tmp_path, monkeypatch):
    """warnings_of("training.epochs=3", jobs=2) -> the warnings with which the study would be opened."""

    def open_study(stack, definition, jobs, display, warnings, engine, *, trains):
        raise Opened(list(warnings))

    def call(*overrides, **keywords):
        with pytest.raises(Opened) as opened:
            tune(str(tmp_path / "example.toml"), overrides=overrides, **keywords)
        return opened.value.args[0]

    monkeypatch.setattr(study_run, "open_study", open_study)
    monkeypatch.setattr(study_run.Registry, "load", lambda: registry)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "example.toml").write_text(STUDY)
    return call


def test_latency_with_parallel_trials_warns(warnings_of):
    several = 'objective=["val_accuracy", "latency_ms"]'
    assert warnings_of(several, jobs=2) == [
        "with --jobs 2, latency_ms is measured while other trials train, so it is not reliable; use --jobs 1"
    ]
    assert warnings_of(several, jobs=1) == warnings_of(several) == warnings_of(jobs=2) == []


@pytest.mark.parametrize("jobs", [0, -1, "many", "1.5"])
def test_wrong_number_of_jobs_is_refused(warnings_of, jobs):
    with pytest.raises(StudyError, match=f"--jobs: expected auto or an integer >= 1, got '?{jobs}"):
        tune("example.toml", jobs=jobs)


@pytest.mark.parametrize("study", ["example.toml", "digits.v2"])
def test_study_whose_plugin_is_missing_names_it(warnings_of, tmp_path, study):
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "digits.v2.toml").write_text(STUDY)
    plugins = {"keras-zoo:architectures": "0.1", "zoo-mixer:mixer": "0.2"}
    StudyDirectory(tmp_path, study).trial(0).create({"plugins": plugins})
    with pytest.raises(StudyError) as refused:
        tune(study, overrides=["architecture.name=mlp_mixer"])
    *_, last = str(refused.value).splitlines()
    assert last == "trials of this study used zoo-mixer 0.2; pip install zoo-mixer==0.2"
    with pytest.raises(StudyError) as refused:  # a study without trials
        tune("example.toml", overrides=["architecture.name=mlp_mixer"], name="other")
    assert "zoo-mixer" not in str(refused.value)


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([], "no failed trial to run again"),
        ([3], "running the failed trial 3 again …"),
        ([3, 5], "running the failed trials 3, 5 again …"),
    ],
)
def test_failed_trials_that_run_again_are_named(numbers, text):
    display = RecordingDisplay()
    study_run._retry_failed(SimpleNamespace(display=display), SimpleNamespace(retry_failed=lambda: numbers))
    assert display.phases == [text]


class TestOpening:
    @pytest.fixture
    def calls(self, warnings_of, monkeypatch):
        """What the real `open_study` calls, in order: stand-ins that only note their name."""
        calls = []

        def note(name, result=None):
            return lambda *_: calls.append(name) or result

        executor = SimpleNamespace(stop_all=note("stop the executor"))
        facts = {"warning": "", "digest": "d" * 64, "validation": {}, "splits": {}}
        dataset = make_dataclass("Prepared", facts)(**facts)
        monkeypatch.setattr(study_run, "open_study", opening.open_study)
        monkeypatch.setattr(study_run, "OptunaSearch", note("open the search"))
        monkeypatch.setattr(study_run, "manifest_of", lambda *_: {})
        monkeypatch.setattr(opening, "start_loading_keras", note("load Keras"))
        monkeypatch.setattr(executors, "LocalExecutor", lambda *_: executor)
        monkeypatch.setattr(opening, "prepare_in_process", note("prepare", dataset))
        monkeypatch.setattr(opening, "_preload", lambda **_: None)
        monkeypatch.setattr(opening, "is_new_store", lambda: False)
        return calls

    def test_mlflow_that_is_away_is_reported_once_and_the_study_starts(self, calls, monkeypatch):
        def result():
            raise StoreAway("no MLflow server answers at http://127.0.0.1:9. Start it.")

        def search(*_):
            raise ZooError("the search begins")

        monkeypatch.setattr(opening, "StoreConnection", lambda: SimpleNamespace(result=result))
        monkeypatch.setattr(study_run, "OptunaSearch", search)
        display = RecordingDisplay()
        with pytest.raises(ZooError, match="the search begins"):
            tune("example.toml", display=display)
        assert display.problems == [
            "no MLflow server answers at http://127.0.0.1:9. The study runs; MLflow gets what it lacks "
            "when it answers, or by `zoo sync example`"
        ]

    def test_labels_are_checked_on_the_split_into_groups(self, calls, monkeypatch):
        grouped, seen = {"fraction": 0.1, "seed": 0, "group": "patient", "group_digest": "g"}, []

        def check(definition, cache_dir, digest):
            seen.append(definition.validation)
            raise ZooError("seen")

        dataset = SimpleNamespace(warning="", digest="d" * 64, validation=grouped, splits={})
        monkeypatch.setattr(opening, "prepare_in_process", lambda *_: dataset)
        monkeypatch.setattr(opening, "check_labels", check)
        with pytest.raises(ZooError, match="seen"):
            tune("example.toml", display=RecordingDisplay())
        assert seen == [grouped]

    def test_study_without_data_creates_no_database(self, calls, monkeypatch):
        def prepare_in_process(*_):
            calls.append("prepare")
            raise ZooError("no data")

        monkeypatch.setattr(opening, "prepare_in_process", prepare_in_process)
        monkeypatch.setattr(opening, "StoreConnection", lambda: calls.append("connect"))
        with pytest.raises(ZooError, match="no data"):
            tune("example.toml", display=RecordingDisplay())
        assert calls == ["load Keras", "prepare", "stop the executor"]


class TestArchitectureOfTheResult:
    CHOICES = 'dataset = "digits"\narchitecture = { name = { choices = ["conv_net", "small_lenet"] } }'

    @pytest.fixture
    def architecture(self, directory):
        """architecture(definition, 4) -> the result's architecture if trial 4 is the best one."""

        def find(definition, best):
            directory.trial(4).create(definition.baseline("d" * 64, 0).as_json())
            study = SimpleNamespace(
                definition=definition,
                directory=directory,
                dataset=SimpleNamespace(source="", warning=""),
                interrupts=Interrupts(),
            )
            search = SimpleNamespace(
                best=lambda: (best, 0.5),
                front=dict,
                done=lambda: 1,
                total=lambda: 1,
                num_rejected=lambda: 0,
                deleted_complete=list,
            )
            record = SimpleNamespace(model_uri=lambda number: "", is_complete=True)
            return study_run._result(study, search, record, {}, None, "").architecture

        return find

    def test_searched_architecture_is_named(self, define, architecture):
        assert architecture(define(text=self.CHOICES), 4) == "conv_net"
        assert architecture(define(text=self.CHOICES), 5) == ""  # its configuration is lost

    def test_fixed_architecture_is_not_named(self, define, architecture):
        assert architecture(define(), 4) == ""


class TestReport:
    @pytest.fixture
    def write(self, define, tmp_path):
        """write(function) -> the path of the report, the uploaded reports, and the reported problems."""

        def call(function):
            display, uploaded = RecordingDisplay(), []
            directory = StudyDirectory(tmp_path, "example")
            study = SimpleNamespace(
                definition=define(), directory=directory, display=display, interrupts=Interrupts()
            )
            record = SimpleNamespace(record_report=uploaded.append)
            path = study_run._write_report(study, record, "url", function)
            return path, uploaded, display.problems

        return call

    def test_report_is_added_to_mlflow(self, write):
        assert write(lambda *names: names) == (("example", "url"), [("example", "url")], [])
        assert write(None) == (None, [], [])

    def test_failure_is_one_line_and_no_error(self, write):
        def fail(*_):
            raise OSError("the disk\nis full")

        path, uploaded, problems = write(fail)
        assert (path, uploaded) == (None, [])
        assert problems == ["the report was not written: the disk is full; `zoo report example` writes it"]

    def test_full_disk_is_waited_for(self, write, monkeypatch):
        monkeypatch.setattr("zoo.disk_space._POLL_S", 0.0)
        results = [OSError(errno.ENOSPC, "No space left on device"), Path("report.html")]

        def write_report(*_):
            if isinstance(result := results.pop(0), Exception):
                raise result
            return result

        path, uploaded, problems = write(write_report)
        assert (path, uploaded) == (Path("report.html"), [Path("report.html")])
        assert len(problems) == 1
        assert "waiting until there is room" in problems[0]

    def test_signal_ends_writing(self, write):
        def interrupt(*_):
            raise study_run.Interrupted

        assert write(interrupt) == (None, [], [])
